/* watch.c - notices that a file changed, whichever way it was written.
 *
 * Editors replace files, Kubernetes swaps a symlink two levels up, some file systems
 * report nothing. So the directory is watched for a quick reaction, and the file's metadata is
 * also compared every few seconds, in case no event comes.
 */
#include "net/loop_priv.h"
#include "net/timer.h"

#include <stdlib.h>
#include <sys/stat.h>

enum {
    SETTLE_MS = 100,    /* the file must be unchanged for so long: writers write in steps */
    LOOK_EVERY_MS = 2000,
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
    uv_fs_event_t directory;
    struct timer look;
    struct loop *loop;
    char *path;
    char *directory_path;
    bool watching;
    bool soon;    /* the next look is at most SETTLE_MS away */
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

static void
on_directory_event(uv_fs_event_t *uv, const char *name, int events, int status)
{
    struct file_watch *w = CONTAINER_OF(uv, struct file_watch, directory);

    (void)name;
    (void)events;
    if (status != 0)
        w->watching = false;
    if (w->soon)
        return;    /* events of other files in the directory must not postpone the check for ever */
    w->soon = true;
    timer_set(&w->look, SETTLE_MS);
}

/* The directory may not exist yet, or may have been replaced. */
static void
watch_directory(struct file_watch *w)
{
    if (!w->watching)
        w->watching =
            uv_fs_event_start(&w->directory, on_directory_event, w->directory_path, 0) == 0;
}

static void
on_look(void *arg)
{
    struct file_watch *w = arg;
    struct file_state now = file_state(w->path);
    bool settled = file_state_eq(&now, &w->settling) || file_state_eq(&now, &w->seen);
    bool changed = settled && now.there && !file_state_eq(&now, &w->seen);

    if (!now.there && w->watching) {    /* the directory may be gone as well */
        uv_fs_event_stop(&w->directory);
        w->watching = false;
    }
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
    CHECK(uv_fs_event_init(&l->uv, &w->directory) == 0);
    watch_directory(w);
    timer_set(&w->look, LOOK_EVERY_MS);
    return w;
}

static void
on_watch_closed(uv_handle_t *h)
{
    struct file_watch *w = CONTAINER_OF(h, struct file_watch, directory);

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
    timer_stop(&w->look);
    uv_close((uv_handle_t *)&w->directory, on_watch_closed);
}

void
watches_close(struct loop *l)
{
    while (l->watches != NULL)
        loop_unwatch_file(l->watches);
}
