/* relay.c - decodes the provider's answer and writes the caller's, frame by frame. */
#include "gateway/relay.h"

#include "base/clock.h"
#include "gateway/exchange.h"
#include "gateway/location.h"
#include "llm/fail.h"

#define ERROR_BODY_BYTES (64u * 1024)
/* frames that carry no content yet, or one turn's output */
#define HELD_BYTES (4u * 1024 * 1024)

/* The most that is held back of passed-through text while it may be the beginning of a secret. */
#define RAW_TAIL_BYTES 256

/* The provider's fields that mean something to the caller. */
static const struct str passed_prefixes[] = {
    S_INIT("x-ratelimit-"),
    S_INIT("anthropic-ratelimit-"),
    S_INIT("openai-"),
    S_INIT("retry-after"),
    S_INIT("content-disposition"),
    S_INIT("content-encoding"),
};

/* And those of a resource that is passed through. */
static const struct str resource_fields[] = {
    S_INIT("accept-ranges"),
    S_INIT("content-range"),
    S_INIT("etag"),
    S_INIT("last-modified"),
};

/* --- what the decoder says --- */

/* Keeps a provider's error beyond the bytes it came in. One that quotes what the gateway sent it
 * in confidence loses all its words, for any part of them may hold a part of the secret: false. */
static bool
keep_error(struct exchange *x, const struct llm_error *e)
{
    const struct secrets *secrets = x->hold->snapshot->secrets;
    struct llm_error *to = &x->relay.error;

    *to = (struct llm_error){
        .kind = e->kind, .status = e->status, .retry_after_ms = e->retry_after_ms, .quotes = true
    };
    x->relay.error_event = true;
    if (secrets_in(secrets, x->relay.reading) || secrets_in(secrets, e->message))
        return false;
    struct arena *keep = x->relay.reader.keep;    /* of the thread that reads */
    to->message = arena_str(keep, e->message);
    to->type = arena_str(keep, e->type);
    to->code = arena_str(keep, e->code);
    to->param = arena_str(keep, e->param);
    return true;
}

static void
on_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct exchange *x = CONTAINER_OF(sink, struct exchange, relay.sink);
    struct relay *r = &x->relay;

    r->frame_said = true;
    if (tally_event(&r->tally, ev)) {
        r->content = true;
        r->heard_us = r->tally.last_token_us;
    }
    if (ev->kind == EVENT_ERROR)
        (void)keep_error(x, ev->error);
    if (r->output == OUTPUT_FOLD)
        r->answer->sink.emit(&r->answer->sink, ev);
    else if (r->output == OUTPUT_EVENTS && ev->kind != EVENT_ERROR)
        x->request.wire->caller->write_event(&r->writer, ev);
}

/* --- beginning --- */

static bool
has_digit(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= '0' && s.p[i] <= '9')
            return true;
    return false;
}

/* Fields whose name or value contains a secret are not passed on. Names without a digit are not
 * scanned: they are ordinary names. */
static bool
field_is_clean(const struct exchange *x, struct str name, struct str value)
{
    const struct secrets *secrets = x->hold->snapshot->secrets;

    return (!has_digit(name) || !secrets_in(secrets, name)) &&
           (value.n < SECRET_LEAST_BYTES || !secrets_in(secrets, value));
}

static void
pass_resource_field(struct exchange *x, const struct http_field *f, struct buf *out)
{
    const struct provider *p = x->attempt.target->provider;
    struct str value = f->value;
    bool passes = false;

    for (size_t i = 0; i < ARRAY_LEN(resource_fields); i++)
        passes = passes || str_ieq(f->name, resource_fields[i]);
    if (str_ieq(f->name, S("location"))) {
        value = location_for_caller(x->arena, p->origin, p->base_path, value);
        passes = value.n != 0;
    }
    if (passes && field_is_clean(x, f->name, f->value))
        http_add_field(out, f->name, value);
}

