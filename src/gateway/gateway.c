/* gateway.c - the life of a request from start to end. Read this file first.
 *
 * An exchange passes through the stages below. A stage does one thing and returns STEP_NEXT,
 * STEP_WAIT (it is called again once the exchange is woken) or STEP_STOP. Every exchange ends in
 * exchange_finish(), exactly once.
 */
#include "gateway/gateway.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/admission.h"
#include "gateway/answer.h"
#include "gateway/book.h"
#include "gateway/browser.h"
#include "gateway/caller.h"
#include "gateway/choice.h"
#include "gateway/continued.h"
#include "gateway/credentials.h"
#include "gateway/deadline.h"
#include "gateway/judge.h"
#include "gateway/local.h"
#include "gateway/passed.h"
#include "gateway/query.h"
#include "gateway/reply.h"
#include "gateway/reserve.h"
#include "gateway/resume.h"
#include "gateway/retry.h"
#include "gateway/settle.h"
#include "gateway/shadow.h"
#include "gateway/stored.h"
#include "llm/wishes.h"

#define UNPACK_SMALL_BYTES (128u * 1024)    /* a small body and its decoder; allowed at the limit */

#define AT_MEMORY_LIMIT                                                                            \
    "the gateway is at its memory limit (server.limits.held); try again in a moment"

/* Does this listener serve the endpoint? If there is an admin listener, metrics and the admin API
 * are served only there and on the local socket; neither of these serves model requests. */
static bool
is_on_this_listener(const struct exchange *x)
{
    bool admin = server_role(x->q) != 0;

    if (x->endpoint->kind == ENDPOINT_IS_ADMIN || x->endpoint->kind == ENDPOINT_IS_CONTROL)
        return admin || !x->worker->has_admin;
    return !admin || !endpoint_needs_key(x->endpoint);
}

/* Without API keys, DNS rebinding would let a web page read whatever a program on this machine can
 * read. Health checks reveal nothing to such a Host, and browsers do not connect to Unix sockets,
 * so both are exempt. */
static bool
is_refused_host(const struct exchange *x)
{
    const struct conf *c = exchange_conf(x);
    struct str host = http_field_get(&server_head(x->q)->fields, S("host"));

    return c->auth.mode == AUTH_NONE && x->endpoint->kind != ENDPOINT_IS_HEALTH &&
           !str_eq(x->client_ip, S("unix")) && !browser_is_our_host(&c->server, host);
}

/* Finds the endpoint and the protocol. CORS preflight requests are answered here. */
static enum step
stage_match(struct exchange *x)
{
    const struct http_head *head = server_head(x->q);
    struct str path = x->path.text;
    enum err e;

    x->endpoint = endpoint_find(head->method, &x->path, &e);
    x->wire = endpoint_wire(x->endpoint, head);
    if (is_refused_host(x))
        return exchange_fail(x, ERR_FORBIDDEN,
            "the Host field is not an address of this gateway; without API keys, other host "
            "names must be listed in server.hosts");
    if (str_eq(head->method, S("OPTIONS")) && http_field_get(&head->fields, S("origin")).n != 0) {
        exchange_answer(x, 204, S(""), S(""));
        return STEP_STOP;
    }
    if (x->path_fault != NULL)
        return exchange_fail(x, ERR_BAD_REQUEST, "%s", x->path_fault);
    if (e == ERR_METHOD)
        return exchange_fail(x, e, STR_FMT " supports " STR_FMT ", not " STR_FMT, STR_ARG(path),
            STR_ARG(endpoint_methods(x->endpoint)), STR_ARG(head->method));
    if (e == ERR_BAD_REQUEST)
        return exchange_fail(x, e,
            "the path contains ';' or one of / \\ ? # percent-encoded, which is not allowed in "
            "routes that are passed through");
    if (e != OK)
        return exchange_fail(x, e,
            "there is no route " STR_FMT " " STR_FMT "%s; GET / lists all routes",
            STR_ARG(head->method), STR_ARG(path),
            x->endpoint != &endpoints[ENDPOINT_none] ? " (paths are case-sensitive)" : "");
    struct str base = endpoint_lacks(x->endpoint, path);
    if (base.n != 0)
        x->path.text = exchange_join(x, base, path, S(""));
    if (!is_on_this_listener(x))
        return exchange_fail(x, ERR_NO_ROUTE,
            server_role(x->q) == WORKER_ROLE_LOCAL
                ? "this socket (server.admin_socket) serves the admin API only; send model requests "
                  "to server.listen"
            : server_role(x->q) == WORKER_ROLE_ADMIN
                ? "this address (server.admin_listen) serves health checks and metrics only; "
                  "send model requests to server.listen"
            : x->endpoint->kind == ENDPOINT_IS_ADMIN
                ? "metrics are served at server.admin_listen only"
                : "the admin API is served at server.admin_listen and server.admin_socket only");
    return STEP_NEXT;
}

