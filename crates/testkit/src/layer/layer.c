/* A layer below a real program, put in front of the C library (LD_PRELOAD): it notes what was written and not yet synced, so
 * that a power cut can take it away again, and it bends the clock and the room on the disk. The program is not changed.
 *
 * Environment: LAYER_FOLDER  the guarded folder, an absolute path without links
 *              LAYER_JOURNAL a folder on the same file system, outside of the guarded one
 *              LAYER_CONTROL a file of four 64-bit numbers, read at each call: nanoseconds added to the wall clock; bytes by
 *                            which files may still grow (negative: no limit); whether syncs lie (1: they do nothing), fail (2),
 *                            or those of the ledger wait until this changes (3). The last one is written: how many waited
 *
 * The journal, read by `cut.rs`: a file per inode with each write since its last sync (what stood there, what was written),
 * emptied by a sync; and `names` with each new, renamed and removed name, and each sync of a folder. A record is written before
 * the act, so a kill in between leaves a record of an act that did not happen, which is harmless to take back.
 * Every call to the kernel goes by `syscall`, so nothing here meets itself. Memory maps are not seen (SQLite maps only `-shm`,
 * which it rebuilds). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FILES 65536
#define STRIPES 64
#define CREATED 4096

struct head { uint64_t kind, offset, size, old, new; }; /* kind: 'W' a write, 'T' a length; size: of the file before */

static char folder[PATH_MAX], journal[PATH_MAX];
static size_t folder_length;
static volatile int64_t *control;
static int names = -1;
static unsigned char guarded[FILES]; /* 0 unknown, 1 guarded, 2 not */
static uint64_t created[CREATED];    /* inodes whose name was not synced; 0: free */
static unsigned saved;
static pthread_mutex_t stripes[STRIPES], naming = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    for (int at = 0; at < STRIPES; at++) pthread_mutex_init(&stripes[at], NULL);
    const char *text = getenv("LAYER_CONTROL");
    int file = text ? (int)syscall(SYS_openat, AT_FDCWD, text, O_RDWR | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *page = mmap(NULL, 32, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (page != MAP_FAILED) control = page;
        syscall(SYS_close, file);
    }
    const char *where = getenv("LAYER_FOLDER");
    if (!where) return;
    snprintf(folder, sizeof folder, "%s/", where);
    folder_length = strlen(folder);
    const char *notes = getenv("LAYER_JOURNAL");
    if (!notes) return;
    snprintf(journal, sizeof journal, "%s", notes);
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/names", journal);
    names = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int inside(const char *path) {
    size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, "-shm") == 0) return 0;
    return folder_length && (strncmp(path, folder, folder_length) == 0 ||
                             (length + 1 == folder_length && strncmp(path, folder, length) == 0));
}

static int path_of(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0;
}

static int is_guarded(int file) {
    if (!folder_length || file < 0 || file >= FILES) return 0;
    if (!guarded[file]) {
        char path[PATH_MAX];
        guarded[file] = path_of(file, path) && inside(path) ? 1 : 2;
    }
    return guarded[file] == 1;
}

/* Whole records only: a signal must not tear one. */
static void note(int file, const struct iovec *parts, int count) {
    ssize_t all = 0;
    for (int at = 0; at < count; at++) all += (ssize_t)parts[at].iov_len;
    if (syscall(SYS_writev, file, parts, count) != all) abort(); /* without its journal the layer would lie */
}

static int journal_of(uint64_t inode) {
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%llu", journal, (unsigned long long)inode);
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Notes what an act at `offset` will change: `new` bytes written, or the length set to `offset`. */
static void note_change(int file, const struct stat *about, char kind, uint64_t offset, const void *bytes, size_t new) {
    if (names < 0) return;
    uint64_t size = (uint64_t)about->st_size;
    uint64_t end = kind == 'T' ? size : offset + new;
    if (end > size) end = size;
    uint64_t old = end > offset ? end - offset : 0;
    char *before = old ? malloc(old) : NULL;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int reading = old ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    for (uint64_t done = 0; done < old;) {
        ssize_t got = syscall(SYS_pread64, reading, before + done, old - done, offset + done);
        if (got <= 0) abort();
        done += (uint64_t)got;
    }
    if (reading >= 0) syscall(SYS_close, reading);
    struct head head = {(uint64_t)kind, offset, size, old, new};
    struct iovec parts[] = {{&head, sizeof head}, {before, old}, {(void *)bytes, new}};
    int notes = journal_of(about->st_ino);
    note(notes, parts, 3);
    syscall(SYS_close, notes);
    free(before);
}

static void note_name(char kind, const char *one, const char *two, const char *three) {
    if (names < 0) return;
    char line[3 * PATH_MAX + 8];
    int length = snprintf(line, sizeof line, "%c\t%s\t%s\t%s\n", kind, one, two, three);
    struct iovec part = {line, (size_t)length};
    note(names, &part, 1);
}

/* Keeps the file that a name leads to, so that the name can come back; gives where, or an empty text. Under `naming`. */
static void keep(const char *path, char *where) {
    where[0] = 0;
    if (names < 0) return;
    do snprintf(where, PATH_MAX + 64, "%s/saved-%d-%u", journal, (int)getpid(), saved++);
    while (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, where, 0) < 0 && errno == EEXIST);
    struct stat about;
    if (syscall(SYS_newfstatat, AT_FDCWD, where, &about, 0) < 0) where[0] = 0;
}

