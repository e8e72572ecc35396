/* health_priv.h - the inside of circuit breakers, for the files of health.h alone.
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
#pragma once

#include "route/health.h"

#define LINE_BYTES 64    /* of a cache */

/* Of a provider. They are never all in use, so that searching ends soon. Models come from callers,
 * too: the last quarter in use is for keys alone. Above SLOTS_KEPT, a reload makes room. */
enum { SLOTS = 256, SLOTS_USED = 192, SLOTS_FOR_TARGETS = 144, SLOTS_KEPT = 96 };

/* Of those, models that nobody configured and that never answered. */
enum { SLOTS_UNPROVEN = 32 };

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
    _Atomic bool unproven;           /* see SLOTS_UNPROVEN */
    _Atomic bool silent;             /* of a target: its last whole answer did not say its usage */
    _Atomic(struct health *) key;    /* of a key with a model: that key */
    _Atomic(struct times *) times;
    _Atomic uint64_t retry_us;        /* as in GCRA: when the retries so far would have been due */
    _Atomic uint64_t other[SHOWN];    /* attempts that failed, but not because of this one */
    /* Written by every request. */
    _Atomic uint64_t bucket[SHOWN];
    _Atomic uint64_t open_ms;    /* when the next one is let through although it is open */
    _Atomic uint32_t busy;       /* of a target: those under way */
};

enum kind { KIND_SHARED = 1, KIND_PROVIDER, KIND_TARGET, KIND_KEY, KIND_PAIR, KIND_FORGOTTEN };
enum { KIND_MASK = 7 };

/* All breakers of a provider. A subject is searched from the slot that its hash names to the first
 * that was never used. */
struct health_store {
    struct health provider;
    struct health shared;    /* by those for whom there was no room */
    struct health slots[SLOTS];
    _Atomic uint32_t used, unproven;    /* slots */
    struct health_table *holders;
};

/* What one holder uses of a store. */
struct health_table {
    struct health_store *store;
    struct health *provider;
    struct health_table *next;             /* of the store's holders */
    _Atomic uint64_t found[SLOTS / 64];    /* a bit for each slot, which is not forgotten meanwhile */
};

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

/* --- subjects (health_subjects.c) --- */

static inline bool
subject_is_shared(const struct health *h)
{
    return LOAD(&h->name) == KIND_SHARED;
}

/* The breaker of a key with a model; NULL if there is none, or (`make`) no room for it. */
struct health *subject_pair(
    struct health_table *t, struct health *key, const struct health *target, bool make);

/* --- gates (health_gates.c) --- */

/* A gate with that state; it ends then, for states that end. */
uint64_t gate_make(enum gate_state state, uint64_t until_ms);

/* The only place that changes a gate. False: it is not `from` any more, or one that never opens. */
bool gate_move(struct health *h, uint64_t from, uint64_t to);

/* `base_ms` doubled `level` times; and a time made longer or shorter at random. */
uint64_t gate_doubled(uint64_t base_ms, unsigned level, uint64_t max_ms);
uint64_t gate_jitter(uint64_t ms);

/* Notes that the breaker came into its state now, and why. */
void gate_note(struct health *h, enum err why, unsigned level, uint64_t now_ms);

/* Opens it for a time that grows from `base_ms` to `max_ms`, or as long as the provider asks. */
void gate_open(struct health *h, uint64_t from, enum err why, uint64_t base_ms, uint64_t max_ms,
    const struct health_verdict *v, uint64_t now_ms);

/* What was counted while it was open does not count from now on. `slowly`: with a slow start. */
void gate_close(struct health *h, uint64_t from, bool slowly, uint64_t now_ms);

/* --- counts (health_counts.c) --- */

struct counted {
    uint64_t begun, ended, failed;
    uint64_t other;    /* of those that ended: neither answered nor failed */
};

/* What the last `buckets` counted, without those before `from_ms`. The attempts at a provider are
 * those at its targets. */
struct counted counts_sum(
    const struct health *h, size_t buckets, uint64_t from_ms, uint64_t now_ms);

/* The bucket's first of its period; or it is full. */
void counts_add_anew(_Atomic uint64_t *bucket, uint64_t seen, uint64_t period, uint64_t one);

static inline void
count_in(_Atomic uint64_t *buckets, uint64_t now_ms, uint64_t one)
{
    uint64_t period = now_ms / BUCKET_MS;
    _Atomic uint64_t *bucket = &buckets[period % SHOWN];
    uint64_t seen = LOAD(bucket);

    period &= PERIOD_MASK;
    if (LIKELY(seen >> PERIOD_SHIFT == period && (seen & one * COUNT_FULL) == 0))
        ADD(bucket, one);
    else
        counts_add_anew(bucket, seen, period, one);
}

static inline void
count(struct health *h, uint64_t now_ms, uint64_t one)
{
    count_in(h->bucket, now_ms, one);
}

/* Failures on end: one more; the run's length. */
uint64_t run_lengthen(struct health *h, uint64_t now_ms);

/* Is a failure of this attempt, the last of `run` on end, more than bad luck? */
bool counts_fail(
    const struct health *h, const struct health_pass *p, uint64_t run, uint64_t now_ms);

/* A success ends a run of failures, unless its answer began before them: streams that go on say
 * nothing about requests that come now. */
void run_end(struct health *h, uint64_t run, uint64_t answered_ms);

static inline void
note_success(struct health *h, uint64_t answered_ms)
{
    uint64_t run = LOAD(&h->run);

    if (UNLIKELY(run != 0))
        run_end(h, run, answered_ms);
}

static inline void
note_accepted(struct health *key, uint64_t answered_ms)
{
    if (UNLIKELY(!LOAD(&key->worked)))
        STORE(&key->worked, true);
    note_success(key, answered_ms);
}
