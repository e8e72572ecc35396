/* answer.c - a state machine on one timer: wait, send the head, send pieces, fail or end. */
#include "mock/answer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "llm/answer.h"
#include "net/timer.h"

enum {
    FREE_MAX = 512,    /* answers kept for reuse */
    ARENA_BYTES = 64 * 1024 * 1024,
    SLICE_BYTES = 16 * 1024,       /* of a document in one write */
    TURN_BYTES = 1024 * 1024,      /* then yields to others */
    RESET_DELAY_US = 20 * 1000,    /* delay before a reset, so that what was sent is read */
    SLOW_HEADERS_US = 5 * 1000 * 1000,
};

enum stage {
    STAGE_HEAD,    /* waiting to send the head */
    STAGE_BODY,
    STAGE_RESET,     /* waiting to reset the connection */
    STAGE_SILENT,    /* until the client disconnects */
};

struct mock_answer {
    struct mock_answer *next;    /* in the free list */
    struct mock *mock;
    struct server_conn *q;
    struct timer timer;
    struct arena *arena;
    struct arena_mark empty;
    struct mock_reply t;
    enum stage stage;
    bool blocked;       /* until the client has read more */
    bool fault_done;    /* the fault has happened */
    uint64_t due_us;    /* nothing is due before */
    uint64_t token_due_us;
    uint64_t sent_n;    /* tokens or recorded events so far */
    size_t turn_bytes;

    struct event_sink sink;        /* writes events into mock->frame */
    struct llm_request request;    /* what the writer needs of it */
    struct wire_writer writer;

    struct mock_cursor cursor;    /* of a script */
    struct mock_step step;
    bool has_step;

    size_t event;    /* of a recorded stream */
    size_t events;
    size_t at;           /* of a document, or of the recorded body */
    uint64_t padding;    /* of the huge line, not sent yet */
    struct str rest;     /* what is sent after the padding */
};

static void run(void *answer);

void
mock_count_outcome(struct mock_hub *hub, enum mock_outcome outcome)
{
    atomic_ullong *const counters[] = {
        [MOCK_COMPLETED] = &hub->count.completed,
        [MOCK_REFUSED] = &hub->count.refused,
        [MOCK_FAULTED] = &hub->count.faulted,
        [MOCK_ABORTED] = &hub->count.aborted,
    };

    mock_count_add(counters[outcome], 1);
}

/* --- the free list --- */

struct mock_answer *
mock_answer_create(struct mock *m, struct server_conn *q)
{
    struct mock_answer *a = m->free;

    if (a != NULL) {
        m->free = a->next;
        m->free_count--;
    } else {
        a = check_alloc(malloc(sizeof(*a)));
        a->arena = arena_create(ARENA_BYTES);
        a->empty = arena_mark(a->arena);
    }

    struct arena *arena = a->arena;
    struct arena_mark empty = a->empty;
    *a = (struct mock_answer){ .mock = m, .q = q, .arena = arena, .empty = empty };
    timer_init(&a->timer, m->loop, run, a);
    server_set_user(q, a);
    return a;
}

struct arena *
mock_answer_arena(struct mock_answer *a)
{
    return a->arena;
}

static void
destroy(struct mock_answer *a)
{
    timer_stop(&a->timer);
    arena_destroy(a->arena);
    free(a);
}

/* The answer has ended, whether complete or not. */
static void
release(struct mock_answer *a, enum mock_outcome outcome)
{
    struct mock *m = a->mock;

    mock_count_outcome(m->hub, outcome);
    timer_stop(&a->timer);
    if (m->free_count >= FREE_MAX) {
        destroy(a);
        return;
    }
    arena_rewind(a->arena, a->empty);
    a->q = NULL;
    a->next = m->free;
    m->free = a;
    m->free_count++;
}

void
mock_answers_drop(struct mock *m)
{
    while (m->free != NULL) {
        struct mock_answer *a = m->free;
        m->free = a->next;
        destroy(a);
    }
    m->free_count = 0;
}

static void
finish(struct mock_answer *a, enum mock_outcome outcome)
{
    server_end(a->q, S(""));
    release(a, outcome);
}