/* Without API keys, any web page opened on this machine could send requests at the operator's
 * expense. */
static bool
is_refused_page(const struct exchange *x)
{
    const struct conf *c = exchange_conf(x);

    return c->auth.mode == AUTH_NONE && browser_is_foreign_page(&c->server, server_head(x->q));
}

/* Identifies the client. Health checks and metrics need no key. */
static enum step
stage_authenticate(struct exchange *x)
{
    struct str credential = query_caller_key(x);
    enum step step;
    enum err e = caller_identify(x, credential, &step);
    bool needs_key = endpoint_needs_key(x->endpoint);

    if (step == STEP_WAIT)
        return step;
    if (e != OK && needs_key)
        return caller_refuse(x, e, credential);
    if (needs_key && is_refused_page(x))
        return exchange_fail(x, ERR_FORBIDDEN,
            "web pages of this origin may not use the gateway; "
            "add the origin to server.cors_origins to allow it");
    if (needs_key && caller_check(x) == STEP_STOP)
        return STEP_STOP;
    if (needs_key && continued_answer(x))
        return STEP_STOP;
    if (x->endpoint->kind == ENDPOINT_IS_PASSED && !caller_may_use_route(x))
        return exchange_fail(x, ERR_FORBIDDEN,
            "this API key may not use this route, which is not a model call; to allow it, add to "
            "the key's routes: '%s', or '" STR_FMT " " STR_FMT "'",
            x->endpoint->id, STR_ARG(x->method), STR_ARG(x->path.text));
    if (x->endpoint->kind == ENDPOINT_IS_CONTROL && server_role(x->q) != WORKER_ROLE_LOCAL &&
        caller_check_control(x, e, credential) == STEP_STOP)
        return STEP_STOP;
    if (x->endpoint->op == OP_RELAY && needs_key && query_path_has_key(x))
        return exchange_fail(x, ERR_BAD_REQUEST,
            "the path contains an API key of this gateway, which providers must not get");
    if (!x->endpoint->local)
        return STEP_NEXT;
    local_answer(x);
    return x->answered ? STEP_STOP : STEP_WAIT;
}

/* The client may ask for a shorter deadline than the configured one. */
static bool
shorten_deadline(struct exchange *x)
{
    struct deadline wish;

    if (!deadline_read(&server_head(x->q)->fields, &wish))
        return false;
    if (wish.total_ms != 0)
        x->deadline_us = x->started_us + wish.total_ms * 1000;
    x->deadline_said = wish.total_ms != 0;
    if (wish.begin_ms != 0)
        x->begin_by_us = x->started_us + wish.begin_ms * 1000;
    x->silence_us = wish.silence_ms * 1000;
    return true;
}

/* Applies the limits on concurrent requests. */
static enum step
stage_admit(struct exchange *x)
{
    if (x->waiting == NULL && !shorten_deadline(x))
        return exchange_fail(x, ERR_BAD_REQUEST,
            DEADLINE_FIELD
            " is not a duration; send milliseconds, or a number with a unit such as 30s");
    return admission_ask(x);
}

/* Receives the body, within limits. */
static enum step
stage_receive(struct exchange *x)
{
    if (server_body_done(x->q) || server_receive(x->q)) {
        if (x->wait_began_us != 0)
            x->waited_us = clock_now_us() - x->wait_began_us;
        struct buf body = server_take_body(x->q);

        x->bytes_in = buf_len(&body);
        if (!exchange_take_body(x, body))
            return exchange_fail(x, ERR_OVERLOADED, AT_MEMORY_LIMIT);
        return STEP_NEXT;
    }
    x->wait_began_us = clock_now_us();
    return STEP_WAIT;
}

