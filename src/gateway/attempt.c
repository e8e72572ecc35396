/* attempt.c - sends the request to one target, and handles the response. */
#include "gateway/attempt.h"

#include "base/clock.h"
#include "gateway/written.h"
#include "gateway/wrong_url.h"

#define LAST_BYTE_US 1000000    /* grace for the end of the framing after the protocol's terminator */
#define REFUSAL_US 5000000      /* for the body of an answer with a failed status */
#define RESEND_MS 1000    /* to a provider that does not process it, when there is another target */

/* --- the outcome --- */

static void
set_failed(struct exchange *x, const struct llm_error *e)
{
    int64_t retry_after_ms = x->attempt.error.retry_after_ms;    /* of the answer's head */

    x->attempt.error = *e;
    if (e->retry_after_ms < 0)
        x->attempt.error.retry_after_ms = retry_after_ms;
    x->attempt.state = ATTEMPT_FAILED;
}

/* Describes an answer that was incomplete or malformed. */
static const char *
describe_answer(const struct exchange *x)
{
    struct str type = x->relay.content_type;
    struct str shown = type.n == 0 || type.n > 100 ? S("no content type") : type;

    return arena_printf(x->arena, "status %d, " STR_FMT "%s", x->attempt.status, STR_ARG(shown),
        x->relay.encoded ? ", with a Content-Encoding" : "")
        .p;
}

static void
attempt_failed(struct exchange *x, const struct llm_error *e)
{
    if (x->attempt.state != ATTEMPT_RUNNING && x->attempt.state != ATTEMPT_COMMITTED)
        return;
    set_failed(x, e);
    exchange_wake(x);
}

static struct llm_error
error_of_kind(struct exchange *x, enum err why, const char *detail)
{
    struct llm_error e = { .kind = why, .retry_after_ms = -1 };
    struct str id = x->attempt.target->provider->id;

    if (detail == NULL && x->attempt.status != 0 &&
        (why == ERR_UPSTREAM_PROTOCOL || why == ERR_UPSTREAM_TRUNCATED))
        detail = describe_answer(x);
    bool has_detail = detail != NULL && *detail != '\0';
    e.message = arena_printf(x->arena, "%s (" STR_FMT "%s%s)", err_row(why)->sentence, STR_ARG(id),
        has_detail ? ": " : "", has_detail ? detail : "");
    if (why == ERR_UPSTREAM_PROTOCOL)
        (void)wrong_url_explain(x, &e);
    return e;
}

static void
attempt_failed_kind(struct exchange *x, enum err why, const char *detail)
{
    struct llm_error e = error_of_kind(x, why, detail);

    attempt_failed(x, &e);
}

static bool
attempt_live(const struct exchange *x)
{
    return !x->gone &&
           (x->attempt.state == ATTEMPT_RUNNING || x->attempt.state == ATTEMPT_COMMITTED);
}

static void
on_connected(void *owner, bool reused, uint64_t connect_us)
{
    struct exchange *x = owner;

    x->attempt.sent = true;
    x->attempt.note->reused = reused;
    if (log_enabled(LOG_DEBUG)) {
        struct log_context who = exchange_log(x);

        if (reused)
            log_debug(&who, "a connection of the pool is used again");
        else
            log_debug(&who, "connected in %.1f ms", (double)connect_us / 1000);
    }
    metric_add(
        reused ? &x->worker->metrics->upstream_reuses : &x->worker->metrics->upstream_connects, 1);
}

/* Seconds, milliseconds (retry-after-ms) or a date; capped at a day. */
static int64_t
retry_after_ms(const struct http_fields *fields)
{
    uint64_t n;
    int64_t at_s;
    struct str ms = http_field_get(fields, S("retry-after-ms"));
    struct str s = http_field_get(fields, S("retry-after"));
    const int64_t day_ms = 86400000;

    if (str_u64(ms, &n))
        return (int64_t)MIN(n, (uint64_t)day_ms);
    if (str_u64(s, &n))
        return (int64_t)MIN(n, (uint64_t)day_ms / 1000) * 1000;
    if (clock_http_date(s, &at_s)) {
        int64_t left_ms = at_s * 1000 - (int64_t)clock_wall_ms();
        return MIN(MAX(left_ms, 0), day_ms);
    }
    return -1;
}