/* --- faults that change the answer from the start --- */

/* The document of an error, or the frame that ends a stream. */
static struct str
error_document(struct mock_answer *a, int status, bool in_stream)
{
    const struct mock_provider *p = mock_provider_of(a->t.wire);
    struct llm_error e = mock_error_by(p, a->arena, MOCK_FAULT_STATUS, status);
    struct llm_event ev = { .kind = EVENT_ERROR, .error = &e };

    buf_reset(&a->mock->frame, SLICE_BYTES);
    if (in_stream)
        a->sink.emit(&a->sink, &ev);
    else
        a->t.wire->caller->write_error(&a->mock->frame, &e, S(""));
    return arena_str(a->arena, buf_str(&a->mock->frame));
}

static struct str
make_document(const struct mock_answer *a)
{
    return a->t.recorded != NULL ? a->t.recorded->body : a->t.document;
}

static void
set_document(struct mock_answer *a, struct str document)
{
    a->t.script = NULL;
    a->t.recorded = NULL;
    a->t.document = document;
    a->t.tokens = 0;
}

/* Documents are changed before they are sent: there is no middle of a stream to wait for. */
static void
corrupt_document(struct mock_answer *a)
{
    struct str d = make_document(a);

    if (a->t.fault == MOCK_FAULT_MALFORMED)
        set_document(a, S("{\"id\":\"broken\",\"choices\":[{\"index\":0,"));
    else if (a->t.fault == MOCK_FAULT_TRUNCATED)
        set_document(a, str_make(d.p, d.n / 2));
    else if (a->t.fault == MOCK_FAULT_ERROR_MID)
        set_document(a, error_document(a, 500, false));
}

static void
change_answer(struct mock_answer *a)
{
    switch (a->t.fault) {
    case MOCK_FAULT_SLOW_HEADERS:
        if (a->t.plan.head_us == 0)
            a->t.plan.head_us = SLOW_HEADERS_US;
        break;
    case MOCK_FAULT_CONTENT_TYPE:
        a->t.content_type = S("text/html; charset=utf-8");
        break;
    case MOCK_FAULT_HTML:
        a->t.content_type = S("text/html; charset=utf-8");
        a->t.stream = false;
        set_document(a, S("<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head>"
                          "<body><h1>Checking your browser</h1></body></html>\n"));
        break;
    case MOCK_FAULT_EMPTY:
        set_document(a, S(""));
        break;
    case MOCK_FAULT_ERROR_FIRST:
        set_document(a, error_document(a, 529, a->t.stream));
        break;
    default:
        if (!a->t.stream)
            corrupt_document(a);
        break;
    }
    if (mock_fault_row(a->t.fault)->incomplete)
        a->t.outcome = MOCK_FAULTED;
}

/* --- time --- */

static uint64_t
token_time_us(const struct mock_answer *a, uint64_t tokens)
{
    double us = a->t.plan.tps > 0 ? 1e6 / a->t.plan.tps * (double)tokens : 0;

    if (a->t.plan.jitter_us != 0)
        us += clock_random_unit() * (double)a->t.plan.jitter_us;
    return (uint64_t)us;
}

static void
sleep_until_due(struct mock_answer *a, uint64_t now)
{
    timer_set(&a->timer, a->due_us > now ? (a->due_us - now + 999) / 1000 : 0);
}

/* --- sending --- */

static void
put(struct mock_answer *a, struct str bytes)
{
    uint64_t chunk = a->t.plan.chunk_bytes;

    a->turn_bytes += bytes.n;
    if (chunk == 0) {
        server_write(a->q, bytes);
        return;
    }
    while (bytes.n > 0) {
        size_t n = MIN(bytes.n, chunk);
        server_write(a->q, str_make(bytes.p, n));
        server_flush(a->q);
        bytes = str_skip(bytes, n);
    }
}

/* Sends a frame like this one, which ends in the middle of its JSON. */
static void
put_broken(struct mock_answer *a, struct str frame)
{
    size_t brace = str_chr(frame, '{');

    put(a, brace < frame.n ? str_make(frame.p, brace) : S("data: "));
    put(a, S("{\"broken"));
    put(a, str_ends(frame, S("\n\n")) || brace == frame.n ? S("\n\n") : S("\n"));
}