/* Counts the memory used for unpacking. At the memory limit only small bodies are unpacked. */
static bool
hold_unpacked(struct exchange *x)
{
    uint64_t now = unpack_held_bytes(x->unpack);
    bool begun = now <= UNPACK_SMALL_BYTES || x->unpack_held > UNPACK_SMALL_BYTES;

    return quota_share_set(&x->worker->held, &x->unpack_held, now, begun);
}

/* Decompresses the body, a bounded part per iteration of the loop. Providers get it
 * uncompressed. */
static enum step
stage_unpack(struct exchange *x)
{
    const struct http_fields *fields = &server_head(x->q)->fields;
    size_t limit = exchange_conf(x)->server.limit_body_bytes;
    enum unpack_coding coding;

    if (x->request->llm.body.n == 0)
        return STEP_NEXT;
    if (!unpack_find(fields, &coding))
        return exchange_fail(x, ERR_MEDIA_TYPE,
            "the body's Content-Encoding must be one of " UNPACK_ACCEPTS ", or none");
    if (coding == UNPACK_NONE)
        return STEP_NEXT;
    if (x->unpack == NULL)
        x->unpack = unpack_create(coding, x->request->llm.body, limit);
    enum unpack_state state = x->unpack != NULL ? unpack_step(x->unpack) : UNPACK_NO_MEMORY;
    if (state == UNPACK_NO_MEMORY || !hold_unpacked(x))
        return exchange_fail(x, ERR_OVERLOADED, AT_MEMORY_LIMIT);
    switch (state) {
    case UNPACK_MORE:
        exchange_wake(x);
        return STEP_WAIT;
    case UNPACK_LARGE:
        return exchange_fail(x, ERR_TOO_LARGE,
            "the decompressed body is larger than %zu bytes (server.limits.body)", limit);
    case UNPACK_BAD:
        return exchange_fail(x, ERR_BAD_REQUEST,
            "the compressed body is corrupt, truncated, or followed by other data");
    case UNPACK_DONE:
    case UNPACK_NO_MEMORY:
        break;
    }
    struct buf plain = *unpack_output(x->unpack);

    buf_init(unpack_output(x->unpack), 0);
    exchange_end_unpack(x);
    buf_fit(&plain);
    return exchange_take_body(x, plain) ? STEP_NEXT
                                        : exchange_fail(x, ERR_OVERLOADED, AT_MEMORY_LIMIT);
}

/* What the exchange has to know to its end. */
static void
keep_head(struct exchange *x)
{
    struct llm_request *r = &x->request->llm;

    x->op = r->op;
    x->stream = r->stream;
    x->framing = llm_request_framing(r);
    x->want_usage = r->want_usage || r->router;    /* OpenRouter's answers always have it */
    x->old_calls = r->old_calls;
    x->model = arena_str(x->arena, str_make(r->model.p, MIN(r->model.n, MODEL_BYTES)));
    r->model = x->model;
}

/* What the request demands and prefers of the target, beside its model's name. */
static enum step
read_wishes(struct exchange *x)
{
    struct wire_fault fault = { S(""), S("") };
    enum err e = wishes_read(&x->request->llm, x->arena, &x->wishes, &fault);

    choice_cut_suffix(x->hold->snapshot, x->arena, &x->model, &x->wishes);
    if (e == OK)
        return STEP_NEXT;
    return exchange_fail_with(
        x, &(struct llm_error){
               .kind = e, .message = fault.message, .param = fault.param, .quotes = true });
}

/* Parses the body. Of the request, only the head (model, stream) is read here. */
static enum step
stage_decode(struct exchange *x)
{
    struct llm_request *r = &x->request->llm;
    struct wire_fault fault = { S(""), S("") };

    r->wire = x->wire;
    r->op = x->op = x->endpoint->op;
    r->router = x->endpoint->router;
    if (r->op == OP_RELAY) {
        enum step step = passed_read(x);

        if (step != STEP_WAIT)
            keep_head(x);
        return step == STEP_NEXT ? read_wishes(x) : step;
    }

    if (!endpoint_read_path(x->endpoint, x->path.text, server_head(x->q)->query, r))
        return exchange_fail(
            x, ERR_BAD_REQUEST, "the path must name a model, with at most %d bytes", MODEL_BYTES);
    if (!exchange_parse(x))
        return STEP_WAIT;
    if (r->doc == NULL)
        return exchange_fail(x, x->request->bad_json.limit ? ERR_TOO_LARGE : ERR_BAD_JSON,
            "the body cannot be parsed as JSON: %s at byte %zu", x->request->bad_json.what,
            x->request->bad_json.offset);
    enum err e = llm_request_read(r, &fault);
    keep_head(x);
    if (e != OK)
        return exchange_fail_with(
            x, &(struct llm_error){
                   .kind = e, .message = fault.message, .param = fault.param, .quotes = true });
    bool changed;
    enum step step = continued_resolve(x, &changed);
    if (step != STEP_NEXT || changed)
        return step == STEP_NEXT ? stage_decode(x) : step;    /* once: it notes that it was done */
    step = read_wishes(x);
    continued_pin(x);
    return step;
}

