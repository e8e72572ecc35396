/* log_file.c - whole lines from many threads to one file, through one background thread.
 *
 *     writers ──(lock, memcpy)──► queue ──(lock, swap)──► outgoing ──► write()
 *
 * Writers hold the lock for a memcpy only, and never wait for the disk. The
 * first line into an empty queue wakes the thread; it lets others gather for a
 * moment and then writes them all at once. When the file does not take them
 * (disk full, pipe blocked, reader gone) they wait in the queue and the thread
 * retries later; lines that no longer fit into the queue are dropped and counted.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

enum {
    GATHER_MS = 20,          /* between the first line into an empty queue and the write */
    POLL_MS = 100,           /* longest wait for a pipe to take more */
    RETRY_MS = 250,          /* between attempts after a write error */
    CLOSE_MS = 800,          /* how long the thread keeps trying once the log is closing */
    CLOSE_SLACK_MS = 200,    /* extra time for the thread to notice that this has passed */
    SPARE_MS = 1000,         /* without a line, until the memory of emptied queues is released */
    KEEP_BYTES = 64 * 1024,
    CACHED_BYTES = 8 * 1024 * 1024,    /* of a regular file, once or twice that is kept in memory */
};

struct log_file {
    char *path;
    size_t queue_bytes;
    bool terminal;
    pthread_t thread;

    pthread_mutex_t lock;    /* guards the members up to `dropped` */
    pthread_cond_t wake;     /* signals the thread: there is work */
    pthread_cond_t ended;    /* signals log_file_close(): the thread has finished */
    struct buf queue;
    size_t outgoing_bytes;    /* left in `outgoing` */
    int next_fd;              /* will replace `fd`; -1: none */
    bool closing;
    bool done;
    bool abandoned;    /* log_file_close() timed out; the thread frees everything */

    _Atomic uint64_t dropped;

    /* used by the thread only */
    int fd;
    bool own_fd;         /* not one of the standard streams */
    bool regular;        /* a regular file: write() never blocks for long */
    bool inside_line;    /* the last write ended in the middle of a line */
    off_t end;           /* of a regular file, as far as we wrote it */
    off_t newer;         /* what precedes it is being written to the disk, or is there */
    off_t older;         /* what precedes it has left the page cache */
    struct buf outgoing;
};

/* `ms` from now on the condition variables' clock. Real time: clock_set_for_tests() does not
 * apply. */
