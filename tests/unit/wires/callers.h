/* callers.h - a provider's answer, written for a caller of every wire at once; and what a caller reads.
 *
 *     struct callers to;
 *     callers_init(&to);
 *     listen_to(wire, to.arena, arrival, &to.sink);
 *     EXPECT_STR(buf_str(&to.list[0].out), "...");
 *     callers_fini(&to);
 */
#pragma once

#include "base/clock.h"
#include "llm/answer.h"
#include "llm/wire.h"

enum { CALLERS_MOST = 12, CALLERS_BYTES = 64 << 20, CALLERS_FRAME_BYTES = 16 << 20 };


/* --- reading --- */

/* How a stream's bytes arrive. */
struct arrival {
    struct str bytes;
    const struct framing *framing;
    size_t piece;     /* in pieces of so many bytes; 0: in pieces of random sizes */
    uint64_t seed;    /* of those */
    size_t frames;    /* the connection is cut after so many; SIZE_MAX: it is not */
};

struct listening {
    struct wire_reader reader;
    size_t frames;
    size_t most;
    enum err e;
};

static bool
listening_frame(void *arg, const struct frame *frame)
{
    struct listening *l = arg;
    struct arena_mark mark = arena_mark(l->reader.scratch);

    if (!frame->has_data || l->frames == l->most)
        return true;
    l->frames++;
    l->e = l->reader.wire->provider->read_event(&l->reader, frame->event, frame->data);
    arena_rewind(l->reader.scratch, mark);
    return l->e == OK;
}

static inline size_t
next_piece(struct arrival *how)
{
    how->seed = how->seed * 6364136223846793005u + 1442695040888963407u;
    return how->piece != 0 ? how->piece : 1 + (how->seed >> 33) % ((how->seed >> 60) < 8 ? 7 : 400);
}

/* Reads a stream as the gateway does, whose error for one that broke off it emits, too. Returns the number
 * of frames read. */
static inline size_t
listen_to(const struct wire *wire, struct arena *keep, struct arrival how, struct event_sink *sink)
{
    struct listening l = { .most = how.frames };
    struct framing_reader framing;
    struct llm_error why = { .kind = ERR_UPSTREAM_TRUNCATED };
    enum err e = OK;

    l.reader = (struct wire_reader){
        .wire = wire,
        .op = OP_CHAT,
        .stream = true,
        .keep = keep,
        .scratch = arena_create(CALLERS_BYTES),
        .sink = sink,
    };
    framing_init(&framing, how.framing, CALLERS_FRAME_BYTES);
    while (how.bytes.n > 0 && e == OK && l.e == OK && l.frames < l.most) {
        size_t piece = next_piece(&how);
        size_t n = MIN(how.bytes.n, piece);

        e = framing_feed(&framing, str_make(how.bytes.p, n), listening_frame, &l);
        how.bytes = str_skip(how.bytes, n);
    }
    if (e == OK && l.frames < l.most)
        e = framing_end(&framing, listening_frame, &l);
    if (e == OK && l.e == OK)
        wire->provider->read_end(&l.reader);
    why.kind = e != OK ? e : l.e != OK ? l.e : why.kind;
    if (!l.reader.complete && !l.reader.failed)
        sink->emit(sink, &(struct llm_event){ .kind = EVENT_ERROR, .error = &why });
    framing_fini(&framing);
    arena_destroy(l.reader.scratch);
    return l.frames;
}

/* A whole answer. */
static inline enum err
listen_to_whole(
    const struct wire *wire, struct arena *keep, struct str body, struct event_sink *sink)
{
    struct wire_reader r = {
        .wire = wire,
        .op = OP_CHAT,
        .keep = keep,
        .scratch = arena_create(CALLERS_BYTES),
        .sink = sink,
    };
    enum err e = wire->provider->read_answer(&r, body);

    arena_destroy(r.scratch);
    return e;
}

/* --- writing --- */

struct caller {
    struct wire_writer writer;
    const struct framing *framing;
    struct buf out;
};

struct callers {
    struct event_sink sink;
    struct arena *arena;
    struct llm_answer answer;    /* the fold of it */
    struct caller list[CALLERS_MOST];
    size_t count;
};

static inline void
callers_emit(struct event_sink *sink, const struct llm_event *ev)
{
    struct callers *to = CONTAINER_OF(sink, struct callers, sink);

    to->answer.sink.emit(&to->answer.sink, ev);
    for (size_t i = 0; i < to->count; i++)
        to->list[i].writer.wire->caller->write_event(&to->list[i].writer, ev);
}

static inline void
callers_add(struct callers *to, const struct wire *wire, const struct framing *framing)
{
    struct caller *c = &to->list[to->count++];

    CHECK(to->count <= CALLERS_MOST);
    buf_init(&c->out, CALLERS_BYTES);
    c->framing = framing;
    c->writer = (struct wire_writer){
        .wire = wire,
        .framing = framing,
        .op = OP_CHAT,
        .want_usage = true,
        .keep = to->arena,
        .out = &c->out,
        .id = S("0123456789abcdef"),
        .model = S("asked"),
        .created_s = 1700000000,
    };
}

/* What is made up at random is the same each time. */
static inline void
callers_init(struct callers *to)
{
    *to = (struct callers){ .sink = { .emit = callers_emit },
        .arena = arena_create(4L * CALLERS_BYTES) };
    clock_seed_for_tests(1);
    answer_init(&to->answer, to->arena);
    for (size_t i = 0; wire_at(i) != NULL; i++)
        if (wire_at(i)->caller != NULL && wire_at(i)->provider != NULL)
            callers_add(to, wire_at(i), wire_at(i)->framing);
    callers_add(to, &wire_gemini, &framing_json_array);
}

static inline void
callers_fini(struct callers *to)
{
    for (size_t i = 0; i < to->count; i++)
        buf_fini(&to->list[i].out);
    arena_destroy(to->arena);
}

/* --- comparing --- */

/* All text of a kind, joined. */
static inline struct str
answer_text(struct arena *a, const struct llm_answer_choice *c, enum llm_part_kind kind)
{
    struct str all = S("");

    for (const struct llm_part *p = c != NULL ? c->parts : NULL; p != NULL; p = p->next)
        if (p->kind == kind && p->text.n > 0)
            CHECK(arena_append(a, &all, p->text));
    return all;
}

static inline const struct llm_part *
answer_call(const struct llm_part *part)
{
    while (part != NULL && part->kind != PART_TOOL_CALL)
        part = part->next;
    return part;
}
