/* talk.c - sends a question, reads the answer, and can be interrupted. */
#include "cli/talk.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "http/client.h"
#include "net/timer.h"

enum {
    ANSWER_BYTES_MAX = 64 * 1024 * 1024,
    EVENT_BYTES_MAX = 16 * 1024 * 1024,
    SCRATCH_BYTES = 128 * 1024 * 1024,
    MESSAGE_BYTES_MAX = 4 * 1024,
    CONNECT_MS = 10 * 1000,
    LOOK_MS = 30,    /* how often an interrupt is looked for */
};

struct talk {
    const struct origin *origin;
    const struct wire *wire;
    struct str fields;
    struct loop *loop;
    struct client *client;
    struct client_call *call;
    struct timer looker;
    struct arena *scratch;
    struct arena *keep;    /* what the reader keeps of an answer */
    struct event_sink sink;
    struct wire_reader reader;
    struct framing_reader framing;
    struct buf body;
    struct buf message;
    int status;
    bool stream;
    uint64_t limit_ms;    /* for an answer; 0: none */
    uint64_t began_ms;
    enum talk_outcome outcome;
    struct event_sink *to;    /* the caller's; may be NULL */
};

static atomic_bool interrupted;    /* lock-free: a signal handler may set it */

void
talk_interrupt(void)
{
    atomic_store(&interrupted, true);
}

bool
talk_is_interrupted(void)
{
    return atomic_load(&interrupted);
}

bool
talk_take_interrupt(void)
{
    return atomic_exchange(&interrupted, false);
}

static void
settle(struct talk *c, enum talk_outcome outcome)
{
    c->outcome = outcome;
    c->call = NULL;
    loop_stop(c->loop);
}

static void
on_look(void *line)
{
    struct talk *c = line;

    if (c->call != NULL && talk_take_interrupt()) {
        client_cancel(c->call);
        settle(c, TALK_INTERRUPTED);
        return;
    }
    if (c->call != NULL && c->limit_ms != 0 && loop_now_ms(c->loop) >= c->began_ms + c->limit_ms) {
        client_cancel(c->call);
        buf_reset(&c->message, 0);
        buf_printf(&c->message, "no answer within %llu s", (unsigned long long)c->limit_ms / 1000);
        settle(c, TALK_LATE);
        return;
    }
    timer_set(&c->looker, LOOK_MS);
}

/* --- reading --- */

static void
note_error(struct talk *c, const struct llm_error *e)
{
    buf_reset(&c->message, 0);
    buf_add(&c->message, str_make(e->message.p, MIN(e->message.n, MESSAGE_BYTES_MAX / 2)));
}

static void
on_event(struct event_sink *sink, const struct llm_event *ev)
{
    struct talk *c = CONTAINER_OF(sink, struct talk, sink);

    if (ev->kind == EVENT_ERROR)
        note_error(c, ev->error);
    else if (c->to != NULL)
        c->to->emit(c->to, ev);
}

static bool
on_frame(void *line, const struct frame *frame)
{
    struct talk *c = line;
    struct arena_mark mark = arena_mark(c->scratch);

    if (frame->has_data &&
        c->wire->provider->read_event(&c->reader, frame->event, frame->data) != OK)
        buf_add(&c->message, S("an event of the answer makes no sense"));
    arena_rewind(c->scratch, mark);
    return buf_len(&c->message) == 0;
}

/* --- the client's callbacks --- */

static void
on_head(void *owner, const struct http_head *head)
{
    struct talk *c = owner;

    c->status = head->status;
    c->stream =
        http_type_is(http_field_get(&head->fields, S("content-type")), c->wire->framing->type);
}

static void
on_data(void *owner, struct str bytes)
{
    struct talk *c = owner;

    if (!c->stream)
        buf_add(&c->body, bytes);
    else if (framing_feed(&c->framing, bytes, on_frame, c) != OK)
        buf_add(&c->message, S("an event of the answer is larger than 16 MB"));
}

