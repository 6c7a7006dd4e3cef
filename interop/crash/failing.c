/* A disk that reports errors, for one process (LD_PRELOAD).
 *
 * FAILING names a file. While it does not exist, nothing happens. Its text is "OP PART": from then on calls of the kind
 * OP ("sync", "write", or "torn": a write of which half is done) on files whose path contains PART fail with EIO.
 * Every such call is appended to FAILING.calls as a line: "fails", or "again" for one behind the first.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int failed;

static int reads(const char *path, char *into, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, into, size - 1);
    close(fd);
    into[n < 0 ? 0 : n] = 0;
    return n > 0;
}

/* 0: goes through; 1: fails; 2: fails behind a half. */
static int fails(int fd, const char *kind) {
    const char *trigger = getenv("FAILING");
    char what[256], op[64], part[192], link[64], path[4096];
    if (!trigger || !reads(trigger, what, sizeof what) || sscanf(what, "%63s %191s", op, part) != 2)
        return 0;
    int torn = !strcmp(op, "torn");
    if (strcmp(torn ? "write" : op, kind))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0)
        return 0;
    path[n] = 0;
    if (!strstr(path, part))
        return 0;
    pthread_mutex_lock(&lock);
    char calls[4096];
    snprintf(calls, sizeof calls, "%s.calls", trigger);
    int out = open(calls, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (out >= 0) {
        const char *line = failed ? "again\n" : "fails\n";
        if (write(out, line, strlen(line)) < 0)
            abort();
        close(out);
    }
    failed = 1;
    pthread_mutex_unlock(&lock);
    return torn ? 2 : 1;
}

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

int fdatasync(int fd) {
    if (fails(fd, "sync")) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))next("fdatasync"))(fd);
}

int fsync(int fd) {
    if (fails(fd, "sync")) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))next("fsync"))(fd);
}

static ssize_t failing_write(const char *name, int fd, const void *bytes, size_t n, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = next(name);
    int how = fails(fd, "write");
    if (!how)
        return real(fd, bytes, n, at);
    if (how == 2 && n > 1)
        real(fd, bytes, n / 2, at);
    errno = EIO;
    return -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    return failing_write("pwrite64", fd, bytes, n, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    return failing_write("pwrite", fd, bytes, n, at);
}