/* The most common types; they need no scan. */
static bool
is_plain_type(struct str type)
{
    return str_eq(type, S("application/json")) || str_eq(type, S("text/event-stream")) ||
           str_eq(type, S("text/event-stream; charset=utf-8"));
}

static struct str
passed_fields(struct exchange *x, const struct http_head *head)
{
    struct buf *out = &x->worker->text;

    CHECK(buf_len(out) == 0);
    for (size_t i = 0; i < head->fields.count; i++) {
        const struct http_field *f = &head->fields.list[i];
        for (size_t k = 0; k < ARRAY_LEN(passed_prefixes); k++)
            if ((f->name.p[0] | 0x20) == passed_prefixes[k].p[0] &&
                str_istarts(f->name, passed_prefixes[k]) && field_is_clean(x, f->name, f->value))
                http_add_field(out, f->name, f->value);
        if (x->request.op == OP_RELAY)
            pass_resource_field(x, f, out);
    }
    struct str s = buf_len(out) != 0 ? arena_str(x->arena, buf_str(out)) : S("");
    buf_reset(out, SIZE_MAX);
    return s;
}

static enum relay_source
choose_source(const struct exchange *x, const struct http_head *head)
{
    if (x->request.op == OP_RELAY)
        return head->status >= 400 ? SOURCE_ERROR : SOURCE_RAW;
    return head->status < 200 || head->status >= 300 ? SOURCE_ERROR : SOURCE_UNSURE;
}

static void
begin_fold(struct exchange *x, struct arena *a)
{
    struct relay *r = &x->relay;

    r->answer = arena_new(a, struct llm_answer);
    answer_init(r->answer, a);
    r->answer->left = exchange_conf(x)->server.limit_answer_bytes;
}

static void
choose_output(struct exchange *x)
{
    struct relay *r = &x->relay;
    bool same_wire = x->attempt.target->provider->wire == x->request.wire;
    bool same_shape = (r->source == SOURCE_STREAM) == x->request.stream;

    r->output = same_wire && same_shape ? OUTPUT_FORWARD
                : x->request.stream     ? OUTPUT_EVENTS
                                        : OUTPUT_FOLD;
    if (r->output == OUTPUT_FOLD) {
        r->fold = worker_take_arena(x->worker, ARENA_REQUEST);
        begin_fold(x, r->fold);
    }
}

/* Is content of this type text, so that it can be scanned for secrets? */
static bool
is_text(struct str type)
{
    static const struct str binary[] = { S_INIT("audio/"), S_INIT("image/"), S_INIT("video/"),
        S_INIT("font/"), S_INIT("application/octet-stream"), S_INIT("application/pdf"),
        S_INIT("application/zip"), S_INIT("application/gzip") };

    for (size_t i = 0; i < ARRAY_LEN(binary); i++)
        if (str_istarts(type, binary[i]))
            return false;
    return true;
}

static void
begin_writer(struct exchange *x)
{
    struct relay *r = &x->relay;

    buf_init(&r->out, MAX(HELD_BYTES, 2 * exchange_conf(x)->server.limit_answer_bytes));
    r->writer = (struct wire_writer){
        .wire = x->request.wire,
        .request = &x->request,
        .keep = x->arena,
        .out = &r->out,
        .id = str_skip(x->id, str_starts(x->id, S("req_")) ? 4 : 0),
        .model = x->attempt.target->wire.model,
        .created_s = (int64_t)(clock_wall_ms() / 1000),
    };
}

