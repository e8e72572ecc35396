/* health.c - circuit breakers without locks.
 *
 * What decides is one word per breaker, its gate: the state, the time at which the state ends, and
 * random bits, so that no two gates are the same. Every change of state is a compare-and-swap from
 * the gate that the decision was made on (gate_move()), so of several threads that decide at once
 * only one changes it. A probe is identified by the gate that it put there; if another gate is
 * found at its end, the breaker has gone on without it, and what became of the probe is not asked.
 * The other members are notes for later decisions, and may lag by an instant.
 *
 * A closed breaker is a gate of zero: for a request that succeeds at healthy targets a few loads
 * and two additions are all there is.
 */
#include "route/health.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/registry.h"
#include "base/siphash.h"

#define LINE_BYTES 64    /* of a cache */

/* Of a provider. They are never all in use, so that searching ends soon. Models come from callers,
 * too: the last quarter in use is for keys alone. Above SLOTS_KEPT, a reload makes room. */
enum { SLOTS = 256, SLOTS_USED = 192, SLOTS_FOR_TARGETS = 144, SLOTS_KEPT = 96 };

/* Attempts are counted in buckets: the last SHOWN of them are shown, the last JUDGED decide. */
enum { BUCKET_MS = 5000, SHOWN = 12, JUDGED = 6 };

enum {
    RUN_LEAST = 5,    /* failures on end that open a breaker, as in Envoy's outlier detection */
    RUN_MOST = 64,    /* open it whatever else is under way, as a rule */
    SOON_MS = 3000,

    COOLDOWN_MS = 5000,    /* until the first probe; doubled by each that fails */
    COOLDOWN_MAX_MS = 60000,
    RETRY_AFTER_MAX_MS = 300000,    /* what a provider may ask for */
    REMEMBER_MS = 60000,            /* opened again so soon: the cooldown goes on doubling */
    PROBE_MS = 120000,              /* for a probe, after which another may take its place */
    PROBE_WAIT_MS = 1000,           /* while there is a probe: when to ask again */
    RECOVERY_MS = 10000,            /* slow start */
    RECOVERY_WAIT_MS = 100,
    OPEN_INTERVAL_MS = 1000,    /* of requests that are let through an open breaker */

    KEY_MS = 60000,    /* a key that was refused */
    KEY_WORKED_MS = 10000,
    KEY_RUN = 3,    /* refusals on end of a key that has worked */
    KEY_MAX_MS = 600000,
    ACCOUNT_MS = 300000,
    GONE_MS = 60000,
    LIMIT_MS = 1000,    /* a limit whose end was not named; doubled if it was too short */
    LIMIT_MAX_MS = 60000,
    LIMIT_NAMED_MAX_MS = 3600000,

    RETRIES_PER_S = 10,
    RETRY_CREDIT_US = 10000000,
};

#define RECOVERY_SHARE 0.1    /* of requests that a slow start begins with */
#define JITTER 0.2

enum gate_state {
    GATE_CLOSED,        /* the gate is 0 */
    GATE_OPEN,          /* until then; after it: half-open */
    GATE_PROBED,        /* by a request, which may be replaced then */
    GATE_RECOVERING,    /* slow start until then; after it: closed */
    GATE_PARKED,        /* a limit, until then; after it: closed */
    GATE_OFF,
};

#define STATE_OF(gate) ((enum gate_state)((gate)&7))
#define UNTIL_OF(gate) ((gate) >> 16)

/* A bucket: the number of its period (10 bits), and of attempts that began, that are no longer
 * waited for, and that failed (18 bits each). */
#define ONE_BEGUN UINT64_C(1)
#define ONE_ENDED (UINT64_C(1) << 18)
#define ONE_FAILED (UINT64_C(1) << 36)
#define COUNT_MASK ((UINT64_C(1) << 18) - 1)
#define COUNT_FULL (UINT64_C(1) << 17)    /* it counts to half of what there is room for */
#define PERIOD_SHIFT 54
#define PERIOD_MASK ((UINT64_C(1) << 10) - 1)

/* Failures on end: when the first one came, and their number (16 bits). */
#define RUN_OF(run) ((run)&0xffff)
#define RUN_FROM(run) ((run) >> 16)

struct times {
    struct latency first_token, whole;
    struct concurrency concurrency;
    struct load load;
};

