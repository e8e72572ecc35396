/* resource_poll.c - who watches resources, and how they get to know of changes. */
#include <stdlib.h>

#include "base/log.h"
#include "control/resource_sql.h"

#define WATCHERS_MOST 32

struct resources {
    struct resource_watcher watchers[WATCHERS_MOST];
    bool told[WATCHERS_MOST];    /* something, since they were last told that there was no more */
    unsigned count;
    int64_t seen;    /* the newest revision that they were given */
    bool loaded;
};

struct resources *
resources_create(void)
{
    return check_alloc(calloc(1, sizeof(struct resources)));
}

void
resources_destroy(struct resources *r)
{
    free(r);
}

void
resources_watch(struct resources *r, struct resource_watcher w)
{
    CHECK(r->count < WATCHERS_MOST);
    r->watchers[r->count++] = w;
}

void
resources_tell(struct resources *r, const struct resource_row *row)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (r->watchers[i].kind != row->kind)
            continue;
        r->watchers[i].changed(r->watchers[i].arg, row);
        r->told[i] = true;
    }
}

void
resources_settle(struct resources *r)
{
    for (unsigned i = 0; i < r->count; i++) {
        if (r->told[i] && r->watchers[i].settled != NULL)
            r->watchers[i].settled(r->watchers[i].arg);
        r->told[i] = false;
    }
}

static void
on_row(void *ctx, const struct resource_row *row)
{
    resources_tell(ctx, row);
}

static bool
is_watched(const struct resources *r, enum resource_kind kind)
{
    bool watched = false;

    for (unsigned i = 0; i < r->count; i++)
        watched = watched || r->watchers[i].kind == kind;
    return watched;
}

/* The revisions of a kind up to `newest`. What is read of them again after a failure does no harm. */
static enum store_result
read_kind(struct store *s, struct resources *r, enum resource_kind kind, int64_t newest)
{
    if (!is_watched(r, kind))
        return STORE_OK;
    return r->loaded ? resource_since(s, kind, r->seen, newest, on_row, r)
                     : resource_all(s, kind, on_row, r);
}

void
resources_poll(struct store *s, void *resources)
{
    struct resources *r = resources;
    int64_t newest;
    enum store_result result = resource_newest(s, &newest);

    if (result == STORE_OK && r->loaded && newest == r->seen)
        return;
    for (unsigned k = 0; result == STORE_OK && k < RESOURCE_KINDS; k++)
        result = read_kind(s, r, (enum resource_kind)k, newest);
    resources_settle(r);
    if (result == STORE_OK) {
        r->seen = newest;
        r->loaded = true;
    } else if (result != STORE_AWAY) {
        log_error(NULL, "what has changed in the store cannot be read: %s", store_why(s));
    }
}