void
relay_begin(struct exchange *x, const struct http_head *head)
{
    struct relay *r = &x->relay;
    const struct wire *wire = x->attempt.target->provider->wire;
    const struct framing *framing = x->request.op == OP_RELAY ? &framing_sse : wire->framing;
    const struct conf_server *limits = &exchange_conf(x)->server;
    struct str type = http_field_get(&head->fields, S("content-type"));

    r->content_type =
        is_plain_type(type) || field_is_clean(x, S(""), type) ? arena_str(x->arena, type) : S("");
    r->passed = passed_fields(x, head);
    r->length = head->content_length;
    if (head->status >= 300 && head->status < 400)
        r->location = arena_str(x->arena, http_field_get(&head->fields, S("location")));
    r->says_stream = http_type_is(type, framing->type);
    r->encoded = http_field_get(&head->fields, S("content-encoding")).n != 0;
    r->source = choose_source(x, head);
    r->heard_us = x->attempt.note->head_us;
    r->byte_us = r->heard_us;
    r->last_write_us = r->heard_us;
    framing_init(&r->framing, framing, limits->limit_event_bytes);
    buf_init(&r->body, r->source == SOURCE_ERROR ? ERROR_BODY_BYTES : limits->limit_answer_bytes);
    r->sink.emit = on_event;
    r->reader = (struct wire_reader){
        .wire = wire,
        .op = x->request.op,
        .choices = x->request.n,
        .keep = x->arena,
        .scratch = x->worker->scratch,
        .sink = &r->sink,
    };
    begin_writer(x);
    if (r->source == SOURCE_RAW) {
        x->status = head->status;
        r->content = true;    /* nothing to wait for: bytes are forwarded as they come */
        r->raw_text = is_text(type);
        r->raw_events = r->says_stream && !r->encoded && head->status == 200;
        if (r->raw_events)
            r->length = -1;    /* comments may be added */
    }
}

/* --- answering --- */

static void
respond(struct exchange *x, int status, struct str type, int64_t length)
{
    struct buf *out = &x->worker->text;
    bool stream = http_type_is(type, S("text/event-stream"));

    CHECK(buf_len(out) == 0);
    if (type.n != 0)
        http_add_field(out, S("Content-Type"), type);
    buf_add(out, stream ? S("Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n")
                        : S("Cache-Control: no-store\r\n"));
    exchange_fields(x, out);
    if (x->error != OK) {
        http_add_field(out, S("x-openclaw-error"), str_c(err_row(x->error)->code));
        exchange_add_retry(x, status, out);
    }
    buf_add(out, x->relay.passed);
    x->status = status;
    server_respond(x->q, status, buf_str(out), length);
    buf_reset(out, SIZE_MAX);
}

void
relay_respond(struct exchange *x)
{
    struct relay *r = &x->relay;

    if (server_responded(x->q))
        return;
    if (x->request.stream && r->source != SOURCE_RAW) {
        respond(x, 200, x->request.wire->framing->type, -1);
        x->worker->stream_count++;
        x->streaming = true;
    } else {
        respond(x, x->attempt.status, r->content_type, r->length);
        if (r->raw_events) {
            x->worker->stream_count++;
            x->streaming = true;
        }
    }
}

void
relay_refuse(struct exchange *x)
{
    struct relay *r = &x->relay;
    struct str body = buf_str(&r->body);

    respond(x, x->attempt.status, r->content_type, r->length >= 0 ? r->length : (int64_t)body.n);
    server_write(x->q, body);
}

void
relay_flush(struct exchange *x)
{
    struct relay *r = &x->relay;

    if (r->rest.n != 0)
        return;    /* relay_send_rest() does it */
    if (!r->content || !server_responded(x->q)) {
        buf_add(&r->out, r->run);
        r->run = S("");
        return;
    }
    if (buf_len(&r->out) != 0 || r->run.n != 0) {
        struct str pieces[] = { buf_str(&r->out), r->run };
        server_write_pieces(x->q, pieces, ARRAY_LEN(pieces));
        buf_reset(&r->out, 0);
        r->run = S("");
        r->last_write_us = r->heard_us;
    }
}

void
relay_drop(struct exchange *x)
{
    buf_reset(&x->relay.out, 0);
    x->relay.run = S("");
}

/* --- streams --- */

/* Frames that lie next to each other in the bytes just received go out as one run, uncopied; one
 * that was put together from earlier bytes is copied, because the reader reuses its buffer. */
