/* thoughts.c - remembers what proves the reasoning of answers. */
#include "gateway/thoughts.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"

#define OWNER_MOST_BYTES 512u

/* Nothing but a keyed hash says whose it is, and of which message. */
struct thought {
    struct thought *newer, *older;
    uint64_t used_ms;
    uint8_t name[SIPHASH_BYTES];
    size_t n;
    char kept[];
};

static struct str
name_str(const uint8_t name[SIPHASH_BYTES])
{
    return str_make((const char *)name, SIPHASH_BYTES);
}

static void
lock(struct thoughts *t)
{
    CHECK(pthread_mutex_lock(&t->lock) == 0);
}

static void
unlock(struct thoughts *t)
{
    CHECK(pthread_mutex_unlock(&t->lock) == 0);
}

/* --- the memory; all of this is called with the lock --- */

static size_t
size_of(const struct thought *e)
{
    return sizeof(*e) + e->n + 128;    /* with its place in the map */
}

static void
take_out(struct thoughts *t, struct thought *e)
{
    if (e->newer != NULL)
        e->newer->older = e->older;
    else
        t->newest = e->older;
    if (e->older != NULL)
        e->older->newer = e->newer;
    else
        t->oldest = e->newer;
}

static void
put_first(struct thoughts *t, struct thought *e)
{
    e->used_ms = clock_now_ms();
    e->newer = NULL;
    e->older = t->newest;
    if (t->newest != NULL)
        t->newest->newer = e;
    else
        t->oldest = e;
    t->newest = e;
}

static void
forget(struct thoughts *t, struct thought *e)
{
    take_out(t, e);
    (void)map_remove(t->named, name_str(e->name));
    t->bytes -= size_of(e);
    free(e);
}

static void
forget_oldest(struct thoughts *t)
{
    CHECK(t->oldest->older == NULL);
    forget(t, t->oldest);
}

/* Makes room for `bytes`, and forgets what is too old. */
static void
trim(struct thoughts *t, size_t bytes)
{
    uint64_t now = clock_now_ms();

    while (t->oldest != NULL &&
           (t->bytes + bytes > t->limit_bytes || now - t->oldest->used_ms > t->keep_ms))
        forget_oldest(t);
}

void
thoughts_begin(struct thoughts *t)
{
    lock(t);
    if (t->users++ == 0) {
        t->named = map_create();
        t->key = siphash_key_make();
    }
    unlock(t);
}

void
thoughts_end(struct thoughts *t)
{
    lock(t);
    if (--t->users == 0) {
        while (t->oldest != NULL)
            forget_oldest(t);
        map_destroy(t->named);
        t->named = NULL;
    }
    unlock(t);
}

void
thoughts_set_limits(struct thoughts *t, size_t bytes, uint64_t keep_ms)
{
    lock(t);
    t->limit_bytes = bytes;
    t->keep_ms = keep_ms;
    trim(t, 0);
    unlock(t);
}

/* False: it cannot be remembered. */
static bool
hash_name(const struct thoughts *t, struct str owner, struct str name, uint8_t ret[SIPHASH_BYTES])
{
    char all[OWNER_MOST_BYTES + 1 + PROOFS_NAME_BYTES];

    if (owner.n > OWNER_MOST_BYTES || name.n == 0 || name.n > PROOFS_NAME_BYTES)
        return false;
    memcpy(all, owner.n > 0 ? owner.p : "", owner.n);
    all[owner.n] = '\0';
    memcpy(all + owner.n + 1, name.p, name.n);
    siphash(&t->key, str_make(all, owner.n + 1 + name.n), ret);
    return true;
}

static void
remember(struct thoughts *t, struct str owner, struct str name, struct str kept)
{
    uint8_t hash[SIPHASH_BYTES];
    struct thought *e = kept.n > 0 ? malloc(sizeof(*e) + kept.n) : NULL;

    if (e == NULL)
        return;
    lock(t);
    e->n = kept.n;
    if (t->named != NULL && size_of(e) <= t->limit_bytes && hash_name(t, owner, name, hash)) {
        struct thought *before = map_get(t->named, name_str(hash));

        memcpy(e->name, hash, sizeof(hash));
        memcpy(e->kept, kept.p, kept.n);
        if (before != NULL)
            forget(t, before);
        trim(t, size_of(e));
        put_first(t, e);
        t->bytes += size_of(e);
        (void)map_put(t->named, name_str(hash), e);
        e = NULL;
    }
    unlock(t);
    free(e);
}

/* A copy in `a`; empty if it is not known. */
static struct str
recall(struct thoughts *t, struct arena *a, struct str owner, struct str name)
{
    struct str kept = S("");
    uint8_t hash[SIPHASH_BYTES];

    lock(t);
    if (t->named != NULL && hash_name(t, owner, name, hash)) {
        trim(t, 0);

        struct thought *e = map_get(t->named, name_str(hash));

        if (e != NULL) {
            char *copy = arena_try(a, e->n);

            if (copy != NULL) {
                memcpy(copy, e->kept, e->n);
                kept = str_make(copy, e->n);
            }
            take_out(t, e);    /* the conversation goes on */
            put_first(t, e);
        }
    }
    unlock(t);
    return kept;
}

/* --- answers and requests --- */

struct watching {
    struct filter filter;
    struct thoughts *to;
    struct str owner;
    struct proofs proofs;
};

/* Before the caller sees the end: its next request may come at once, on another connection. */
static void
on_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct watching *w = CONTAINER_OF(sink, struct watching, filter.sink);
    char room[PROOFS_NAME_BYTES];

    proofs_take(&w->proofs, ev);
    for (unsigned by = 0; ev->kind == EVENT_END && by < BY_ALL; by++)
        remember(w->to, w->owner, proofs_name(&w->proofs, by, room), proofs_kept(&w->proofs));
    filter_pass(&w->filter, ev);
}

static void
fini(void *arg)
{
    proofs_fini(&((struct watching *)arg)->proofs);
}

void
thoughts_watch(struct thoughts *t, struct arena *a, struct str owner, struct filters *chain)
{
    struct watching *w = arena_new(a, struct watching);

    w->filter.sink.emit = on_event;
    w->to = t;
    w->owner = owner;
    proofs_init(&w->proofs);
    arena_cleanup(a, fini, w);
    filters_add(chain, &w->filter);
}

void
thoughts_restore(struct thoughts *t, struct str owner, struct llm_request *r)
{
    char room[PROOFS_NAME_BYTES];

    for (struct llm_message *m = r->messages; m != NULL; m = m->next) {
        struct str kept = S("");

        for (unsigned by = 0; by < BY_ALL && kept.n == 0; by++) {
            struct str name = proofs_name_of(m, by, room);

            kept = name.n > 0 ? recall(t, r->arena, owner, name) : S("");
        }
        if (kept.n > 0)
            proofs_restore(r, m, kept);
    }
}
