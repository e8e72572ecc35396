/* retry.c - decides what is tried when an attempt fails or is slow. */
#include "gateway/retry.h"

#include "base/clock.h"
#include "gateway/attempt.h"
#include "gateway/exchange.h"
#include "net/timer.h"
#include "route/failure.h"

#define SLOW_LEAST_US 1000000u    /* faster targets are not asked twice for a hiccup */
#define SLOW_MOST_US 60000000u
#define BLAMED_UNKNOWN_US 1500000u    /* while few answers have been timed */
#define HINT_GRACE_US 5000u           /* so that the target's clock has reached the time, too */
#define FAILING_LEAST 5u              /* recent failures: fewer say nothing about a share */
#define BODY_BYTES_PER_MS 50u         /* that a model reads, roughly: long prompts take longer */

/* Of an exchange that had a failed attempt, or has to wait. */
struct retry {
    struct timer clock;             /* wakes the exchange */
    bool stop;                      /* no other target may be asked, or could do better */
    bool failed;                    /* an attempt did */
    struct llm_error first;         /* and why the first one did that was asked */
    const struct attempt *cause;    /* that one; NULL: nothing was asked */
    uint64_t soonest_us;            /* when something may be asked again; 0: not known */
    struct llm_error told;
};

static void
on_clock(void *arg)
{
    exchange_wake(arg);
}

static struct retry *
retry_of(struct exchange *x)
{
    if (x->retry == NULL) {
        x->retry = arena_new(x->arena, struct retry);
        timer_init(&x->retry->clock, x->worker->loop, on_clock, x);
    }
    return x->retry;
}

static const struct conf_retry *
conf_of(const struct exchange *x)
{
    return &exchange_conf(x)->retry;
}

/* Until when the caller waits for its answer to begin, as far as it said. */
static uint64_t
patience_us(const struct exchange *x)
{
    uint64_t due_us = exchange_due_us(x);
    uint64_t usual_us = x->started_us + conf_of(x)->patience_ms * 1000;

    if (x->deadline_said || x->begin_by_us != 0)
        return due_us;
    if (x->resumed != NULL)    /* it has begun */
        return due_us != 0 ? due_us : UINT64_MAX;
    return due_us != 0 ? MIN(due_us, usual_us) : usual_us;
}

static void
sooner(struct retry *r, uint64_t at_us, uint64_t now_us)
{
    if (at_us > now_us && (r->soonest_us <= now_us || at_us < r->soonest_us))
        r->soonest_us = at_us;
}

/* --- after a failure --- */

/* Full jitter (Brooker, "Exponential Backoff And Jitter"). */
static uint64_t
backoff_us(const struct conf_retry *c, unsigned repeats)
{
    uint64_t most_ms = MIN(c->base_ms << MIN(repeats, 16), c->cap_ms);

    return (uint64_t)(clock_random_unit() * (double)most_ms * 1000);
}

/* Does the provider have a key that did not fail, and is not benched? */
static bool
has_other_key(const struct plan *plan, const struct candidate *c, uint64_t now_us)
{
    size_t keys = MIN(c->target->provider->credential_count, 64);

    for (size_t k = 0; k < keys; k++) {
        if ((c->keys_failed >> k & 1) != 0)
            continue;
        enum health_state state = health_look(c->target->breakers->keys[k], now_us / 1000).state;
        if ((state != HEALTH_OPEN || plan->insist) && state != HEALTH_OFF)
            return true;
    }
    return false;
}

/* Does the target fail so often that another one is the better choice? Otherwise a share of failures
 * would cost three attempts each. */
static bool
is_failing(const struct target *t, uint64_t now_us)
{
    struct health_view v = health_look(t->health, now_us / 1000);

    return v.failed >= FAILING_LEAST && v.failed * 10 > v.ok + v.failed;
}

/* It is asked again after a backoff, or when it said so. Once; and as a share of the requests. */
static void
ask_again(const struct exchange *x, const struct attempt *a, bool first, uint64_t now_us)
{
    const struct conf_retry *conf = conf_of(x);
    struct candidate *c = a->candidate;
    uint64_t hint_us = (uint64_t)a->error.retry_after_ms * 1000;
    bool soon = hint_us <= conf->wait_ms * 1000;

    c->state = CANDIDATE_CLOSED;
    if (a->error.permanent || x->op == OP_RELAY || c->repeats != 0 || conf->budget_percent == 0)
        return;
    if (hint_us == 0 && plan_has_fresh(&x->plan) && is_failing(c->target, now_us))
        first = false;
    c->unpaid = !first || !soon;    /* plan_pick() takes it when it is needed */
    if (!c->unpaid &&
        !health_take_retry(c->target->health, (unsigned)conf->budget_percent, now_us / 1000))
        return;
    c->state = c->unpaid ? CANDIDATE_SPARE : CANDIDATE_NEXT;
    c->again_us = now_us + (hint_us != 0 ? hint_us : backoff_us(conf, c->repeats));
    c->repeats++;
}

