/* health.h - circuit breakers: what is not asked for a while, because it failed.
 *
 * A provider, each of its models (a target), each of its keys, and each key with each model have a
 * breaker of their own, so that one model's outage or one revoked key takes nothing else down. A
 * breaker is closed; or open until a time; or half-open after it: then one request at a time, in
 * the whole process, is let through as a probe, and its end closes the breaker or opens it again
 * for longer.
 *
 * The breakers of a provider are one table of fixed size, shared by all workers without locks, kept
 * over reloads under the provider's stable name. Subjects are found by a keyed hash, so a key that
 * was replaced starts closed, and no key is kept. What no holder of the table uses any more is
 * forgotten when room is needed; when the table is full, further subjects share a breaker that
 * never opens. Times are clock_now_ms().
 */
#pragma once

#include "base/err.h"
#include "route/concurrency.h"
#include "route/failure.h"
#include "route/latency.h"
#include "route/load.h"

struct health;          /* one breaker, with what was measured; valid as long as its table is held */
struct health_table;    /* those of a provider */

enum health_state {
    HEALTH_CLOSED,
    HEALTH_RECOVERING,    /* closed again: slow start */
    HEALTH_HALF_OPEN,     /* a probe decides */
    HEALTH_OPEN,
    HEALTH_OFF,    /* switched off by an operator */
};

/* What is found in the table of that name (any bytes), which is shared by all who hold it. It may
 * be used by all threads. Holding and dropping take a lock, and so does finding a subject for the
 * first time. */
struct health_table *health_table_hold(struct str name) NEVER_NULL;
void health_table_drop(struct health_table *t);    /* NULL is a no-op */

struct health *health_provider(struct health_table *t) NEVER_NULL;
struct health *health_target(struct health_table *t, struct str model) NEVER_NULL;

/* The same for a model that nobody configured. Callers can invent such names, so few are remembered
 * until one of their requests was answered, which health_prove() tells; further ones share a breaker
 * that never opens. */
struct health *health_target_asked(struct health_table *t, struct str model) NEVER_NULL;
void health_prove(struct health_table *t, struct health *target, struct str model);

/* Is there a breaker for that model? */
bool health_has_target(const struct health_table *t, struct str model);

struct health *health_key(struct health_table *t, struct str credential) NEVER_NULL;

#define HEALTH_SUBJECTS 4

/* What an attempt passes through. */
struct health_pass {
    struct health_table *table;    /* NULL: nothing was entered */
    struct health *provider, *target;
    struct health *key;    /* NULL: the provider needs none */
    bool probe;            /* one or more of them are half-open: this attempt decides */
    bool open;             /* let through although a breaker is open: there is nothing else */

    /* Private to health_*.c. */
    bool sole;
    uint8_t claimed;        /* of which it is the probe: a bit each */
    uint8_t failed;         /* of which its end is counted as a failure: likewise */
    struct health *pair;    /* the key with the model; NULL: nothing is known of it */
    uint64_t entered_ms, answered_ms;
    uint64_t gate[HEALTH_SUBJECTS];    /* which it is the probe of, or was let through */
};

/* Why an attempt may not begin. */
struct health_refusal {
    enum err why;         /* the failure that opened the breaker which stays open longest */
    uint64_t until_ms;    /* when it is worth asking again; UINT64_MAX: not known (ERR_SWITCHED_OFF) */
};

/* May an attempt at that target with that key (may be NULL) begin now? True: `ret` is filled in,
 * and health_leave() must be called once. False: *ret_refusal says why not.
 * After a recovery it is true for a growing share of the calls only (slow start), except for
 * `sole`: there is nothing else to use; which also makes it take more failures to open a breaker.
 */
bool health_enter(struct health_table *t, struct health *target, struct health *key, bool sole,
    uint64_t now_ms, struct health_pass *ret, struct health_refusal *ret_refusal) MUST_CHECK;

/* The same where nothing else is left, and breakers are open because of failures: at a bounded rate
 * per target, requests go through nevertheless (fail open; the panic threshold of Envoy's outlier
 * detection). Not while a provider's limit is the reason: that ends when the provider said. */
bool health_enter_open(struct health_table *t, struct health *target, struct health *key,
    uint64_t now_ms, struct health_pass *ret) MUST_CHECK;

/* How an attempt ended. */
struct health_verdict {
    enum err outcome;          /* OK: it was answered; failure.def says whom others are held against */
    int64_t retry_after_ms;    /* what the provider asked for; 0: nothing */
    /* ERR_OUTRUN: nothing came though it was given the time that the target needs, as a rule. That
     * counts as a failure of the target: one that hangs loses every race. */
    bool silent;
};

/* The first token came. Whatever follows, a breaker that this attempt is the probe of closes, so
 * that it is not half-open as long as a stream takes; and the target is known to have worked now,
 * not at the stream's end. Only the first call counts; without any, an answer begins and ends at
 * once. */
void health_answered(struct health_pass *pass, uint64_t now_ms);

/* Once per pass; a second time it does nothing. Opens and closes breakers. */
void health_leave(struct health_pass *pass, const struct health_verdict *v, uint64_t now_ms);

/* May a request be repeated at the same target? Repetitions are a share of the target's requests
 * (`percent`), and a few a second (Finagle's retry budget). True takes one. */
bool health_take_retry(struct health *target, unsigned percent, uint64_t now_ms) MUST_CHECK;

/* What is shown of a breaker. */
struct health_view {
    enum health_state state;
    enum err why;         /* the failure that opened it, or the last one */
    uint64_t since_ms;    /* in this state since; 0: ever */
    uint64_t until_ms;    /* HEALTH_OPEN: when a probe is let through */
    /* Attempts of the last minute; of a key, only `failed`. */
    uint64_t ok, failed;
    uint64_t other;    /* neither: a key or a limit was to blame, say, or the caller left */
};
struct health_view health_look(const struct health *h, uint64_t now_ms);

/* Switches a provider, target or key off or on by hand. On: it is closed, whatever it was. */
void health_switch(struct health *h, bool off, uint64_t now_ms);

/* Does the target say what its answers used, as far as is known? And that it did, or did not. */
bool health_reports_usage(const struct health *target);
void health_note_usage(struct health *target, bool reported);

/* How long the target takes: until the first token of a stream, or for a whole answer. */
struct latency *health_latency(struct health *target, bool whole) NEVER_NULL;

/* How fast it is now, and what is left of its limits. */
struct load *health_load(struct health *target) NEVER_NULL;

/* Attempts that have entered and not left. */
uint32_t health_busy(const struct health *target);

/* What the limits of a key are remembered by; of NULL, those of a provider that needs none. */
uint64_t health_key_name(const struct health *key);

/* How many requests it takes at once; kept here because it has the same life. */
struct concurrency *health_concurrency(struct health *target) NEVER_NULL;
