/* What every check stands on: a registry, failing with a reason, handles that end with the check, watch events. */
#ifndef CHECK_H
#define CHECK_H

#include <zookeeper.h>

/* Ends the running check as failed. Main thread only. */
_Noreturn void fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define EXPECT(condition)                                        \
    do {                                                         \
        if (!(condition)) fail(__FILE__, __LINE__, #condition);  \
    } while (0)
/* Compares two integers. */
#define EQUAL(got, want)                                                                                   \
    do {                                                                                                   \
        long long got_ = (long long)(got), want_ = (long long)(want);                                      \
        if (got_ != want_) fail(__FILE__, __LINE__, "%s: got %lld, want %lld", #got, got_, want_);         \
    } while (0)
#define EQUAL_TEXT(got, want)                                                                              \
    do {                                                                                                   \
        const char *got_ = (got), *want_ = (want);                                                         \
        if (strcmp(got_, want_) != 0) fail(__FILE__, __LINE__, "%s: got %s, want %s", #got, got_, want_);  \
    } while (0)

/* Watch events in the order of their coming. */
struct events;

/* A queue that lives as long as the check. */
struct events *new_events(void);
/* The watcher function; its context is a `struct events`. */
void collect(zhandle_t *zh, int type, int state, const char *path, void *context);
/* Waits for the next event of a node, which must be this one; a client tells session events to each watcher too. */
void expect_event(struct events *events, int type, const char *path);
/* No event of a node is left after all that the server sent before now has been delivered. */
void expect_no_event(struct events *events, zhandle_t *zh);
/* Events of the session (connecting, connected, expired): waits until this state comes. */
void expect_session_state(struct events *events, int state);

/* A connected handle; `events` (may be null) gets what goes to the handle's own watcher. Ends with the check. */
zhandle_t *connect_client(const char *chroot, struct events *events);
/* The same, for the session of `id`; not waited for. */
zhandle_t *connect_as(const clientid_t *id, struct events *events);
/* Closes a handle before the check ends. */
void end_client(zhandle_t *zh);
/* Takes a handle off the server, its session and watches kept, and lets it come back. */
void send_away(zhandle_t *zh);
void call_back(zhandle_t *zh);

/* Compares all fields (the struct has holes). */
void expect_same_stat(const struct Stat *got, const struct Stat *want);

/* Polls `condition(context)` until it is true. */
void eventually(int (*condition)(void *context), void *context, const char *what);

/* Makes the running check's own parent node and puts its path followed by `suffix` into `path`. */
#define PATH_SIZE 256
void make_root(zhandle_t *zh);
const char *at(char path[PATH_SIZE], const char *suffix);

/* The one server of this suite. */
void kill_server(void);
void start_server(void);

/* Runs the check and prints its line. */
void run_check(const char *name, void (*check)(void));

/* The checks of each file. */
void node_checks(void);
void session_checks(void);
void watch_checks(void);

#endif
