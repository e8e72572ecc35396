/* map.c - entries in insertion order, and slots that refer to them.
 *
 *     slots:   . 3 . . 1 . 2 .        index into `entries` plus one; 0 is free
 *     entries: [alpha] [beta] [gamma]
 *
 * Linear probing. A removal moves later slots up to close the gap, so lookups skip no tombstones.
 * In the entries it leaves a hole, which is dropped when the map grows.
 */
#include "base/map.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"

enum { CAP_FIRST = 8 };

struct map_entry {
    char *key;
    size_t n;
    uint64_t hash;
    void *value;    /* NULL: removed */
};

struct map {
    struct map_entry *entries;
    size_t used;     /* entries, including holes */
    size_t cap;      /* a power of two; there are twice as many slots */
    size_t count;    /* entries, not counting holes */
    uint32_t *slots;
};

/* One seed for the process, so that threads can share hashes. */
static uint64_t
hash_seed(void)
{
    static _Atomic uint64_t seed;
    uint64_t v = atomic_load_explicit(&seed, memory_order_relaxed);

    if (LIKELY(v != 0))
        return v;

    uint64_t fresh = 0;
    clock_random_bytes(&fresh, sizeof(fresh));
    fresh |= 1;
    return atomic_compare_exchange_strong(&seed, &v, fresh) ? fresh : v;
}

static inline uint64_t
load(const char *p, size_t n)
{
    uint64_t v = 0;

    memcpy(&v, p, n);
    return v;
}

/* Up to eight bytes as one number. Equal numbers can only come from texts of different lengths. */
static inline uint64_t
load_short(const char *p, size_t n)
{
    if (n >= 4)
        return load(p, 4) | load(p + n - 4, 4) << 32;
    if (n == 0)
        return 0;
    return load(p, 1) | load(p + n / 2, 1) << 8 | load(p + n - 1, 1) << 16;
}

uint64_t
map_hash(struct str key)
{
    const char *p = key.p;
    size_t n = key.n;
    uint64_t h = hash_seed();

    for (; n > 8; n -= 8, p += 8)
        h = hash_mix(h ^ load(p, 8), HASH_WORD);
    return hash_mix(h ^ load_short(p, n), HASH_LAST ^ key.n);
}

struct map *
map_create(void)
{
    return check_alloc(calloc(1, sizeof(struct map)));
}

void
map_destroy(struct map *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->used; i++)
        free(m->entries[i].key);
    free(m->entries);
    free(m->slots);
    free(m);
}

static inline size_t
slot_mask(const struct map *m)
{
    return m->cap * 2 - 1;
}

/* The slot of `key`, or the free slot where it belongs. The map must have slots. */
static size_t
find_slot(const struct map *m, struct str key, uint64_t hash)
{
    size_t at = hash & slot_mask(m);

    for (; m->slots[at] != 0; at = (at + 1) & slot_mask(m)) {
        const struct map_entry *e = &m->entries[m->slots[at] - 1];

        if (e->hash == hash && str_eq(str_make(e->key, e->n), key))
            break;
    }
    return at;
}

/* Makes room for one more entry: drops the holes, and doubles the capacity unless that was
 * enough. */
static void
rebuild(struct map *m)
{
    size_t kept = 0;
    size_t cap = m->cap == 0 ? CAP_FIRST : m->count > m->cap / 2 ? m->cap * 2 : m->cap;

    CHECK(cap <= UINT32_MAX / 2);
    for (size_t i = 0; i < m->used; i++) {
        if (m->entries[i].value != NULL)
            m->entries[kept++] = m->entries[i];
    }
    m->entries = check_alloc(realloc(m->entries, cap * sizeof(*m->entries)));
    m->used = kept;
    m->cap = cap;
    free(m->slots);
    m->slots = check_alloc(calloc(cap * 2, sizeof(*m->slots)));
    for (size_t i = 0; i < kept; i++) {
        size_t at = m->entries[i].hash & slot_mask(m);

        while (m->slots[at] != 0)
            at = (at + 1) & slot_mask(m);
        m->slots[at] = (uint32_t)i + 1;
    }
}

void *
map_put(struct map *m, struct str key, void *value)
{
    uint64_t hash = map_hash(key);

    CHECK(value != NULL);
    if (m->used == m->cap)
        rebuild(m);

    size_t at = find_slot(m, key, hash);
    if (m->slots[at] != 0) {
        struct map_entry *e = &m->entries[m->slots[at] - 1];
        void *before = e->value;

        e->value = value;
        return before;
    }
    m->entries[m->used++] = (struct map_entry){
        .key = str_dup_c(key),
        .n = key.n,
        .hash = hash,
        .value = value,
    };
    m->slots[at] = (uint32_t)m->used;
    m->count++;
    return NULL;
}

void *
map_get(const struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;

    size_t at = find_slot(m, key, map_hash(key));
    return m->slots[at] != 0 ? m->entries[m->slots[at] - 1].value : NULL;
}

/* Frees the slot `hole`, and moves up later slots that could no longer be found. */
static void
close_gap(struct map *m, size_t hole)
{
    size_t mask = slot_mask(m);

    for (size_t at = (hole + 1) & mask; m->slots[at] != 0; at = (at + 1) & mask) {
        size_t home = m->entries[m->slots[at] - 1].hash & mask;

        /* It can move to the hole unless its own slot lies between the hole and itself. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            m->slots[hole] = m->slots[at];
            hole = at;
        }
    }
    m->slots[hole] = 0;
}

void *
map_remove(struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;

    size_t at = find_slot(m, key, map_hash(key));
    if (m->slots[at] == 0)
        return NULL;

    struct map_entry *e = &m->entries[m->slots[at] - 1];
    void *value = e->value;
    close_gap(m, at);
    free(e->key);
    *e = (struct map_entry){ 0 };
    m->count--;
    return value;
}

size_t
map_count(const struct map *m)
{
    return m->count;
}

bool
map_next(const struct map *m, size_t *pos, struct str *ret_key, void **ret_value)
{
    while (*pos < m->used) {
        const struct map_entry *e = &m->entries[(*pos)++];

        if (e->value != NULL) {
            *ret_key = str_make(e->key, e->n);
            *ret_value = e->value;
            return true;
        }
    }
    return false;
}