static void
forward_frame(struct exchange *x, struct str raw)
{
    struct relay *r = &x->relay;
    bool in_chunk = raw.p >= r->chunk.p && raw.p + raw.n <= r->chunk.p + r->chunk.n;

    if (r->reader.frame_is_usage && !x->request.want_usage)
        return;
    if (in_chunk && r->run.n != 0 && r->run.p + r->run.n == raw.p) {
        r->run.n += raw.n;
        return;
    }
    buf_add(&r->out, r->run);
    r->run = S("");
    if (in_chunk)
        r->run = raw;
    else
        buf_add(&r->out, raw);
}

/* Does a frame after the terminator carry anything? Some hosts send [DONE] in every protocol. */
static bool
is_trailing(const struct frame *f)
{
    return f->has_data && !str_eq(str_trim(f->data), S("[DONE]"));
}

static bool
on_frame(void *arg, const struct frame *f)
{
    struct exchange *x = arg;
    struct relay *r = &x->relay;
    struct arena *scratch = x->worker->scratch;
    struct arena_mark mark = arena_mark(scratch);

    if (r->reader.complete) {    /* the answer is over: this is not part of it */
        r->trailing = r->trailing || is_trailing(f);
        return !r->trailing;
    }
    r->reader.frame_is_usage = false;
    r->frame_said = false;
    r->reading = f->data;
    if (f->has_data)
        r->frame_error = r->reader.wire->provider->read_event(&r->reader, f->event, f->data);
    r->reading = S("");
    arena_rewind(scratch, mark);
    if (r->frame_error != OK || r->error_event)
        return false;
    /* An event that the decoder ignored may be anything, also an error. */
    if (r->output == OUTPUT_FORWARD &&
        (r->frame_said || !secrets_in(x->hold->snapshot->secrets, f->raw)))
        forward_frame(x, f->raw);
    return true;
}

/* The answer exceeds its own limit, or the process is at its memory limit. */
static enum err
too_large(const struct relay *r)
{
    return r->answer != NULL && arena_was_refused(r->answer->arena) ? ERR_OVERLOADED
                                                                    : ERR_UPSTREAM_TOO_LARGE;
}

/* After frames were read: what they say about the stream as a whole. */
static enum err
stream_verdict(const struct relay *r, enum err e)
{
    if (r->error_event)
        return r->error.kind;
    if (r->frame_error != OK)
        return r->frame_error;
    if (e == OK && (r->out.overflow || (r->answer != NULL && r->answer->too_large)))
        return too_large(r);
    return e;
}

enum err
relay_hold(struct exchange *x)
{
    struct relay *r = &x->relay;
    uint64_t now = r->body.cap + r->out.cap + framing_held_bytes(&r->framing);

    if (x->attempt.call != NULL)
        now += client_held_bytes(x->attempt.call);
    if (now == r->held || quota_share_set(&x->worker->held, &r->held, now, true))
        return OK;
    return ERR_OVERLOADED;
}

static void
drop_fold(struct exchange *x)
{
    struct relay *r = &x->relay;

    worker_drop_arena(x->worker, r->fold, ARENA_REQUEST);
    r->fold = NULL;
    r->answer = NULL;
}

/* --- whole answers --- */

/* Makes the caller's answer, one document (or, when it wanted a stream, a short one), from what was
 * read. */
static enum err
write_document(struct exchange *x, struct str body)
{
    struct relay *r = &x->relay;

    r->content = true;
    if (r->output == OUTPUT_FORWARD) {
        r->run = body;
        if (r->says_stream || r->content_type.n == 0)
            r->content_type = S("application/json");
    } else if (r->output == OUTPUT_FOLD) {
        if (r->answer->too_large)
            return too_large(r);
        x->request.wire->caller->write_answer(&r->writer, r->answer);
        r->content_type = S("application/json");
    }
    return r->out.overflow ? ERR_UPSTREAM_TOO_LARGE : OK;
}

