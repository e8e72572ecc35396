/* chaos.c - injects faults into attempts. */
#include "gateway/chaos.h"

#include <stdio.h>

#include "gateway/exchange.h"

#define ON_PURPOSE "injected (chaos.faults)"
#define MATCH_BYTES 512
#define MIX UINT64_C(0x9e3779b97f4a7c15)

static const char *const kinds[] = {
    [CHAOS_DELAY] = "delay",
    [CHAOS_STATUS] = "status",
    [CHAOS_RESET] = "reset",
    [CHAOS_CUT] = "cut",
    [CHAOS_STALL] = "stall",
};

/* What an attempt has that is treated so; in its arena. */
struct chaos {
    struct attempt *attempt;
    const struct client_events *events;    /* the attempt's own */
    const struct conf_fault *fault;        /* of the attempt's snapshot */
    struct timer timer;
    uint64_t left_bytes;    /* of the answer, until it is cut or stalls */
    bool silent;            /* it has stalled */
};

/* --- whether --- */

/* The next random number of the worker: splitmix64 (Vigna), so that a seed repeats the faults of a
 * run with one worker. */
static uint64_t
next_random(struct worker *w, uint64_t seed)
{
    uint64_t z = (seed != 0 ? seed : w->gateway->started_wall_ms) + ((uint64_t)w->index << 32) +
                 ++w->chaos_rolls * MIX;

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Is the fault meant for this target: by "provider/model" with globs, or by the provider's name? */
static bool
is_meant(const struct conf_fault *f, const struct target *t)
{
    UNINITIALIZED char name[MATCH_BYTES];
    struct str provider = t->provider->id, model = t->wire.model;

    if (f->target.v.n == 0 || str_eq(f->target.v, provider))
        return true;
    if (provider.n + 1 + model.n > sizeof(name))
        return false;
    memcpy(name, provider.p, provider.n);
    name[provider.n] = '/';
    memcpy(name + provider.n + 1, model.p, model.n);
    return auth_glob(f->target.v, str_make(name, provider.n + 1 + model.n));
}

/* The first fault that is meant for the target and whose dice say so; NULL: none. */
const struct conf_fault *
chaos_pick(const struct attempt *a)
{
    const struct conf_chaos *c = &a->hold->snapshot->conf->chaos;

    for (size_t i = 0; i < c->fault_count; i++)
        if (is_meant(&c->faults[i], a->target) &&
            next_random(a->worker, c->seed) % 100 < c->faults[i].share_percent)
            return &c->faults[i];
    return NULL;
}

/* --- instead of a call --- */

static void
answer_status(struct chaos *c)
{
    struct attempt *a = c->attempt;
    UNINITIALIZED char seconds[24];
    struct http_field list[2] = { { .name = S("content-type"), .value = S("application/json") },
        { .name = S("retry-after") } };
    struct http_head head = { .status = (int)c->fault->status,
        .content_length = -1,
        .fields = { .list = list, .count = 1 } };

    if (c->fault->retry_after_ms != 0) {
        int n = snprintf(seconds, sizeof(seconds), "%llu",
            (unsigned long long)(c->fault->retry_after_ms + 999) / 1000);
        list[head.fields.count++].value = str_make(seconds, (size_t)n);
    }
    c->events->head(a, &head);
    c->events->data(a, S("{\"error\":{\"message\":\"" ON_PURPOSE "\",\"type\":\"chaos\"}}"));
    c->events->end(a);
}

/* A callback of the loop, as those of a call are. */
static void
on_timer(void *arg)
{
    struct chaos *c = arg;
    struct attempt *a = c->attempt;

    switch (c->fault->kind) {
    case CHAOS_DELAY:
        a->call = client_start(a->worker->client, &a->written->q, c->events, a);
        break;
    case CHAOS_STATUS:
        answer_status(c);
        break;
    case CHAOS_RESET:
        c->events->failed(a, ERR_UPSTREAM_RESET, ON_PURPOSE);
        break;
    case CHAOS_STALL:
        c->events->failed(a, ERR_UPSTREAM_TIMEOUT, ON_PURPOSE);
        break;
    case CHAOS_CUT:
    case CHAOS_NOT:
        CHECK_UNREACHABLE();
    }
}

/* --- between a call and its attempt --- */

static void
on_connected(void *owner, bool reused, uint64_t connect_us)
{
    struct chaos *c = owner;

    c->events->connected(c->attempt, reused, connect_us);
}

static void
on_head(void *owner, const struct http_head *head)
{
    struct chaos *c = owner;

    c->events->head(c->attempt, head);
}

/* The provider has sent as much as it may: it goes silent, or its connection is cut. */
static void
stop_here(struct chaos *c)
{
    struct attempt *a = c->attempt;

    c->silent = true;
    if (c->fault->kind == CHAOS_STALL)
        return;
    if (a->call != NULL)
        client_cancel(a->call);
    c->events->failed(a, ERR_UPSTREAM_TRUNCATED, ON_PURPOSE);
}

static void
on_data(void *owner, struct str bytes)
{
    struct chaos *c = owner;
    size_t n = (size_t)MIN(bytes.n, c->left_bytes);

    if (c->silent)
        return;
    c->left_bytes -= n;
    if (n != 0)
        c->events->data(c->attempt, str_make(bytes.p, n));
    if (n < bytes.n)
        stop_here(c);
}

static void
on_end(void *owner)
{
    struct chaos *c = owner;

    if (c->silent)
        c->attempt->call = NULL;
    else
        c->events->end(c->attempt);
}

static void
on_failed(void *owner, enum err why, const char *detail)
{
    struct chaos *c = owner;

    if (c->silent)
        c->attempt->call = NULL;
    else
        c->events->failed(c->attempt, why, detail);
}

static void
on_resent(void *owner)
{
    struct chaos *c = owner;

    c->events->resent(c->attempt);
}

static void
on_kept(void *owner)
{
    struct chaos *c = owner;

    c->events->kept(c->attempt);
}

static const struct client_events between = {
    .connected = on_connected,
    .resent = on_resent,
    .head = on_head,
    .data = on_data,
    .kept = on_kept,
    .end = on_end,
    .failed = on_failed,
};

/* --- */

void
chaos_begin(struct attempt *a, const struct conf_fault *fault, const struct client_events *events)
{
    struct chaos *c = arena_new(a->arena, struct chaos);
    struct log_context who = attempt_log(a);
    uint64_t first_byte_ms = a->written->q.first_byte_ms;

    *c = (struct chaos){
        .attempt = a, .events = events, .fault = fault, .left_bytes = fault->after_bytes
    };
    timer_init(&c->timer, a->worker->loop, on_timer, c);
    a->chaos = &c->timer;
    if (a->exchange != NULL)
        a->exchange->chaos = kinds[fault->kind];
    metric_add(&a->worker->metrics->chaos_faults, 1);
    log_warn(&who, "chaos: this attempt gets a fault: %s", kinds[fault->kind]);
    a->sent = fault->kind != CHAOS_DELAY;    /* as if: it may have been processed */
    switch (fault->kind) {
    case CHAOS_DELAY:
        timer_set(&c->timer, fault->delay_ms);
        return;
    case CHAOS_STATUS:
    case CHAOS_RESET:
        timer_set(&c->timer, 0);
        return;
    case CHAOS_STALL:
        if (fault->after_bytes != 0)
            break;
        if (first_byte_ms != 0)
            timer_set(&c->timer, first_byte_ms);
        return;
    case CHAOS_CUT:
        break;
    case CHAOS_NOT:
        CHECK_UNREACHABLE();
    }
    a->call = client_start(a->worker->client, &a->written->q, &between, c);
}

void
chaos_warn(const struct conf *conf)
{
    for (size_t i = 0; i < conf->chaos.fault_count; i++) {
        const struct conf_fault *f = &conf->chaos.faults[i];

        log_warn(NULL,
            "CHAOS IS ON: %llu %% of the attempts at " STR_FMT
            " get a fault: %s (chaos.faults); remove the section to end it",
            (unsigned long long)f->share_percent,
            STR_ARG(f->target.v.n != 0 ? f->target.v : S("all targets")), kinds[f->kind]);
    }
}
