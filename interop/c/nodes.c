/* Nodes: create in every mode, read, write, delete, versions, ACLs, multi, many requests at once. */
#include "check.h"

#include <stdio.h>
#include <string.h>

static struct ACL_vector *const OPEN = &ZOO_OPEN_ACL_UNSAFE;

static int create(zhandle_t *zh, const char *path, const char *value, int mode) {
    return zoo_create(zh, path, value, strlen(value), OPEN, mode, NULL, 0);
}

static void create_get_set_delete(void) {
    zhandle_t *zh = connect_client("", NULL);
    char path[PATH_SIZE], real[PATH_SIZE], value[64];
    struct Stat stat, after;
    at(path, "");
    EQUAL(zoo_create(zh, path, "one", 3, OPEN, ZOO_PERSISTENT, real, sizeof real), ZOK);
    EQUAL_TEXT(real, path);

    int length = sizeof value;
    EQUAL(zoo_get(zh, path, 0, value, &length, &stat), ZOK);
    EQUAL(length, 3);
    EXPECT(memcmp(value, "one", 3) == 0);
    EQUAL(stat.version, 0);
    EQUAL(stat.cversion, 0);
    EQUAL(stat.aversion, 0);
    EQUAL(stat.dataLength, 3);
    EQUAL(stat.numChildren, 0);
    EQUAL(stat.ephemeralOwner, 0);
    EQUAL(stat.mzxid, stat.czxid);
    EQUAL(stat.pzxid, stat.czxid);
    EQUAL(stat.mtime, stat.ctime);

    EQUAL(zoo_set(zh, path, "two!", 4, 0), ZOK);
    EQUAL(zoo_set2(zh, path, "three", 5, 1, &after), ZOK);
    EQUAL(after.version, 2);
    EQUAL(after.dataLength, 5);
    EXPECT(after.mzxid > stat.mzxid);
    EQUAL(zoo_exists(zh, path, 0, &stat), ZOK);
    expect_same_stat(&stat, &after);
    EQUAL(zoo_delete(zh, path, 2), ZOK);
    EQUAL(zoo_exists(zh, path, 0, &stat), ZNONODE);
}

static void null_is_not_empty(void) {
    zhandle_t *zh = connect_client("", NULL);
    char path[PATH_SIZE], value[8];
    make_root(zh);
    EQUAL(zoo_create(zh, at(path, "/null"), NULL, -1, OPEN, ZOO_PERSISTENT, NULL, 0), ZOK);
    int length = sizeof value;
    EQUAL(zoo_get(zh, path, 0, value, &length, NULL), ZOK);
    EQUAL(length, -1);
    EQUAL(zoo_set(zh, path, "", 0, -1), ZOK);
    length = sizeof value;
    EQUAL(zoo_get(zh, path, 0, value, &length, NULL), ZOK);
    EQUAL(length, 0);
    EQUAL(zoo_set(zh, path, NULL, -1, -1), ZOK);
    EQUAL(zoo_get(zh, path, 0, value, &length, NULL), ZOK);
    EQUAL(length, -1);
}

static void errors(void) {
    zhandle_t *zh = connect_client("", NULL);
    char path[PATH_SIZE], value[8];
    struct Stat stat;
    struct String_vector names;
    struct ACL_vector acl;
    int length = sizeof value;
    at(path, "");
    EQUAL(zoo_get(zh, path, 0, value, &length, &stat), ZNONODE);
    EQUAL(zoo_set(zh, path, "", 0, -1), ZNONODE);
    EQUAL(zoo_delete(zh, path, -1), ZNONODE);
    EQUAL(zoo_get_children(zh, path, 0, &names), ZNONODE);
    EQUAL(zoo_get_acl(zh, path, &acl, &stat), ZNONODE);
    EQUAL(zoo_set_acl(zh, path, -1, OPEN), ZNONODE);
    make_root(zh);
    EQUAL(create(zh, path, "", ZOO_PERSISTENT), ZNODEEXISTS);
    EQUAL(create(zh, at(path, "/x/y"), "", ZOO_PERSISTENT), ZNONODE);
    EQUAL(zoo_set(zh, at(path, ""), "", 0, 7), ZBADVERSION);
    EQUAL(zoo_delete(zh, path, 7), ZBADVERSION);
    EQUAL(create(zh, at(path, "/e"), "", ZOO_EPHEMERAL), ZOK);
    EQUAL(create(zh, at(path, "/e/x"), "", ZOO_PERSISTENT), ZNOCHILDRENFOREPHEMERALS);
    EQUAL(zoo_delete(zh, at(path, ""), -1), ZNOTEMPTY);
    EQUAL(create(zh, at(path, "/\x01"), "", ZOO_PERSISTENT), ZBADARGUMENTS);
}