static void
on_head(void *owner, const struct http_head *head)
{
    struct exchange *x = owner;

    if (!attempt_live(x))
        return;
    x->attempt.status = head->status;
    x->attempt.note->status = head->status;
    x->attempt.note->head_us = clock_now_us();
    if (log_enabled(LOG_DEBUG)) {
        struct log_context who = exchange_log(x);

        log_debug(&who, "the provider answers with status %d after %.1f ms", head->status,
            (double)(x->attempt.note->head_us - x->attempt.note->started_us) / 1000);
    }
    x->attempt.error.retry_after_ms = retry_after_ms(&head->fields);
    relay_begin(x, head);
    if (relay_hold(x) != OK)    /* what was not sent of the request has been copied */
        attempt_failed_kind(x, ERR_OVERLOADED, NULL);
}

static void
drop_written(struct exchange *x)
{
    struct written *w = x->attempt.written;

    if (w == NULL)
        return;
    x->worker->freed_bytes += w->held;
    buf_fini(&w->body);
    quota_share_give(&x->worker->held, w->held);
    x->attempt.written = NULL;
}

/* Only what the answer, the log and the metrics ask for is kept. The rest is freed, and
 * pointers to it are NULL from now on. */
void
attempt_drop_request(struct exchange *x)
{
    struct llm_request *r = &x->request;
    enum llm_op op = r->op;
    const struct wire *wire = r->wire;
    struct str model = r->model;
    bool stream = r->stream, want_usage = r->want_usage;
    int64_t n = r->n;

    x->attempt.path = S("");
    drop_written(x);
    exchange_drop_body(x);
    *r = (struct llm_request){
        .op = op, .wire = wire, .model = model, .stream = stream, .n = n, .want_usage = want_usage
    };
}

/* A real token is there: from here on the answer is this target's, and the request is not needed
 * again. */
static void
attempt_commit(struct exchange *x)
{
    x->attempt.state = ATTEMPT_COMMITTED;
    x->attempt.committed = true;
    if (!x->large)
        x->input_estimate = llm_request_estimate_tokens(&x->request);
    attempt_drop_request(x);
    relay_respond(x);
    server_forget_head(x->q);
    exchange_wake(x);
}

/* All of the answer that counts is there, whatever else the connection may send. */
static void
finish_answer(struct exchange *x)
{
    if (relay_begin_large(x)) {
        if (x->attempt.call != NULL)
            client_cancel(x->attempt.call);
        x->attempt.call = NULL;
        x->attempt.state = ATTEMPT_READING;
        x->delivering = true;    /* a caller who leaves now has not been served */
        exchange_wake(x);
        return;
    }
    enum err e = relay_end(x);
    if (e != OK && x->relay.error_event) {
        attempt_failed(x, &x->relay.error);
    } else if (e != OK) {
        attempt_failed_kind(x, e, NULL);
    } else {
        x->attempt.state = ATTEMPT_DONE;
        exchange_wake(x);
    }
}

void
attempt_end_large(struct exchange *x)
{
    enum err e = attempt_is_late(x, clock_now_us()) ? ERR_DEADLINE : relay_end_large(x);
    struct llm_error error;

    x->delivering = false;
    if (e == OK) {
        x->attempt.state = ATTEMPT_DONE;
        return;
    }
    error = e != ERR_DEADLINE && x->relay.error_event ? x->relay.error : error_of_kind(x, e, NULL);
    set_failed(x, &error);
}

static void
on_data(void *owner, struct str bytes)
{
    struct exchange *x = owner;

    if (!attempt_live(x))
        return;
    worker_enter(x->worker, x);
    worker_at(x->worker, "relay");
    enum err e = relay_data(x, bytes);
    worker_at(x->worker, NULL);
    if (e != OK) {
        /* What was valid before the error still points into `bytes`. Unless this target is
         * committed, it must not be sent: another target may take over. */
        if (x->attempt.state == ATTEMPT_COMMITTED)
            relay_flush(x);
        else
            relay_drop(x);
        if (x->relay.error_event)
            attempt_failed(x, &x->relay.error);
        else
            attempt_failed_kind(x, e, NULL);
        return;
    }
    if (x->attempt.state == ATTEMPT_RUNNING && x->relay.content &&
        x->relay.source != SOURCE_WHOLE && x->relay.output != OUTPUT_FOLD)
        attempt_commit(x);
    relay_flush(x);
    if (x->relay.trailing) {
        /* A provider that sends data after the terminator may do so in the next answer:
         * do not reuse the connection. */
        client_cancel(x->attempt.call);
        x->attempt.call = NULL;
        finish_answer(x);
        return;
    }
    if (server_backlog(x->q) > SERVER_HIGH_WATERMARK_BYTES && !x->attempt.paused) {
        x->attempt.paused = true;
        client_pause(x->attempt.call);
    }
}

