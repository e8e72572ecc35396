/* health_subjects.c - which breaker belongs to what: the tables of providers. */
#include <pthread.h>
#include <stdlib.h>

#include "base/registry.h"
#include "base/siphash.h"
#include "route/health_priv.h"

/* For finding a subject for the first time, and forgetting: the holders, and the names of slots. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct siphash_key secret;    /* of the process: a name tells nothing about the text */

static void
make_secret(void)
{
    secret = siphash_key_make();
}

static void
store_fini(void *entry)
{
    struct health_store *store = entry;

    free(LOAD(&store->provider.times));
    free(LOAD(&store->shared.times));
    for (size_t i = 0; i < SLOTS; i++)
        free(LOAD(&store->slots[i].times));
}

static const struct registry_kind stores = { "health", sizeof(struct health_store), store_fini };

struct health_table *
health_table_hold(struct str name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct health_table *t = check_alloc(calloc(1, sizeof(*t)));

    (void)pthread_once(&once, make_secret);
    t->store = registry_hold(&stores, name);
    t->provider = &t->store->provider;
    STORE(&t->provider->name, KIND_PROVIDER);
    STORE(&t->store->shared.name, KIND_SHARED);
    (void)pthread_mutex_lock(&lock);
    t->next = t->store->holders;
    t->store->holders = t;
    (void)pthread_mutex_unlock(&lock);
    return t;
}

/* If so, the slot keeps its name, which is to be read after this. */
static bool
is_found(const struct health_table *t, size_t i)
{
    return (atomic_load_explicit(&t->found[i / 64], memory_order_acquire) >> i % 64 & 1) != 0;
}

/* It is not one of the unproven ones, or is not any more. */
static void
settle(struct health_store *store, struct health *h)
{
    if (LOAD(&h->unproven) && atomic_exchange(&h->unproven, false))
        ADD(&store->unproven, (uint32_t)-1);
}

static void
forget(struct health_store *store, struct health *h)
{
    struct health *key = LOAD(&h->key);

    if (key != NULL && LOAD(&h->gate) != 0)
        ADD(&key->pairs, (uint32_t)-1);
    settle(store, h);
    free(LOAD(&h->times));
    STORE(&h->times, NULL);
    STORE(&h->name, KIND_FORGOTTEN);
    ADD(&store->used, (uint32_t)-1);
}

/* Keys are replaced, and models come and go: what none of its holders uses makes room. */
static void
make_room(struct health_store *store)
{
    for (size_t i = 0; i < SLOTS; i++) {
        uint64_t name = LOAD(&store->slots[i].name);
        bool found = false;

        for (const struct health_table *t = store->holders; t != NULL; t = t->next)
            found = found || is_found(t, i);
        if (name != 0 && name != KIND_FORGOTTEN && !found)
            forget(store, &store->slots[i]);
    }
}

void
health_table_drop(struct health_table *t)
{
    struct health_table **at;

    if (t == NULL)
        return;
    (void)pthread_mutex_lock(&lock);
    for (at = &t->store->holders; *at != t; at = &(*at)->next)
        ;
    *at = t->next;
    if (LOAD(&t->store->used) > SLOTS_KEPT)
        make_room(t->store);
    (void)pthread_mutex_unlock(&lock);
    registry_drop(t->store);
    free(t);
}

static uint64_t
make_name(enum kind kind, struct str text)
{
    struct siphash_key key = { { secret.word[0] ^ kind, secret.word[1] } };
    uint8_t hash[SIPHASH_BYTES];
    uint64_t name;

    siphash(&key, text, hash);
    memcpy(&name, hash, sizeof(name));
    return (name & ~(uint64_t)KIND_MASK) | kind;
}

/* The slot of that name, or SLOTS; *ret_free is the first on the way that is free, or SLOTS. */
static size_t
search(const struct health_store *store, uint64_t name, size_t *ret_free)
{
    *ret_free = SLOTS;
    for (size_t n = 0; n < SLOTS; n++) {
        size_t i = (name / (KIND_MASK + 1) + n) % SLOTS;
        uint64_t seen = LOAD(&store->slots[i].name);

        if (seen == name)
            return i;
        if ((seen == 0 || seen == KIND_FORGOTTEN) && *ret_free == SLOTS)
            *ret_free = i;
        if (seen == 0)
            break;
    }
    return SLOTS;
}

/* As it is made; only its name is not set. */
static void
clear(struct health *h)
{
    STORE(&h->gate, 0);
    STORE(&h->run, 0);
    STORE(&h->since_ms, 0);
    STORE(&h->pairs, 0);
    STORE(&h->why, 0);
    STORE(&h->level, 0);
    STORE(&h->worked, false);
    STORE(&h->silent, false);
    STORE(&h->key, NULL);
    STORE(&h->retry_us, 0);
    STORE(&h->open_ms, 0);
    STORE(&h->busy, 0);
    for (size_t i = 0; i < SHOWN; i++) {
        STORE(&h->bucket[i], 0);
        STORE(&h->other[i], 0);
    }
}