static void sequences(void) {
    zhandle_t *zh = connect_client("", NULL);
    char path[PATH_SIZE], real[PATH_SIZE], want[PATH_SIZE];
    struct Stat stat;
    make_root(zh);
    for (int number = 0; number < 20; number++) {
        int mode = number % 2 ? ZOO_EPHEMERAL_SEQUENTIAL : ZOO_PERSISTENT_SEQUENTIAL;
        char suffix[32];
        EQUAL(zoo_create2(zh, at(path, "/n-"), "", 0, OPEN, mode, real, sizeof real, &stat), ZOK);
        snprintf(suffix, sizeof suffix, "/n-%010d", number);
        EQUAL_TEXT(real, at(want, suffix));
        EQUAL(stat.ephemeralOwner, number % 2 ? zoo_client_id(zh)->client_id : 0);
    }
}

static int gone(void *context) {
    void **both = context;
    struct Stat stat;
    return zoo_exists(both[0], both[1], 0, &stat) == ZNONODE;
}

static void containers_and_ttl(void) {
    zhandle_t *zh = connect_client("", NULL);
    char path[PATH_SIZE], child[PATH_SIZE], real[PATH_SIZE];
    struct Stat stat;
    make_root(zh);
    EQUAL(zoo_create2(zh, at(path, "/container"), "c", 1, OPEN, ZOO_CONTAINER, real, sizeof real, &stat), ZOK);
    EQUAL_TEXT(real, path);
    EQUAL(stat.ephemeralOwner, 0);
    EQUAL(create(zh, at(child, "/container/x"), "", ZOO_PERSISTENT), ZOK);
    EQUAL(zoo_delete(zh, child, -1), ZOK);
    eventually(gone, (void *[]){zh, path}, "an emptied container is removed");

    EQUAL(zoo_create_ttl(zh, at(path, "/ttl"), "t", 1, OPEN, ZOO_PERSISTENT_WITH_TTL, 400, real, sizeof real), ZOK);
    EQUAL(zoo_exists(zh, path, 0, &stat), ZOK);
    EQUAL(stat.ephemeralOwner, 0);
    EQUAL(zoo_create2_ttl(zh, at(child, "/long-"), "t", 1, OPEN, ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 3600000, real,
                          sizeof real, &stat),
          ZOK);
    EQUAL_TEXT(real, at(child, "/long-0000000002"));
    eventually(gone, (void *[]){zh, path}, "a node is removed after its TTL");
    EQUAL(zoo_exists(zh, child, 0, &stat), ZOK);
}

static void children(void) {
    zhandle_t *zh = connect_client("", NULL);
    char path[PATH_SIZE];
    struct String_vector names;
    struct Stat stat;
    make_root(zh);
    EQUAL(zoo_get_children(zh, at(path, ""), 0, &names), ZOK);
    EQUAL(names.count, 0);
    deallocate_String_vector(&names);
    for (int number = 0; number < 30; number++) {
        char suffix[32];
        snprintf(suffix, sizeof suffix, "/c%02d", number);
        EQUAL(create(zh, at(path, suffix), "", ZOO_PERSISTENT), ZOK);
    }
    EQUAL(zoo_get_children2(zh, at(path, ""), 0, &names, &stat), ZOK);
    EQUAL(names.count, 30);
    EQUAL(stat.numChildren, 30);
    EQUAL(stat.cversion, 30);
    char found[30] = {0};
    for (int i = 0; i < names.count; i++) {
        int number = -1;
        EQUAL(sscanf(names.data[i], "c%d", &number), 1);
        EXPECT(number >= 0 && number < 30 && !found[number]);
        found[number] = 1;
    }
    deallocate_String_vector(&names);
}

static void chroot_is_hidden(void) {
    zhandle_t *root = connect_client("", NULL);
    char path[PATH_SIZE], real[PATH_SIZE];
    struct Stat stat;
    make_root(root);
    zhandle_t *zh = connect_client(at(path, ""), NULL);
    EQUAL(zoo_create(zh, "/a", "", 0, OPEN, ZOO_PERSISTENT, real, sizeof real), ZOK);
    EQUAL_TEXT(real, "/a");
    EQUAL(zoo_create(zh, "/a/s", "", 0, OPEN, ZOO_PERSISTENT_SEQUENTIAL, real, sizeof real), ZOK);
    EQUAL_TEXT(real, "/a/s0000000000");
    EQUAL(zoo_exists(root, at(path, "/a/s0000000000"), 0, &stat), ZOK);
}