/* Sends the start of `bytes` and a very long field; the rest follows the padding. */
static void
put_padded(struct mock_answer *a, struct str bytes)
{
    size_t brace = str_chr(bytes, '{');
    struct str rest = str_skip(bytes, brace + 1);

    a->fault_done = true;
    put(a, str_make(bytes.p, MIN(brace + 1, bytes.n)));
    put(a, S("\"padding\":\""));
    a->padding = a->t.plan.huge_bytes;
    a->rest = arena_printf(a->arena, "\",");
    if (rest.n != 0) {
        char *p = arena_alloc(a->arena, rest.n + 2, 1);
        memcpy(p, "\",", 2);
        memcpy(p + 2, rest.p, rest.n);
        a->rest = str_make(p, rest.n + 2);
    }
}

static void
send_padding(struct mock_answer *a)
{
    char block[SLICE_BYTES];
    size_t n = MIN(a->padding, sizeof(block));

    memset(block, 'a', n);
    a->padding -= n;
    put(a, str_make(block, n));
    if (a->padding == 0) {
        put(a, a->rest);
        a->rest = (struct str){ NULL, 0 };
    }
}

static void
reset_soon(struct mock_answer *a)
{
    server_flush(a->q);
    a->stage = STAGE_RESET;
    a->due_us = clock_now_us() + RESET_DELAY_US;
}

static void
stop_sending(struct mock_answer *a)
{
    server_flush(a->q);
    a->stage = STAGE_SILENT;
}

/* The fault in the middle of a stream happens now, before `frame`. False: the answer has ended. */
static bool
apply_fault(struct mock_answer *a, struct str frame)
{
    a->fault_done = true;
    switch (a->t.fault) {
    case MOCK_FAULT_RESET_MID:
        reset_soon(a);
        return true;
    case MOCK_FAULT_STALL:
        stop_sending(a);
        return true;
    case MOCK_FAULT_TRUNCATED:
        finish(a, MOCK_FAULTED);
        return false;
    case MOCK_FAULT_ERROR_MID:
        put(a, error_document(a, 500, true));
        finish(a, MOCK_FAULTED);
        return false;
    case MOCK_FAULT_MALFORMED:
        put_broken(a, frame);
        put(a, frame);
        return true;
    case MOCK_FAULT_HUGE_LINE:
        put_padded(a, frame);
        return true;
    default:
        put(a, frame);
        return true;
    }
}

/* --- a script --- */

static void
write_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct mock_answer *a = CONTAINER_OF(sink, struct mock_answer, sink);

    a->t.wire->caller->write_event(&a->writer, ev);
}

/* The frames without the last one. */
static struct str
without_terminator(struct str frames)
{
    struct str blank = str_ends(frames, S("\n\n")) ? S("\n\n") : S("\n");
    struct str kept = S("");

    for (size_t n = 1; n < frames.n; n++)
        if (str_ends(str_make(frames.p, n), blank))
            kept = str_make(frames.p, n);
    return kept;
}

static bool
send_step(struct mock_answer *a)
{
    struct mock *m = a->mock;
    const struct mock_step *step = &a->step;

    if (!a->has_step && !mock_script_next(a->t.script, &a->cursor, &a->step)) {
        finish(a, a->t.outcome);
        return false;
    }
    a->has_step = true;
    if (step->timed && a->token_due_us > clock_now_us()) {
        a->due_us = a->token_due_us;
        return true;
    }
    buf_reset(&m->frame, SLICE_BYTES);
    mock_script_emit(a->t.script, step, &a->sink);

    struct str frame = buf_str(&m->frame);
    bool middle = step->event.kind == EVENT_FINISH || (step->timed && a->sent_n >= a->t.plan.after);

    if (step->event.kind == EVENT_END && a->t.fault == MOCK_FAULT_NO_DONE)
        frame = without_terminator(frame);
    if (middle && !a->fault_done && a->t.fault != MOCK_FAULT_NONE) {
        bool goes_on = apply_fault(a, frame);
        if (!goes_on || a->stage != STAGE_BODY)
            return goes_on;
    } else {
        put(a, frame);
    }
    a->has_step = false;
    if (step->timed) {
        if (a->sent_n == 0 && a->t.script->provider->pings)
            put(a, a->t.wire->caller->keepalive);
        a->sent_n += step->tokens;
        a->token_due_us += token_time_us(a, step->tokens);
        mock_count_add(&m->hub->count.output_tokens, step->tokens);
    }
    return true;
}

