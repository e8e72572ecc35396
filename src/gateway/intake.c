/* intake.c - reads one provider's answer: bytes into frames, frames into events. */
#include "gateway/intake.h"

#include "base/clock.h"
#include "llm/fail.h"
#include "llm/retry_after.h"

#define ERROR_BODY_BYTES (64u * 1024)

/* The most that is held back of passed-through text while it may be the beginning of a secret. */
#define RAW_TAIL_BYTES 256

/* The longest message of a session that is read: those that tell what it used are short. */
#define SESSION_MESSAGE_BYTES (256u * 1024)

/* Keeps a provider's error beyond the bytes it came in. One that quotes what the gateway sent it
 * in confidence loses all its words, for any part of them may hold a part of the secret: false. */
static bool
keep_error(struct intake *in, const struct llm_error *e)
{
    struct arena *keep = in->reader.keep;    /* of the thread that reads */
    struct llm_error *to = arena_new(keep, struct llm_error);

    *to = (struct llm_error){
        .kind = e->kind,
        .status = e->status,
        .retry_after_ms = in->asked_ms != 0        ? in->asked_ms
                          : e->retry_after_ms != 0 ? e->retry_after_ms
                                                   : in->reset_ms,
        .quotes = true,
        .worded = e->worded,
        .permanent = e->permanent,
    };
    in->error = to;
    if (secrets_in(in->secrets, in->reading) || secrets_in(in->secrets, e->message))
        return false;
    to->message = arena_str(keep, e->message);
    to->type = arena_str(keep, e->type);
    to->code = arena_str(keep, e->code);
    to->param = arena_str(keep, e->param);
    return true;
}

static void
on_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct intake *in = CONTAINER_OF(sink, struct intake, sink);

    in->frame_said = true;
    if (ev->kind == EVENT_ERROR)
        (void)keep_error(in, ev->error);
    else
        in->events->emit(in->events, ev);
}

/* --- the head --- */