/* The provider refused: all of its explanation that will come is there. */
static void
settle_refusal(struct exchange *x)
{
    if (relay_end(x) != OK) {
        struct llm_error e = x->relay.error;

        if (wrong_url_explain(x, &e) && e.as_is)
            e.kind = x->relay.error.kind;    /* the caller gets the answer itself */
        attempt_failed(x, &e);
    } else {
        attempt_failed_kind(x, ERR_UPSTREAM_PROTOCOL, NULL);
    }
}

static void
on_end(void *owner)
{
    struct exchange *x = owner;

    x->attempt.call = NULL;
    x->attempt.ended = true;
    x->attempt.note->ended_us = clock_now_us();
    if (!attempt_live(x))
        return;
    if (x->relay.source == SOURCE_ERROR) {
        settle_refusal(x);
        return;
    }
    finish_answer(x);
}

static void
on_failed(void *owner, enum err why, const char *detail)
{
    struct exchange *x = owner;

    x->attempt.call = NULL;
    x->attempt.note->ended_us = clock_now_us();
    if (!attempt_live(x))
        return;
    /* The terminator has come: a failure after it does not matter. */
    if (x->relay.reader.complete)
        finish_answer(x);
    else if (x->relay.source == SOURCE_ERROR)
        settle_refusal(x);
    else
        attempt_failed_kind(x, why, detail);
}

static void
on_resent(void *owner)
{
    struct exchange *x = owner;

    x->attempt.note->resent++;
    metric_add(&x->worker->metrics->upstream_resends, 1);
}

static const struct client_events events = {
    .connected = on_connected,
    .resent = on_resent,
    .head = on_head,
    .data = on_data,
    .end = on_end,
    .failed = on_failed,
};

/* --- starting and stopping --- */

static struct record_attempt *
note_add(struct exchange *x, struct target *t)
{
    struct record_attempt *n = arena_new(x->arena, struct record_attempt);

    n->target = t;
    n->started_us = clock_now_us();
    *x->notes_tail = n;
    x->notes_tail = &n->next;
    x->attempts++;
    return n;
}

static uint64_t
first_of(uint64_t a, uint64_t b)
{
    return a != 0 ? a : b;
}

static void
shorten(uint64_t *deadline_us, uint64_t at_us)
{
    if (*deadline_us == 0 || at_us < *deadline_us)
        *deadline_us = at_us;
}

bool
attempt_is_late(const struct exchange *x, uint64_t now_us)
{
    if (x->deadline_us != 0 && now_us > x->deadline_us)
        return true;
    return x->begin_by_us != 0 && now_us > x->begin_by_us && !server_responded(x->q);
}

bool
attempt_may_repeat(const struct exchange *x)
{
    return x->attempt.error.kind == ERR_UPSTREAM_STALE && x->request.op != OP_RELAY &&
           !x->attempt.repeat;
}

bool
attempt_has_next(const struct exchange *x)
{
    for (size_t i = x->candidate; i < x->plan.count; i++) {
        const struct wire *wire = x->plan.targets[i]->provider->wire;

        if ((wire->provider->ops & OP_BIT(x->request.op)) != 0 &&
            (x->request.op != OP_RELAY || wire == x->request.wire))
            return true;
    }
    return false;
}

bool
attempt_may_fall_back(const struct exchange *x)
{
    bool once = x->endpoint->kind == ENDPOINT_IS_PASSED && x->attempt.sent;

    return err_row(x->attempt.error.kind)->next == NEXT_FALLBACK && !once && attempt_has_next(x);
}