static void
on_end(void *owner)
{
    struct talk *c = owner;

    if (c->stream && framing_end(&c->framing, on_frame, c) != OK)
        buf_add(&c->message, S("the last event of the answer is larger than 16 MB"));
    if (c->stream && buf_len(&c->message) == 0)
        c->wire->provider->read_end(&c->reader);
    if (c->status < 200 || c->status > 299) {
        struct llm_error e = { 0 };

        c->wire->provider->read_error(c->keep, c->status, buf_str(&c->body), &e);
        note_error(c, &e);
        settle(c, TALK_REFUSED);
    } else if (buf_len(&c->message) != 0) {
        settle(c, TALK_BROKEN);
    } else if (c->stream && !c->reader.complete) {
        buf_add(&c->message, S("the answer ended before it was complete"));
        settle(c, TALK_BROKEN);
    } else {
        settle(c, TALK_DONE);
    }
}

static void
on_failed(void *owner, enum err why, const char *detail)
{
    struct talk *c = owner;

    buf_reset(&c->message, 0);
    buf_printf(&c->message, "%s (%s)", err_row(why)->sentence, detail);
    settle(c, c->status != 0 ? TALK_BROKEN : TALK_UNREACHED);
}

/* --- asking --- */

struct talk *
talk_create(const struct origin *origin, const struct wire *wire, struct str fields)
{
    struct talk *c = check_alloc(calloc(1, sizeof(*c)));
    struct client_limits limits = {
        .head_bytes = 64 * 1024,
        .fields = 200,
        .pool = { .idle_per_origin = 1,
            .idle_total = 1,
            .idle_ms = 30 * 1000,
            .age_ms = 600 * 1000 },
    };

    c->origin = origin;
    c->wire = wire;
    c->fields = fields;
    c->loop = loop_create();
    c->client = client_create(c->loop, &limits);
    timer_init(&c->looker, c->loop, on_look, c);
    c->scratch = arena_create(SCRATCH_BYTES);
    c->keep = arena_create(SCRATCH_BYTES);
    c->sink.emit = on_event;
    buf_init(&c->body, ANSWER_BYTES_MAX);
    buf_init(&c->message, MESSAGE_BYTES_MAX);
    return c;
}

void
talk_destroy(struct talk *c)
{
    if (c == NULL)
        return;
    timer_stop(&c->looker);
    client_destroy(c->client);
    loop_destroy(c->loop);
    arena_destroy(c->scratch);
    arena_destroy(c->keep);
    buf_fini(&c->body);
    buf_fini(&c->message);
    free(c);
}

void
talk_limit(struct talk *c, uint64_t limit_ms)
{
    c->limit_ms = limit_ms;
}

enum talk_outcome
talk_ask(struct talk *c, struct str path, struct str body, struct event_sink *to)
{
    return talk_send(c, body.n != 0 ? S("POST") : S("GET"), path, body, to);
}

enum talk_outcome
talk_send(
    struct talk *c, struct str method, struct str path, struct str body, struct event_sink *to)
{
    static const struct client_events events = {
        .head = on_head, .data = on_data, .end = on_end, .failed = on_failed
    };
    struct client_request q = {
        .origin = c->origin,
        .method = method,
        .path = path,
        .fields = c->fields,
        .body = &body,
        .body_count = body.n != 0 ? 1 : 0,
        .connect_ms = CONNECT_MS,
        .resend_ms = CONNECT_MS,
        .resend_stale = true,
    };

    c->to = to;
    c->status = 0;
    c->stream = false;
    arena_reset(c->keep);
    c->reader = (struct wire_reader){
        .wire = c->wire,
        .op = OP_CHAT,
        .stream = true,
        .keep = c->keep,
        .scratch = c->scratch,
        .sink = &c->sink,
    };
    buf_reset(&c->body, 0);
    buf_reset(&c->message, 0);
    framing_init(&c->framing, c->wire->framing, EVENT_BYTES_MAX);
    talk_take_interrupt();
    c->began_ms = loop_now_ms(c->loop);
    timer_set(&c->looker, LOOK_MS);
    c->call = client_start(c->client, &q, &events, c);
    loop_run(c->loop);
    timer_stop(&c->looker);
    framing_fini(&c->framing);
    return c->outcome;
}

struct str
talk_body(const struct talk *c)
{
    return buf_str(&c->body);
}

struct str
talk_message(const struct talk *c)
{
    return buf_str(&c->message);
}

int
talk_status(const struct talk *c)
{
    return c->status;
}
