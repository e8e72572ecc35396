/* front.c - makes exchanges of requests, and tells them of their callers. */
#include "gateway/front.h"

#include "gateway/admission.h"
#include "gateway/answer.h"
#include "gateway/attempt.h"
#include "gateway/caller.h"
#include "gateway/gateway.h"
#include "gateway/reply.h"
#include "gateway/settle.h"

static void
run(void *exchange)
{
    gateway_run(exchange);
}

static void
on_request(void *owner, struct server_conn *q)
{
    gateway_run(exchange_create(owner, q, run));
}

static void
on_body(void *owner, struct server_conn *q)
{
    (void)owner;
    exchange_wake(server_user(q));
}

static void
on_body_failed(void *owner, struct server_conn *q, enum err why)
{
    struct exchange *x = server_user(q);

    (void)owner;
    (void)exchange_fail(x, why, "%s", err_row(why)->sentence);
    exchange_wake(x);
}

static void
on_switched(void *owner, struct server_conn *q, struct str bytes)
{
    struct exchange *x = server_user(q);

    (void)owner;
    answer_take_bytes(x->attempt, bytes);
}

static void
on_writable(void *owner, struct server_conn *q)
{
    struct exchange *x = server_user(q);

    (void)owner;
    gateway_writable(x);
}

static void
on_gone(void *owner, struct server_conn *q)
{
    struct exchange *x = server_user(q);
    uint64_t written = server_bytes_out(q);

    (void)owner;
    x->gone = true;
    x->bytes_out = written - MIN(written, server_backlog(q));
    x->q = NULL;
    exchange_wake(x);
}

static void
on_refused(void *owner, const struct server_conn *q, enum err why, const char *detail,
    struct buf *fields, struct buf *body)
{
    struct worker *w = owner;
    struct llm_error e = { .kind = why, .message = str_c(detail) };
    struct arena_mark mark = arena_mark(w->scratch);
    struct str id = trace_request_id(w->scratch, S(""));

    endpoints[ENDPOINT_none].wire->caller->write_error(body, &e, id);
    buf_add(fields, S("Content-Type: application/json\r\n"));
    http_add_field(fields, S("x-request-id"), id);
    http_add_field(fields, S("x-openclaw-error"), str_c(err_row(why)->code));
    settle_refused(w, q, id, why, detail, buf_len(body));
    worker_at(w, NULL);
    arena_rewind(w->scratch, mark);
}

static void
on_tick(struct worker *w)
{
    admission_tick(w);
    caller_tick(w);
}

const struct worker_events front_events = {
    .server = {
        .request = on_request,
        .body = on_body,
        .body_failed = on_body_failed,
        .switched = on_switched,
        .writable = on_writable,
        .gone = on_gone,
        .refused = on_refused,
    },
    .stop = attempt_stop_lone,
    .tick = on_tick,
};