struct health {
    /* Read by every request, written when something fails. */
    alignas(LINE_BYTES) _Atomic uint64_t gate;
    _Atomic uint64_t run;
    _Atomic uint64_t name;           /* what it is found by: a hash, and the kind; 0: free */
    _Atomic uint64_t since_ms;       /* opened, parked, closed or switched then; 0: never */
    _Atomic uint32_t pairs;          /* of a key: with how many models it is not closed */
    _Atomic uint16_t why;            /* enum err */
    _Atomic uint8_t level;           /* how often the cooldown was doubled */
    _Atomic bool worked;             /* a key that was accepted once */
    _Atomic(struct health *) key;    /* of a key with a model: that key */
    _Atomic(struct times *) times;
    _Atomic uint64_t retry_us;    /* as in GCRA: when the retries so far would have been due */
    /* Written by every request. */
    _Atomic uint64_t bucket[SHOWN];
    _Atomic uint64_t open_ms;    /* when the next one is let through although it is open */
    _Atomic uint32_t busy;       /* of a target: those under way */
};

enum kind { KIND_SHARED = 1, KIND_PROVIDER, KIND_TARGET, KIND_KEY, KIND_PAIR, KIND_FORGOTTEN };
enum { KIND_MASK = 7 };

/* All breakers of a provider. A subject is searched from the slot that its hash names to the first
 * that was never used. */
struct store {
    struct health provider;
    struct health shared;    /* by those for whom there was no room */
    struct health slots[SLOTS];
    _Atomic uint32_t used;
    struct health_table *holders;
};

/* What one holder uses of a store. */
struct health_table {
    struct store *store;
    struct health *provider;
    struct health_table *next;             /* of the store's holders */
    _Atomic uint64_t found[SLOTS / 64];    /* a bit for each slot, which is not forgotten meanwhile */
};

/* For finding a subject for the first time, and forgetting: the holders, and the names of slots. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define LOAD(p) atomic_load_explicit((p), memory_order_relaxed)
#define STORE(p, value) atomic_store_explicit((p), (value), memory_order_relaxed)
#define ADD(p, value) atomic_fetch_add_explicit((p), (value), memory_order_relaxed)

/* On failure *seen is what is there instead. */
static inline bool
swap(_Atomic uint64_t *p, uint64_t *seen, uint64_t next)
{
    return atomic_compare_exchange_strong_explicit(
        p, seen, next, memory_order_relaxed, memory_order_relaxed);
}

/* The table. */

static struct siphash_key secret;    /* of the process: a name tells nothing about the text */

static void
make_secret(void)
{
    secret = siphash_key_make();
}

static void
store_fini(void *entry)
{
    struct store *store = entry;

    free(LOAD(&store->provider.times));
    free(LOAD(&store->shared.times));
    for (size_t i = 0; i < SLOTS; i++)
        free(LOAD(&store->slots[i].times));
}

static const struct registry_kind stores = { "health", sizeof(struct store), store_fini };

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

static void
forget(struct store *store, struct health *h)
{
    struct health *key = LOAD(&h->key);

    if (key != NULL && LOAD(&h->gate) != 0)
        ADD(&key->pairs, (uint32_t)-1);
    free(LOAD(&h->times));
    STORE(&h->times, NULL);
    STORE(&h->name, KIND_FORGOTTEN);
    ADD(&store->used, (uint32_t)-1);
}

/* Keys are replaced, and models come and go: what none of its holders uses makes room. */
static void
make_room(struct store *store)
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
search(const struct store *store, uint64_t name, size_t *ret_free)
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
    STORE(&h->key, NULL);
    STORE(&h->retry_us, 0);
    STORE(&h->open_ms, 0);
    STORE(&h->busy, 0);
    for (size_t i = 0; i < SHOWN; i++)
        STORE(&h->bucket[i], 0);
}