/* Resolves the model to an ordered list of targets. Two routes are answered here, now that it is
 * known what they ask about. */
static enum step
stage_route(struct exchange *x)
{
    if (x->model.n == 0 && !auth_allows_model(x->who, S("")) && !caller_may_use_route(x))
        return exchange_fail(x, ERR_FORBIDDEN,
            "this API key is limited to certain models, and the request does not name a model "
            "where this route expects it");
    if (x->model.n != 0 && !auth_allows_model(x->who, x->model))
        return exchange_fail(x, ERR_FORBIDDEN, "this API key may not use the model '" STR_FMT "'",
            STR_ARG(x->model));
    enum step step = x->plan.count == 0 ? choice_make(x) : STEP_NEXT;
    if (step != STEP_NEXT)
        return step;
    if (x->endpoint == &endpoints[ENDPOINT_ollama_show] &&
        x->plan.list[0].target->provider->wire != x->wire) {
        local_ollama_show(x);
        return STEP_STOP;
    }
    if (x->op == OP_COUNT_TOKENS && !plan_has_fresh(&x->plan)) {
        const struct target *t = x->plan.count != 0 ? x->plan.list[0].target : NULL;

        x->request->tokenizer =
            t != NULL ? model_tokenizer(t->facts, t->wire.model) : tokens_family(x->model);
        if (!request_work(x->request, local_count, x->request))
            return STEP_WAIT;
        local_count_tokens(x);
        return STEP_STOP;
    }
    return STEP_NEXT;
}

/* Looks after the attempts that are under way. STEP_NEXT: one of them is the answer, or has begun
 * to be. STEP_WAIT: nothing has to be done about them now. STEP_STOP: another should begin; `beside`
 * says that one is still under way, though it is slow. */
static enum step
look_after_attempts(struct exchange *x, bool *ret_beside)
{
    struct attempt *running = NULL;
    bool slow = true;

    for (struct attempt *a = x->under_way, *next; a != NULL; a = next) {
        next = a->next;
        if (a->state == ATTEMPT_WRITING) {
            if (UNLIKELY(a->target->provider->identity != NULL) && !credentials_ready(x, a))
                return STEP_WAIT;
            if (!request_work(a->request, written_write_body, a->written))
                return STEP_WAIT;
            answer_await(a);
            if (UNLIKELY(shadow_for(x) != NULL))
                shadow_begin(x);
        }
        switch (a->state) {
        case ATTEMPT_RUNNING:
        case ATTEMPT_READING:
            if (x->delivery.draft == &a->draft)
                return STEP_WAIT;    /* its document is sent; what ends it has still to come */
            running = a;
            slow = slow && a->slow;
            break;
        case ATTEMPT_COMMITTED:
        case ATTEMPT_DONE:
            CHECK(x->attempt == a);
            return STEP_NEXT;
        case ATTEMPT_FAILED:
            if (x->delivery.draft == &a->draft)
                return STEP_NEXT;    /* it started to answer and failed before this stage ran */
            attempt_stop(a, a->error.kind);
            retry_note(x, a);
            break;
        case ATTEMPT_OVER:
            if (a != x->attempt) {
                book_failed(x, a);
                attempt_free(a);
            }
            break;
        case ATTEMPT_HELD:
            break;    /* judge_look() */
        case ATTEMPT_WRITING:
        case ATTEMPT_STATES:
            CHECK_UNREACHABLE();
        }
    }
    if (running != NULL && x->attempt->state == ATTEMPT_OVER) {
        x->attempt = running;
        timer_set(&running->clock, 0);    /* from now on it keeps the caller waiting */
    }
    if (UNLIKELY(x->judge != NULL))
        return judge_look(x, running, slow, ret_beside);
    *ret_beside = running != NULL;
    return running != NULL && !slow ? STEP_WAIT : STEP_STOP;
}