/* What is asked of whom. The path is shown without its query, which is the caller's. */
COLD static void
debug_start(const struct exchange *x)
{
    const struct client_request *q = &x->attempt.written->q;
    struct log_context who = exchange_log(x);
    struct str path, query;
    size_t bytes = 0;

    (void)str_cut(q->path, '?', &path, &query);
    for (size_t i = 0; i < q->body_count; i++)
        bytes += q->body[i].n;
    struct str key = x->attempt.note->credential;
    log_debug(&who, "asks " STR_FMT "://" STR_FMT STR_FMT ": " STR_FMT ", %zu bytes, %s" STR_FMT,
        STR_ARG(q->origin->scheme), STR_ARG(q->origin->host_header),
        STR_ARG(exchange_shown(x, path)), STR_ARG(q->method), bytes, key.n != 0 ? "key " : "no key",
        STR_ARG(key));
}

void
attempt_begin(struct exchange *x)
{
    bool repeat = x->attempt.repeat;
    struct target *t = repeat ? x->attempt.target : x->plan.targets[x->candidate++];
    const struct conf_timeouts *limits = &t->timeouts;

    if (x->attempts != 0)
        relay_reset(x);
    /* A helper thread must not use the exchange's arena. */
    x->drops = (struct wire_drops){ .arena = x->large ? x->request.arena : x->arena };
    x->drops.tail = &x->drops.names;
    struct written *w = arena_try(x->request.arena, sizeof(*w));

    x->attempt = (struct attempt){
        .state = ATTEMPT_WRITING,
        .target = t,
        .note = note_add(x, t),
        .error = { .kind = ERR_OVERLOADED, .retry_after_ms = -1 },
        .repeat = repeat,
        .written = w,
    };
    if (x->attempts == 1 && limits->total_ms != 0)
        shorten(&x->deadline_us, x->started_us + limits->total_ms * 1000);
    if (w == NULL) {
        x->attempt.state = ATTEMPT_FAILED;
        return;
    }
    *w = (struct written){
        .q = {
            .origin = t->provider->origin,
            .method = x->request.op == OP_RELAY ? x->method : S("POST"),
            .dns_ms = limits->dns_ms,
            .connect_ms = limits->connect_ms,
            /* A whole answer begins only when all of it was thought out: the total is its limit. */
            .first_byte_ms = first_of(limits->first_byte_ms,
                x->request.stream ? limits->first_token_ms : limits->total_ms),
            .fresh = repeat,
        },
    };
    w->q.resend_ms =
        attempt_has_next(x)
            ? RESEND_MS
            : first_of(first_of(limits->first_byte_ms, limits->first_token_ms), limits->connect_ms);
    written_write_head(x);
}

/* The names of dropped parameters outlive the request. */
static void
keep_drops(struct exchange *x)
{
    const struct llm_word *names = x->drops.names;

    x->drops = (struct wire_drops){ .arena = x->arena };
    x->drops.tail = &x->drops.names;
    for (const struct llm_word *w = names; w != NULL; w = w->next)
        wire_drop(&x->drops, w->text);
}

void
attempt_send(struct exchange *x)
{
    struct attempt *a = &x->attempt;
    struct written *w = a->written;

    if (x->large)
        keep_drops(x);
    if (w->unfit == OK && !quota_share_set(&x->worker->held, &w->held, w->body.cap, true))
        w->unfit = ERR_OVERLOADED;
    if (w->unfit == OK && x->large && attempt_is_late(x, clock_now_us()))
        w->unfit = ERR_DEADLINE;    /* the time ran out while another thread wrote */
    if (w->unfit != OK) {
        a->error = (struct llm_error){ .kind = w->unfit,
            .message = w->fault.message,
            .param = w->fault.param,
            .retry_after_ms = -1,
            .quotes = true };
        a->note->ended_us = a->note->started_us;
        a->state = ATTEMPT_FAILED;
        return;
    }
    if (log_enabled(LOG_DEBUG))
        debug_start(x);
    a->state = ATTEMPT_RUNNING;
    a->call = client_start(x->worker->client, &w->q, &events, x);
}