COLD static size_t
find_first_time(struct health_table *t, uint64_t name, uint32_t most)
{
    struct store *store = t->store;
    size_t unused;

    (void)pthread_mutex_lock(&lock);
    size_t i = search(store, name, &unused);
    if (i == SLOTS && unused != SLOTS && LOAD(&store->used) < most) {
        i = unused;
        clear(&store->slots[i]);
        STORE(&store->slots[i].name, name);
        ADD(&store->used, 1);
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
find(struct health_table *t, uint64_t name, uint32_t most)
{
    struct store *store = t->store;
    size_t unused, i = search(store, name, &unused);

    if (i == SLOTS && (most == 0 || unused == SLOTS || LOAD(&store->used) >= most))
        return NULL;
    if (i == SLOTS || !is_found(t, i) || LOAD(&store->slots[i].name) != name)
        i = find_first_time(t, name, most);
    return i != SLOTS ? &store->slots[i] : NULL;
}

static struct health *
find_or_share(struct health_table *t, uint64_t name, uint32_t most)
{
    struct health *h = find(t, name, most);

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
    return find_or_share(t, make_name(KIND_TARGET, model), SLOTS_FOR_TARGETS);
}

struct health *
health_key(struct health_table *t, struct str credential)
{
    return find_or_share(t, make_name(KIND_KEY, credential), SLOTS_USED);
}

static bool
is_shared(const struct health *h)
{
    return LOAD(&h->name) == KIND_SHARED;
}

/* The breaker of a key with a model; NULL if there is none, or (`make`) no room for it. */
static struct health *
pair_of(struct health_table *t, struct health *key, const struct health *target, bool make)
{
    uint64_t names[] = { LOAD(&key->name), LOAD(&target->name) };

    if (is_shared(key) || is_shared(target))
        return NULL;
    struct str text = str_make((const char *)names, sizeof(names));
    struct health *pair = find(t, make_name(KIND_PAIR, text), make ? SLOTS_USED : 0);
    if (pair != NULL)
        STORE(&pair->key, key);
    return pair;
}

/* Gates. */

static uint64_t
gate_make(enum gate_state state, uint64_t until_ms)
{
    return until_ms << 16 | (clock_random_u64() & 0x1fff) << 3 | state;
}

/* The only place that changes a gate. False: it is not `from` any more, or one that never opens. */
static bool
gate_move(struct health *h, uint64_t from, uint64_t to)
{
#define TO(state) (1u << GATE_##state)
    static const unsigned legal[] = {
        [GATE_CLOSED] = TO(OPEN) | TO(PARKED) | TO(OFF),
        [GATE_OPEN] = TO(OPEN) | TO(PROBED) | TO(RECOVERING) | TO(CLOSED) | TO(OFF),
        [GATE_PROBED] = TO(PROBED) | TO(OPEN) | TO(PARKED) | TO(RECOVERING) | TO(CLOSED) | TO(OFF),
        [GATE_RECOVERING] = TO(CLOSED) | TO(OPEN) | TO(PARKED) | TO(OFF),
        [GATE_PARKED] = TO(PARKED) | TO(OPEN) | TO(CLOSED) | TO(OFF),
        [GATE_OFF] = TO(CLOSED),
    };
#undef TO

    CHECK((legal[STATE_OF(from)] & 1u << STATE_OF(to)) != 0);
    if (is_shared(h) || !swap(&h->gate, &from, to))
        return false;
    struct health *key = LOAD(&h->key);
    if (key != NULL && from == 0)
        ADD(&key->pairs, 1);
    if (key != NULL && to == 0)
        ADD(&key->pairs, (uint32_t)-1);
    return true;
}

/* Counting. */

/* The bucket's first of its period; or it is full. */
COLD static void
count_anew(_Atomic uint64_t *bucket, uint64_t seen, uint64_t period, uint64_t one)
{
    uint64_t next;

    do {
        bool same = seen >> PERIOD_SHIFT == period;

        if (same && (seen & one * COUNT_FULL) != 0)
            return;
        next = same ? seen + one : period << PERIOD_SHIFT | one;
    } while (!swap(bucket, &seen, next));
}

static inline void
count(struct health *h, uint64_t now_ms, uint64_t one)
{
    uint64_t period = now_ms / BUCKET_MS;
    _Atomic uint64_t *bucket = &h->bucket[period % SHOWN];
    uint64_t seen = LOAD(bucket);

    period &= PERIOD_MASK;
    if (LIKELY(seen >> PERIOD_SHIFT == period && (seen & one * COUNT_FULL) == 0))
        ADD(bucket, one);
    else
        count_anew(bucket, seen, period, one);
}

struct counted {
    uint64_t begun, ended, failed;
};

/* Adds what the last `buckets` counted, those before `from_ms` left out. */
static void
add_up(
    const struct health *h, size_t buckets, uint64_t from_ms, uint64_t now_ms, struct counted *all)
{
    uint64_t period = now_ms / BUCKET_MS;

    for (size_t i = 0; i < buckets && i <= period && period - i >= from_ms / BUCKET_MS; i++) {
        uint64_t b = LOAD(&h->bucket[(period - i) % SHOWN]);

        if (b >> PERIOD_SHIFT == ((period - i) & PERIOD_MASK)) {
            all->begun += b & COUNT_MASK;
            all->ended += b / ONE_ENDED & COUNT_MASK;
            all->failed += b / ONE_FAILED & COUNT_MASK;
        }
    }
}

/* The attempts at a provider are those at its targets. */
static struct counted
sum(const struct health *h, size_t buckets, uint64_t from_ms, uint64_t now_ms)
{
    struct counted all = { 0, 0, 0 };

    add_up(h, buckets, from_ms, now_ms, &all);
    if (LOAD(&h->name) == KIND_PROVIDER) {
        const struct store *store = CONTAINER_OF(h, const struct store, provider);
        uint64_t failed = all.failed;

        add_up(&store->shared, buckets, from_ms, now_ms, &all);
        for (size_t i = 0; i < SLOTS; i++) {
            if ((LOAD(&store->slots[i].name) & KIND_MASK) == KIND_TARGET)
                add_up(&store->slots[i], buckets, from_ms, now_ms, &all);
        }
        all.failed = failed;
    }
    return all;
}

/* A success ends a run of failures, unless its answer began before them: streams that go on say
 * nothing about requests that come now. */
COLD static void
end_run(struct health *h, uint64_t run, uint64_t answered_ms)
{
    if (answered_ms >= RUN_FROM(run))
        (void)swap(&h->run, &run, 0);
}

static inline void
note_success(struct health *h, uint64_t answered_ms)
{
    uint64_t run = LOAD(&h->run);

    if (UNLIKELY(run != 0))
        end_run(h, run, answered_ms);
}

static inline void
note_accepted(struct health *key, uint64_t answered_ms)
{
    if (UNLIKELY(!LOAD(&key->worked)))
        STORE(&key->worked, true);
    note_success(key, answered_ms);
}

static uint64_t
lengthen_run(struct health *h, uint64_t now_ms)
{
    uint64_t run = LOAD(&h->run), next;

    do {
        next = RUN_OF(run) == 0 ? now_ms << 16 | 1 : run + (RUN_OF(run) < 0xffff);
    } while (!swap(&h->run, &run, next));
    return RUN_OF(next);
}

/* Is a failure of this attempt, the last of `run` on end, more than bad luck? Where 30 % of attempts
 * fail at random, a breaker must stay closed, or it would flap. So the busier a target is, the more
 * failures on end it takes (five where all that began failed, sixteen beside 2,000 others).
 * Failures that come sooner than any success could are on end in any case: it takes two for each
 * attempt that is still waited for, too. Or at least half of all fail, and five standard deviations
 * more than 30 %.
 *
 * Where there is nothing else, three answers in ten are better than none: only a target that
 * answers hardly any request is given up: it takes four times the failures. */
static bool
is_failing(const struct health *h, const struct health_pass *p, uint64_t run, uint64_t now_ms)
{
    struct counted c = sum(h, JUDGED, LOAD(&h->since_ms), now_ms);
    uint64_t n = MAX(c.begun, c.failed), least = RUN_LEAST, beside = 0;

    for (uint64_t left = n - c.failed; left != 0; left /= 2)
        least++;
    if (now_ms < p->entered_ms + SOON_MS)
        beside = RUN_LEAST + 2 * (c.begun - MIN(c.ended, c.begun));
    if (p->sole)
        least = 4 * MAX(least, beside);
    else
        least = MAX(least, MIN(beside, (uint64_t)RUN_MOST));
    if (run >= least)
        return true;
    if (p->sole || c.failed < RUN_LEAST || c.failed * 2 < n)
        return false;
    uint64_t above = c.failed * 10 - n * 3;    /* ten times; sd = sqrt(n * 0.3 * 0.7) */
    return above * above >= n * 2500 * 21 / 100;
}

/* Opening and closing. */

static uint64_t
jitter(uint64_t ms)
{
    return (uint64_t)((double)ms * (1 - JITTER + 2 * JITTER * clock_random_unit()));
}

/* `base` doubled `level` times. */
static uint64_t
doubled(uint64_t base_ms, unsigned level, uint64_t max_ms)
{
    return MIN(base_ms << MIN(level, 20u), max_ms);
}

/* The level of a breaker that opens now: more if a probe failed, or soon after it closed. */
static unsigned
next_level(const struct health *h, uint64_t from, uint64_t now_ms)
{
    uint64_t since_ms = LOAD(&h->since_ms);
    bool again = STATE_OF(from) == GATE_PROBED ||
                 (since_ms != 0 && now_ms - MIN(since_ms, now_ms) < REMEMBER_MS);

    return again ? MIN(LOAD(&h->level) + 1u, 20u) : 0;
}

static void
note_state(struct health *h, enum err why, unsigned level, uint64_t now_ms)
{
    STORE(&h->since_ms, MAX(now_ms, (uint64_t)1));
    STORE(&h->why, (uint16_t)why);
    STORE(&h->level, (uint8_t)level);
    STORE(&h->run, 0);
}

/* Opens it for a time that grows from `base_ms` to `max_ms`, or as long as the provider asks. */
static void
open_gate(struct health *h, uint64_t from, enum err why, uint64_t base_ms, uint64_t max_ms,
    const struct health_verdict *v, uint64_t now_ms)
{
    unsigned level = next_level(h, from, now_ms);
    uint64_t ms = jitter(doubled(base_ms, level, max_ms));

    if (v->retry_after_ms > 0) {    /* all who were told the same should not be back at once */
        uint64_t asked = MIN((uint64_t)v->retry_after_ms, (uint64_t)RETRY_AFTER_MAX_MS);
        ms = MAX(ms, asked + (uint64_t)(JITTER * (double)asked * clock_random_unit()));
    }
    if (gate_move(h, from, gate_make(GATE_OPEN, now_ms + ms)))
        note_state(h, why, level, now_ms);
}

/* What was counted while it was open does not count from now on. */
static void
close_gate(struct health *h, uint64_t from, bool slowly, uint64_t now_ms)
{
    uint64_t period = now_ms / BUCKET_MS;

    if (!gate_move(h, from, slowly ? gate_make(GATE_RECOVERING, now_ms + RECOVERY_MS) : 0))
        return;
    note_state(h, LOAD(&h->why), LOAD(&h->level), now_ms);
    STORE(&h->bucket[period % SHOWN], (period & PERIOD_MASK) << PERIOD_SHIFT);
}

/* Entering. */

enum { PROVIDER, TARGET, KEY, PAIR };    /* of a pass */

_Static_assert(PAIR + 1 == HEALTH_SUBJECTS, "a pass has room for all its gates");

static struct health *
subject(const struct health_pass *p, size_t i)
{
    struct health *const all[] = { p->provider, p->target, p->key, p->pair };

    return all[i];
}

static void
refuse(struct health_refusal *r, enum err why, uint64_t until_ms)
{
    if (until_ms > r->until_ms)
        *r = (struct health_refusal){ why, until_ms };
}

/* May a request pass the gate of subject `i`? If not, *r says so; `share` gets what a slow start
 * admits, and pass->gate[i] what is seen if a probe may begin, or 0. */
static void
judge(struct health_pass *p, size_t i, uint64_t now_ms, double *share, struct health_refusal *r)
{
    struct health *h = subject(p, i);
    uint64_t gate = LOAD(&h->gate), until_ms = UNTIL_OF(gate);
    uint64_t left_ms = until_ms - MIN(until_ms, now_ms);
    enum err why = (enum err)LOAD(&h->why);

    p->gate[i] = 0;
    switch (STATE_OF(gate)) {
    case GATE_CLOSED:
        break;
    case GATE_OPEN:
        if (left_ms != 0)
            refuse(r, why, until_ms);
        p->gate[i] = gate;
        break;
    case GATE_PROBED:
        if (left_ms != 0)
            refuse(r, why, now_ms + MIN(left_ms, (uint64_t)PROBE_WAIT_MS));
        p->gate[i] = gate;
        break;
    case GATE_RECOVERING:
        if (left_ms == 0)
            (void)gate_move(h, gate, 0);
        else
            *share = MIN(*share, MAX(RECOVERY_SHARE, 1 - (double)left_ms / RECOVERY_MS));
        break;
    case GATE_PARKED:
        if (left_ms == 0)
            (void)gate_move(h, gate, 0);
        else
            refuse(r, why, until_ms);
        break;
    case GATE_OFF:
        refuse(r, ERR_SWITCHED_OFF, UINT64_MAX);
        break;
    }
}

/* No verdict: the next request is the probe. */
static void
release(struct health_pass *p, size_t i, uint64_t now_ms)
{
    if ((p->claimed & 1u << i) != 0)
        (void)gate_move(subject(p, i), p->gate[i], gate_make(GATE_OPEN, now_ms));
    p->claimed &= (uint8_t) ~(1u << i);
}

static void
release_all(struct health_pass *p, uint64_t now_ms)
{
    for (size_t i = 0; i < HEALTH_SUBJECTS; i++)
        release(p, i, now_ms);
}

/* Makes this request the probe of all that are half-open, of subject `first` and those after it.
 * False: another one was quicker. */
static bool
claim(struct health_pass *p, size_t first, uint64_t now_ms, struct health_refusal *r)
{
    for (size_t i = first; i < HEALTH_SUBJECTS; i++) {
        uint64_t mine = gate_make(GATE_PROBED, now_ms + PROBE_MS);
        struct health *h = subject(p, i);

        if (h == NULL || p->gate[i] == 0 || UNTIL_OF(p->gate[i]) > now_ms)
            continue;    /* closed, or let through although it is open */
        if (!gate_move(h, p->gate[i], mine)) {
            refuse(r, (enum err)LOAD(&h->why), now_ms + PROBE_WAIT_MS);
            release_all(p, now_ms);
            return false;
        }
        p->gate[i] = mine;
        p->claimed |= (uint8_t)(1u << i);
        p->probe = true;
    }
    return true;
}

static inline void
begin_attempt(struct health *target, uint64_t now_ms)
{
    count(target, now_ms, ONE_BEGUN);
    ADD(&target->busy, 1);
}

COLD static bool
enter_slowly(struct health_pass *p, bool sole, uint64_t now_ms, struct health_refusal *r)
{
    double share = 1;

    if (p->key != NULL && LOAD(&p->key->pairs) != 0)
        p->pair = pair_of(p->table, p->key, p->target, false);
    *r = (struct health_refusal){ OK, 0 };
    for (size_t i = 0; i < HEALTH_SUBJECTS; i++) {
        if (subject(p, i) != NULL)
            judge(p, i, now_ms, &share, r);
    }
    if (r->until_ms != 0)
        return false;
    if (!sole && share < 1 && clock_random_unit() >= share) {
        refuse(r, (enum err)LOAD(&p->target->why), now_ms + RECOVERY_WAIT_MS);
        return false;
    }
    return claim(p, PROVIDER, now_ms, r);
}

bool
health_enter(struct health_table *t, struct health *target, struct health *key, bool sole,
    uint64_t now_ms, struct health_pass *ret, struct health_refusal *ret_refusal)
{
    uint64_t any = LOAD(&t->provider->gate) | LOAD(&target->gate);

    ret->table = t;
    ret->provider = t->provider;
    ret->target = target;
    ret->key = key;
    ret->pair = NULL;
    ret->entered_ms = now_ms;
    ret->answered_ms = 0;
    ret->probe = ret->open = false;
    ret->sole = sole;
    ret->claimed = 0;
    if (key != NULL)
        any |= LOAD(&key->gate) | LOAD(&key->pairs);
    if (UNLIKELY(any != 0) && !enter_slowly(ret, sole, now_ms, ret_refusal)) {
        ret->table = NULL;
        return false;
    }
    begin_attempt(target, now_ms);
    return true;
}

/* Is it open because of failures? */
static bool
is_bypassed(const struct health_pass *p, size_t i)
{
    return STATE_OF(p->gate[i]) == GATE_OPEN || STATE_OF(p->gate[i]) == GATE_PROBED;
}

bool
health_enter_open(struct health_table *t, struct health *target, struct health *key,
    uint64_t now_ms, struct health_pass *ret)
{
    struct health_refusal r;
    uint64_t due_ms = LOAD(&target->open_ms);
    double share = 1;

    if (health_enter(t, target, key, true, now_ms, ret, &r))
        return true;
    if (due_ms > now_ms)
        return false;
    for (size_t i = 0; i < HEALTH_SUBJECTS; i++) {
        r = (struct health_refusal){ OK, 0 };
        if (subject(ret, i) != NULL)
            judge(ret, i, now_ms, &share, &r);
        if (r.until_ms != 0 && !is_bypassed(ret, i))
            return false;    /* a limit, or switched off */
    }
    if (!swap(&target->open_ms, &due_ms, now_ms + OPEN_INTERVAL_MS) ||
        !claim(ret, PROVIDER, now_ms, &r))
        return false;
    ret->table = t;
    ret->open = true;
    begin_attempt(target, now_ms);
    return true;
}

/* Leaving. */

/* When its answer began. */
static inline uint64_t
answered_at(const struct health_pass *p, uint64_t now_ms)
{
    return p->answered_ms != 0 ? p->answered_ms : now_ms;
}

/* Closes what this attempt was the probe of, or was let through. A probe that took longer than
 * another waits for has been replaced: its success is one all the same, or answers that take that
 * long would never close the breaker. */
static void
restore(struct health_pass *p, size_t i, uint64_t now_ms)
{
    if ((p->claimed & 1u << i) != 0 || (p->open && is_bypassed(p, i))) {
        uint64_t gate = LOAD(&subject(p, i)->gate);

        if (STATE_OF(gate) != GATE_PROBED)
            gate = p->gate[i];
        close_gate(subject(p, i), gate, i <= TARGET, now_ms);
    }
    p->gate[i] = 0;
    p->claimed &= (uint8_t) ~(1u << i);
}

static void
good(struct health_pass *p, size_t i, uint64_t now_ms)
{
    if (subject(p, i) == NULL)
        return;
    if (p->probe || p->open)
        restore(p, i, now_ms);
    if (i == KEY)
        note_accepted(p->key, answered_at(p, now_ms));
    else
        note_success(subject(p, i), answered_at(p, now_ms));
}

#define NO_GATE UINT64_MAX

/* The gate that a failure of this attempt may open. NO_GATE: it is open already; or the attempt
 * began before it was closed, and so fails for a reason that may be over. */
static uint64_t
gate_to_open(const struct health_pass *p, size_t i)
{
    const struct health *h = subject(p, i);
    uint64_t gate = LOAD(&h->gate);

    if ((p->claimed & 1u << i) != 0)
        return p->gate[i];
    if (STATE_OF(gate) == GATE_OPEN || STATE_OF(gate) == GATE_PROBED || STATE_OF(gate) == GATE_OFF)
        return NO_GATE;
    return p->entered_ms >= LOAD(&h->since_ms) ? gate : NO_GATE;
}

/* Counts a failure, and opens the breaker if it is one too many. */
static void
bad(struct health_pass *p, size_t i, enum err why, const struct health_verdict *v, uint64_t now_ms)
{
    struct health *h = subject(p, i);
    uint64_t gate = gate_to_open(p, i);

    count(h, now_ms, ONE_FAILED);
    if (gate == NO_GATE || STATE_OF(gate) == GATE_PARKED)
        return;
    STORE(&h->why, (uint16_t)why);
    if (STATE_OF(gate) == GATE_PROBED || is_failing(h, p, lengthen_run(h, now_ms), now_ms))
        open_gate(h, gate, why, COOLDOWN_MS, COOLDOWN_MAX_MS, v, now_ms);
}

/* Opens it whatever was before. */
static void
shut(struct health_pass *p, size_t i, uint64_t base_ms, uint64_t max_ms,
    const struct health_verdict *v, uint64_t now_ms)
{
    struct health *h = subject(p, i);

    if (h == NULL)
        return;
    uint64_t gate = gate_to_open(p, i);
    count(h, now_ms, ONE_FAILED);
    if (gate != NO_GATE)
        open_gate(h, gate, v->outcome, base_ms, max_ms, v, now_ms);
}

/* A key was refused. If it has worked, that may be a mistake of the provider's, and a key without a
 * substitute is missed: it takes a few on end. */
static void
refused(struct health_pass *p, size_t i, const struct health_verdict *v, uint64_t now_ms)
{
    struct health *h = subject(p, i);
    bool worked = LOAD(&h->worked);

    if (worked && (p->claimed & 1u << i) == 0 && lengthen_run(h, now_ms) < KEY_RUN)
        count(h, now_ms, ONE_FAILED);
    else
        shut(p, i, worked ? KEY_WORKED_MS : KEY_MS, KEY_MAX_MS, v, now_ms);
}

/* A limit: it is not a failure, and it ends. */
static void
park(struct health_pass *p, size_t i, const struct health_verdict *v, uint64_t now_ms)
{
    struct health *h = subject(p, i);
    bool named = v->retry_after_ms > 0;
    unsigned level = 0;
    uint64_t gate = h != NULL ? gate_to_open(p, i) : NO_GATE, ms;

    if (gate == NO_GATE)
        return;
    bool parked = STATE_OF(gate) == GATE_PARKED && UNTIL_OF(gate) > now_ms;
    if (named) {
        uint64_t asked = MIN((uint64_t)v->retry_after_ms, (uint64_t)LIMIT_NAMED_MAX_MS);
        ms = asked;
        if (asked > 5000)
            ms += (uint64_t)((double)MIN(asked / 20, (uint64_t)1000) * clock_random_unit());
        if (parked && now_ms + ms <= UNTIL_OF(gate))
            return;
    } else {
        uint64_t last_ms = doubled(LIMIT_MS, LOAD(&h->level), LIMIT_MAX_MS);
        uint64_t since_ms = LOAD(&h->since_ms);

        if (parked)
            return;
        if (since_ms != 0 && now_ms - MIN(since_ms, now_ms) < 4 * last_ms)
            level = MIN(LOAD(&h->level) + 1u, 20u);
        ms = jitter(doubled(LIMIT_MS, level, LIMIT_MAX_MS));
    }
    if (gate_move(h, gate, gate_make(GATE_PARKED, now_ms + ms)))
        note_state(h, v->outcome, level, now_ms);
}

/* The breaker of the key with the model; without a key, the target's own. */
static size_t
pair_subject(struct health_pass *p)
{
    if (p->key == NULL)
        return TARGET;
    if (p->pair == NULL)
        p->pair = pair_of(p->table, p->key, p->target, true);
    return PAIR;
}

COLD static void
leave_slowly(struct health_pass *p, const struct health_verdict *v, uint64_t now_ms)
{
    /* Nothing came when others had answered. Once is chance, but a target that hangs loses every
     * race, and would be asked first for ever. */
    bool outrun = v->outcome == ERR_OUTRUN && v->silent;
    enum failure_blame blame = outrun ? BLAME_TARGET : failure_row(v->outcome)->blame;
    size_t key = p->key != NULL ? KEY : TARGET;

    if (v->outcome == OK) {
        for (size_t i = 0; i < HEALTH_SUBJECTS; i++)
            good(p, i, now_ms);
        return;
    }
    if (blame != BLAME_NOBODY && blame != BLAME_PROVIDER)
        good(p, PROVIDER, now_ms);    /* it could be reached */
    switch (blame) {
    case BLAME_NOBODY:
        break;
    case BLAME_PROVIDER:
        bad(p, PROVIDER, v->outcome, v, now_ms);
        break;
    case BLAME_TARGET:
        bad(p, TARGET, outrun ? ERR_UPSTREAM_TIMEOUT : v->outcome, v, now_ms);
        break;
    case BLAME_GONE:
        shut(p, TARGET, GONE_MS, GONE_MS, v, now_ms);
        break;
    case BLAME_LIMIT:
        good(p, KEY, now_ms);    /* it was accepted */
        park(p, pair_subject(p), v, now_ms);
        break;
    case BLAME_KEY:
        refused(p, key, v, now_ms);
        break;
    case BLAME_KEY_MODEL:
        good(p, KEY, now_ms);
        shut(p, pair_subject(p), KEY_MS, KEY_MAX_MS, v, now_ms);
        break;
    case BLAME_ACCOUNT:
        shut(p, key, ACCOUNT_MS, ACCOUNT_MS, v, now_ms);
        break;
    }
    release_all(p, now_ms);
}

void
health_leave(struct health_pass *pass, const struct health_verdict *v, uint64_t now_ms)
{
    if (pass->table == NULL)
        return;
    ADD(&pass->target->busy, (uint32_t)-1);
    if (pass->answered_ms == 0)
        count(pass->target, now_ms, ONE_ENDED);
    if (LIKELY(v->outcome == OK && !pass->probe && !pass->open)) {
        note_success(pass->provider, answered_at(pass, now_ms));
        note_success(pass->target, answered_at(pass, now_ms));
        if (pass->key != NULL)
            note_accepted(pass->key, answered_at(pass, now_ms));
    } else {
        leave_slowly(pass, v, now_ms);
    }
    pass->table = NULL;
}

void
health_answered(struct health_pass *pass, uint64_t now_ms)
{
    if (pass->table == NULL || pass->answered_ms != 0)
        return;
    pass->answered_ms = MAX(now_ms, (uint64_t)1);
    count(pass->target, now_ms, ONE_ENDED);
    if (LIKELY(!pass->probe && !pass->open))
        return;
    for (size_t i = 0; i < HEALTH_SUBJECTS; i++) {
        if (subject(pass, i) != NULL)
            restore(pass, i, now_ms);
    }
    pass->probe = pass->open = false;
}

bool
health_take_retry(struct health *target, unsigned percent, uint64_t now_ms)
{
    enum { BUCKETS = 3 };
    struct counted c = sum(target, BUCKETS, 0, now_ms);
    uint64_t window_ms = (BUCKETS - 1) * (uint64_t)BUCKET_MS + now_ms % BUCKET_MS + 1;
    /* A thousandth of a retry each, per second. What began is requests and repetitions. */
    uint64_t millis = RETRIES_PER_S * UINT64_C(1000) +
                      c.begun * percent * 1000000 / ((100 + percent) * window_ms);
    uint64_t each_us = UINT64_C(1000000000) / millis, now_us = now_ms * 1000;
    uint64_t due_us = LOAD(&target->retry_us), next_us;

    do {
        next_us = MAX(due_us, now_us) + each_us;
        if (next_us > now_us + RETRY_CREDIT_US)
            return false;
    } while (!swap(&target->retry_us, &due_us, next_us));
    return true;
}

/* Showing and switching. */

struct health_view
health_look(const struct health *h, uint64_t now_ms)
{
    uint64_t gate = LOAD(&h->gate), until_ms = UNTIL_OF(gate);
    struct counted c = sum(h, SHOWN, 0, now_ms);
    struct health_view view = {
        .state = HEALTH_CLOSED,
        .why = (enum err)LOAD(&h->why),
        .since_ms = LOAD(&h->since_ms),
        .ok = c.ended - MIN(c.failed, c.ended),
        .failed = c.failed,
    };

    switch (STATE_OF(gate)) {
    case GATE_CLOSED:
        break;
    case GATE_OPEN:
        view.state = until_ms > now_ms ? HEALTH_OPEN : HEALTH_HALF_OPEN;
        break;
    case GATE_PROBED:
        view.state = HEALTH_HALF_OPEN;
        break;
    case GATE_RECOVERING:
        view.state = until_ms > now_ms ? HEALTH_RECOVERING : HEALTH_CLOSED;
        break;
    case GATE_PARKED:
        view.state = until_ms > now_ms ? HEALTH_OPEN : HEALTH_CLOSED;
        view.since_ms = until_ms > now_ms ? view.since_ms : until_ms;
        break;
    case GATE_OFF:
        view.state = HEALTH_OFF;
        break;
    }
    if (view.state == HEALTH_OPEN)
        view.until_ms = until_ms;
    return view;
}

void
health_switch(struct health *h, bool off, uint64_t now_ms)
{
    uint64_t gate = LOAD(&h->gate);

    while (off ? STATE_OF(gate) != GATE_OFF : gate != 0) {
        if (gate_move(h, gate, off ? gate_make(GATE_OFF, 0) : 0)) {
            note_state(h, OK, 0, now_ms);
            return;
        }
        if (is_shared(h))
            return;
        gate = LOAD(&h->gate);
    }
}

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