static int auth_rc;

static void authenticated(int rc, const void *data) {
    auth_rc = rc;
    __atomic_store_n((int *)data, 1, __ATOMIC_SEQ_CST);
}

static int is_set(void *flag) {
    return __atomic_load_n((int *)flag, __ATOMIC_SEQ_CST);
}

static int authenticate(zhandle_t *zh, const char *scheme, const char *text) {
    static int done;
    done = 0;
    EQUAL(zoo_add_auth(zh, scheme, text, strlen(text), authenticated, &done), ZOK);
    eventually(is_set, &done, "answer to auth");
    return auth_rc;
}

static void acls(void) {
    zhandle_t *owner = connect_client("", NULL), *stranger = connect_client("", NULL);
    char path[PATH_SIZE], value[8];
    int length = sizeof value;
    struct ACL_vector acl;
    struct Stat stat;
    make_root(owner);
    EQUAL(zoo_create(owner, at(path, "/secret"), "s", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZINVALIDACL);
    EQUAL(authenticate(owner, "digest", "ann:secret"), ZOK);
    EQUAL(zoo_create(owner, path, "s", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
    EQUAL(zoo_get_acl(owner, path, &acl, &stat), ZOK);
    EQUAL(acl.count, 1);
    EQUAL(acl.data[0].perms, ZOO_PERM_ALL);
    EQUAL_TEXT(acl.data[0].id.scheme, "digest");
    EQUAL_TEXT(acl.data[0].id.id, "ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM=");
    deallocate_ACL_vector(&acl);

    EQUAL(zoo_get(stranger, path, 0, value, &length, NULL), ZNOAUTH);
    EQUAL(zoo_set(stranger, path, "", 0, -1), ZNOAUTH);
    EQUAL(zoo_exists(stranger, path, 0, &stat), ZNOAUTH);
    EQUAL(zoo_set_acl(stranger, path, -1, OPEN), ZNOAUTH);
    EQUAL(zoo_get_acl(stranger, path, &acl, &stat), ZNOAUTH);
    EQUAL(authenticate(stranger, "digest", "ann:wrong"), ZOK);
    EQUAL(zoo_get(stranger, path, 0, value, &length, NULL), ZNOAUTH);

    EQUAL(zoo_set_acl(owner, path, 3, &ZOO_READ_ACL_UNSAFE), ZBADVERSION);
    EQUAL(zoo_set_acl(owner, path, 0, &ZOO_READ_ACL_UNSAFE), ZOK);
    EQUAL(zoo_exists(owner, path, 0, &stat), ZOK);
    EQUAL(stat.aversion, 1);
    length = sizeof value;
    EQUAL(zoo_get(stranger, path, 0, value, &length, NULL), ZOK);
    EQUAL(zoo_set(stranger, path, "", 0, -1), ZNOAUTH);
    EQUAL(zoo_set(owner, path, "", 0, -1), ZNOAUTH);
}

static void unknown_auth_scheme(void) {
    struct events *events = new_events();
    zhandle_t *zh = connect_client("", events);
    EQUAL(authenticate(zh, "nonsense", "x"), ZAUTHFAILED);
    expect_session_state(events, ZOO_AUTH_FAILED_STATE);
    EQUAL(is_unrecoverable(zh), ZINVALIDSTATE);
}

static void multi_commits_as_one(void) {
    zhandle_t *zh = connect_client("", NULL);
    char root[PATH_SIZE], a[PATH_SIZE], s[PATH_SIZE], c[PATH_SIZE], real_a[PATH_SIZE], real_s[PATH_SIZE];
    struct Stat set_stat, stat;
    make_root(zh);
    at(root, "");
    EQUAL(create(zh, at(c, "/old"), "", ZOO_PERSISTENT), ZOK);
    zoo_op_t ops[5];
    zoo_op_result_t results[5];
    zoo_check_op_init(&ops[0], root, 0);
    zoo_create_op_init(&ops[1], at(a, "/a"), "a", 1, OPEN, ZOO_EPHEMERAL, real_a, sizeof real_a);
    zoo_create_op_init(&ops[2], at(s, "/s-"), "s", 1, OPEN, ZOO_PERSISTENT_SEQUENTIAL, real_s, sizeof real_s);
    zoo_set_op_init(&ops[3], root, "set", 3, 0, &set_stat);
    zoo_delete_op_init(&ops[4], c, 0);
    EQUAL(zoo_multi(zh, 5, ops, results), ZOK);
    for (int i = 0; i < 5; i++) EQUAL(results[i].err, ZOK);
    EQUAL_TEXT(real_a, a);
    EQUAL_TEXT(real_s, at(s, "/s-0000000002"));
    EQUAL(set_stat.version, 1);
    EQUAL(zoo_exists(zh, a, 0, &stat), ZOK);
    EQUAL(stat.czxid, set_stat.mzxid);
    EQUAL(zoo_exists(zh, c, 0, &stat), ZNONODE);
}

static void multi_fails_as_one(void) {
    zhandle_t *zh = connect_client("", NULL);
    char root[PATH_SIZE], a[PATH_SIZE], real[PATH_SIZE];
    struct Stat stat;
    make_root(zh);
    at(root, "");
    zoo_op_t ops[4];
    zoo_op_result_t results[4];
    zoo_create_op_init(&ops[0], at(a, "/a"), "", 0, OPEN, ZOO_PERSISTENT, real, sizeof real);
    zoo_set_op_init(&ops[1], root, "x", 1, -1, &stat);
    zoo_check_op_init(&ops[2], root, 9);
    zoo_delete_op_init(&ops[3], a, -1);
    EQUAL(zoo_multi(zh, 4, ops, results), ZBADVERSION);
    EQUAL(results[0].err, ZOK);
    EQUAL(results[1].err, ZOK);
    EQUAL(results[2].err, ZBADVERSION);
    EQUAL(results[3].err, ZRUNTIMEINCONSISTENCY);
    EQUAL(zoo_exists(zh, a, 0, &stat), ZNONODE);
    EQUAL(zoo_exists(zh, root, 0, &stat), ZOK);
    EQUAL(stat.version, 0);
}

enum { PIPELINED = 1000 };
static int answered, out_of_order;

static void created(int rc, const char *name, const void *data) {
    long number = (long)data;
    int in_name = -1;
    sscanf(strrchr(name ? name : "-", '-') + 1, "%d", &in_name);
    if (rc != ZOK || number != answered || in_name != number) out_of_order++;
    __atomic_add_fetch(&answered, 1, __ATOMIC_SEQ_CST);
}

static int all_answered(void *unused) {
    (void)unused;
    return __atomic_load_n(&answered, __ATOMIC_SEQ_CST) == PIPELINED;
}

static void pipelined_requests_answer_in_order(void) {
    zhandle_t *zh = connect_client("", NULL);
    char path[PATH_SIZE];
    struct Stat stat;
    make_root(zh);
    answered = out_of_order = 0;
    for (long number = 0; number < PIPELINED; number++)
        EQUAL(zoo_acreate(zh, at(path, "/n-"), "x", 1, OPEN, ZOO_PERSISTENT_SEQUENTIAL, created, (void *)number), ZOK);
    eventually(all_answered, NULL, "all creates answered");
    EQUAL(out_of_order, 0);
    EQUAL(zoo_exists(zh, at(path, ""), 0, &stat), ZOK);
    EQUAL(stat.numChildren, PIPELINED);
}

static void members_of_a_standalone_server(void) {
    zhandle_t *zh = connect_client("", NULL);
    char text[256];
    struct Stat stat;
    int length = sizeof text;
    EQUAL(zoo_getconfig(zh, 0, text, &length, &stat), ZOK);
    EQUAL(length, 0);
    length = sizeof text;
    EQUAL(zoo_reconfig(zh, "server.9=127.0.0.1:1:2;3", NULL, NULL, -1, text, &length, &stat), ZRECONFIGDISABLED);
    length = sizeof text;
    EQUAL(zoo_reconfig(zh, NULL, NULL, "server.9=127.0.0.1:1:2;3", -1, text, &length, &stat), ZRECONFIGDISABLED);
}

void node_checks(void) {
    run_check("create-get-set-delete", create_get_set_delete);
    run_check("null-is-not-empty", null_is_not_empty);
    run_check("errors", errors);
    run_check("sequences", sequences);
    run_check("containers-and-ttl", containers_and_ttl);
    run_check("children", children);
    run_check("chroot", chroot_is_hidden);
    run_check("acls", acls);
    run_check("unknown-auth-scheme", unknown_auth_scheme);
    run_check("multi-commits-as-one", multi_commits_as_one);
    run_check("multi-fails-as-one", multi_fails_as_one);
    run_check("pipelined-requests-answer-in-order", pipelined_requests_answer_in_order);
    run_check("members-of-a-standalone-server", members_of_a_standalone_server);
}