static void
count_attempt(struct exchange *x, enum err outcome)
{
    struct record_attempt *n = x->attempt.note;
    struct metric_series_shard *s = worker_series(x->worker, x->attempt.target);

    n->outcome = outcome;
    if (n->ended_us == 0)
        n->ended_us = clock_now_us();
    metric_add(&s->attempts[outcome], 1);
    METRIC_OBSERVE(s, attempt_duration, n->ended_us - n->started_us);
    if (outcome == OK || outcome == ERR_CLIENT_GONE) {
        if (log_enabled(LOG_DEBUG)) {
            struct log_context who = exchange_log(x);

            log_debug(&who, "attempt ended: %s after %.1f ms", err_row(outcome)->code,
                (double)(n->ended_us - n->started_us) / 1000);
        }
    } else {
        struct log_context who = exchange_log(x);

        n->message = exchange_reason(x, &x->attempt.error);
        who.error = str_c(err_row(outcome)->code);
        log_warn(&who, "attempt failed: " STR_FMT, STR_ARG(n->message));
    }
}

void
attempt_stop(struct exchange *x, enum err outcome)
{
    if (x->attempt.note == NULL || x->attempt.state == ATTEMPT_NONE)
        return;
    if (x->attempt.call != NULL)
        client_cancel(x->attempt.call);
    x->attempt.call = NULL;
    drop_written(x);
    count_attempt(x, outcome);
    x->attempt.state = ATTEMPT_NONE;
}

void
attempt_resume(struct exchange *x)
{
    if (!x->attempt.paused || x->attempt.call == NULL)
        return;
    x->attempt.paused = false;
    x->relay.heard_us = clock_now_us();
    x->relay.byte_us = x->relay.heard_us;
    client_resume(x->attempt.call);
}

static bool
is_past(uint64_t now_us, uint64_t since_us, uint64_t limit_ms)
{
    return limit_ms != 0 && now_us > since_us + limit_ms * 1000;
}

/* Has the provider been silent for too long? Where tokens cannot be told, any byte counts; and so
 * it does for a caller who would have hung up by now, had it not been kept waiting. */
static bool
is_silent(const struct exchange *x, uint64_t now_us, enum err *ret_why)
{
    const struct conf_timeouts *limits = &x->attempt.target->timeouts;
    const struct relay *r = &x->relay;
    uint64_t byte_us = r->source == SOURCE_NONE ? x->attempt.note->started_us : r->byte_us;

    if (x->silence_us != 0 && now_us > byte_us + x->silence_us) {
        *ret_why = r->source == SOURCE_NONE ? ERR_UPSTREAM_TIMEOUT : ERR_UPSTREAM_STALLED;
        return true;
    }
    if (x->request.stream && !r->content) {
        *ret_why = ERR_UPSTREAM_TIMEOUT;
        return is_past(now_us, x->attempt.note->started_us, limits->first_token_ms);
    }
    *ret_why = ERR_UPSTREAM_STALLED;
    return r->source != SOURCE_NONE && is_past(now_us, r->heard_us, limits->between_tokens_ms);
}

void
attempt_tick(struct exchange *x, uint64_t now_us)
{
    const struct relay *r = &x->relay;
    enum err why;

    if (!attempt_live(x))
        return;
    if (attempt_is_late(x, now_us)) {
        attempt_failed_kind(x, ERR_DEADLINE, NULL);
    } else if (r->source == SOURCE_ERROR) {
        if (now_us > x->attempt.note->head_us + REFUSAL_US)
            settle_refusal(x);
    } else if (x->attempt.paused) {
        if (relay_hold(x) != OK)    /* the provider goes on sending for a while */
            attempt_failed_kind(x, ERR_OVERLOADED, NULL);
    } else if (r->reader.complete) {
        if (now_us > r->heard_us + LAST_BYTE_US)
            finish_answer(x);
    } else if (is_silent(x, now_us, &why)) {
        attempt_failed_kind(
            x, why, why == ERR_UPSTREAM_TIMEOUT ? "no first token within the time limit" : NULL);
    } else if (relay_is_silent(x)) {
        /* A route that is only passed through has begun with the answer's head. */
        if (r->source == SOURCE_RAW && x->attempt.state == ATTEMPT_RUNNING)
            attempt_commit(x);
        relay_keepalive(x);
    }
}
