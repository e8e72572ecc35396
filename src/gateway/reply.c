/* reply.c - what an exchange answers: the head of a provider's answer, a document of our own, an
 * error. */
#include "gateway/reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "control/problem.h"
#include "gateway/attempt.h"
#include "gateway/book.h"
#include "gateway/browser.h"
#include "gateway/limit_fields.h"
#include "gateway/retry.h"
#include "route/failure.h"

#define MESSAGE_BYTES 2048

static bool
is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] > 0x7e)
            return false;
    return true;
}

/* SDKs follow x-should-retry and fall back to the status: without it they would repeat requests
 * after a configuration error (500) or an exhausted account (429). Where the gateway itself tried
 * again, the caller should only if waiting helps, or the SDKs multiply all attempts by three. A
 * provider's 409 is a lock conflict, which may be repeated. Wrong keys (429) and a wrong base_url
 * must not be. */
static bool
should_retry(const struct exchange *x, const struct llm_error *e, int status)
{
    bool tried = x->op != OP_RELAY && err_row(x->error)->fault == FAULT_PROVIDER &&
                 x->error != ERR_UPSTREAM_RATE_LIMIT;

    if (e->permanent || (x->error == ERR_RATE_LIMIT && x->who == NULL) ||
        (tried && e->retry_after_ms == 0))
        return false;
    return err_row(x->error)->retry || status == 408 || status == 409 || status == 425;
}

static void
add_retry(bool retry, struct buf *out)
{
    buf_add(out, retry ? S("x-should-retry: true\r\n") : S("x-should-retry: false\r\n"));
}

/* How it was chosen who answers, unless the caller chose. */
static void
add_route(const struct exchange *x, const struct target *t, struct buf *out)
{
    if (x->plan.alias == NULL && x->decision->arm == NULL &&
        (x->ruling == NULL || x->ruling->matched_count == 0))
        return;
    buf_add(out, S("x-openclaw-route: "));
    explain_field(out, x->decision, t, x->attempts);
    buf_add(out, S("\r\n"));
}

/* How the gateway counted the tokens of a request. */
static void
add_tokenizer(const struct exchange *x, struct buf *out)
{
    const struct request *r = x->request;

    if (r == NULL || r->input_estimate == 0)
        return;
    buf_add(out, S("x-openclaw-tokenizer: "));
    buf_add(out, str_c(tokens_name(r->tokenizer)));
    buf_add(out, tokens_exact(r->tokenizer) ? S("\r\n") : S("; estimated\r\n"));
}

/* What the target could not be told, and what the caller cannot: of a stream, what came before its head. */
static void
add_dropped(const struct attempt *a, struct buf *out)
{
    static const struct {
        enum llm_part_kind kind;
        struct str name;
    } media[] = {
        { PART_IMAGE, S_INIT("answer.image") },
        { PART_AUDIO, S_INIT("answer.audio") },
        { PART_VIDEO, S_INIT("answer.video") },
        { PART_FILE, S_INIT("answer.file") },
    };
    struct str between = S("x-openclaw-dropped: ");
    size_t before = buf_len(out);

    for (const struct llm_word *w = a->drops.names; w != NULL; w = w->next) {
        buf_add(out, between);
        buf_add(out, w->text);
        between = S(", ");
    }
    for (size_t i = 0; a->draft.lost != 0 && i < ARRAY_LEN(media); i++) {
        if ((a->draft.lost & 1u << media[i].kind) == 0)
            continue;
        buf_add(out, between);
        buf_add(out, media[i].name);
        between = S(", ");
    }
    if (buf_len(out) != before)
        buf_add(out, S("\r\n"));
}