static void
begin_attempt(struct exchange *x, const struct pick *pick)
{
    if (x->attempt != NULL && x->attempt->state == ATTEMPT_OVER)
        book_failed(x, x->attempt);
    struct attempt *a = attempt_begin(x, pick);

    retry_set_clocks(x, a);
    if (UNLIKELY(x->judge != NULL))
        judge_prepare(a);
    else
        resume_prepare(a);
}

/* Sends the request to one target after the other, until one starts to answer; retry.c knows which,
 * when, and with what key. */
static enum step
stage_attempt(struct exchange *x)
{
    struct pick pick;
    bool beside;

    if (judge_applies(x) && !judge_ready(x))
        return STEP_WAIT;
    for (;;) {
        enum step step = look_after_attempts(x, &beside);

        if (step != STEP_STOP)
            return step;
        switch (retry_next(x, beside, &pick)) {
        case RETRY_BEGIN:
            begin_attempt(x, &pick);
            break;
        case RETRY_WAIT:
            return STEP_WAIT;
        case RETRY_OVER:
            if (UNLIKELY(x->judge != NULL) && judge_close(x))
                break;
            return exchange_fail_with(x, retry_failure(x));
        }
    }
}

/* Sends the next piece of what is left in the draft; pieces take turns with what others want. True:
 * there is room for more from the provider. */
static bool
send_more(struct exchange *x)
{
    bool full = server_backlog(x->q) > SERVER_HIGH_WATERMARK_BYTES;

    if (x->delivery.more && !full) {
        loop_count_work(x->worker->loop, DELIVERY_PIECE_BYTES);
        (void)delivery_send_more(&x->delivery, x->q);
        full = server_backlog(x->q) > SERVER_HIGH_WATERMARK_BYTES;
    }
    x->delivering = x->delivery.more || full;
    if (x->delivery.more && !full)
        loop_defer_next(x->worker->loop, &x->wake);
    return !x->delivering;
}

/* The answer is forwarded in the provider's callbacks (answer.c); this waits for its end. */
static enum step
stage_relay(struct exchange *x)
{
    if (x->resumed != NULL && x->delivery.draft == NULL) {    /* it broke, and another goes on */
        enum step step = stage_attempt(x);

        if (step != STEP_NEXT)
            return step;
    }
    struct attempt *a = x->attempt;

    switch (a->state) {
    case ATTEMPT_COMMITTED:
        if (send_more(x))
            answer_resume(a);
        return STEP_WAIT;
    case ATTEMPT_FAILED:
        if (resume_may(x)) {
            if (!send_more(x))
                return STEP_WAIT;    /* first the caller gets all that was said */
            if (resume_begin(x))
                return stage_relay(x);    /* once for each exchange */
        }
        if (x->stream && x->op != OP_RELAY)
            metric_add(&x->worker->metrics->stream_breaks, 1);
        attempt_stop(a, a->error.kind);
        return exchange_fail_with(x, &a->error);
    case ATTEMPT_DONE:
        attempt_stop(a, OK);
        if (x->stored != NULL && a->intake.reader.wire == x->wire)
            stored_note(x->stored, str_c(a->intake.reader.emit.id), a->target->provider->id);
        if (UNLIKELY(x->resumed != NULL))
            metric_add(&x->worker->metrics->streams_continued, 1);
        resume_drop(a);
        /* the client may take long to read the answer */
        exchange_drop_request(
            x, a->target, usage_has(&a->tally.usage, COUNT_INPUT) ? INPUT_REPORTED : INPUT_COUNTED);
        return STEP_NEXT;
    case ATTEMPT_OVER:
        return STEP_NEXT;    /* it failed before this stage, and the caller's stream has to be ended */
    case ATTEMPT_RUNNING:
    case ATTEMPT_READING:
        return STEP_WAIT;    /* its document is sent; what ends it has still to come */
    case ATTEMPT_HELD:
    case ATTEMPT_WRITING:
    case ATTEMPT_STATES:
        break;
    }
    CHECK_UNREACHABLE();
}

