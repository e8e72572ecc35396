/* exchange.c - the life of an exchange: created, woken, and freed. */
#include "net/waiter.h"
#include "gateway/exchange.h"

#include "llm/count.h"

struct exchange *
exchange_create(struct worker *w, struct server_conn *q, void (*run)(void *exchange))
{
    struct arena *a = worker_take_arena(w, ARENA_EXCHANGE);
    struct exchange *x = arena_alloc_raw(a, sizeof(*x), alignof(struct exchange));
    const struct http_head *head = server_head(q);

    memset(x, 0, sizeof(*x));
    x->arena = a;
    x->owners = 1;
    x->worker = w;
    x->hold = snapshot_hold_take(w->current);
    x->q = q;
    x->wake = (struct deferred){ .fn = run, .arg = x };
    x->endpoint = &endpoints[ENDPOINT_none];
    x->wire = x->endpoint->wire;
    x->started_us = server_started_us(q);
    x->notes_tail = &x->notes;
    x->id = trace_request_id(a, http_field_get(&head->fields, S("x-request-id")));
    trace_begin(&x->trace, http_field_get(&head->fields, S("traceparent")),
        http_field_get(&head->fields, S("tracestate")));
    x->client_ip = arena_str(a, server_peer(q));
    x->method = arena_str(a, head->method);
    x->path_fault = http_path_normalise(a, arena_str(a, head->path), &x->path);
    x->path.text = endpoint_path(x->path.text);
    server_set_user(q, x);
    worker_add(w, &x->link);
    return x;
}

void
exchange_wake(struct exchange *x)
{
    loop_defer(x->worker->loop, &x->wake);
}

struct str
exchange_shown(const struct exchange *x, struct str text)
{
    return secrets_in(x->hold->snapshot->secrets, text) ? S("(withheld: contains a secret)") : text;
}

/* --- the body, and work on it --- */

static void
on_work_done(void *arg)
{
    exchange_wake(arg);
}

bool
exchange_take_body(struct exchange *x, struct buf body)
{
    request_drop(x->request);
    x->request = request_create(x->worker, body, on_work_done, x);
    return x->request != NULL;
}

/* By the tokenizer of the model that answered, if the request can be read. */
static int64_t
count_input(struct llm_request *q, const struct target *t)
{
    struct wire_fault fault;

    if (q->op != OP_CHAT || llm_request_expand(q, &fault) != OK)
        return llm_request_estimate_tokens(q);
    return llm_request_count_tokens(q, model_tokenizer(t->facts, t->wire.model));
}

void
exchange_drop_request(struct exchange *x, const struct target *t, enum exchange_input input)
{
    struct request *r = x->request;

    if (r == NULL)
        return;
    if (input != INPUT_REPORTED && !r->large)
        x->input_estimate =
            input == INPUT_COUNTED ? count_input(&r->llm, t) : llm_request_estimate_tokens(&r->llm);
    x->request = NULL;
    request_drop(r);
}

static void
parse(void *arg)
{
    struct exchange *x = arg;
    const struct conf_server *conf = &exchange_conf(x)->server;
    struct json_limits limits = { .depth = (uint32_t)conf->limit_json_depth,
        .values = (uint32_t)conf->limit_json_values };
    struct request *r = x->request;

    r->llm.doc = json_parse(r->llm.arena, r->llm.body, &limits, &r->bad_json);
}

bool
exchange_parse(struct exchange *x)
{
    return request_work(x->request, parse, x);
}

struct log_context
exchange_log(const struct exchange *x)
{
    return (struct log_context){
        .request_id = x->id, .model_requested = exchange_shown(x, x->model), .attempt = x->attempts
    };
}

void
exchange_end_unpack(struct exchange *x)
{
    unpack_destroy(x->unpack);
    x->unpack = NULL;
    quota_share_give(&x->worker->held, x->unpack_held);
    x->unpack_held = 0;
}

struct str
exchange_join(struct exchange *x, struct str a, struct str b, struct str c)
{
    struct buf *out = &x->worker->text;

    CHECK(buf_len(out) == 0);
    buf_add(out, a);
    buf_add(out, b);
    buf_add(out, c);
    struct str s = arena_str(x->arena, buf_str(out));
    buf_reset(out, SIZE_MAX);
    return s;
}

uint64_t
exchange_due_us(const struct exchange *x)
{
    if (x->begin_by_us == 0 || server_responded(x->q))
        return x->deadline_us;
    return x->deadline_us != 0 ? MIN(x->deadline_us, x->begin_by_us) : x->begin_by_us;
}

bool
exchange_is_late(const struct exchange *x, uint64_t now_us)
{
    uint64_t due_us = exchange_due_us(x);

    return due_us != 0 && now_us > due_us;
}

void
exchange_stop_waiting(struct exchange *x)
{
    waiter_leave(x->waiter);
    slots_drop(&x->worker->awaiting, x->waiter->id);
    x->waiter = NULL;
}

/* --- its end --- */

void
exchange_finish(struct exchange *x)
{
    struct worker *w = x->worker;

    CHECK(x->answered || x->gone);
    CHECK(!x->wake.queued && x->under_way == NULL && !x->slot);
    if (x->streaming)
        w->stream_count--;
    if (x->waiter != NULL)
        exchange_stop_waiting(x);
    exchange_end_unpack(x);
    worker_remove(w, &x->link);
    principal_drop(x->who);
    snapshot_hold_drop(x->hold);
    request_drop(x->request);
    if (--x->owners == 0)
        worker_drop_arena(w, x->arena, ARENA_EXCHANGE);
}