static void
init_writer(struct wire_writer *w, const struct mock_script *s, const struct llm_request *r,
    struct arena *keep, struct buf *out)
{
    *w = (struct wire_writer){
        .wire = r->wire,
        .framing = llm_request_framing(r),
        .op = r->op,
        .want_usage = r->want_usage,
        .keep = keep,
        .out = out,
        .id = mock_random_id(keep, S("")),
        .model = r->model,
        .created_s = s != NULL ? s->created_s : 0,
    };
}

bool
mock_write_whole(const struct mock_script *s, const struct llm_request *r, struct buf *out)
{
    struct mock_cursor c = { 0 };
    struct mock_step step;
    struct llm_answer ans;
    struct wire_writer w;

    answer_init(&ans, s->arena);
    while (mock_script_next(s, &c, &step))
        mock_script_emit(s, &step, &ans.sink);
    init_writer(&w, s, r, s->arena, out);
    r->wire->caller->write_answer(&w, &ans);
    return !ans.too_large && !out->overflow;
}

/* --- a recorded case --- */

/* The recording is cut here: resets the connection, or ends the body as if it were complete. */
static bool
end_cut(struct mock_answer *a)
{
    if (str_eq(a->t.plan.how, S("end"))) {
        finish(a, MOCK_FAULTED);
        return false;
    }
    reset_soon(a);
    return true;
}

static bool
send_event(struct mock_answer *a)
{
    const struct mock_case *c = a->t.recorded;

    if (a->event >= a->events) {
        if (a->events < c->count)
            return end_cut(a);
        finish(a, a->t.outcome);
        return false;
    }
    if (a->token_due_us > clock_now_us()) {
        a->due_us = a->token_due_us;
        return true;
    }

    struct str frame = str_make(c->body.p + a->at, c->ends[a->event] - a->at);
    if (!a->fault_done && a->t.fault != MOCK_FAULT_NONE && a->sent_n >= a->t.plan.after) {
        bool goes_on = apply_fault(a, frame);
        if (!goes_on || a->stage != STAGE_BODY)
            return goes_on;
    } else {
        put(a, frame);
    }
    a->at = c->ends[a->event++];
    a->sent_n++;
    a->token_due_us += token_time_us(a, 1);
    return true;
}

/* --- a document --- */

/* How much of the document is actually sent. */
static size_t
document_end(const struct mock_answer *a)
{
    size_t n = make_document(a).n;

    if (a->t.fault == MOCK_FAULT_RESET_MID || a->t.fault == MOCK_FAULT_STALL)
        return n / 2;
    if (a->t.recorded != NULL && a->t.plan.cut < n)
        return a->t.plan.cut;
    return n;
}

static bool
send_slice(struct mock_answer *a)
{
    struct str document = make_document(a);
    size_t end = document_end(a);

    if (a->at < end) {
        struct str slice = str_make(document.p + a->at, MIN(end - a->at, SLICE_BYTES));
        if (a->t.fault == MOCK_FAULT_HUGE_LINE && !a->fault_done)
            put_padded(a, slice);
        else
            put(a, slice);
        a->at += slice.n;
        return true;
    }
    if (a->t.fault == MOCK_FAULT_STALL) {
        stop_sending(a);
        return true;
    }
    if (a->t.fault == MOCK_FAULT_RESET_MID) {
        reset_soon(a);
        return true;
    }
    if (end < document.n)
        return end_cut(a);
    mock_count_add(&a->mock->hub->count.output_tokens, a->t.tokens);
    finish(a, a->t.outcome);
    return false;
}

/* --- the state machine --- */