/* Sends it, or the beginning of a large one. */
static enum err
send_document(struct exchange *x)
{
    struct relay *r = &x->relay;

    drop_fold(x);
    enum err e = relay_hold(x);
    if (e != OK)
        return e;
    r->length = (int64_t)(buf_len(&r->out) + r->run.n);
    relay_respond(x);
    if (r->length > RELAY_LARGE_BYTES) {
        r->rest = r->run.n != 0 ? r->run : buf_str(&r->out);
        r->run = S("");
    }
    relay_flush(x);
    return OK;
}

static enum err
read_document(struct exchange *x, struct str body)
{
    struct relay *r = &x->relay;

    r->reading = body;
    enum err e = r->reader.wire->provider->read_answer(&r->reader, body);

    r->reading = S("");
    if (r->error_event)
        return r->error.kind;
    if (e == OK)
        r->whole_done = true;
    return e;
}

static enum err
write_whole(struct exchange *x, struct str body)
{
    enum err e = write_document(x, body);

    return e == OK ? send_document(x) : e;
}

static enum err
read_whole(struct exchange *x, struct str body)
{
    struct arena_mark mark = arena_mark(x->worker->scratch);

    loop_count_work(x->worker->loop, body.n);
    enum err e = read_document(x, body);
    arena_rewind(x->worker->scratch, mark);
    return e == OK ? write_whole(x, body) : e;
}

/* Notes whether a document looks like JSON or HTML. */
static void
look_at_document(struct relay *r, struct str body)
{
    struct str s = str_trim(body);

    r->json = s.n != 0 && (s.p[0] == '{' || s.p[0] == '[');
    r->html = s.n != 0 && s.p[0] == '<' &&
              (http_type_is(r->content_type, S("text/html")) || str_istarts(s, S("<html")) ||
                  str_istarts(s, S("<!doctype html")));
}

static enum err
read_error(struct exchange *x, struct str body)
{
    struct relay *r = &x->relay;
    struct llm_error e = { .retry_after_ms = -1 };

    struct arena *scratch = x->worker->scratch;
    struct arena_mark mark = arena_mark(scratch);

    r->reading = body;
    r->reader.wire->provider->read_error(scratch, x->attempt.status, body, &e);
    bool fit = keep_error(x, &e);
    r->reading = S("");
    arena_rewind(scratch, mark);
    r->error.status = x->attempt.status;
    look_at_document(r, body);
    /* What is wrong with the gateway's own credentials is not the caller's to read. */
    r->error.as_is = fit && x->request.op == OP_RELAY && e.kind != ERR_UPSTREAM_AUTH &&
                     x->attempt.ended && !r->body.overflow && !r->encoded;
    return r->error.kind;
}

/* --- the provider's bytes --- */

/* Document or stream? False: the bytes that tell are still to come. */
static bool
settle_source(struct exchange *x, struct str bytes)
{
    struct relay *r = &x->relay;
    enum framing_shape shape =
        framing_tell(r->framing.framing, bytes, r->says_stream, x->request.stream);

    if (shape == SHAPE_UNSURE)
        return false;
    r->reader.stream = shape == SHAPE_STREAM;
    r->source = r->reader.stream ? SOURCE_STREAM : SOURCE_WHOLE;
    look_at_document(r, bytes);
    choose_output(x);
    return true;
}

/* Collects what cannot be read yet. */
static enum err
collect(struct exchange *x, struct str bytes)
{
    x->relay.heard_us = clock_now_us();
    buf_add(&x->relay.body, bytes);
    return x->relay.body.overflow ? ERR_UPSTREAM_TOO_LARGE : OK;
}

static enum err
read_stream(struct exchange *x, struct str bytes)
{
    struct relay *r = &x->relay;
    enum err e = OK;

    if (buf_len(&r->body) != 0) {    /* blanks before it was known to be one */
        e = framing_feed(&r->framing, buf_str(&r->body), on_frame, x);
        buf_reset(&r->body, 0);
    }
    if (e == OK)
        e = framing_feed(&r->framing, bytes, on_frame, x);
    if (r->reader.complete && !r->trailing) {
        struct str rest = framing_pending(&r->framing);    /* what came before was blank, or was read */

        r->trailing = str_trim(str_skip(rest, rest.n - MIN(rest.n, bytes.n))).n != 0;
    }
    return stream_verdict(r, e);
}

