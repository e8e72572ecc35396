/* admission.c - slots for concurrent requests, and the exchanges that wait for them. */
#include "gateway/admission.h"

#include "base/clock.h"
#include "gateway/reply.h"

#define SMALL_BODY_BYTES (64 * 1024)    /* received while it waits; larger ones stay in the network */

/* The limit that a request exceeds. */
enum full { FULL_NOT, FULL_WORKER, FULL_SHARE, FULL_KEY };

/* What an exchange has while it waits; in its arena. */
struct waiting {
    struct lines_link link;
    struct exchange *exchange;
    struct timer timer;    /* its time is up */
    uint64_t since_us;
    enum full why;
    bool own_deadline;    /* of the exchange */
    enum { WAITS, SERVED, LATE } state;
};

static struct exchange *
exchange_at(struct lines_link *l)
{
    return CONTAINER_OF(l, struct waiting, link)->exchange;
}

/* Looked up only when there is too much to do. */
enum priority
admission_priority(const struct exchange *x)
{
    struct str wish = http_field_get(&server_head(x->q)->fields, S("x-openclaw-priority"));

    return priority_lowered(x->who->priority, wish);
}

/* --- slots --- */

static uint64_t
part(uint64_t whole, uint64_t percent)
{
    return (whole * percent + 99) / 100;
}

/* The defaults of limits on keys do not hold for clients on this machine. */
static bool
take_key_slot(const struct exchange *x)
{
    uint64_t own = x->who->concurrent, all = exchange_conf(x)->server.limit_streams_per_key;

    if (in_flight_begin(x->who->in_flight, own != 0 ? own : all))
        return true;
    return own == 0 && all == CONF_STREAMS_PER_KEY && server_is_local(x->q) &&
           in_flight_begin(x->who->in_flight, 0);
}

/* Takes a slot of the worker and one of the key, or says of which there is none. The worker's limits
 * are those in force now: one that waits may have come before a reload. */
static enum full
take_slot(struct exchange *x)
{
    struct worker *w = x->worker;
    const struct conf_server *limits = &w->current->snapshot->conf->server;
    uint32_t *here = &x->who->in_flight->here[w->index];

    if (w->admitted >= limits->limit_requests)
        return FULL_WORKER;
    if (x->who->shares && *here >= part(limits->limit_requests, limits->limit_key_share))
        return FULL_SHARE;
    if (!take_key_slot(x))
        return FULL_KEY;
    w->admitted++;
    *here += x->who->shares;
    x->slot = true;
    return FULL_NOT;
}

static void
drop_slot(struct exchange *x)
{
    in_flight_end(x->who->in_flight);
    x->who->in_flight->here[x->worker->index] -= x->who->shares;
    x->worker->admitted--;
    x->slot = false;
}

/* --- refusing --- */

COLD static enum step
refuse(struct exchange *x, enum full why, int64_t retry_after_ms)
{
    const struct conf_server *limits = &exchange_conf(x)->server;
    struct str text = S("");

    switch (why) {
    case FULL_NOT:
        CHECK_UNREACHABLE();
    case FULL_WORKER:
        text = arena_printf(x->arena,
            "the gateway is already processing %u requests (server.limits.requests); "
            "try again in a moment",
            x->worker->admitted);
        break;
    case FULL_SHARE:
        text = arena_printf(x->arena,
            "this API key already has its share of the requests in progress "
            "(server.limits.key_share: %llu %% of %llu)",
            (unsigned long long)limits->limit_key_share,
            (unsigned long long)limits->limit_requests);
        break;
    case FULL_KEY:
        text = arena_printf(x->arena, "this API key already has %u requests in progress (%s)",
            in_flight_count(x->who->in_flight),
            x->who->concurrent != 0 ? "its concurrent, in auth.keys"
                                    : "server.limits.streams_per_key");
        break;
    }
    return exchange_fail_with(
        x, &(struct llm_error){ .kind = why == FULL_WORKER ? ERR_OVERLOADED : ERR_RATE_LIMIT,
               .message = text,
               .retry_after_ms = retry_after_ms });
}

COLD static enum step
refuse_for_memory(struct exchange *x, enum ceiling_level level)
{
    metric_add(&x->worker->metrics->shed_memory, 1);
    return exchange_fail_with(
        x, &(struct llm_error){ .kind = ERR_OVERLOADED,
               .message = S("the gateway is short of memory (server.limits.memory); try again in a "
                            "moment"),
               .retry_after_ms = ceiling_retry_after_ms(level, x->started_us) });
}

/* --- waiting --- */

static int64_t
retry_after_ms(const struct exchange *x)
{
    return lines_retry_after_ms(x->worker->queue, clock_now_us(), x->started_us);
}

static void
on_late(void *arg)
{
    struct waiting *wait = arg;
    struct exchange *x = wait->exchange;

    lines_remove(x->worker->queue, &wait->link);
    wait->state = LATE;
    exchange_wake(x);
}

/* How much is left of its own deadline. */
static uint64_t
left_us(const struct exchange *x, uint64_t now_us)
{
    uint64_t due_us = exchange_due_us(x);

    if (due_us == 0)
        return UINT64_MAX;
    return due_us > now_us ? due_us - now_us : 1;
}

