/* registry.c - the table of what outlives a reload. */
#include "base/registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

#define LINE_BYTES 64    /* of a cache */

/* In front of each entry. */
struct header {
    alignas(LINE_BYTES) const struct registry_kind *kind;
    unsigned holders;
    struct str key;    /* "kind\nname" */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map *table;    /* struct header by key; NULL while there are none */

static struct str
make_key(const struct registry_kind *kind, struct str name)
{
    size_t n = strlen(kind->name);
    char *key = check_alloc(malloc(n + 1 + name.n));

    memcpy(key, kind->name, n);
    key[n] = '\n';
    if (name.n != 0)
        memcpy(key + n + 1, name.p, name.n);
    return str_make(key, n + 1 + name.n);
}

void *
registry_hold(const struct registry_kind *kind, struct str name)
{
    struct str key = make_key(kind, name);
    size_t bytes = (sizeof(struct header) + kind->bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;

    (void)pthread_mutex_lock(&lock);
    if (table == NULL)
        table = map_create();
    struct header *h = map_get(table, key);
    if (h == NULL) {
        h = check_alloc(aligned_alloc(LINE_BYTES, bytes));
        memset(h, 0, bytes);
        h->kind = kind;
        h->key = key;
        (void)map_put(table, key, h);
    } else {
        free((char *)key.p);
    }
    CHECK(h->kind == kind);
    h->holders++;
    (void)pthread_mutex_unlock(&lock);
    return h + 1;
}

void
registry_drop(void *entry)
{
    struct header *h = entry;

    if (entry == NULL)
        return;
    h--;
    (void)pthread_mutex_lock(&lock);
    bool last = --h->holders == 0;
    if (last)
        (void)map_remove(table, h->key);
    if (map_count(table) == 0) {
        map_destroy(table);
        table = NULL;
    }
    (void)pthread_mutex_unlock(&lock);
    if (!last)
        return;
    if (h->kind->fini != NULL)
        h->kind->fini(entry);
    free((char *)h->key.p);
    free(h);
}

size_t
registry_count(const struct registry_kind *kind)
{
    size_t pos = 0, n = 0;
    struct str key;
    void *h;

    (void)pthread_mutex_lock(&lock);
    while (table != NULL && map_next(table, &pos, &key, &h))
        n += ((struct header *)h)->kind == kind;
    (void)pthread_mutex_unlock(&lock);
    return n;
}