/* The most common types; they need no scan. */
static bool
is_plain_type(struct str type)
{
    return str_eq(type, S("application/json")) || str_eq(type, S("text/event-stream")) ||
           str_eq(type, S("text/event-stream; charset=utf-8"));
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

void
intake_begin(struct intake *in, const struct http_head *head, const struct conf_server *limits)
{
    struct arena *keep = in->reader.keep;
    struct str type = http_field_get(&head->fields, S("content-type"));
    bool raw = in->reader.op == OP_RELAY;

    in->status = head->status;
    in->length = head->content_length;
    if (is_plain_type(type) || type.n < SECRET_LEAST_BYTES || !secrets_in(in->secrets, type))
        in->content_type = arena_str(keep, type);
    if (head->status >= 300 && head->status < 400)
        in->location = arena_str(keep, http_field_get(&head->fields, S("location")));
    if (head->status >= 400) {    /* of a success they say when more can be asked for */
        in->asked_ms = retry_after_asked_ms(&head->fields);
        in->reset_ms = retry_after_reset_ms(&head->fields);
    }
    struct str input = in->reader.wire->provider->input_field;
    uint64_t tokens;
    if (UNLIKELY(input.n != 0) && str_u64(http_field_get(&head->fields, input), &tokens))
        in->reader.head_input = (int64_t)MIN(tokens, (uint64_t)USAGE_MOST);
    in->limited = headroom_read(&head->fields, &in->headroom);
    in->encoded = http_field_get(&head->fields, S("content-encoding")).n != 0;
    if (raw ? head->status >= 400 : head->status < 200 || head->status >= 300)
        in->source = SOURCE_ERROR;
    else
        in->source = raw ? SOURCE_RAW : SOURCE_UNSURE;
    framing_init(&in->framing, in->source == SOURCE_RAW ? &framing_sse : in->frames,
        limits->limit_event_bytes);
    in->says_stream = http_type_is(type, in->framing.framing->type);
    buf_init(&in->body, in->source == SOURCE_ERROR ? ERROR_BODY_BYTES : limits->limit_answer_bytes);
    in->sink.emit = on_event;
    in->reader.sink = &in->sink;
    if (in->source != SOURCE_RAW)
        return;
    in->raw = arena_new(keep, struct intake_raw);
    in->raw->session = head->status == 101;
    ws_reader_init(&in->raw->messages, SESSION_MESSAGE_BYTES);
    in->raw->text = is_text(type) && !in->raw->session;
    in->raw->events = in->says_stream && !in->encoded && head->status == 200;
}

/* Notes whether a document looks like JSON or HTML. */
static void
look_at_document(struct intake *in, struct str body)
{
    struct str s = str_trim(body);

    in->json = s.n != 0 && (s.p[0] == '{' || s.p[0] == '[');
    in->html = s.n != 0 && s.p[0] == '<' &&
               (http_type_is(in->content_type, S("text/html")) || str_istarts(s, S("<html")) ||
                   str_istarts(s, S("<!doctype html")));
}

bool
intake_tell(struct intake *in, struct str bytes)
{
    enum framing_shape shape =
        framing_tell(in->framing.framing, bytes, in->says_stream, in->asked_stream);

    if (shape == SHAPE_UNSURE)
        return false;
    in->reader.stream = shape == SHAPE_STREAM;
    in->source = in->reader.stream ? SOURCE_STREAM : SOURCE_WHOLE;
    look_at_document(in, bytes);
    return true;
}

/* --- documents --- */

enum err
intake_read(struct intake *in, struct str body)
{
    struct arena *scratch = in->reader.scratch;
    struct arena_mark mark = arena_mark(scratch);

    in->reading = body;
    enum err e = wire_read_answer(&in->reader, body);

    in->reading = S("");
    arena_rewind(scratch, mark);
    if (in->error != NULL)
        return in->error->kind;
    in->read = e == OK;
    return e;
}

static enum err
read_error(struct intake *in, bool ended)
{
    struct llm_error e = { .kind = OK };
    struct str body = buf_str(&in->body);
    struct arena *scratch = in->reader.scratch;
    struct arena_mark mark = arena_mark(scratch);

    in->reading = body;
    in->reader.wire->provider->read_error(scratch, in->status, body, &e);
    if (in->names_no_model && e.kind == ERR_UPSTREAM_NO_MODEL)
        e.kind = ERR_BAD_REQUEST;
    bool fit = keep_error(in, &e);
    in->reading = S("");
    arena_rewind(scratch, mark);
    in->error->status = in->status;
    look_at_document(in, body);
    /* What is wrong with the gateway's own credentials is not the caller's to read. */
    in->error->as_is = fit && in->reader.op == OP_RELAY && !fail_is_about_key(e.kind) && ended &&
                       !in->body.overflow && !in->encoded;
    return in->error->kind;
}

/* Collects what cannot be read yet. */
static enum err
collect(struct intake *in, struct str bytes)
{
    in->heard_us = clock_now_us();
    buf_add(&in->body, bytes);
    return in->body.overflow ? ERR_UPSTREAM_TOO_LARGE : OK;
}

/* --- streams --- */

/* Does a frame after the terminator carry anything? Some hosts send [DONE] in every protocol. */
static bool
is_trailing(const struct frame *f)
{
    return f->has_data && !str_eq(str_trim(f->data), S("[DONE]"));
}

static bool
on_frame(void *arg, const struct frame *f)
{
    struct intake *in = arg;
    struct arena *scratch = in->reader.scratch;
    struct arena_mark mark = arena_mark(scratch);

    if (in->reader.complete) {    /* the answer is over: this is not part of it */
        in->trailing = in->trailing || is_trailing(f);
        return !in->trailing;
    }
    in->reader.frame_is_usage = false;
    in->frame_said = false;
    in->reading = f->data;
    if (f->has_data)
        in->frame_error = in->reader.wire->provider->read_event(&in->reader, f->event, f->data);
    in->reading = S("");
    arena_rewind(scratch, mark);
    if (in->frame_error != OK || in->error != NULL)
        return false;
    /* An event that the decoder ignored may be anything, also an error. */
    if (in->frame != NULL && (in->frame_said || !secrets_in(in->secrets, f->raw)))
        in->frame(in, f->raw);
    return true;
}

/* After frames were read: what they say about the stream as a whole. */
static enum err
stream_verdict(const struct intake *in, enum err e)
{
    if (in->error != NULL)
        return in->error->kind;
    return in->frame_error != OK ? in->frame_error : e;
}

static enum err
read_stream(struct intake *in, struct str bytes)
{
    enum err e = OK;

    if (buf_len(&in->body) != 0) {    /* blanks before it was known to be one */
        e = framing_feed(&in->framing, buf_str(&in->body), on_frame, in);
        buf_reset(&in->body, 0);
    }
    if (e == OK)
        e = framing_feed(&in->framing, bytes, on_frame, in);
    if (in->reader.complete && !in->trailing) {
        struct str rest =
            framing_pending(&in->framing);    /* what came before was blank, or was read */

        in->trailing = str_trim(str_skip(rest, rest.n - MIN(rest.n, bytes.n))).n != 0;
    }
    return stream_verdict(in, e);
}

/* The stream is over: complete, or cut? */
static enum err
end_stream(struct intake *in)
{
    enum err e = stream_verdict(in, framing_end(&in->framing, on_frame, in));

    if (e != OK)
        return e;
    in->terminated = in->reader.complete;
    in->reader.wire->provider->read_end(&in->reader);
    if (in->error != NULL)
        return in->error->kind;
    return in->reader.complete ? OK : ERR_UPSTREAM_TRUNCATED;
}

/* --- what is only passed through --- */

/* Scans passed-through text for secrets: for those that look random, which no text contains by
 * chance, and once a stream has reported an error for all of them. */
static enum err
search_raw(struct intake *in, struct str text)
{
    struct intake_raw *raw = in->raw;

    raw->failure = raw->failure || (in->says_stream && fail_is_told(text));
    if (!secrets_scan(in->secrets, &raw->scan, text, !raw->failure))
        return OK;
    in->error = arena_new(in->reader.keep, struct llm_error);
    *in->error = (struct llm_error){ .kind = ERR_UPSTREAM_ERROR,
        .message = S(
            "the provider's answer contained one of the gateway's credentials and was withheld") };
    return ERR_UPSTREAM_ERROR;
}

static bool
on_raw_frame(void *arg, const struct frame *f)
{
    struct intake *in = arg;

    in->frame_error = search_raw(in, f->raw);
    if (in->frame_error != OK)
        return false;
    in->raw->count += f->has_data;
    in->frame(in, f->raw);
    return true;
}

static void
on_message(void *arg, struct str text)
{
    struct intake *in = arg;
    struct arena *scratch = in->reader.scratch;
    struct arena_mark mark = arena_mark(scratch);

    in->reader.wire->provider->read_message(&in->reader, text);
    arena_rewind(scratch, mark);
}

/* Passes bytes through unchanged; text is scanned for secrets. */
static enum err
pass_raw(struct intake *in, struct str bytes)
{
    struct intake_raw *raw = in->raw;

    in->heard_us = clock_now_us();
    if (UNLIKELY(raw->session))
        ws_reader_feed(&raw->messages, bytes, on_message, in);
    if (!raw->text) {
        in->frame(in, bytes);
        return OK;
    }
    if (raw->events)
        return stream_verdict(in, framing_feed(&in->framing, bytes, on_raw_frame, in));
    enum err e = search_raw(in, bytes);
    if (e != OK)
        return e;
    /* A tail that may be the beginning of a secret is kept in `body` until more has arrived. */
    bool pending =
        secrets_scan_pending(in->secrets, &raw->scan) && buf_len(&in->body) <= RAW_TAIL_BYTES;
    size_t kept = pending ? MIN(bytes.n, RAW_TAIL_BYTES) : 0;
    if ((bytes.n != kept || !pending) && buf_len(&in->body) != 0) {
        in->frame(in, buf_str(&in->body));
        buf_reset(&in->body, RAW_TAIL_BYTES);
    }
    if (bytes.n != kept)
        in->frame(in, str_make(bytes.p, bytes.n - kept));
    buf_add(&in->body, str_skip(bytes, bytes.n - kept));
    return in->body.overflow ? ERR_NO_MEMORY : OK;
}

static enum err
end_raw(struct intake *in)
{
    if (in->raw->events)
        return stream_verdict(in, framing_end(&in->framing, on_raw_frame, in));
    if (buf_len(&in->body) != 0)
        in->frame(in, buf_str(&in->body));
    return OK;
}

/* --- bytes come, and end --- */

enum err
intake_data(struct intake *in, struct str bytes)
{
    switch (in->source) {
    case SOURCE_UNSURE:
        return collect(in, bytes);
    case SOURCE_STREAM:
        return read_stream(in, bytes);
    case SOURCE_RAW:
        return pass_raw(in, bytes);
    case SOURCE_WHOLE:
        if (in->length >= 0 && (uint64_t)in->length > in->body.limit)
            return ERR_UPSTREAM_TOO_LARGE;
        if (buf_len(&in->body) == 0 && in->length >= 0 && bytes.n == (size_t)in->length &&
            bytes.n <= job_least_bytes)
            return intake_read(in, bytes);    /* all in one piece: no copy */
        return collect(in, bytes);
    case SOURCE_ERROR:
        buf_add(&in->body, bytes);    /* what does not fit is not needed to classify it */
        return OK;
    case SOURCE_NONE:
        return OK;
    }
    CHECK_UNREACHABLE();
}

enum err
intake_end(struct intake *in, bool ended)
{
    switch (in->source) {
    case SOURCE_ERROR:
        return read_error(in, ended);
    case SOURCE_WHOLE:
        return in->read ? OK : intake_read(in, buf_str(&in->body));
    case SOURCE_RAW:
        return end_raw(in);
    case SOURCE_STREAM:
        return end_stream(in);
    case SOURCE_UNSURE:
    case SOURCE_NONE:
        return ERR_UPSTREAM_TRUNCATED;
    }
    CHECK_UNREACHABLE();
}

void
intake_fini(struct intake *in)
{
    buf_fini(&in->body);
    framing_fini(&in->framing);
    if (in->raw != NULL)
        ws_reader_fini(&in->raw->messages);
}