/* Scans passed-through text for secrets: for those that look random, which no text contains by chance,
 * and once a stream has reported an error for all of them. */
static enum err
search_raw(struct exchange *x, struct str text)
{
    struct relay *r = &x->relay;

    r->raw_failure = r->raw_failure || (r->says_stream && fail_is_told(text));
    if (!secrets_scan(x->hold->snapshot->secrets, &r->scan, text, !r->raw_failure))
        return OK;
    r->error_event = true;
    r->error = (struct llm_error){ .kind = ERR_UPSTREAM_ERROR,
        .message =
            S("the provider's answer contained one of the gateway's credentials and was withheld"),
        .retry_after_ms = -1 };
    return ERR_UPSTREAM_ERROR;
}

static bool
on_raw_frame(void *arg, const struct frame *f)
{
    struct exchange *x = arg;
    struct relay *r = &x->relay;

    r->frame_error = search_raw(x, f->raw);
    if (r->frame_error != OK)
        return false;
    r->raw_count += f->has_data;
    forward_frame(x, f->raw);
    return true;
}

/* Passes bytes through unchanged; text is scanned for secrets. */
static enum err
pass_raw(struct exchange *x, struct str bytes)
{
    struct relay *r = &x->relay;

    r->heard_us = clock_now_us();
    if (!r->raw_text) {
        r->run = bytes;
        return OK;
    }
    if (r->raw_events)
        return stream_verdict(r, framing_feed(&r->framing, bytes, on_raw_frame, x));
    enum err e = search_raw(x, bytes);
    if (e != OK)
        return e;
    /* A tail that may be the beginning of a secret is kept in `body` until more has arrived. */
    bool pending = secrets_scan_pending(x->hold->snapshot->secrets, &r->scan) &&
                   buf_len(&r->body) <= RAW_TAIL_BYTES;
    size_t kept = pending ? MIN(bytes.n, RAW_TAIL_BYTES) : 0;
    if (bytes.n != kept || !pending) {
        buf_add(&r->out, buf_str(&r->body));
        buf_reset(&r->body, RAW_TAIL_BYTES);
    }
    r->run = str_make(bytes.p, bytes.n - kept);
    buf_add(&r->body, str_skip(bytes, bytes.n - kept));
    return r->body.overflow || r->out.overflow ? ERR_NO_MEMORY : OK;
}

/* All of it has come. */
static enum err
end_raw(struct exchange *x)
{
    struct relay *r = &x->relay;
    enum err e = OK;

    r->chunk = S("");
    if (r->raw_events)
        e = stream_verdict(r, framing_end(&r->framing, on_raw_frame, x));
    if (e != OK)
        return e;
    relay_respond(x);
    if (!r->raw_events)
        r->run = buf_str(&r->body);
    relay_flush(x);
    return OK;
}

static enum err
take_data(struct exchange *x, struct str bytes)
{
    struct relay *r = &x->relay;

    r->chunk = bytes;
    if (x->silence_us != 0)
        r->byte_us = clock_now_us();
    if (r->source == SOURCE_UNSURE && !settle_source(x, bytes))
        return collect(x, bytes);
    switch (r->source) {
    case SOURCE_STREAM:
        return read_stream(x, bytes);
    case SOURCE_RAW:
        return pass_raw(x, bytes);
    case SOURCE_WHOLE:
        if (r->length >= 0 && (uint64_t)r->length > r->body.limit)
            return ERR_UPSTREAM_TOO_LARGE;
        if (buf_len(&r->body) == 0 && r->length >= 0 && bytes.n == (size_t)r->length &&
            bytes.n <= RELAY_LARGE_BYTES)
            return read_whole(x, bytes);    /* all in one piece: no copy */
        return collect(x, bytes);
    case SOURCE_ERROR:
        buf_add(&r->body, bytes);    /* what does not fit is not needed to classify it */
        return OK;
    case SOURCE_UNSURE:
    case SOURCE_NONE:
        return OK;
    }
    CHECK_UNREACHABLE();
}

