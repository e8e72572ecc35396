/* watched.c - the files are few: a search goes through all of them. */
#include "app/watched.h"

#include <stdlib.h>

struct watched {
    char *path;
    struct file_watch *watch;
    bool wanted;
    struct watched *next;
};

void
watched_want(struct watched_files *w, struct str path)
{
    struct watched *one = w->first;

    while (one != NULL && !str_eq(str_c(one->path), path))
        one = one->next;
    if (one == NULL) {
        one = check_alloc(calloc(1, sizeof(*one)));
        one->path = str_dup_c(path);
        one->watch = loop_watch_file(w->loop, one->path, w->changed, w->arg);
        one->next = w->first;
        w->first = one;
    }
    one->wanted = true;
}

void
watched_settle(struct watched_files *w)
{
    for (struct watched **at = &w->first; *at != NULL;) {
        struct watched *one = *at;

        if (one->wanted) {
            one->wanted = false;
            at = &one->next;
            continue;
        }
        *at = one->next;
        loop_unwatch_file(one->watch);
        free(one->path);
        free(one);
    }
}