/* The fields that every answer carries: ids, trace, who answered, CORS. */
static void
add_fields(struct exchange *x, struct buf *out)
{
    const struct target *t = x->attempt != NULL ? x->attempt->target : NULL;

    http_add_field(out, S("x-request-id"), x->id);
    if (x->wire->caller->id_field.n != 0)
        http_add_field(out, x->wire->caller->id_field, x->id);
    http_add_field(out, S("traceparent"), str_make(x->trace.parent, TRACE_PARENT_BYTES));
    buf_add(out, S("X-Content-Type-Options: nosniff\r\n"));
    if (UNLIKELY(x->chaos != NULL))
        http_add_field(out, S("x-openclaw-chaos"), str_c(x->chaos));
    browser_add_fields(&exchange_conf(x)->server.cors_origins, server_head(x->q), out);
    if (UNLIKELY(x->op == OP_COUNT_TOKENS) && t == NULL)
        add_tokenizer(x, out);
    if (t == NULL)
        return;
    http_add_field(out, S("x-openclaw-provider"), t->provider->id);
    if (x->decision != NULL && exchange_conf(x)->observe.explain && x->who->explain)
        add_route(x, t, out);
    if (t->wire.model.n != 0 &&
        is_printable(t->wire.model))    /* a caller chose it: it need not be fit for a field */
        http_add_field(out, S("x-openclaw-model"), t->wire.model);
    buf_add(out, S("x-openclaw-attempts: "));
    buf_add_u64(out, x->attempts);
    buf_add(out, S("\r\n"));
    add_dropped(x->attempt, out);
}

/* What the request costs, with attempts whose answers nobody got: said in a field if that is known before it is sent, and else after it, in a
 * trailer, if the caller takes trailers. */
#define COST_FIELD "x-openclaw-cost-usd"

static void
add_cost(struct exchange *x, struct buf *out, bool whole)
{
    int64_t nanousd = whole ? attempt_cost_nanousd(x->attempt, NULL) : COST_UNKNOWN;

    if (nanousd != COST_UNKNOWN) {
        nanousd += x->outrun_nanousd + x->judge_nanousd;
        buf_add(out, S(COST_FIELD ": "));
        buf_add_decimal(out, (uint64_t)nanousd, 9);
        buf_add(out, S("\r\n"));
    } else if (!whole && server_takes_trailers(x->q)) {
        buf_add(out, S("Trailer: " COST_FIELD "\r\n"));
        x->cost_follows = true;
    }
}

struct str
exchange_trailers(struct exchange *x)
{
    struct buf *out = &x->worker->text;

    if (LIKELY(!x->cost_follows))
        return S("");
    CHECK(buf_len(out) == 0);
    add_cost(x, out, true);
    struct str s = arena_str(x->arena, buf_str(out));
    buf_reset(out, SIZE_MAX);
    return s;
}

/* What a provider says is left of its limits, without a name for whom; the caller gets what is left of
 * its own. */
static void
add_passed(struct buf *out, struct str passed, bool limited)
{
    struct str line, rest = passed;

    if (LIKELY(!limited)) {
        buf_add(out, passed);
        return;
    }
    while (rest.n != 0) {
        size_t n = MIN(str_find(rest, S("\r\n")) + 2, rest.n);

        line = str_make(rest.p, n);
        rest = str_skip(rest, n);
        if (!str_istarts(line, S("x-ratelimit-")) && !str_istarts(line, S("anthropic-ratelimit-")))
            buf_add(out, line);
    }
}

/* Adds what is left of the caller's limits. False: none limits it. */
static bool
add_limits(const struct exchange *x, struct buf *out)
{
    if (LIKELY(x->reserved == NULL))
        return false;
    return limit_fields_add(out, x->reserved, x->wire->caller->anthropic_limits,
        clock_now_us() * 1000, clock_wall_ms());
}

static void
respond(struct exchange *x, int status, struct str type, struct str passed, int64_t length)
{
    struct buf *out = &x->worker->text;
    bool stream = http_type_is(type, S("text/event-stream")) ||
                  (x->stream && x->framing != NULL && http_type_is(type, x->framing->type));

    CHECK(buf_len(out) == 0);
    if (type.n != 0)
        http_add_field(out, S("Content-Type"), type);
    buf_add(out, stream ? S("Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n")
                        : S("Cache-Control: no-store\r\n"));
    add_fields(x, out);
    if (x->error != OK) {
        http_add_field(out, S("x-openclaw-error"), str_c(err_row(x->error)->code));
        add_retry(should_retry(x, &x->attempt->error, status), out);
    }
    add_passed(out, passed, add_limits(x, out));
    if (x->attempt != NULL && x->error == OK && x->op != OP_RELAY)
        add_cost(x, out, length >= 0);
    x->status = status;
    if (UNLIKELY(status == 101)) {
        buf_add(out, S("Upgrade: websocket\r\n"));
        server_switch(x->q, buf_str(out));
    } else {
        server_respond(x->q, status, buf_str(out), length);
    }
    buf_reset(out, SIZE_MAX);
}