/* Is there no room for one more of `most`, or of the unproven ones? */
static bool
is_full(const struct health_store *store, uint32_t most, bool unproven)
{
    return LOAD(&store->used) >= most || (unproven && LOAD(&store->unproven) >= SLOTS_UNPROVEN);
}

COLD static size_t
find_first_time(struct health_table *t, uint64_t name, uint32_t most, bool unproven)
{
    struct health_store *store = t->store;
    size_t unused;

    (void)pthread_mutex_lock(&lock);
    size_t i = search(store, name, &unused);
    if (i == SLOTS && unused != SLOTS && !is_full(store, most, unproven)) {
        i = unused;
        clear(&store->slots[i]);
        STORE(&store->slots[i].unproven, unproven);
        STORE(&store->slots[i].name, name);
        ADD(&store->used, 1);
        ADD(&store->unproven, unproven);
    }
    if (i != SLOTS)
        (void)atomic_fetch_or_explicit(
            &t->found[i / 64], UINT64_C(1) << i % 64, memory_order_release);
    (void)pthread_mutex_unlock(&lock);
    return i;
}

/* The breaker of that name. If there is none, a new one; or, where `most` of the slots are in use,
 * NULL. */
static struct health *
find(struct health_table *t, uint64_t name, uint32_t most, bool unproven)
{
    struct health_store *store = t->store;
    size_t unused, i = search(store, name, &unused);

    if (i == SLOTS && (most == 0 || unused == SLOTS || is_full(store, most, unproven)))
        return NULL;
    if (i == SLOTS || !is_found(t, i) || LOAD(&store->slots[i].name) != name)
        i = find_first_time(t, name, most, unproven);
    return i != SLOTS ? &store->slots[i] : NULL;
}

static struct health *
find_or_share(struct health_table *t, uint64_t name, uint32_t most)
{
    struct health *h = find(t, name, most, false);

    return h != NULL ? h : &t->store->shared;
}

struct health *
health_provider(struct health_table *t)
{
    return t->provider;
}

struct health *
health_target(struct health_table *t, struct str model)
{
    struct health *h = find_or_share(t, make_name(KIND_TARGET, model), SLOTS_FOR_TARGETS);

    settle(t->store, h);
    return h;
}

struct health *
health_target_asked(struct health_table *t, struct str model)
{
    struct health *h = find(t, make_name(KIND_TARGET, model), SLOTS_FOR_TARGETS, true);

    return h != NULL ? h : &t->store->shared;
}

void
health_prove(struct health_table *t, struct health *target, struct str model)
{
    if (UNLIKELY(LOAD(&target->unproven)))
        settle(t->store, target);
    else if (UNLIKELY(subject_is_shared(target)))
        (void)health_target(t, model);
}

bool
health_has_target(const struct health_table *t, struct str model)
{
    size_t unused;

    return search(t->store, make_name(KIND_TARGET, model), &unused) != SLOTS;
}

struct health *
health_key(struct health_table *t, struct str credential)
{
    return find_or_share(t, make_name(KIND_KEY, credential), SLOTS_USED);
}

struct health *
subject_pair(struct health_table *t, struct health *key, const struct health *target, bool make)
{
    uint64_t names[] = { LOAD(&key->name), LOAD(&target->name) };

    if (subject_is_shared(key) || subject_is_shared(target))
        return NULL;
    struct str text = str_make((const char *)names, sizeof(names));
    struct health *pair = find(t, make_name(KIND_PAIR, text), make ? SLOTS_USED : 0, false);
    if (pair != NULL)
        STORE(&pair->key, key);
    return pair;
}

/* --- what was measured --- */

static struct times *
times_of(struct health *target)
{
    struct times *times = atomic_load_explicit(&target->times, memory_order_acquire);

    if (UNLIKELY(times == NULL)) {
        struct times *mine = check_alloc(calloc(1, sizeof(*mine)));

        if (atomic_compare_exchange_strong(&target->times, &times, mine))
            times = mine;
        else
            free(mine);
    }
    return times;
}

struct latency *
health_latency(struct health *target, bool whole)
{
    struct times *times = times_of(target);

    return whole ? &times->whole : &times->first_token;
}

bool
health_reports_usage(const struct health *target)
{
    return !LOAD(&target->silent);
}

void
health_note_usage(struct health *target, bool reported)
{
    if (UNLIKELY(LOAD(&target->silent) == reported))
        STORE(&target->silent, !reported);
}

struct concurrency *
health_concurrency(struct health *target)
{
    return &times_of(target)->concurrency;
}

struct load *
health_load(struct health *target)
{
    return &times_of(target)->load;
}

uint32_t
health_busy(const struct health *target)
{
    return LOAD(&target->busy);
}

uint64_t
health_key_name(const struct health *key)
{
    return key != NULL ? LOAD(&key->name) : 1;
}