/* Targets with the same context, or a smaller one, cannot take it either. */
static void
close_smaller(struct plan *plan, const struct target *t)
{
    int64_t least = t->facts != NULL ? t->facts->context_tokens : 0;

    for (size_t i = 0; i < plan->count; i++) {
        struct candidate *c = &plan->list[i];
        int64_t has = c->target->facts != NULL ? c->target->facts->context_tokens : 0;

        if (c->state == CANDIDATE_FRESH && least != 0 && has != 0 && has <= least)
            c->state = CANDIDATE_CLOSED;
    }
}

void
retry_note(struct exchange *x, const struct attempt *a)
{
    struct retry *r = retry_of(x);
    struct candidate *c = a->candidate;
    uint64_t now_us = clock_now_us();
    uint64_t hint_us = (uint64_t)a->error.retry_after_ms * 1000;

    bool last = x->op == OP_RELAY && a->sent;
    enum failure_next next =
        failure_next_of(x->plan.alias != NULL ? x->plan.alias->rules : NULL, a->error.kind);

    bool vague = r->first.kind == ERR_UPSTREAM_STALE || r->first.kind == ERR_UNSUPPORTED;

    if (!r->failed || vague || next == NEXT_RETURN || last) {
        r->first = attempt_error_copy(&a->error, x->arena);
        r->cause = a;
    }
    r->failed = true;
    /* What is passed through (files, batches, stored responses, images) is never sent twice, once a
     * provider may have seen some of it. */
    r->stop = r->stop || last || next == NEXT_RETURN;
    if (hint_us != 0)
        sooner(r, now_us + hint_us, now_us);
    c->state = CANDIDATE_CLOSED;
    c->fresh = false;
    if (a->credential < 64)
        c->keys_failed |= UINT64_C(1) << a->credential;
    switch (next) {
    case NEXT_RETURN:
        break;
    case NEXT_AGAIN:    /* on a new connection, and the last time */
        if (x->op != OP_RELAY && c->repeats == 0 && !a->fresh) {
            c->state = CANDIDATE_NEXT;
            c->again_us = now_us;
            c->keys_failed = 0;
            c->fresh = true;
        }
        break;
    case NEXT_SAME:
        c->keys_failed = 0;
        ask_again(x, a, true, now_us);
        break;
    case NEXT_OTHER:
        c->keys_failed = 0;
        ask_again(x, a, false, now_us);
        break;
    case NEXT_MOVE:
        break;
    case NEXT_KEY:
        if (has_other_key(&x->plan, c, now_us)) {
            c->state = CANDIDATE_NEXT;
            c->again_us = now_us;
        } else if (a->error.kind == ERR_UPSTREAM_RATE_LIMIT) {
            c->keys_failed = 0;
            ask_again(x, a, true, now_us);
        }
        break;
    case NEXT_LARGER:
        close_smaller(&x->plan, a->target);
        break;
    }
}

/* --- what comes next --- */

/* A stream that has begun goes on with comments while nobody is asked. Returns when the next is
 * due. */
static uint64_t
keep_alive(struct exchange *x, uint64_t now_us)
{
    uint64_t every_us = exchange_conf(x)->server.keepalive_ms * 1000;

    if (every_us == 0 || !x->stream || x->op == OP_RELAY || !server_responded(x->q))
        return UINT64_MAX;
    if (now_us >= x->delivery.sent_us + every_us) {
        server_write(x->q, x->framing->keepalive);
        x->delivery.sent_us = now_us;
    }
    return x->delivery.sent_us + every_us;
}

/* Wakes the exchange then, or sooner, if the caller is still there. */
static bool
wait_until(struct exchange *x, struct retry *r, uint64_t at_us, uint64_t now_us)
{
    if (at_us > patience_us(x))
        return false;
    at_us = MIN(at_us, keep_alive(x, now_us));
    timer_set(&r->clock, at_us > now_us ? (at_us - now_us + 999) / 1000 : 0);
    return true;
}