/* How much of a write fits; under the stripe. */
static ssize_t room_for(const struct stat *about, uint64_t offset, size_t count) {
    int64_t left = control ? control[1] : -1;
    if (left < 0) return (ssize_t)count;
    uint64_t size = (uint64_t)about->st_size, end = offset + count;
    if (end <= size) return (ssize_t)count;
    static int64_t used;
    static int64_t limit = -1;
    if (limit != left) { limit = left; used = 0; } /* a new limit counts anew */
    uint64_t grown = end - (offset > size ? offset : size), free_bytes = used < left ? (uint64_t)(left - used) : 0;
    if (grown > free_bytes) {
        size_t fits = count - (size_t)(grown - free_bytes);
        if (free_bytes == 0 && fits == 0) { errno = ENOSPC; return -1; }
        if (fits == 0) { errno = ENOSPC; return -1; }
        used += (int64_t)free_bytes;
        return (ssize_t)fits;
    }
    used += (int64_t)grown;
    return (ssize_t)count;
}

static ssize_t write_at(int file, const void *bytes, size_t count, int64_t offset) {
    struct stat about;
    if (!is_guarded(file) || syscall(SYS_fstat, file, &about) < 0 || !S_ISREG(about.st_mode))
        return offset < 0 ? syscall(SYS_write, file, bytes, count) : syscall(SYS_pwrite64, file, bytes, count, offset);
    pthread_mutex_t *stripe = &stripes[about.st_ino % STRIPES];
    pthread_mutex_lock(stripe);
    syscall(SYS_fstat, file, &about);
    int64_t place = offset;
    if (offset < 0)
        place = syscall(SYS_fcntl, file, F_GETFL) & O_APPEND ? about.st_size : syscall(SYS_lseek, file, 0, SEEK_CUR);
    ssize_t fits = room_for(&about, (uint64_t)place, count);
    ssize_t done = -1;
    if (fits >= 0) {
        note_change(file, &about, 'W', (uint64_t)place, bytes, (size_t)fits);
        done = offset < 0 ? syscall(SYS_write, file, bytes, fits) : syscall(SYS_pwrite64, file, bytes, fits, offset);
    }
    int error = errno;
    pthread_mutex_unlock(stripe);
    errno = error;
    return done;
}

ssize_t write(int file, const void *bytes, size_t count) { return write_at(file, bytes, count, -1); }
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return write_at(file, bytes, count, at); }
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) { return write_at(file, bytes, count, at); }

ssize_t writev(int file, const struct iovec *parts, int count) {
    if (!is_guarded(file)) return syscall(SYS_writev, file, parts, count);
    for (int at = 0; at < count; at++) /* a short write is allowed: the first part that is not empty */
        if (parts[at].iov_len) return write_at(file, parts[at].iov_base, parts[at].iov_len, -1);
    return 0;
}

int ftruncate(int file, off_t length) {
    struct stat about;
    if (!is_guarded(file) || syscall(SYS_fstat, file, &about) < 0) return (int)syscall(SYS_ftruncate, file, length);
    pthread_mutex_t *stripe = &stripes[about.st_ino % STRIPES];
    pthread_mutex_lock(stripe);
    syscall(SYS_fstat, file, &about);
    note_change(file, &about, 'T', (uint64_t)length, NULL, 0);
    int done = (int)syscall(SYS_ftruncate, file, length), error = errno;
    pthread_mutex_unlock(stripe);
    errno = error;
    return done;
}
int ftruncate64(int file, off64_t length) { return ftruncate(file, length); }