void
exchange_respond(struct exchange *x, const struct draft *d)
{
    bool events = x->stream && x->op != OP_RELAY;

    if (server_responded(x->q))
        return;
    if (events)
        respond(x, 200, x->framing->type, d->passed, -1);
    else
        respond(x, d->status, d->content_type, d->passed, d->length);
    if (events || d->stream) {
        x->worker->stream_count++;
        x->streaming = true;
    }
}

void
exchange_answer_with(
    struct exchange *x, int status, struct str content_type, struct str fields, struct str body)
{
    struct buf *out = &x->worker->text;

    CHECK(buf_len(out) == 0);
    if (content_type.n != 0)
        http_add_field(out, S("Content-Type"), content_type);
    buf_add(out, S("Cache-Control: no-store\r\n"));
    add_fields(x, out);
    buf_add(out, fields);
    x->status = status;
    x->answered = true;
    x->bytes_out = body.n;
    server_answer(x->q, status, buf_str(out), body);
    buf_reset(out, SIZE_MAX);
}

void
exchange_answer(struct exchange *x, int status, struct str content_type, struct str body)
{
    exchange_answer_with(x, status, content_type,
        status >= 400 ? S("x-should-retry: true\r\nRetry-After: 1\r\n") : S(""),    /* draining */
        body);
}

/* The HTTP status and the fields of an error answer. */
static void
answer_error(struct exchange *x, const struct llm_error *e)
{
    const struct wire_caller *caller = x->wire->caller;
    struct buf *out = &x->worker->text;
    struct buf body;
    int status = caller->status(e);

    buf_init(&body, 64 * 1024);
    if (x->endpoint->kind == ENDPOINT_IS_CONTROL)
        problem_write(&body, status, err_row(e->kind)->code, e->message, NULL, x->id);
    else if (x->endpoint->router && caller->write_router_error != NULL)
        caller->write_router_error(&body, e, x->id);
    else
        caller->write_error(&body, e, x->id);
    http_add_field(out, S("Content-Type"),
        x->endpoint->kind == ENDPOINT_IS_CONTROL ? S(PROBLEM_TYPE) : S("application/json"));
    buf_add(out, S("Cache-Control: no-store\r\n"));
    add_fields(x, out);
    http_add_field(out, S("x-openclaw-error"), str_c(err_row(e->kind)->code));
    if (caller->error_field.n != 0)
        http_add_field(out, caller->error_field, str_c(caller->error_names[e->kind].type));
    (void)add_limits(x, out);
    bool retry = should_retry(x, e, status);
    bool soon = retry && (status == 429 || status == 503 || status == 529);
    add_retry(retry, out);
    if (e->retry_after_ms > 0 || soon) {
        buf_add(out, S("Retry-After: "));
        buf_add_u64(out, e->retry_after_ms > 0 ? (uint64_t)(e->retry_after_ms + 999) / 1000 : 1);
        buf_add(out, S("\r\n"));
    }
    if (e->kind == ERR_METHOD)
        http_add_field(out, S("Allow"), endpoint_methods(x->endpoint));
    if (e->kind == ERR_AUTH)
        buf_add(out, S("WWW-Authenticate: Bearer\r\n"));
    if (e->kind == ERR_MEDIA_TYPE)
        buf_add(out, S("Accept-Encoding: " UNPACK_ACCEPTS "\r\n"));    /* RFC 9110 15.5.16 */
    x->status = status;
    x->answered = true;
    x->bytes_out = buf_len(&body);
    server_answer(x->q, status, buf_str(out), buf_str(&body));
    buf_reset(out, SIZE_MAX);
    buf_fini(&body);
}