static struct timespec
deadline_in(unsigned ms)
{
    struct timespec t;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

static bool
is_past(const struct timespec *t)
{
    struct timespec now = deadline_in(0);

    return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

static uint64_t
count_lines(struct str s)
{
    uint64_t n = 0;

    for (size_t at = str_chr(s, '\n'); at != s.n; at = str_chr(s, '\n')) {
        n++;
        s = str_skip(s, at + 1);
    }
    return n + (s.n != 0);
}

static void
count_drops(struct log_file *f, struct str lines)
{
    atomic_fetch_add_explicit(&f->dropped, count_lines(lines), memory_order_relaxed);
}

static bool
is_stream(const struct log_file *f)
{
    return strcmp(f->path, "stdout") == 0 || strcmp(f->path, "stderr") == 0;
}

/* A descriptor for the path; -1 with errno when it cannot be opened. */
static int
open_path(const struct log_file *f)
{
    if (is_stream(f))
        return strcmp(f->path, "stdout") == 0 ? STDOUT_FILENO : STDERR_FILENO;
    /* O_NONBLOCK is for named pipes: neither open() nor write() may wait for a reader. */
    return open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

/* Switches to `fd`. If the old file ends with part of a line, the rest of that line is dropped: it
 * does not belong into the new file. */
static void
use(struct log_file *f, int fd)
{
    struct stat st;

    if (f->own_fd)
        (void)close(f->fd);
    f->fd = fd;
    f->own_fd = !is_stream(f);
    f->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    f->end = f->newer = f->older = f->regular ? st.st_size : 0;
    if (f->inside_line) {
        struct str left = buf_str(&f->outgoing);
        size_t end = str_chr(left, '\n');

        atomic_fetch_add_explicit(&f->dropped, 1, memory_order_relaxed);
        buf_consume(&f->outgoing, MIN(end + 1, left.n));
        f->inside_line = false;
    }
}

/* As many whole lines as `n` bytes hold, or the first `n` bytes of a longer line. */
static struct str
whole_lines(struct str s, size_t n)
{
    if (s.n <= n)
        return s;

    const char *last = memrchr(s.p, '\n', n);
    return str_make(s.p, last != NULL ? (size_t)(last - s.p) + 1 : n);
}

/* A busy log would fill the page cache, which counts as a container's memory, with lines that are
 * read once or never; and pages that were not used before cost the kernel several times as much as
 * those that it just got back. The advice begins to write the newest lines to the disk, and drops
 * those before them that are there by now. A reader that is close behind still gets it from memory. */
static void
leave_cache(struct log_file *f)
{
    (void)posix_fadvise(f->fd, f->older, f->end - f->older, POSIX_FADV_DONTNEED);
    f->older = f->newer;
    f->newer = f->end;
}

/* Writes as much of `outgoing` as the file accepts without a long wait. False on a write error. */
static bool
send_outgoing(struct log_file *f)
{
    while (buf_len(&f->outgoing) != 0) {
        struct str left = buf_str(&f->outgoing);

        if (!f->regular) {
            struct pollfd p = { .fd = f->fd, .events = POLLOUT };

            if (poll(&p, 1, POLL_MS) <= 0)
                return true;                       /* waited long enough: check for other work first */
            left = whole_lines(left, PIPE_BUF);    /* a writable pipe accepts that much */
        }
        ssize_t n = write(f->fd, left.p, left.n);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            f->inside_line = left.p[n - 1] != '\n';
            buf_consume(&f->outgoing, (size_t)n);
            f->end += n;
        }
        if (f->regular && f->end - f->newer >= CACHED_BYTES)
            leave_cache(f);
    }
    return true;
}

static void
free_file(struct log_file *f)
{
    if (f->own_fd)
        (void)close(f->fd);
    if (f->next_fd >= 0)
        (void)close(f->next_fd);
    buf_fini(&f->queue);
    buf_fini(&f->outgoing);
    (void)pthread_cond_destroy(&f->wake);
    (void)pthread_cond_destroy(&f->ended);
    (void)pthread_mutex_destroy(&f->lock);
    free(f->path);
    free(f);
}

/* Waits `ms` for more lines, unless there is a reason to write sooner. Called with the lock
 * held. */
static void
rest(struct log_file *f, unsigned ms, bool gathering)
{
    struct timespec until = deadline_in(ms);

    while (!f->closing && f->next_fd < 0 && !is_past(&until) &&
           !(gathering && buf_len(&f->queue) > f->queue_bytes / 2))
        (void)pthread_cond_timedwait(&f->wake, &f->lock, &until);
}

/* Waits before retrying after a write error; less when closing. Called with the lock held. */
static void
rest_after_refusal(struct log_file *f)
{
    if (!f->closing) {
        rest(f, RETRY_MS, false);
        return;
    }
    (void)pthread_mutex_unlock(&f->lock);
    (void)poll(NULL, 0, POLL_MS);
    (void)pthread_mutex_lock(&f->lock);
}

static bool
is_idle(const struct log_file *f)
{
    return buf_len(&f->queue) == 0 && f->outgoing_bytes == 0 && !f->closing && f->next_fd < 0;
}

/* Waits for work, then takes the queue unless older lines are still to be written. Called with the
 * lock held. Under load both buffers keep their memory: giving it back after every batch cost a
 * page fault for every four lines. */
static void
await_work(struct log_file *f)
{
    struct timespec until = deadline_in(SPARE_MS);

    while (is_idle(f) && !is_past(&until))
        (void)pthread_cond_timedwait(&f->wake, &f->lock, &until);
    if (is_idle(f)) {
        buf_reset(&f->queue, KEEP_BYTES);
        buf_reset(&f->outgoing, KEEP_BYTES);
    }
    while (is_idle(f))
        (void)pthread_cond_wait(&f->wake, &f->lock);

    if (f->outgoing_bytes == 0) {
        rest(f, GATHER_MS, true);

        struct buf empty = f->outgoing;
        f->outgoing = f->queue;
        f->queue = empty;
        f->outgoing_bytes = buf_len(&f->outgoing);
    }
}

/* The thread's main function. */
static void *
run(void *arg)
{
    struct log_file *f = arg;
    struct timespec give_up = { 0 };
    bool gave_up = false;

    (void)pthread_mutex_lock(&f->lock);
    while (!gave_up) {
        await_work(f);
        if (f->closing && f->outgoing_bytes == 0 && buf_len(&f->queue) == 0)
            break;
        int next_fd = f->next_fd;
        f->next_fd = -1;
        (void)pthread_mutex_unlock(&f->lock);

        if (next_fd >= 0)
            use(f, next_fd);
        bool sent = send_outgoing(f);
        if (buf_len(&f->outgoing) == 0)
            buf_reset(&f->outgoing, f->queue_bytes);

        (void)pthread_mutex_lock(&f->lock);
        f->outgoing_bytes = buf_len(&f->outgoing);
        if (f->closing && give_up.tv_sec == 0)
            give_up = deadline_in(CLOSE_MS);
        gave_up = f->closing && f->outgoing_bytes != 0 && is_past(&give_up);
        if (!sent)
            rest_after_refusal(f);
    }
    count_drops(f, buf_str(&f->outgoing));
    count_drops(f, buf_str(&f->queue));
    f->done = true;
    bool abandoned = f->abandoned;
    (void)pthread_cond_signal(&f->ended);
    (void)pthread_mutex_unlock(&f->lock);
    if (abandoned)
        free_file(f);
    return NULL;
}

/* Starts the thread with all signals blocked: the main thread handles them, and a closed pipe must
 * give EPIPE rather than SIGPIPE. */
static int
start_thread(struct log_file *f)
{
    sigset_t all;
    sigset_t before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&f->thread, NULL, run, f);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e;
}

struct log_file *
log_file_open(const char *path, size_t queue_bytes)
{
    struct log_file *f = check_alloc(calloc(1, sizeof(*f)));
    pthread_condattr_t attr;

    f->path = str_dup_c(str_c(path));
    f->queue_bytes = queue_bytes;
    f->next_fd = -1;
    buf_init(&f->queue, queue_bytes);
    buf_init(&f->outgoing, queue_bytes);
    CHECK(pthread_mutex_init(&f->lock, NULL) == 0);
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&f->wake, &attr) == 0);
    CHECK(pthread_cond_init(&f->ended, &attr) == 0);
    (void)pthread_condattr_destroy(&attr);

    int fd = open_path(f);
    int e = fd < 0 ? errno : 0;
    if (fd >= 0) {
        use(f, fd);
        f->terminal = isatty(fd) == 1;
        e = start_thread(f);
    }
    if (e != 0) {
        free_file(f);
        errno = e;
        return NULL;
    }
    return f;
}