/* Waits until the client has read the answer. Whatever fits into the kernel's send buffer counts as
 * read. */
static enum step
stage_deliver(struct exchange *x)
{
    if (send_more(x)) {
        x->bytes_out = server_bytes_out(x->q);
        x->answered = true;
        book_tell(x);
        server_end(x->q, exchange_trailers(x));
        return STEP_NEXT;
    }
    if (!x->delivery.more)
        attempt_release(x->attempt);
    return STEP_WAIT;
}

static const struct stage {
    const char *name;
    enum step (*run)(struct exchange *x);
} stages[] = {
    { "match", stage_match },                  /* which endpoint is it? */
    { "authenticate", stage_authenticate },    /* who is the client? */
    { "admit", stage_admit },                  /* limits on concurrent requests */
    { "receive", stage_receive },              /* the body */
    { "unpack", stage_unpack },                /* decompress the body */
    { "decode", stage_decode },                /* parse the body */
    { "route", stage_route },                  /* model -> ordered targets */
    { "reserve", reserve_request },            /* limits and budgets */
    { "attempt", stage_attempt },              /* send; after a failure, try the next */
    { "relay", stage_relay },                  /* forward the answer */
    { "deliver", stage_deliver },              /* wait until the client has read it */
};

const char *
gateway_stage(const struct exchange *x)
{
    return x->stage < ARRAY_LEN(stages) ? stages[x->stage].name : "finish";
}

COLD static void
debug_stage(const struct exchange *x, const char *name, enum step step)
{
    static const char *const what[] = { "done", "waits", "ends here" };
    struct log_context who = x->attempt != NULL ? attempt_log(x->attempt) : exchange_log(x);

    log_debug(&who, "stage %s: %s", name, what[step]);
}

/* The caller has left. Some close as soon as they have read the terminator. */
static void
stop_attempts(struct exchange *x)
{
    for (struct attempt *a = x->under_way; a != NULL; a = a->next) {
        bool served = (a->intake.reader.complete && x->status != 0 && a->state != ATTEMPT_HELD) ||
                      x->status == 101;
        bool vain = a->state == ATTEMPT_FAILED || (a->state == ATTEMPT_HELD && a != x->attempt);

        if (a->state != ATTEMPT_OVER)
            attempt_stop(a, vain ? attempt_vain(a) : served ? OK : ERR_CLIENT_GONE);
    }
}

/* One attempt's draft is sent: the others are not needed. */
static void
stop_outrun(struct exchange *x)
{
    for (struct attempt *a = x->under_way; a != NULL; a = a->next)
        if (&a->draft != x->delivery.draft && a->state != ATTEMPT_OVER)
            attempt_stop(a, attempt_vain(a));
}

/* Is a helper thread using memory of it? */
static bool
is_at_work(const struct exchange *x)
{
    if (x->request != NULL && x->request->job.state == JOB_RUNNING)
        return true;
    for (const struct attempt *a = x->under_way; a != NULL; a = a->next)
        if (attempt_is_at_work(a))
            return true;
    return false;
}

void
gateway_run(struct exchange *x)
{
    bool debug = log_enabled(LOG_DEBUG);
    enum step step = STEP_NEXT;

    if (is_at_work(x))
        return;    /* when it ends, the stages run again */
    if (x->delivery.draft != NULL)
        stop_outrun(x);
    if (x->gone)
        stop_attempts(x);
    if (x->gone || x->answered)    /* answered between two stages: its body was refused */
        step = STEP_STOP;
    struct worker *w = x->worker;
    exchange_enter(x);
    while (step == STEP_NEXT && x->stage < ARRAY_LEN(stages)) {
        worker_at(w, stages[x->stage].name);
        step = stages[x->stage].run(x);
        if (UNLIKELY(debug))
            debug_stage(x, stages[x->stage].name, step);
        if (step == STEP_NEXT)
            x->stage++;
    }
    worker_at(w, "finish");
    if (step != STEP_WAIT) {
        settle_exchange(x);
        retry_end(x);
        judge_end(x);
        while (x->under_way != NULL)
            attempt_free(x->under_way);
        admission_leave(x);
        exchange_finish(x);
    }
    worker_at(w, NULL);
}

void
gateway_writable(struct exchange *x)
{
    if (x->delivering)
        exchange_wake(x);
    else if (x->attempt != NULL)
        answer_resume(x->attempt);
}