/* Content-Length, if known; a truncated body that should look complete declares what is sent. */
static int64_t
body_length(const struct mock_answer *a)
{
    bool by_pieces = a->t.script != NULL || (a->t.recorded != NULL && a->t.recorded->stream);

    if (by_pieces || a->t.stream || a->t.fault == MOCK_FAULT_HUGE_LINE)
        return -1;
    if (str_eq(a->t.plan.how, S("end")))
        return (int64_t)document_end(a);
    return (int64_t)make_document(a).n;
}

static void
send_head(struct mock_answer *a)
{
    struct mock *m = a->mock;

    buf_reset(&m->fields, SLICE_BYTES);
    if (a->t.content_type.n != 0)
        http_add_field(&m->fields, S("content-type"), a->t.content_type);
    buf_add(&m->fields, a->t.fields);
    server_respond(a->q, a->t.status, buf_str(&m->fields), body_length(a));
    a->stage = STAGE_BODY;
}

/* Sends the next piece of the body. False: the answer has ended and `a` was freed. */
static bool
send_piece(struct mock_answer *a)
{
    if (a->padding != 0) {
        send_padding(a);
        return true;
    }
    if (a->t.script != NULL)
        return send_step(a);
    if (a->t.recorded != NULL && a->t.recorded->stream)
        return send_event(a);
    return send_slice(a);
}

static bool
is_refused_by_reset(const struct mock_answer *a)
{
    return a->stage == STAGE_HEAD && a->t.fault == MOCK_FAULT_RESET_BEFORE;
}

static void
run(void *answer)
{
    struct mock_answer *a = answer;

    a->turn_bytes = 0;
    for (;;) {
        uint64_t now = clock_now_us();

        if (a->due_us > now || a->turn_bytes > TURN_BYTES) {
            sleep_until_due(a, now);
            return;
        }
        if (a->stage == STAGE_SILENT)
            return;
        if (a->stage == STAGE_RESET || is_refused_by_reset(a)) {
            server_abort(a->q);
            release(a, MOCK_FAULTED);
            return;
        }
        if (a->stage == STAGE_HEAD) {
            send_head(a);
        } else if (server_backlog(a->q) > SERVER_HIGH_WATERMARK_BYTES) {
            server_flush(a->q);
            a->blocked = server_backlog(a->q) > SERVER_HIGH_WATERMARK_BYTES;
            if (a->blocked)
                return;
        } else if (!send_piece(a)) {
            return;
        }
    }
}

void
mock_answer_start(struct mock_answer *a, const struct mock_reply *t)
{
    uint64_t now = clock_now_us();

    a->t = *t;
    a->sink.emit = write_event;
    a->request = (struct llm_request){
        .arena = a->arena,
        .op = t->op,
        .wire = t->wire,
        .model = t->script != NULL ? t->script->model : S(""),
        .stream = t->stream,
        .framing = t->framing,
        .want_usage = t->want_usage,
    };
    init_writer(&a->writer, t->script, &a->request, a->arena, &a->mock->frame);
    if (a->t.fault != MOCK_FAULT_NONE) {
        mock_count_add(&a->mock->hub->count.faults[a->t.fault], 1);
        change_answer(a);
    }
    if (a->t.recorded != NULL)
        a->events = MIN(a->t.recorded->count, a->t.plan.cut);
    a->due_us = now + a->t.plan.head_us;
    a->token_due_us = MAX(a->due_us, now + a->t.plan.ttft_us);
    if (a->t.script == NULL && !a->t.stream)    /* a document is sent when its last token is due */
        a->due_us = a->token_due_us + token_time_us(a, a->t.tokens);
    if (a->t.fault == MOCK_FAULT_HANG)
        a->stage = STAGE_SILENT;
    run(a);
}

void
mock_answer_writable(struct mock_answer *a)
{
    if (!a->blocked)
        return;
    a->blocked = false;
    run(a);
}

void
mock_answer_gone(struct mock_answer *a)
{
    bool broke = a->fault_done || a->stage == STAGE_SILENT || a->stage == STAGE_RESET;

    release(a, broke && a->t.outcome == MOCK_FAULTED ? MOCK_FAULTED : MOCK_ABORTED);
}