enum err
relay_data(struct exchange *x, struct str bytes)
{
    loop_count_work(x->worker->loop, bytes.n);
    enum err e = take_data(x, bytes);

    return e == OK ? relay_hold(x) : e;
}

/* The stream is over: complete, or cut? */
static enum err
close_stream(struct exchange *x)
{
    struct relay *r = &x->relay;
    size_t before = buf_len(&r->out);

    r->chunk = S("");
    enum err e = stream_verdict(r, framing_end(&r->framing, on_frame, x));
    if (e != OK)
        return e;
    bool said_so = r->reader.complete;
    r->reader.wire->provider->read_end(&r->reader);
    if (r->error_event)
        return r->error.kind;
    if (r->output == OUTPUT_FORWARD && !r->reader.complete)
        buf_truncate(&r->out, before);    /* a piece of an event */
    if (!r->reader.complete)
        return ERR_UPSTREAM_TRUNCATED;
    if (r->output == OUTPUT_FORWARD && buf_len(&r->out) != before)
        framing_close(r->framing.framing, &r->out);
    if (r->output == OUTPUT_FORWARD && !said_so)
        buf_add(&r->out, x->request.wire->caller->terminator);
    return OK;
}

static enum err
end_stream(struct exchange *x)
{
    enum err e = close_stream(x);

    if (e != OK)
        return e;
    if (x->relay.output == OUTPUT_FOLD)
        return write_whole(x, S(""));
    x->relay.content = true;
    relay_respond(x);
    relay_flush(x);
    return OK;
}

enum err
relay_end(struct exchange *x)
{
    struct relay *r = &x->relay;

    switch (r->source) {
    case SOURCE_ERROR:
        return read_error(x, buf_str(&r->body));
    case SOURCE_WHOLE:
        return r->whole_done ? OK : read_whole(x, buf_str(&r->body));
    case SOURCE_RAW:
        return end_raw(x);
    case SOURCE_STREAM:
        return end_stream(x);
    case SOURCE_UNSURE:
    case SOURCE_NONE:
        return ERR_UPSTREAM_TRUNCATED;
    }
    CHECK_UNREACHABLE();
}

/* --- large answers --- */

/* Text that was folded so far: about what is to be written. */
static size_t
folded_bytes(const struct exchange *x)
{
    const struct llm_answer *answer = x->relay.answer;

    return answer != NULL ? exchange_conf(x)->server.limit_answer_bytes - answer->left : 0;
}

bool
relay_begin_large(struct exchange *x)
{
    struct relay *r = &x->relay;
    bool whole = r->source == SOURCE_WHOLE && !r->whole_done;
    bool folded = r->source == SOURCE_STREAM && r->output == OUTPUT_FOLD;

    if (!(whole && buf_len(&r->body) > RELAY_LARGE_BYTES) &&
        !(folded && folded_bytes(x) > RELAY_LARGE_BYTES))
        return false;

    struct relay_job *job = arena_new(x->arena, struct relay_job);
    job->result = folded ? close_stream(x) : OK;
    job->share.quota = &x->worker->gateway->held;
    job->keep = arena_create(WORKER_ARENA_BYTES);
    job->scratch = arena_create(WORKER_ARENA_BYTES);
    arena_count_in(job->keep, &job->share);
    arena_count_in(job->scratch, &job->share);
    job->body = buf_str(&r->body);
    r->job = job;
    r->reader.keep = whole ? job->keep : r->reader.keep;
    r->reader.scratch = job->scratch;
    r->writer.keep = job->keep;
    if (whole && r->output == OUTPUT_FOLD) {
        drop_fold(x);
        begin_fold(x, job->keep);
    }
    return true;
}

