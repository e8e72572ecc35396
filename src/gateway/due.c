/* due.c - the deadlines of an attempt that waits for its provider. */
#include "gateway/due.h"

#include "gateway/exchange.h"
#include "gateway/snapshot.h"

#define LAST_BYTE_US 1000000    /* grace for the end of the framing after the protocol's terminator */
#define REFUSAL_US 1000000    /* for the body of an answer with a failed status: the status is known */

static void
sooner(struct due *d, uint64_t since_us, uint64_t limit_us, enum due_action action, enum err why)
{
    if (limit_us != 0 && since_us + limit_us < d->at_us)
        *d = (struct due){ since_us + limit_us, action, why, false };
}

/* How long the provider may be silent. Where tokens cannot be told, any byte counts; and so it does
 * for a caller who would have hung up by then, had it not been kept waiting. */
static void
due_by_silence(const struct attempt *a, struct due *d)
{
    const struct conf_timeouts *limits = &a->target->timeouts;
    const struct intake *in = &a->intake;
    bool begun = in->source != SOURCE_NONE;
    uint64_t before_us = d->at_us;

    if (a->exchange != NULL)
        sooner(d, begun ? in->byte_us : a->note->started_us, a->exchange->silence_us, DUE_FAILURE,
            begun ? ERR_UPSTREAM_STALLED : ERR_UPSTREAM_TIMEOUT);
    d->hurried = d->at_us != before_us;
    if (in->asked_stream && !a->draft.content)
        sooner(d, a->note->started_us, limits->first_token_ms * 1000, DUE_FAILURE,
            ERR_UPSTREAM_TIMEOUT);
    else if (begun)
        sooner(d, attempt_heard_us(a), limits->between_tokens_ms * 1000, DUE_FAILURE,
            ERR_UPSTREAM_STALLED);
}

/* When the caller of a stream should hear something. */
static void
due_by_keepalive(const struct attempt *a, struct due *d)
{
    const struct exchange *x = a->exchange;
    uint64_t since_us = MAX(a->note->started_us, a->note->head_us);

    if (x != NULL && x->attempt == a && (x->op == OP_RELAY ? a->draft.stream : x->stream))
        sooner(d, MAX(x->delivery.sent_us, since_us),
            a->hold->snapshot->conf->server.keepalive_ms * 1000, DUE_KEEPALIVE, OK);
}

/* 0: none. */
static uint64_t
deadline_us(const struct attempt *a)
{
    uint64_t total_ms = a->target->timeouts.total_ms, alone_us;

    if (a->exchange != NULL)
        return exchange_due_us(a->exchange);
    alone_us = attempt_alone_due_us(a);
    if (alone_us != 0)
        return alone_us;
    return total_ms != 0 ? a->note->started_us + total_ms * 1000 : 0;
}

bool
attempt_is_late(const struct attempt *a, uint64_t now_us)
{
    uint64_t due_us = deadline_us(a);

    return due_us != 0 && now_us > due_us;
}

struct due
attempt_due(const struct attempt *a)
{
    const struct intake *in = &a->intake;
    struct due d = { .at_us = UINT64_MAX };

    if (in->raw != NULL && in->raw->session)
        return d;    /* it lasts as long as both sides want */
    sooner(&d, 0, deadline_us(a), DUE_FAILURE, ERR_DEADLINE);
    if (in->source == SOURCE_ERROR) {
        sooner(&d, a->note->head_us, REFUSAL_US, DUE_REFUSAL, OK);
    } else if (!a->paused && in->reader.complete) {
        sooner(&d, attempt_heard_us(a), LAST_BYTE_US, DUE_END, OK);
    } else if (!a->paused) {
        due_by_silence(a, &d);
        if (!a->slow && !a->draft.content) {
            sooner(&d, a->note->started_us, a->slow_us, DUE_SLOW, OK);
            sooner(&d, a->note->started_us, a->hedge_us, DUE_HEDGE, OK);
        }
        due_by_keepalive(a, &d);
    }
    return d;
}