void
log_file_close(struct log_file *f)
{
    if (f == NULL)
        return;

    struct timespec until = deadline_in(CLOSE_MS + CLOSE_SLACK_MS);
    (void)pthread_mutex_lock(&f->lock);
    pthread_t thread = f->thread;
    f->closing = true;
    (void)pthread_cond_signal(&f->wake);
    while (!f->done && !is_past(&until))
        (void)pthread_cond_timedwait(&f->ended, &f->lock, &until);
    bool done = f->done;
    f->abandoned = !done;    /* stuck in a write() that may never return: the thread cleans up */
    (void)pthread_mutex_unlock(&f->lock);

    if (done) {
        (void)pthread_join(thread, NULL);
        free_file(f);
    } else {
        (void)pthread_detach(thread);
    }
}

bool
log_file_write(struct log_file *f, struct str lines)
{
    bool fits = false;

    (void)pthread_mutex_lock(&f->lock);
    size_t before = buf_len(&f->queue);
    if (lines.n <= f->queue_bytes && before + f->outgoing_bytes <= f->queue_bytes - lines.n) {
        buf_add(&f->queue, lines);
        fits = !f->queue.overflow;
        if (!fits)
            buf_truncate(&f->queue, before);    /* out of memory, perhaps only for now */
    }
    size_t after = buf_len(&f->queue);
    bool half_full = before <= f->queue_bytes / 2 && after > f->queue_bytes / 2;
    if (after != before && (before == 0 || half_full))
        (void)pthread_cond_signal(&f->wake);
    (void)pthread_mutex_unlock(&f->lock);

    if (!fits)
        count_drops(f, lines);
    return fits;
}

bool
log_file_reopen(struct log_file *f)
{
    if (is_stream(f))
        return true;
    int fd = open_path(f);
    if (fd < 0)
        return false;
    (void)pthread_mutex_lock(&f->lock);
    if (f->next_fd >= 0)
        (void)close(f->next_fd);
    f->next_fd = fd;
    (void)pthread_cond_signal(&f->wake);
    (void)pthread_mutex_unlock(&f->lock);
    return true;
}

bool
log_file_is_terminal(const struct log_file *f)
{
    return f->terminal;
}

const char *
log_file_path(const struct log_file *f)
{
    return f->path;
}

uint64_t
log_file_dropped(const struct log_file *f)
{
    return atomic_load_explicit(&f->dropped, memory_order_relaxed);
}