void
relay_work(struct exchange *x)
{
    struct relay_job *job = x->relay.job;

    if (job->result == OK && job->body.n != 0)
        job->result = read_document(x, job->body);
    if (job->result == OK)
        job->result = write_document(x, job->body);
    if (job->result != OK && (arena_was_refused(job->keep) || arena_was_refused(job->scratch)))
        job->result = ERR_OVERLOADED;
}

static void
drop_job(struct exchange *x)
{
    struct relay_job *job = x->relay.job;

    if (job == NULL)
        return;
    x->worker->freed_bytes += job->share.held;
    arena_destroy(job->keep);
    arena_destroy(job->scratch);
    quota_share_trim(&job->share);
    x->relay.job = NULL;
}

enum err
relay_end_large(struct exchange *x)
{
    struct relay *r = &x->relay;
    enum err e = r->job->result;

    if (e != OK)
        return e;
    /* Only the text of the answer is needed now. */
    r->answer = NULL;
    r->reader.keep = r->writer.keep = x->arena;
    r->reader.state = r->writer.state = NULL;
    drop_job(x);
    if (r->output != OUTPUT_FORWARD)
        buf_fini(&r->body);
    return send_document(x);
}

void
relay_send_rest(struct exchange *x)
{
    struct relay *r = &x->relay;
    struct str piece = str_make(r->rest.p, MIN(r->rest.n, RELAY_LARGE_BYTES));

    if (piece.n == 0)
        return;
    loop_count_work(x->worker->loop, piece.n);
    server_write(x->q, piece);
    r->rest = str_skip(r->rest, piece.n);
    if (r->rest.n == 0)
        buf_reset(&r->out, 0);
}

bool
relay_is_silent(const struct exchange *x)
{
    const struct relay *r = &x->relay;
    uint64_t every_us = exchange_conf(x)->server.keepalive_ms * 1000;
    uint64_t last_us = r->last_write_us != 0 ? r->last_write_us : x->attempt.note->started_us;
    bool stream = x->request.op == OP_RELAY ? r->raw_events : x->request.stream;

    return stream && every_us != 0 && clock_now_us() >= last_us + every_us;
}

void
relay_keepalive(struct exchange *x)
{
    struct relay *r = &x->relay;
    const struct wire *wire = x->request.wire;
    const struct framing *framing = r->raw_events ? r->framing.framing : wire->framing;
    bool plain = !r->content || r->raw_events || wire->caller->keepalive.n == 0;

    r->last_write_us = clock_now_us();
    relay_respond(x);
    /* Before the first event a caller's protocol may not allow its own ping: the framing's bytes
     * always pass. */
    server_write(x->q, plain ? framing->keepalive : wire->caller->keepalive);
}

void
relay_break(struct exchange *x, const struct llm_error *e)
{
    struct relay *r = &x->relay;
    const struct wire_caller *caller = x->request.wire->caller;
    struct llm_event ev = { .kind = EVENT_ERROR, .error = e, .usage = USAGE_NONE };

    if (r->writer.out == NULL)
        begin_writer(x);    /* only keep-alives were sent, and the last target never answered */
    r->content = true;      /* what was held back belongs before the error */
    relay_flush(x);
    if (x->request.op == OP_RELAY)
        caller->write_relay_error(
            &r->out, e, str_skip(x->path.text, sizeof("/v1") - 1), r->raw_count);
    else
        caller->write_event(&r->writer, &ev);
    relay_flush(x);
}

void
relay_release(struct exchange *x)
{
    struct relay *r = &x->relay;

    buf_fini(&r->body);
    buf_fini(&r->out);
    drop_fold(x);
    drop_job(x);
    quota_share_give(&x->worker->held, r->held);
    r->held = 0;
}

void
relay_fini(struct exchange *x)
{
    relay_release(x);
    framing_fini(&x->relay.framing);
}

void
relay_reset(struct exchange *x)
{
    struct relay *r = &x->relay;

    relay_fini(x);
    *r = (struct relay){ .content = false };
    tally_reset(&r->tally);
}