enum retry_next
retry_next(struct exchange *x, bool beside, struct pick *ret)
{
    uint64_t now_us = clock_now_us();
    bool spent = x->attempts != 0 && x->attempts >= conf_of(x)->attempts;
    struct retry *r = x->retry;

    if (exchange_is_late(x, now_us)) {
        r = retry_of(x);
        r->failed = true;
        r->first = (struct llm_error){ .kind = ERR_DEADLINE };
        return beside ? RETRY_WAIT : RETRY_OVER;
    }
    if (spent || (r != NULL && r->stop))
        return beside ? RETRY_WAIT : RETRY_OVER;
    /* Other routes than calls of models have nowhere else to go. */
    x->plan.insist = x->op == OP_RELAY || !conf_of(x)->breakers;
    x->plan.retry_percent = (unsigned)conf_of(x)->budget_percent;
    enum pick_when when = plan_pick(&x->plan, beside, now_us, ret);
    if (when == PICK_NOW)
        return RETRY_BEGIN;
    if (beside && when == PICK_NEVER)
        return RETRY_WAIT;
    r = retry_of(x);
    if ((when == PICK_LATER && wait_until(x, r, ret->at_us, now_us)) || beside)
        return RETRY_WAIT;
    sooner(r, ret->at_us, now_us);
    if (!r->failed) {    /* nothing was asked */
        enum err why = ret->why != OK ? ret->why : ERR_UPSTREAM_OVERLOADED;

        r->failed = true;
        r->first = (struct llm_error){ .kind = why,
            .message = arena_printf(x->arena, "%s%s", err_row(why)->sentence,
                why == ERR_SWITCHED_OFF ? ""
                : ret->why == OK        ? ": it has as many requests as it takes at once"
                                        : ": it is not asked until its circuit breaker closes") };
    }
    return RETRY_OVER;
}

const struct llm_error *
retry_failure(struct exchange *x)
{
    struct retry *r = x->retry;
    uint64_t now_us = clock_now_us();

    CHECK(r != NULL && r->failed);
    r->told = r->first;
    if (err_row(r->told.kind)->fault == FAULT_PROVIDER)
        r->told.retry_after_ms =
            r->soonest_us > now_us ? (int64_t)((r->soonest_us - now_us + 999) / 1000) : 0;
    /* The provider's own document is that of the last attempt. */
    r->told.as_is = r->told.as_is && r->cause == x->attempt;
    return &r->told;
}

const struct attempt *
retry_cause(const struct exchange *x, const struct llm_error *e)
{
    return x->retry != NULL && e == &x->retry->told ? x->retry->cause : x->attempt;
}

/* From the 99th percentile of the target's own times; while few are known (0), from what is configured
 * and the request's size. */
static uint64_t
silent_us(const struct exchange *x, uint64_t usual_ms)
{
    const struct conf_retry *conf = conf_of(x);
    uint64_t us = usual_ms * 1500;

    if (usual_ms == 0)
        us = (conf->slow_ms + (x->stream ? 0 : conf->slow_ms / 4) +
                 x->bytes_in / BODY_BYTES_PER_MS) *
             1000;
    return MIN(MAX(us, SLOW_LEAST_US), SLOW_MOST_US);
}

/* A target that never answered may be left for one that does somewhat sooner, though not so soon that
 * callers in a hurry could have it left at will. */
static uint64_t
blamed_us(uint64_t silent_us, uint64_t usual_ms)
{
    return usual_ms != 0 ? silent_us : MIN(silent_us, BLAMED_UNKNOWN_US);
}

/* Two more targets may have to be asked before a caller leaves that says when. */
static uint64_t
slow_us(const struct exchange *x, uint64_t usual_us)
{
    uint64_t now_us = clock_now_us(), due_us = patience_us(x);

    if (!x->deadline_said && x->begin_by_us == 0)
        return usual_us;
    return MIN(usual_us, due_us > now_us ? (due_us - now_us) * 2 / 5 : 1);
}

void
retry_set_clocks(const struct exchange *x, struct attempt *a)
{
    struct hedge *hedge = x->plan.alias != NULL ? x->plan.alias->hedge : NULL;
    const struct latency *times = health_latency(a->target->health, !x->stream);

    if (x->op == OP_RELAY || !plan_has_fresh(&x->plan))
        return;
    if (conf_of(x)->slow_ms != 0) {
        uint64_t usual_ms = latency_quantile_ms(times, 990);
        uint64_t usual_us = silent_us(x, usual_ms);

        a->silent_us = blamed_us(usual_us, usual_ms);
        a->slow_us = slow_us(x, usual_us);
    }
    if (hedge == NULL || x->attempts != 1)
        return;
    hedge_note_request(hedge);
    a->hedge_us = latency_quantile_ms(times, hedge->permille) * 1000;
}

void
retry_end(struct exchange *x)
{
    if (x->retry != NULL)
        timer_stop(&x->retry->clock);
}
