/* probe.c - one GET per provider that is due, and what it says of its circuit breaker. */
#include "gateway/probe.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "gateway/models.h"
#include "net/timer.h"
#include "route/show.h"

#define DEADLINE_MS 10000u    /* for the head of the answer; the rest of it is not read */

struct probe {
    struct prober *prober;
    struct probe *prev, *next;
    struct snapshot *snapshot;    /* owns the provider */
    const struct provider *provider;
    struct client_call *call;
    struct buf fields, path;
    struct health_table *table;
    struct health_pass pass;
    struct timer deadline;
};

/* Its end is told to the breaker. ERR_CLIENT_GONE: it was given up, which says nothing. */
static void
finish(struct probe *q, enum err outcome, const char *detail)
{
    struct log_context who = { .provider = q->provider->id };

    if (outcome != OK && outcome != ERR_CLIENT_GONE)
        log_warn(&who, "a probe failed: %s (%s)", err_row(outcome)->sentence, detail);
    timer_stop(&q->deadline);
    if (q->call != NULL)
        client_cancel(q->call);
    health_leave(&q->pass, &(struct health_verdict){ .outcome = outcome }, clock_now_ms());
    health_table_drop(q->table);
    LIST_REMOVE(q->prober->first, q);
    buf_fini(&q->fields);
    buf_fini(&q->path);
    snapshot_unref(q->snapshot);
    free(q);
}

/* It is there; whether it likes the request is not the question. */
static void
on_head(void *owner, const struct http_head *head UNUSED)
{
    finish(owner, OK, "");
}

static void
on_data(void *owner UNUSED, struct str bytes UNUSED)
{
}

static void
on_end(void *owner)
{
    struct probe *q = owner;

    q->call = NULL;
    finish(q, ERR_UPSTREAM_CONNECT, "no answer");
}

/* There is no target that could be to blame. */
static void
on_failed(void *owner, enum err why, const char *detail)
{
    struct probe *q = owner;

    q->call = NULL;
    if (why == ERR_UPSTREAM_TIMEOUT)
        why = ERR_UPSTREAM_CONNECT_TIMEOUT;
    else if (failure_row(why)->blame == BLAME_TARGET)
        why = ERR_UPSTREAM_CONNECT;
    finish(q, why, detail);
}

static void
on_deadline(void *arg)
{
    finish(arg, ERR_UPSTREAM_CONNECT_TIMEOUT, "it took too long");
}

static const struct client_events events = {
    .head = on_head,
    .data = on_data,
    .end = on_end,
    .failed = on_failed,
};

/* While its breaker is open there is nothing to do until that lets a request through. */
static void
begin(struct prober *p, struct snapshot *s, const struct provider *provider, uint64_t now_ms)
{
    struct health_table *table = health_table_of(provider);
    struct health_refusal refusal;
    struct health_pass pass;

    if (!health_enter(table, health_target(table, S("")), NULL, false, now_ms, &pass, &refusal)) {
        health_table_drop(table);
        return;
    }
    struct probe *q = check_alloc(calloc(1, sizeof(*q)));

    q->prober = p;
    q->snapshot = snapshot_ref(s);
    q->provider = provider;
    q->table = table;
    q->pass = pass;
    timer_init(&q->deadline, p->loop, on_deadline, q);
    timer_set(&q->deadline, DEADLINE_MS);
    LIST_ADD(p->first, q);
    struct client_request r = models_request(provider, &q->fields, &q->path, DEADLINE_MS);
    q->call = client_start(p->client, &r, &events, q);
}

/* The first probe comes after a random part of the time, so that those of many gateways do not come
 * at once. */
void
probe_look(struct prober *p, struct snapshot *s, uint64_t now_ms)
{
    struct provider *provider;

    for (size_t i = 0; (provider = providers_at(s->providers, i)) != NULL; i++) {
        uint64_t every_ms = provider->probe_ms;

        if (every_ms == 0)
            continue;
        if (provider->probe_due_ms == 0)
            provider->probe_due_ms =
                now_ms + 1 + (uint64_t)((double)every_ms * clock_random_unit());
        if (now_ms < provider->probe_due_ms)
            continue;
        provider->probe_due_ms = now_ms + every_ms;
        begin(p, s, provider, now_ms);
    }
}

void
probe_stop(struct prober *p)
{
    struct probe *next;

    for (struct probe *q = p->first; q != NULL; q = next) {
        next = q->next;
        finish(q, ERR_CLIENT_GONE, "");
    }
}
