/* Sessions: what was negotiated, another connection for the same session, a server that is killed. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void negotiated(void) {
    zhandle_t *zh = connect_client("", NULL);
    char server[PATH_SIZE], empty[16] = {0};
    EXPECT(zoo_client_id(zh)->client_id != 0);
    EXPECT(memcmp(zoo_client_id(zh)->passwd, empty, sizeof empty) != 0);
    EQUAL(zoo_recv_timeout(zh), 10000);
    snprintf(server, sizeof server, "127.0.0.1:%s", getenv("SERVER_PORT"));
    EQUAL_TEXT(zoo_get_current_server(zh), server);
    EQUAL(is_unrecoverable(zh), ZOK);
}

static void reattach(void) {
    struct events *events = new_events();
    zhandle_t *first = connect_client("", NULL), *watcher = connect_client("", NULL);
    char path[PATH_SIZE];
    struct Stat stat;
    at(path, "");
    EQUAL(zoo_create(first, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), ZOK);
    clientid_t id = *zoo_client_id(first);

    send_away(first);
    zhandle_t *second = connect_as(&id, events);
    expect_session_state(events, ZOO_CONNECTED_STATE);
    EQUAL(zoo_client_id(second)->client_id, id.client_id);
    EXPECT(memcmp(zoo_client_id(second)->passwd, id.passwd, sizeof id.passwd) == 0);
    EQUAL(zoo_exists(second, path, 0, &stat), ZOK);
    EQUAL(stat.ephemeralOwner, id.client_id);

    /* To the first and back again; never both at once, or each would take it from the other without end. */
    send_away(second);
    call_back(first);
    EQUAL(zoo_client_id(first)->client_id, id.client_id);
    send_away(first);
    call_back(second);
    end_client(second);
    EQUAL(zoo_exists(watcher, path, 0, &stat), ZNONODE);
}

static void wrong_password(void) {
    struct events *events = new_events();
    zhandle_t *zh = connect_client("", NULL);
    clientid_t id = *zoo_client_id(zh);
    id.passwd[3] ^= 1;
    zhandle_t *thief = connect_as(&id, events);
    expect_session_state(events, ZOO_EXPIRED_SESSION_STATE);
    EQUAL(is_unrecoverable(thief), ZINVALIDSTATE);
}

static void unknown_session(void) {
    struct events *events = new_events();
    clientid_t id = {0x1234567, {0}};
    connect_as(&id, events);
    expect_session_state(events, ZOO_EXPIRED_SESSION_STATE);
}

static void killed_server_comes_back(void) {
    struct events *session = new_events(), *data = new_events(), *list = new_events(), *missing = new_events();
    zhandle_t *zh = connect_client("", session);
    char path[PATH_SIZE], node[PATH_SIZE], late[PATH_SIZE], value[8];
    int length = sizeof value;
    struct Stat before, after;
    struct String_vector names;
    make_root(zh);
    at(path, "");
    at(node, "/e");
    at(late, "/late");
    EQUAL(zoo_create(zh, node, "v", 1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), ZOK);
    EQUAL(zoo_wget(zh, node, collect, data, value, &length, &before), ZOK);
    EQUAL(zoo_wget_children(zh, path, collect, list, &names), ZOK);
    deallocate_String_vector(&names);
    EQUAL(zoo_wexists(zh, late, collect, missing, &after), ZNONODE);
    clientid_t id = *zoo_client_id(zh);
    expect_session_state(session, ZOO_CONNECTED_STATE);

    kill_server();
    expect_session_state(session, ZOO_CONNECTING_STATE);
    start_server();
    expect_session_state(session, ZOO_CONNECTED_STATE);
    EQUAL(zoo_client_id(zh)->client_id, id.client_id);
    EQUAL(zoo_exists(zh, node, 0, &after), ZOK);
    expect_same_stat(&after, &before);

    /* The client tells the new server of its watches (SetWatches); they fire as if nothing had happened. */
    zhandle_t *other = connect_client("", NULL);
    EQUAL(zoo_set(other, node, "w", 1, -1), ZOK);
    expect_event(data, ZOO_CHANGED_EVENT, node);
    EQUAL(zoo_create(other, late, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
    expect_event(missing, ZOO_CREATED_EVENT, late);
    expect_event(list, ZOO_CHILD_EVENT, path);
    expect_no_event(data, zh);
}

static void changes_while_away_are_told(void) {
    struct events *session = new_events(), *data = new_events(), *list = new_events(), *gone = new_events();
    zhandle_t *zh = connect_client("", session), *other = connect_client("", NULL);
    char path[PATH_SIZE], a[PATH_SIZE], b[PATH_SIZE], value[8];
    int length = sizeof value;
    struct Stat stat;
    struct String_vector names;
    make_root(zh);
    at(path, "");
    EQUAL(zoo_create(other, at(a, "/a"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0), ZOK);
    EQUAL(zoo_create(other, at(b, "/b"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0), ZOK);
    EQUAL(zoo_wget(zh, a, collect, data, value, &length, &stat), ZOK);
    EQUAL(zoo_wexists(zh, b, collect, gone, &stat), ZOK);
    EQUAL(zoo_wget_children(zh, path, collect, list, &names), ZOK);
    deallocate_String_vector(&names);
    expect_session_state(session, ZOO_CONNECTED_STATE);

    send_away(zh);
    EQUAL(zoo_set(other, a, "w", 1, -1), ZOK);
    EQUAL(zoo_delete(other, b, -1), ZOK);
    call_back(zh);
    expect_event(data, ZOO_CHANGED_EVENT, a);
    expect_event(gone, ZOO_DELETED_EVENT, b);
    expect_event(list, ZOO_CHILD_EVENT, path);
    expect_no_event(data, zh);
    expect_no_event(list, zh);
}

void session_checks(void) {
    run_check("negotiated", negotiated);
    run_check("reattach", reattach);
    run_check("wrong-password", wrong_password);
    run_check("unknown-session", unknown_session);
    run_check("changes-while-away-are-told", changes_while_away_are_told);
    run_check("killed-server-comes-back", killed_server_comes_back);
}