/* Puts it into the queue. The caller can be heard leaving once its body is read: a small one is. */
COLD static enum step
wait_in_queue(struct exchange *x, enum full why)
{
    const struct conf_server *conf = &exchange_conf(x)->server;
    struct worker *w = x->worker;
    struct waiting *wait = arena_new(x->arena, struct waiting);
    uint64_t now_us = clock_now_us();
    uint64_t most_us = conf->queue_wait_ms * 1000, own_us = left_us(x, now_us);
    const struct lines_limits limits = {
        .length = (unsigned)conf->queue_length,
        .share_percent = x->who->shares ? (unsigned)conf->queue_key_share : 100,
        .wait_us = MIN(most_us, own_us),
    };

    if (w->queue == NULL)
        w->queue = lines_create();
    *wait = (struct waiting){
        .exchange = x, .since_us = now_us, .why = why, .own_deadline = own_us <= most_us
    };
    if (lines_add(w->queue, &wait->link, x->who->in_flight, admission_priority(x), &limits,
            now_us) != LINES_WAITS) {
        metric_add(&w->metrics->shed_queue, 1);
        return refuse(x, why, retry_after_ms(x));
    }
    x->waiting = wait;
    timer_init(&wait->timer, w->loop, on_late, wait);
    timer_set(&wait->timer, limits.wait_us / 1000 + 1);
    worker_stir(w);
    int64_t length = server_head(x->q)->content_length;
    if (length >= 0 && length <= SMALL_BODY_BYTES)
        (void)server_receive(x->q);
    return STEP_WAIT;
}

/* It was woken: is it its turn? */
static enum step
go_on_waiting(struct exchange *x)
{
    struct waiting *wait = x->waiting;

    if (wait->state == WAITS)
        return STEP_WAIT;
    x->waiting = NULL;
    x->queued_us = clock_now_us() - wait->since_us;
    METRIC_OBSERVE(x->worker->metrics, queue_wait, x->queued_us);
    if (wait->state == SERVED)
        return STEP_NEXT;
    if (wait->own_deadline)
        return exchange_fail(x, ERR_DEADLINE, "%s", err_row(ERR_DEADLINE)->sentence);
    metric_add(&x->worker->metrics->queue_expired, 1);
    return refuse(x, wait->why, retry_after_ms(x));
}

static bool
may_begin(void *arg UNUSED, struct lines_link *l)
{
    struct exchange *x = exchange_at(l);

    enum ceiling_level level =
        atomic_load_explicit(&x->worker->gateway->memory_level, memory_order_relaxed);

    if (x->q == NULL || (level != CEILING_FREE && ceiling_sheds(level, admission_priority(x))))
        return false;
    return take_slot(x) == FULL_NOT;
}

/* Gives slots that are free to those who wait. */
static void
serve(struct worker *w)
{
    const struct conf_server *conf = &w->current->snapshot->conf->server;
    struct lines_link *l;

    while ((l = lines_next(w->queue, may_begin, NULL, clock_now_us())) != NULL) {
        struct waiting *wait = CONTAINER_OF(l, struct waiting, link);

        timer_stop(&wait->timer);
        wait->state = SERVED;
        exchange_wake(wait->exchange);
    }
    if (w->admitted < conf->limit_requests)
        lines_note_idle(w->queue, clock_now_us());
}

static bool
somebody_waits(const struct worker *w)
{
    return w->queue != NULL && lines_count(w->queue) != 0;
}

/* --- */

enum step
admission_ask(struct exchange *x)
{
    struct worker *w = x->worker;
    enum ceiling_level level =
        atomic_load_explicit(&w->gateway->memory_level, memory_order_relaxed);

    if (UNLIKELY(x->waiting != NULL))
        return go_on_waiting(x);
    if (UNLIKELY(level != CEILING_FREE) && ceiling_sheds(level, admission_priority(x)))
        return refuse_for_memory(x, level);
    /* Not before others of its key. Those of other keys that wait, wait for slots of theirs. */
    if (UNLIKELY(somebody_waits(w)) && lines_has_key(w->queue, x->who->in_flight))
        return wait_in_queue(
            x, w->admitted >= exchange_conf(x)->server.limit_requests ? FULL_WORKER : FULL_KEY);
    enum full why = take_slot(x);
    if (why == FULL_NOT)
        return STEP_NEXT;
    return exchange_conf(x)->server.queue_length != 0 ? wait_in_queue(x, why) : refuse(x, why, 0);
}

void
admission_leave(struct exchange *x)
{
    struct worker *w = x->worker;

    if (UNLIKELY(x->waiting != NULL)) {
        timer_stop(&x->waiting->timer);
        if (x->waiting->state == WAITS)
            lines_remove(w->queue, &x->waiting->link);
    }
    if (x->slot)
        drop_slot(x);
    if (UNLIKELY(somebody_waits(w)))
        serve(w);
}

void
admission_tick(struct worker *w)
{
    if (somebody_waits(w)) {
        serve(w);
        worker_stir(w);
    }
}
