/* client_h2.c - HTTP/2: connects a call with its stream of a shared connection. */
#include "http/client_call.h"

static void
on_sent(void *owner)
{
    struct client_call *call = owner;

    if (timer_is_set(&call->deadline))
        client_call_expect_answer(call);
}

static void
on_head(void *owner, const struct http_head *head)
{
    client_call_head(owner, head);
}

static void
on_data(void *owner, struct str bytes)
{
    struct client_call *call = owner;

    call->events->data(call->owner, bytes);
}

static void
on_kept(void *owner)
{
    client_call_kept(owner);
}

static void
on_end(void *owner)
{
    struct client_call *call = owner;

    call->stream = NULL;
    client_call_finish(call);
}

static void
on_failed(void *owner, enum err why, const char *detail, enum client_fate fate)
{
    struct client_call *call = owner;

    call->stream = NULL;
    client_call_fail(call, why, detail, fate);
}

static const struct h2_stream_events events = {
    .sent = on_sent,
    .head = on_head,
    .data = on_data,
    .kept = on_kept,
    .end = on_end,
    .failed = on_failed,
};

void
client_h2_send(struct client_call *call, struct h2 *h2)
{
    call->transport = &client_transport_h2;
    call->reused = h2_started(h2) != 0;
    call->stream = h2_start(h2, &call->request, &events, call);
    if (call->paused)
        h2_pause(call->stream);
    client_call_expect_answer(call);
}

static void
drop(struct client_call *call)
{
    if (call->stream != NULL)
        h2_cancel(call->stream);
    call->stream = NULL;
}

static void
pause(struct client_call *call)
{
    h2_pause(call->stream);
}

static void
resume(struct client_call *call)
{
    if (!call->paused)
        h2_resume(call->stream);
}

const struct client_transport client_transport_h2 = {
    .drop = drop,
    .pause = pause,
    .resume = resume,
};
