/* Watches: by flag and by watcher object, their events, their removal. */
#include "check.h"

#include <string.h>

static void set(zhandle_t *zh, const char *path, const char *value) {
    EQUAL(zoo_set(zh, path, value, strlen(value), -1), ZOK);
}

static void create(zhandle_t *zh, const char *path) {
    EQUAL(zoo_create(zh, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0), ZOK);
}

static void watcher_objects(void) {
    zhandle_t *zh = connect_client("", NULL), *other = connect_client("", NULL);
    struct events *events = new_events();
    char path[PATH_SIZE], child[PATH_SIZE], value[8];
    int length = sizeof value;
    struct Stat stat;
    struct String_vector names;
    make_root(zh);
    at(path, "/w");
    at(child, "/w/child");

    EQUAL(zoo_wexists(zh, path, collect, events, &stat), ZNONODE);
    create(other, path);
    expect_event(events, ZOO_CREATED_EVENT, path);
    set(other, path, "no watch is left");
    expect_no_event(events, zh);

    EQUAL(zoo_wget(zh, path, collect, events, value, &length, &stat), ZOK);
    set(other, path, "1");
    expect_event(events, ZOO_CHANGED_EVENT, path);
    EQUAL(zoo_wexists(zh, path, collect, events, &stat), ZOK);
    set(other, path, "2");
    expect_event(events, ZOO_CHANGED_EVENT, path);

    EQUAL(zoo_wget_children(zh, path, collect, events, &names), ZOK);
    deallocate_String_vector(&names);
    create(other, child);
    expect_event(events, ZOO_CHILD_EVENT, path);
    EQUAL(zoo_wget_children2(zh, path, collect, events, &names, &stat), ZOK);
    EQUAL(names.count, 1);
    deallocate_String_vector(&names);
    set(other, child, "is no change of the list");
    expect_no_event(events, zh);
    EQUAL(zoo_wget(zh, child, collect, events, value, &length, &stat), ZOK);
    EQUAL(zoo_delete(other, child, -1), ZOK);
    expect_event(events, ZOO_DELETED_EVENT, child);
    expect_event(events, ZOO_CHILD_EVENT, path);

    /* Data and child watch of one node: the server sends one event, the client calls each watcher object once. */
    EQUAL(zoo_wget_children(zh, path, collect, events, &names), ZOK);
    deallocate_String_vector(&names);
    EQUAL(zoo_delete(other, path, -1), ZOK);
    expect_event(events, ZOO_DELETED_EVENT, path);
    expect_no_event(events, zh);
}

static void watch_flags(void) {
    struct events *events = new_events();
    zhandle_t *zh = connect_client("", events), *other = connect_client("", NULL);
    char path[PATH_SIZE], value[8];
    int length = sizeof value;
    struct Stat stat;
    struct String_vector names;
    expect_session_state(events, ZOO_CONNECTED_STATE);
    at(path, "");
    EQUAL(zoo_exists(zh, path, 1, &stat), ZNONODE);
    make_root(other);
    expect_event(events, ZOO_CREATED_EVENT, path);
    EQUAL(zoo_get(zh, path, 1, value, &length, &stat), ZOK);
    set(zh, path, "own change");
    expect_event(events, ZOO_CHANGED_EVENT, path);
    EQUAL(zoo_get_children(zh, path, 1, &names), ZOK);
    deallocate_String_vector(&names);
    EQUAL(zoo_delete(other, path, -1), ZOK);
    expect_event(events, ZOO_DELETED_EVENT, path);
}

static void multi_fires_each_watch(void) {
    zhandle_t *zh = connect_client("", NULL);
    struct events *events = new_events();
    char path[PATH_SIZE], child[PATH_SIZE], value[8];
    int length = sizeof value;
    struct Stat stat;
    struct String_vector names;
    make_root(zh);
    at(path, "");
    at(child, "/child");
    EQUAL(zoo_wget(zh, path, collect, events, value, &length, &stat), ZOK);
    EQUAL(zoo_wget_children(zh, path, collect, events, &names), ZOK);
    deallocate_String_vector(&names);
    EQUAL(zoo_wexists(zh, child, collect, events, &stat), ZNONODE);
    zoo_op_t ops[2];
    zoo_op_result_t results[2];
    zoo_create_op_init(&ops[0], child, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    zoo_set_op_init(&ops[1], path, "x", 1, -1, NULL);
    EQUAL(zoo_multi(zh, 2, ops, results), ZOK);
    expect_event(events, ZOO_CREATED_EVENT, child);
    expect_event(events, ZOO_CHILD_EVENT, path);
    expect_event(events, ZOO_CHANGED_EVENT, path);
}

static void removed_watches_stay_silent(void) {
    zhandle_t *zh = connect_client("", NULL);
    struct events *events = new_events(), *others = new_events();
    char path[PATH_SIZE], value[8];
    int length = sizeof value;
    struct Stat stat;
    struct String_vector names;
    make_root(zh);
    at(path, "");
    EQUAL(zoo_remove_watches(zh, path, ZWATCHTYPE_DATA, collect, events, 0), ZNOWATCHER);
    EQUAL(zoo_wget(zh, path, collect, events, value, &length, &stat), ZOK);
    EQUAL(zoo_wexists(zh, path, collect, others, &stat), ZOK);
    EQUAL(zoo_remove_watches(zh, path, ZWATCHTYPE_DATA, collect, events, 0), ZOK);
    set(zh, path, "1");
    expect_event(others, ZOO_CHANGED_EVENT, path);
    expect_no_event(events, zh);

    length = sizeof value;
    EQUAL(zoo_wget(zh, path, collect, events, value, &length, &stat), ZOK);
    EQUAL(zoo_wget_children(zh, path, collect, events, &names), ZOK);
    deallocate_String_vector(&names);
    EQUAL(zoo_remove_all_watches(zh, path, ZWATCHTYPE_ANY, 0), ZOK);
    set(zh, path, "2");
    char child[PATH_SIZE];
    create(zh, at(child, "/child"));
    expect_no_event(events, zh);
}

static void ephemeral_ends_with_its_session(void) {
    zhandle_t *zh = connect_client("", NULL), *owner = connect_client("", NULL);
    struct events *events = new_events();
    char path[PATH_SIZE];
    struct Stat stat;
    at(path, "");
    EQUAL(zoo_create(owner, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0), ZOK);
    EQUAL(zoo_wexists(zh, path, collect, events, &stat), ZOK);
    EQUAL(stat.ephemeralOwner, zoo_client_id(owner)->client_id);
    end_client(owner);
    expect_event(events, ZOO_DELETED_EVENT, path);
}

void watch_checks(void) {
    run_check("watcher-objects", watcher_objects);
    run_check("watch-flags", watch_flags);
    run_check("multi-fires-each-watch", multi_fires_each_watch);
    run_check("removed-watches-stay-silent", removed_watches_stay_silent);
    run_check("ephemeral-ends-with-its-session", ephemeral_ends_with_its_session);
}
