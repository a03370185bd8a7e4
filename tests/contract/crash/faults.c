/* Counts what a program does to the files below one folder, and ends it at a given moment.
 *
 * Preloaded (LD_PRELOAD) into a process that calls arm(). Every call that changes a file or puts it
 * on the disk is a boundary: before the one with the given number the process is killed, as by
 * `kill -9`; TORN lets half of a write pass first. After fail(), a number of calls fail instead, as
 * on a disk that is full, read-only or broken. With a record, every call that succeeded is told
 * there, with the number of its boundary, so that a test can work out what a disk holds after a
 * power cut.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TORN = 1 };

static char root[4096];
static long target = -1, done;
static int how, record = -1, fault;
static long spared, failing;

/* `at`: the boundary at which to end, 0: never. */
void arm(const char *folder, long at, int mode, int record_to) {
    snprintf(root, sizeof root, "%s/", folder);
    target = at;
    how = mode;
    record = record_to;
    done = 0;
    failing = 0;
}

/* From the boundary after `first` on, `count` calls fail with that errno. */
void fail(long first, long count, int number) {
    spared = first;
    failing = count;
    fault = number;
}

long boundaries(void) { return done; }

static int is_inside(const char *path) {
    return root[0] && path && strncmp(path, root, strlen(root)) == 0;
}

static int name_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, 4095);
    path[length > 0 ? length : 0] = 0;
    strcat(path, "/"); /* the folder itself counts as well */
    int inside = is_inside(path);
    path[length > 0 ? length : 0] = 0;
    return inside;
}

/* True when the process is to end here. */
static int boundary(void) { return ++done == target; }

/* True when the call at this boundary is to fail. */
static int fails(void) {
    if (!failing || done <= spared) return 0;
    failing--;
    errno = fault;
    return 1;
}

static void end(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static void tell(const char *what, const char *a, const char *b, long at, const void *data, size_t n) {
    char head[9000];
    if (record < 0) return;
    int length = snprintf(head, sizeof head, "%ld\t%s\t%s\t%s\t%ld\t%zu\n", done, what, a,
                          b ? b : "", at, n);
    syscall(SYS_write, record, head, length);
    if (n) syscall(SYS_write, record, data, n);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int opened(const char *path, int flags, int fd) {
    if (fd >= 0 && (flags & O_TRUNC)) tell("truncate", path, 0, 0, 0, 0);
    return fd;
}

#define OPEN(name)                                                                              \
    int name(const char *path, int flags, ...) {                                                \
        va_list rest;                                                                           \
        va_start(rest, flags);                                                                  \
        mode_t mode = va_arg(rest, mode_t);                                                     \
        va_end(rest);                                                                           \
        if (!is_inside(path) || !(flags & (O_CREAT | O_TRUNC))) return REAL(name)(path, flags, mode); \
        if (boundary()) end();                                                                  \
        if (fails()) return -1;                                                                 \
        int is_new = access(path, F_OK);                                                        \
        int fd = REAL(name)(path, flags, mode);                                                 \
        if (fd >= 0 && is_new) tell("create", path, 0, 0, 0, 0);                                \
        return opened(path, flags, fd);                                                         \
    }
OPEN(open)
OPEN(open64)

#define WRITE(name, off_type, ARGS, PASS, AT)                                                    \
    ssize_t name ARGS {                                                                         \
        char path[4200];                                                                        \
        if (!name_of(fd, path)) return REAL(name) PASS;                                         \
        int is_end = boundary();                                                                \
        if (is_end && how == TORN) n /= 2;                                                      \
        if (is_end && how != TORN) end();                                                       \
        if (fails()) return -1;                                                                 \
        long at = AT;                                                                           \
        ssize_t wrote = REAL(name) PASS;                                                        \
        if (wrote > 0) tell("write", path, 0, at, data, wrote);                                 \
        if (is_end) end();                                                                      \
        return wrote;                                                                           \
    }
WRITE(write, , (int fd, const void *data, size_t n), (fd, data, n), lseek(fd, 0, SEEK_CUR))
WRITE(pwrite, , (int fd, const void *data, size_t n, off_t off), (fd, data, n, off), off)
WRITE(pwrite64, , (int fd, const void *data, size_t n, off64_t off), (fd, data, n, off), off)

#define ON_FD(name, what, ARGS, PASS, AT, FAILED)                                                       \
    int name ARGS {                                                                             \
        char path[4200];                                                                        \
        if (!name_of(fd, path)) return REAL(name) PASS;                                         \
        if (boundary()) end();                                                                  \
        if (fails()) return FAILED;                                                             \
        int failed = REAL(name) PASS;                                                           \
        if (!failed) tell(what, path, 0, AT, 0, 0);                                             \
        return failed;                                                                          \
    }
ON_FD(fsync, "sync", (int fd), (fd), 0, -1)
ON_FD(fdatasync, "sync", (int fd), (fd), 0, -1)
ON_FD(ftruncate, "truncate", (int fd, off_t size), (fd, size), size, -1)
ON_FD(ftruncate64, "truncate", (int fd, off64_t size), (fd, size), size, -1)
ON_FD(posix_fallocate, "extend", (int fd, off_t at, off_t n), (fd, at, n), at + n, fault)
ON_FD(posix_fallocate64, "extend", (int fd, off64_t at, off64_t n), (fd, at, n), at + n, fault)

#define ON_PATH(name, what, ARGS, PASS)                                                         \
    int name ARGS {                                                                             \
        if (!is_inside(path)) return REAL(name) PASS;                                           \
        if (boundary()) end();                                                                  \
        if (fails()) return -1;                                                                 \
        int failed = REAL(name) PASS;                                                           \
        if (!failed) tell(what, path, 0, 0, 0, 0);                                              \
        return failed;                                                                          \
    }
ON_PATH(unlink, "unlink", (const char *path), (path))
ON_PATH(rmdir, "rmdir", (const char *path), (path))
ON_PATH(mkdir, "mkdir", (const char *path, mode_t mode), (path, mode))

int rename(const char *path, const char *to) {
    if (!is_inside(path)) return REAL(rename)(path, to);
    if (boundary()) end();
    if (fails()) return -1;
    int failed = REAL(rename)(path, to);
    if (!failed) tell("rename", path, to, 0, 0, 0);
    return failed;
}
