/* serial.c - holds back what comes between the pieces of a call. */
#include "llm/serial.h"

#include "llm/media.h"

enum {
    HELD_BYTES_MAX = 4 * 1024 * 1024,
    HELD_COUNT_MAX = 256,
};

/* Another call, or a run of text. */
struct serial_held {
    struct llm_event start;    /* a TOOL_START, or the kind of text */
    bool ended;
    char *text;    /* arguments or text so far */
    size_t n;
    size_t room;
    struct serial_held *next;
};

static void
pass(struct serial *s, const struct llm_event *ev)
{
    s->to->emit(s->to, ev);
}

static void
fail(struct serial *s)
{
    static const struct llm_error error = {
        .kind = ERR_UPSTREAM_TOO_LARGE,
        .message = S_INIT("the provider interleaves more tool calls than can be put in order"),
    };

    s->over = true;
    pass(s, &(struct llm_event){ .kind = EVENT_ERROR, .error = &error });
}

/* NULL if there is no room; then the answer has failed. */
static struct serial_held *
hold(struct serial *s, const struct llm_event *ev)
{
    struct str id = arena_str(s->keep, ev->id);
    struct str name = arena_str(s->keep, ev->name);
    struct str signature = arena_str(s->keep, ev->signature);

    s->held_bytes += id.n + name.n + signature.n;
    if (++s->held_count > HELD_COUNT_MAX || s->held_bytes > HELD_BYTES_MAX || id.p == NULL ||
        name.p == NULL || signature.p == NULL) {
        fail(s);
        return NULL;
    }

    struct serial_held *h = arena_new(s->keep, struct serial_held);

    h->start = (struct llm_event){
        .kind = ev->kind,
        .tool = ev->tool,
        .custom = ev->custom,
        .id = id,
        .name = name,
        .signature = signature,
    };
    if (s->held_last != NULL)
        s->held_last->next = h;
    else
        s->held = h;
    s->held_last = h;
    if (ev->kind == EVENT_TOOL_START) {
        if (s->held_calls == NULL)
            s->held_calls = arena_array(s->keep, struct serial_held *, HELD_COUNT_MAX);
        s->held_calls[ev->tool % HELD_COUNT_MAX] = h;
    }
    return h;
}

static void
hold_text(struct serial *s, struct serial_held *h, struct str text)
{
    if (h == NULL || h->ended || text.n == 0)
        return;
    if (h->room - h->n < text.n) {
        size_t room = MAX(h->n + text.n, MAX(2 * h->room, 256));
        char *p = NULL;

        if (s->held_bytes + room <= HELD_BYTES_MAX)
            p = arena_grow(s->keep, h->text, h->room, room);
        if (p == NULL) {
            fail(s);
            return;
        }
        s->held_bytes += room - h->room;
        h->text = p;
        h->room = room;
    }
    memcpy(h->text + h->n, text.p, text.n);
    h->n += text.n;
}

static void
hold_media(struct serial *s, const struct llm_event *ev)
{
    struct serial_held *h = hold(s, ev);
    size_t size = ev->media->data.n + ev->media->url.n;

    if (h == NULL)
        return;
    if (s->held_bytes + size <= HELD_BYTES_MAX)
        h->start.media = media_copy(s->keep, ev->media);
    s->held_bytes += size;
    if (h->start.media == NULL)
        fail(s);
}

static struct serial_held *
held_call(const struct serial *s, uint32_t tool)
{
    struct serial_held *h = s->held_calls != NULL ? s->held_calls[tool % HELD_COUNT_MAX] : NULL;

    return h != NULL && h->start.tool == tool ? h : NULL;
}

/* Emits the pieces that make up a call: START, ARGS, END. */
static void
pass_piece(struct serial *s, enum llm_event_kind kind, uint32_t tool, struct str text)
{
    pass(s, &(struct llm_event){ .kind = kind, .tool = tool, .text = text });
}

static void
open_call(struct serial *s, const struct llm_event *start)
{
    s->open = true;
    s->tool = start->tool;
    pass(s, start);
}

static void
close_call(struct serial *s)
{
    if (s->open)
        pass_piece(s, EVENT_TOOL_END, s->tool, S(""));
    s->open = false;
}

/* The open call has ended: emits what was held back, up to the next call that has not. */
static void
release(struct serial *s)
{
    close_call(s);
    while (s->held != NULL && !s->open) {
        struct serial_held *h = s->held;
        struct str text = str_make(h->text, h->n);

        s->held = h->next;
        if (s->held == NULL)
            s->held_last = NULL;
        if (h->start.kind == EVENT_MEDIA) {
            pass(s, &h->start);
            continue;
        }
        if (h->start.kind != EVENT_TOOL_START) {
            pass_piece(s, h->start.kind, 0, text);
            continue;
        }
        s->held_calls[h->start.tool % HELD_COUNT_MAX] = NULL;
        open_call(s, &h->start);
        h->start.kind = EVENT_TOOL_ARGS;
        h->start.text = text;
        if (text.n > 0)
            pass(s, &h->start);
        if (h->ended)
            close_call(s);
    }
}

static void
serial_emit(struct event_sink *sink, const struct llm_event *ev)
{
    struct serial *s = CONTAINER_OF(sink, struct serial, sink);
    struct serial_held *last = s->held_last;
    bool ours = s->open && s->tool == ev->tool;

    if (s->over)
        return;
    switch (ev->kind) {
    case EVENT_TEXT:
    case EVENT_REFUSAL:
    case EVENT_REASONING:
        if (!s->open) {
            pass(s, ev);
        } else if (ev->text.n > 0) {
            if (last == NULL || last->start.kind != ev->kind)
                last = hold(s, ev);
            hold_text(s, last, ev->text);
        }
        break;
    case EVENT_MEDIA:
        if (s->open)
            hold_media(s, ev);
        else
            pass(s, ev);
        break;
    case EVENT_SIGNATURE:    /* proofs come before calls, never between them */
    case EVENT_REDACTED:
        if (!s->open)
            pass(s, ev);
        break;
    case EVENT_TOOL_START:
        if (s->open)
            (void)hold(s, ev);
        else
            open_call(s, ev);
        break;
    case EVENT_TOOL_ARGS:
        if (ours)
            pass(s, ev);
        else
            hold_text(s, held_call(s, ev->tool), ev->text);
        break;
    case EVENT_TOOL_END:
        if (ours)
            release(s);
        else if (held_call(s, ev->tool) != NULL)
            held_call(s, ev->tool)->ended = true;
        break;
    case EVENT_FINISH:
    case EVENT_END:
        while (s->open || s->held != NULL)
            release(s);
        pass(s, ev);
        break;
    default:
        pass(s, ev);
        break;
    }
}

void
serial_init(struct serial *s, struct arena *keep, struct event_sink *to)
{
    *s = (struct serial){ .sink = { .emit = serial_emit }, .to = to, .keep = keep };
}