/* "openai/gpt-4o: upstream_timeout; groq/llama: rate_limit_exceeded; lab/x: disabled": appended
 * when several targets were tried, or could have been but for their providers, which are
 * disabled. */
static struct str
with_attempts(struct exchange *x, struct str message)
{
    const struct alias *alias = x->plan.alias;
    size_t disabled = 0;
    struct str all = message;

    if (x->attempts != 0 && alias != NULL && failure_row(x->error)->next != NEXT_RETURN)
        disabled = alias->skipped_count;
    if (x->attempts < 2 && disabled == 0)
        return message;
    for (const struct record_attempt *n = x->notes; n != NULL; n = n->next)
        if (n->purpose == NULL)
            all = arena_printf(x->arena, STR_FMT "%s" STR_FMT "/" STR_FMT ": %s", STR_ARG(all),
                n == x->notes ? " (tried " : "; ", STR_ARG(n->target->provider->id),
                STR_ARG(n->target->wire.model), err_row(n->outcome)->code);
    for (size_t i = 0; i < disabled; i++)
        all = arena_printf(
            x->arena, STR_FMT "; " STR_FMT ": disabled", STR_ARG(all), STR_ARG(alias->skipped[i]));
    return arena_printf(x->arena, STR_FMT ")", STR_ARG(all));
}

/* Did the request fail because of the memory limit, whatever error that was reported as? */
static bool
is_out_of_room(const struct exchange *x)
{
    return arena_was_refused(x->arena) ||
           (x->request != NULL && arena_was_refused(x->request->llm.arena));
}

/* Answers with a refusal as the provider worded it: a route that is only passed through. */
static void
pass_refusal(struct exchange *x)
{
    const struct draft *d = &x->attempt->draft;
    struct str body = buf_str(&x->attempt->intake.body);

    respond(x, d->status, d->content_type, d->passed, d->length >= 0 ? d->length : (int64_t)body.n);
    server_write(x->q, body);
}

/* Ends the caller's stream with an error event. True: there is more to send than fits into one
 * piece. */
static bool
break_stream(struct exchange *x, const struct llm_error *e)
{
    const struct intake *in = &x->attempt->intake;
    bool raw = x->op == OP_RELAY;

    if (x->delivery.draft == NULL)    /* only keep-alives were sent, and the last target failed */
        x->delivery.draft = attempt_draft(x->attempt);
    delivery_break(&x->delivery, e, raw ? endpoint_below(x->endpoint, x->path.text) : S(""),
        raw ? in->raw->count : 0);
    return delivery_flush(&x->delivery, x->q, clock_now_us());
}

enum step
exchange_fail_with(struct exchange *x, const struct llm_error *given)
{
    struct llm_error e = *given;

    CHECK(e.kind != OK);
    if (is_out_of_room(x))
        e = (struct llm_error){ .kind = ERR_OVERLOADED };
    if (e.message.n == 0)
        e.message = str_c(err_row(e.kind)->sentence);
    x->error = e.kind;
    e.message = with_attempts(x, e.message);
    x->error_message = with_attempts(x, attempt_reason(x, retry_cause(x, given), given));
    if (x->q == NULL || x->answered)
        return STEP_STOP;
    book_tell(x);
    bool begun = server_responded(x->q);
    if (!begun && !e.as_is) {
        answer_error(x, &e);
        return STEP_STOP;
    }
    /* Part of an answer that is not a stream of ours cannot be taken back: the connection is
     * cut. */
    bool cut = begun && !x->streaming;
    if (begun && !cut && break_stream(x, &e))
        return STEP_NEXT;
    x->answered = true;
    if (!begun)
        pass_refusal(x);
    x->bytes_out = server_bytes_out(x->q);
    if (cut)
        server_abort(x->q);
    else
        server_end(x->q, S(""));
    return STEP_STOP;
}

enum step
exchange_fail(struct exchange *x, enum err why, const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct llm_error e = { .kind = why, .message = arena_str(x->arena, str_c(text)) };
    return exchange_fail_with(x, &e);
}
