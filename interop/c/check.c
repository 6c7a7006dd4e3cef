#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE_S = 15, MOST_EVENTS = 256, MOST_HANDLES = 16, MOST_QUEUES = 8, SESSION_TIMEOUT_MS = 10000 };

struct event {
    int type, state;
    char path[PATH_SIZE];
};

struct events {
    pthread_mutex_t lock;
    int count, taken;
    struct event list[MOST_EVENTS];
};

/* State of the running check. */
static jmp_buf after_check;
static char reason[1024];
static const char *check_name;
static zhandle_t *handles[MOST_HANDLES];
static int handle_count;
/* Static, because the library may still call a watcher while its handle closes. */
static struct events queues[MOST_QUEUES];
static int queue_count;

static void pause_a_moment(void) {
    struct timespec moment = {0, 5000000};
    nanosleep(&moment, NULL);
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

_Noreturn void fail(const char *file, int line, const char *format, ...) {
    int length = snprintf(reason, sizeof reason, "%s:%d: ", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason + length, sizeof reason - length, format, arguments);
    va_end(arguments);
    longjmp(after_check, 1);
}

void run_check(const char *name, void (*check)(void)) {
    check_name = name;
    handle_count = 0;
    queue_count = 0;
    if (setjmp(after_check) == 0) {
        check();
        printf("ok %s\n", name);
    } else {
        printf("FAIL %s: %s\n", name, reason);
    }
    fflush(stdout);
    while (handle_count > 0) zookeeper_close(handles[--handle_count]);
}

struct events *new_events(void) {
    if (queue_count == MOST_QUEUES) fail(__FILE__, __LINE__, "more than %d queues", MOST_QUEUES);
    struct events *events = &queues[queue_count++];
    pthread_mutex_init(&events->lock, NULL);
    events->count = events->taken = 0;
    return events;
}

void collect(zhandle_t *zh, int type, int state, const char *path, void *context) {
    (void)zh;
    struct events *events = context;
    if (!events) return;
    pthread_mutex_lock(&events->lock);
    if (events->count < MOST_EVENTS) {
        struct event *event = &events->list[events->count++];
        event->type = type;
        event->state = state;
        snprintf(event->path, sizeof event->path, "%s", path ? path : "");
    }
    pthread_mutex_unlock(&events->lock);
}

static int take(struct events *events, struct event *into) {
    pthread_mutex_lock(&events->lock);
    int there = events->taken < events->count;
    if (there) *into = events->list[events->taken++];
    pthread_mutex_unlock(&events->lock);
    return there;
}

static void next_event(struct events *events, struct event *into, int type, const char *path) {
    double end = now_s() + DEADLINE_S;
    while (!take(events, into)) {
        if (now_s() > end) fail(__FILE__, __LINE__, "no event %d of %s in %d s", type, path, DEADLINE_S);
        pause_a_moment();
    }
}

void expect_event(struct events *events, int type, const char *path) {
    struct event event;
    do next_event(events, &event, type, path);
    while (event.type == ZOO_SESSION_EVENT);
    if (event.type != type || strcmp(event.path, path) != 0)
        fail(__FILE__, __LINE__, "event %d of «%s», want %d of %s", event.type, event.path, type, path);
    EQUAL(event.state, ZOO_CONNECTED_STATE);
}

void expect_session_state(struct events *events, int state) {
    struct event event;
    do next_event(events, &event, ZOO_SESSION_EVENT, "the session");
    while (event.type != ZOO_SESSION_EVENT || event.state != state);
}

static void synced(int rc, const char *path, const void *data) {
    (void)rc;
    (void)path;
    __atomic_store_n((int *)data, 1, __ATOMIC_SEQ_CST);
}

static int is_set(void *flag) {
    return __atomic_load_n((int *)flag, __ATOMIC_SEQ_CST);
}

void expect_no_event(struct events *events, zhandle_t *zh) {
    /* Completions and watch events go through one queue: the sync's turn comes after all earlier events. */
    static int done;
    done = 0;
    EQUAL(zoo_async(zh, "/", synced, &done), ZOK);
    eventually(is_set, &done, "sync");
    struct event event;
    while (take(events, &event))
        if (event.type != ZOO_SESSION_EVENT)
            fail(__FILE__, __LINE__, "unexpected event %d of %s", event.type, event.path);
}

static zhandle_t *keep(zhandle_t *zh) {
    if (!zh) fail(__FILE__, __LINE__, "zookeeper_init failed");
    if (handle_count == MOST_HANDLES) fail(__FILE__, __LINE__, "more than %d handles", MOST_HANDLES);
    return handles[handle_count++] = zh;
}

static int is_connected(void *zh) {
    return zoo_state(zh) == ZOO_CONNECTED_STATE;
}

zhandle_t *connect_client(const char *chroot, struct events *events) {
    char hosts[PATH_SIZE];
    snprintf(hosts, sizeof hosts, "127.0.0.1:%s%s", getenv("SERVER_PORT"), chroot);
    zhandle_t *zh = keep(zookeeper_init(hosts, collect, SESSION_TIMEOUT_MS, NULL, events, 0));
    eventually(is_connected, zh, "connected");
    return zh;
}

zhandle_t *connect_as(const clientid_t *id, struct events *events) {
    char hosts[PATH_SIZE];
    snprintf(hosts, sizeof hosts, "127.0.0.1:%s", getenv("SERVER_PORT"));
    return keep(zookeeper_init(hosts, collect, SESSION_TIMEOUT_MS, id, events, 0));
}

void end_client(zhandle_t *zh) {
    for (int i = 0; i < handle_count; i++) {
        if (handles[i] == zh) {
            handles[i] = handles[--handle_count];
            zookeeper_close(zh);
            return;
        }
    }
}

static int is_away(void *zh) {
    return zoo_state(zh) != ZOO_CONNECTED_STATE;
}

void send_away(zhandle_t *zh) {
    /* Nobody answers there. Another address, because the library looks for its server by address alone. */
    EQUAL(zoo_set_servers(zh, "127.0.0.2:1"), ZOK);
    eventually(is_away, zh, "away from the server");
}

void call_back(zhandle_t *zh) {
    char hosts[PATH_SIZE];
    snprintf(hosts, sizeof hosts, "127.0.0.1:%s", getenv("SERVER_PORT"));
    EQUAL(zoo_set_servers(zh, hosts), ZOK);
    eventually(is_connected, zh, "connected again");
}

void expect_same_stat(const struct Stat *got, const struct Stat *want) {
    EQUAL(got->czxid, want->czxid);
    EQUAL(got->mzxid, want->mzxid);
    EQUAL(got->ctime, want->ctime);
    EQUAL(got->mtime, want->mtime);
    EQUAL(got->version, want->version);
    EQUAL(got->cversion, want->cversion);
    EQUAL(got->aversion, want->aversion);
    EQUAL(got->ephemeralOwner, want->ephemeralOwner);
    EQUAL(got->dataLength, want->dataLength);
    EQUAL(got->numChildren, want->numChildren);
    EQUAL(got->pzxid, want->pzxid);
}

void eventually(int (*condition)(void *context), void *context, const char *what) {
    double end = now_s() + DEADLINE_S;
    while (!condition(context)) {
        if (now_s() > end) fail(__FILE__, __LINE__, "not in %d s: %s", DEADLINE_S, what);
        pause_a_moment();
    }
}

const char *at(char path[PATH_SIZE], const char *suffix) {
    snprintf(path, PATH_SIZE, "/%s%s", check_name, suffix);
    return path;
}

void make_root(zhandle_t *zh) {
    char path[PATH_SIZE];
    EQUAL(zoo_create(zh, at(path, ""), "root", 4, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, NULL, 0), ZOK);
}

static void server(const char *words) {
    char command[4 * PATH_SIZE];
    snprintf(command, sizeof command, "\"$SERVER_SH\" %s >&2", words);
    if (system(command) != 0) fail(__FILE__, __LINE__, "server.sh %s failed", words);
}

void kill_server(void) {
    server("kill \"$SERVER_DIR\"");
}

void start_server(void) {
    server("start \"$SERVER\" \"$SERVER_PORT\" \"$SERVER_DIR\"");
}

int main(void) {
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    zoo_set_log_stream(fopen("/dev/null", "w"));
    node_checks();
    watch_checks();
    session_checks();
    return 0;
}
