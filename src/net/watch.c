/* watch.c - notices that a file changed, whichever way it was written.
 *
 * Editors replace files, Kubernetes swaps a symlink two levels up, some file systems
 * report nothing. So the directory is watched for a quick reaction, and the file's metadata is
 * also compared every few seconds, in case no event comes.
 *
 * This is inotify(7) itself rather than uv_fs_event_t, which wakes for every write(2) in the
 * directory: with the access log beside the configuration, for every request.
 */
#include "net/loop_priv.h"
#include "net/timer.h"

#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SETTLE_MS = 100,    /* the file must be unchanged for so long: writers write in steps */
    LOOK_EVERY_MS = 2000,
};

/* Of a directory: a writer has finished, or a name means something else. IN_MODIFY is left out on purpose. */
#define DIRECTORY_EVENTS                                                                           \
    (IN_ONLYDIR | IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |           \
        IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

/* The inotify instance of a loop, made with its first watch: users may have few of them. */
struct notifier {
    uv_poll_t poll;
    struct loop *loop;
    int fd;
};

/* What must differ for a file to count as changed. */
struct file_state {
    bool there;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;    /* ctime: changes with permissions, too */
};

struct file_watch {
    struct timer look;
    struct loop *loop;
    char *path;
    char *directory_path;
    int directory;    /* inotify's number of it; -1: not watched */
    bool soon;        /* the next look is at most SETTLE_MS away */
    struct file_state seen;
    struct file_state settling;
    void (*fn)(void *arg);
    void *arg;
    struct file_watch *next;
};

static struct file_state
file_state(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return (struct file_state){ .there = false };
    return (struct file_state){ true, st.st_dev, st.st_ino, st.st_size, st.st_ctim };
}

static bool
file_state_eq(const struct file_state *a, const struct file_state *b)
{
    return a->there == b->there && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Something happened in a directory. Events of other files in it must not postpone the look for ever. */
static void
look_soon(struct loop *l, int directory, bool is_gone)
{
    for (struct file_watch *w = l->watches; w != NULL; w = w->next) {
        if (w->directory != directory)
            continue;
        if (is_gone)
            w->directory = -1;
        if (!w->soon)
            timer_set(&w->look, SETTLE_MS);
        w->soon = true;
    }
}

static void
on_events(uv_poll_t *poll, int status UNUSED, int events UNUSED)
{
    const struct notifier *n = CONTAINER_OF(poll, struct notifier, poll);
    _Alignas(struct inotify_event) char buffer[4096];
    struct inotify_event e;
    ssize_t got;

    while ((got = read(n->fd, buffer, sizeof(buffer))) > 0)
        for (size_t at = 0; at < (size_t)got; at += sizeof(e) + e.len) {
            memcpy(&e, buffer + at, sizeof(e));
            look_soon(n->loop, e.wd, (e.mask & IN_IGNORED) != 0);
        }
}

/* NULL if there can be none: then only the slow look notices changes. */
static struct notifier *
notifier_create(struct loop *l)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0)
        return NULL;
    struct notifier *n = check_alloc(calloc(1, sizeof(*n)));

    n->loop = l;
    n->fd = fd;
    CHECK(uv_poll_init(&l->uv, &n->poll, fd) == 0);
    CHECK(uv_poll_start(&n->poll, UV_READABLE, on_events) == 0);
    return n;
}

static void
on_notifier_closed(uv_handle_t *h)
{
    struct notifier *n = CONTAINER_OF(h, struct notifier, poll);

    close(n->fd);
    free(n);
}

/* The directory may not exist yet, or may have been replaced. */
static void
watch_directory(struct file_watch *w)
{
    struct loop *l = w->loop;

    if (l->notifier == NULL)
        l->notifier = notifier_create(l);
    if (w->directory < 0 && l->notifier != NULL)
        w->directory = inotify_add_watch(l->notifier->fd, w->directory_path, DIRECTORY_EVENTS);
}

/* A directory has one number, however many of its files are watched. */
static void
leave_directory(struct file_watch *w)
{
    const struct file_watch *other = w->loop->watches;
    int directory = w->directory;

    w->directory = -1;
    while (other != NULL && (other == w || other->directory != directory))
        other = other->next;
    if (directory >= 0 && other == NULL)
        (void)inotify_rm_watch(w->loop->notifier->fd, directory);
}

static void
on_look(void *arg)
{
    struct file_watch *w = arg;
    struct file_state now = file_state(w->path);
    bool settled = file_state_eq(&now, &w->settling) || file_state_eq(&now, &w->seen);
    bool changed = settled && now.there && !file_state_eq(&now, &w->seen);

    if (!now.there)
        leave_directory(w);    /* it may be gone as well */
    watch_directory(w);
    w->settling = now;
    if (settled)
        w->seen = now;
    w->soon = !settled;
    timer_set(&w->look, settled ? LOOK_EVERY_MS : SETTLE_MS);
    if (changed)
        w->fn(w->arg);
}

static struct str
directory_of(struct str path)
{
    while (path.n != 0 && path.p[path.n - 1] != '/')
        path.n--;
    if (path.n == 0)
        return S(".");
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

struct file_watch *
loop_watch_file(struct loop *l, const char *path, void (*fn)(void *arg), void *arg)
{
    struct file_watch *w = check_alloc(calloc(1, sizeof(*w)));

    w->loop = l;
    w->fn = fn;
    w->arg = arg;
    w->path = str_dup_c(str_c(path));
    w->directory_path = str_dup_c(directory_of(str_c(path)));
    w->seen = w->settling = file_state(path);
    timer_init(&w->look, l, on_look, w);
    w->next = l->watches;
    l->watches = w;
    w->directory = -1;
    watch_directory(w);
    timer_set(&w->look, LOOK_EVERY_MS);
    return w;
}

static void
watch_free(struct file_watch *w)
{
    timer_stop(&w->look);
    leave_directory(w);
    free(w->path);
    free(w->directory_path);
    free(w);
}

void
loop_unwatch_file(struct file_watch *w)
{
    struct file_watch **at = &w->loop->watches;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    watch_free(w);
}

void
watches_close(struct loop *l)
{
    struct file_watch *w = l->watches, *next;

    for (l->watches = NULL; w != NULL; w = next) {
        next = w->next;
        watch_free(w);
    }
    if (l->notifier != NULL)
        uv_close((uv_handle_t *)&l->notifier->poll, on_notifier_closed);
    l->notifier = NULL;
}