static int sync_file(int number, int file) {
    struct stat about;
    if (!is_guarded(file) || syscall(SYS_fstat, file, &about) < 0) return (int)syscall(number, file);
    if (control && control[2] == 1) return 0;
    if (control && control[2] == 2) return errno = EIO, -1;
    char held[PATH_MAX];
    if (control && control[2] == 3 && path_of(file, held) && strstr(held, "/ledger/")) {
        __atomic_add_fetch(&control[3], 1, __ATOMIC_SEQ_CST);
        for (struct timespec pause = {0, 1000000}; control[2] == 3;) syscall(SYS_nanosleep, &pause, NULL);
    }
    pthread_mutex_t *stripe = &stripes[about.st_ino % STRIPES];
    pthread_mutex_lock(stripe);
    int done = (int)syscall(number, file);
    if (done == 0 && names >= 0) {
        char path[PATH_MAX];
        if (S_ISDIR(about.st_mode)) {
            if (path_of(file, path)) note_name('D', path, "", "");
        } else {
            int notes = journal_of(about.st_ino);
            syscall(SYS_ftruncate, notes, 0);
            syscall(SYS_close, notes);
            for (int at = 0; at < CREATED; at++)
                if (created[at] == about.st_ino && path_of(file, path)) {
                    note_name('F', path, "", "");
                    created[at] = 0;
                }
        }
    }
    pthread_mutex_unlock(stripe);
    return done;
}
int fsync(int file) { return sync_file(SYS_fsync, file); }
int fdatasync(int file) { return sync_file(SYS_fdatasync, file); }

static int open_at(int at, const char *path, int flags, mode_t mode) {
    int ours = folder_length && inside(path) && names >= 0;
    struct stat about;
    int there = ours && syscall(SYS_newfstatat, AT_FDCWD, path, &about, 0) == 0;
    if (ours && there && (flags & O_TRUNC) && S_ISREG(about.st_mode)) {
        int file = (int)syscall(SYS_openat, at, path, O_RDWR | O_CLOEXEC);
        if (file >= 0) {
            pthread_mutex_t *stripe = &stripes[about.st_ino % STRIPES];
            pthread_mutex_lock(stripe);
            if (syscall(SYS_fstat, file, &about) == 0) note_change(file, &about, 'T', 0, NULL, 0);
            pthread_mutex_unlock(stripe);
            syscall(SYS_close, file);
        }
    }
    int fresh = ours && !there && (flags & O_CREAT);
    if (fresh) { pthread_mutex_lock(&naming); note_name('C', path, "", ""); }
    int file = (int)syscall(SYS_openat, at, path, flags, mode), error = errno;
    if (fresh) {
        if (file >= 0 && syscall(SYS_fstat, file, &about) == 0)
            for (int slot = 0; slot < CREATED; slot++)
                if (!created[slot]) { created[slot] = about.st_ino; break; }
        pthread_mutex_unlock(&naming);
    }
    if (file >= 0 && file < FILES) guarded[file] = 0;
    errno = error;
    return file;
}

#define WITH_MODE(flags, mode) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }
int open(const char *path, int flags, ...) { WITH_MODE(flags, mode) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { WITH_MODE(flags, mode) return open_at(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { WITH_MODE(flags, mode) return open_at(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { WITH_MODE(flags, mode) return open_at(at, path, flags, mode); }

int close(int file) {
    if (file >= 0 && file < FILES) guarded[file] = 0;
    return (int)syscall(SYS_close, file);
}

int rename(const char *from, const char *to) {
    if (!inside(from) && !inside(to)) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    char where[PATH_MAX + 64];
    pthread_mutex_lock(&naming);
    keep(to, where);
    note_name('R', from, to, where);
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0), error = errno;
    pthread_mutex_unlock(&naming);
    errno = error;
    return done;
}

int unlink(const char *path) {
    if (!inside(path)) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    char where[PATH_MAX + 64];
    pthread_mutex_lock(&naming);
    keep(path, where);
    if (where[0]) note_name('U', path, where, "");
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0), error = errno;
    pthread_mutex_unlock(&naming);
    errno = error;
    return done;
}

int mkdir(const char *path, mode_t mode) {
    struct stat about;
    if (inside(path) && syscall(SYS_newfstatat, AT_FDCWD, path, &about, 0) < 0) {
        pthread_mutex_lock(&naming);
        note_name('M', path, "", "");
        pthread_mutex_unlock(&naming);
    }
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

static void bend(struct timespec *time) {
    int64_t by = control ? control[0] : 0;
    if (!by) return;
    int64_t nanos = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + by;
    time->tv_sec = nanos / 1000000000;
    time->tv_nsec = nanos % 1000000000;
}
int clock_gettime(clockid_t clock, struct timespec *time) {
    int done = (int)syscall(SYS_clock_gettime, clock, time);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) bend(time);
    return done;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    *now = (struct timeval){time.tv_sec, time.tv_nsec / 1000};
    return 0;
}
time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}
