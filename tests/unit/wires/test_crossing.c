/* test_crossing.c - recorded answers of every provider, written for callers of every wire and
 * read back: what was said, called, thought, counted and why it ended must be the same over there.
 */
#include "llm/wire.h"
#include "tests/test.h"
#include "tests/unit/llm/recorded.h"

static unsigned wrong;
static unsigned
    crossed[16][16];    /* by the places in wires.def of the provider's protocol and the caller's */

static size_t
place(const struct wire *wire)
{
    size_t i = 0;

    while (wire_at(i) != wire)
        i++;
    CHECK(i < ARRAY_LEN(crossed));
    return i;
}

/* Recorded answers, each streamed and whole: none of the pairs must be without. */
static void
print_crossings(void)
{
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        print_message("from %-20.*s", (int)wire_at(i)->name.n, wire_at(i)->name.p);
        for (size_t k = 0; wire_at(k) != NULL; k++) {
            print_message(" %.6s %4u", wire_at(k)->name.p, crossed[i][k]);
            EXPECT(crossed[i][k] > 0);
        }
        print_message("\n");
    }
}

/* --- reading --- */

struct listener {
    struct wire_reader reader;
    struct arena *scratch;
    enum err e;
};

static bool
take_frame(void *arg, const struct frame *frame)
{
    struct listener *l = arg;
    struct arena_mark mark = arena_mark(l->scratch);

    if (frame->has_data)
        l->e = l->reader.wire->provider->read_event(&l->reader, frame->event, frame->data);
    arena_rewind(l->scratch, mark);
    return l->e == OK;
}

/* Reads a stream or a whole answer of `wire` into `sink`. */
static enum err
listen(const struct wire *wire, struct arena *keep, bool stream, struct str text,
    struct event_sink *sink)
{
    struct listener l = { .scratch = arena_create(64 * 1024 * 1024) };
    struct framing_reader framing;
    enum err e = OK;

    l.reader = (struct wire_reader){
        .wire = wire,
        .op = OP_CHAT,
        .stream = stream,
        .keep = keep,
        .scratch = l.scratch,
        .sink = sink,
    };
    if (stream) {
        framing_init(&framing, wire->framing, 16 * 1024 * 1024);
        e = framing_feed(&framing, text, take_frame, &l);
        if (e == OK)
            e = framing_end(&framing, take_frame, &l);
        if (e == OK && l.e == OK)
            wire->provider->read_end(&l.reader);
        framing_fini(&framing);
    } else {
        l.e = wire->provider->read_answer(&l.reader, text);
    }
    arena_destroy(l.scratch);
    return e != OK ? e : l.e;
}

/* --- writing --- */

struct speaker {
    struct event_sink sink;
    struct wire_writer writer;
};

static void
speak(struct event_sink *sink, const struct llm_event *ev)
{
    struct speaker *s = CONTAINER_OF(sink, struct speaker, sink);

    s->writer.wire->caller->write_event(&s->writer, ev);
}

/* --- comparing --- */

static void
same(const struct recorded *c, const struct wire *wire, const char *what, bool condition)
{
    if (condition)
        return;
    print_error("%s, for callers of " STR_FMT ": %s\n", c->id, STR_ARG(wire->name), what);
    wrong++;
}

/* All text of a kind, joined; a refusal is text to those who have no refusals. */
static struct str
said(struct arena *a, const struct llm_answer *ans, enum llm_part_kind kind)
{
    struct buf all;
    struct str copy;

    buf_init(&all, 64 * 1024 * 1024);
    for (const struct llm_part *p = ans->choices != NULL ? ans->choices->parts : NULL; p != NULL;
         p = p->next)
        if (p->kind == kind || (kind == PART_TEXT && p->kind == PART_REFUSAL))
            buf_add(&all, p->text);
    copy = arena_str(a, buf_str(&all));
    buf_fini(&all);
    return copy;
}

static const struct llm_part *
next_call(const struct llm_part *part)
{
    while (part != NULL && part->kind != PART_TOOL_CALL)
        part = part->next;
    return part;
}

static bool
same_args(struct arena *a, const struct llm_part *x, const struct llm_part *y)
{
    struct str trimmed = str_trim(x->args);

    if (x->custom != y->custom)    /* text that became an object */
        return json_parse(a, y->args, NULL, NULL) != NULL;
    if (trimmed.n == 0)
        return str_eq(y->args, S("{}")) || y->args.n == 0;
    if (str_find(trimmed, S("\n")) < trimmed.n)    /* no line end may stand in a line of Ollama's */
        return json_same(a, json_parse(a, trimmed, NULL, NULL), json_parse(a, y->args, NULL, NULL));
    return str_eq(trimmed, y->args) || str_eq(x->args, y->args) ||
           (str_eq(trimmed, S("{}")) && y->args.n == 0) ||
           json_same(a, json_parse(a, x->args, NULL, NULL), json_parse(a, y->args, NULL, NULL));
}

static void
same_calls(const struct recorded *c, const struct wire *wire, const struct llm_answer *x,
    const struct llm_answer *y)
{
    const struct llm_part *px = next_call(x->choices != NULL ? x->choices->parts : NULL);
    const struct llm_part *py = next_call(y->choices != NULL ? y->choices->parts : NULL);

    for (; px != NULL && py != NULL; px = next_call(px->next), py = next_call(py->next)) {
        same(c, wire, "a call's name", str_eq(px->name, py->name));
        if (c->wire != &wire_gemini)    /* most have none there, and get one each time they are read */
            same(c, wire, "a call's id", px->id.n == 0 || str_eq(px->id, py->id));
        same(c, wire, "a call's arguments", same_args(c->arena, px, py));
    }
    same(c, wire, "the number of calls", px == NULL && py == NULL);
}

static unsigned
proofs(const struct llm_answer *ans)
{
    unsigned n = 0;

    for (const struct llm_part *p = ans->choices != NULL ? ans->choices->parts : NULL; p != NULL;
         p = p->next)
        n += p->kind == PART_REASONING && (p->signature.n > 0 || p->redacted.n > 0);
    return n;
}

static void
same_answers(const struct recorded *c, const struct wire *wire, const struct llm_answer *x,
    const struct llm_answer *y)
{
    enum llm_finish fx = x->choices != NULL ? x->choices->finish : FINISH_UNKNOWN;
    enum llm_finish fy = y->choices != NULL ? y->choices->finish : FINISH_UNKNOWN;
    bool calls = next_call(x->choices != NULL ? x->choices->parts : NULL) != NULL;

    same(c, wire, "whether it is complete", x->complete == y->complete);
    same(c, wire, "the text", str_eq(said(c->arena, x, PART_TEXT), said(c->arena, y, PART_TEXT)));
    same(c, wire, "the thoughts",
        str_eq(said(c->arena, x, PART_REASONING), said(c->arena, y, PART_REASONING)));
    same_calls(c, wire, x, y);
    /* Ollama's answers have no proofs, two counts and two reasons; Bedrock's do not count reasoning;
     * Cohere's have no proofs, and no word for a filter's work. */
    bool narrow = wire == &wire_ollama;

    if ((c->wire == &wire_anthropic || c->wire == &wire_bedrock) && !narrow && wire != &wire_cohere)
        same(c, wire, "the proofs of thoughts", proofs(x) == proofs(y));
    if (!calls && fx != FINISH_UNKNOWN)    /* calls outweigh the word that goes with them */
        same(c, wire, "the reason to end",
            narrow && fx == FINISH_FILTER                 ? fy == FINISH_STOP
            : wire == &wire_cohere && fx == FINISH_FILTER ? fy == FINISH_UNKNOWN
                                                          : fx == fy);
    if (usage_known(&x->usage) && x->usage.cached + x->usage.cache_write <= x->usage.input) {
        same(c, wire, "input tokens", x->usage.input == y->usage.input);
        same(c, wire, "output tokens", x->usage.output == y->usage.output);
        same(c, wire, "cached tokens", narrow || x->usage.cached == y->usage.cached);
        same(c, wire, "reasoning tokens",
            narrow || wire == &wire_bedrock || x->usage.reasoning > x->usage.output ||
                x->usage.reasoning == y->usage.reasoning);
    }
}

/* --- crossing --- */

static void
cross(struct recorded *c, const struct wire *wire, bool stream, bool as_stream)
{
    struct llm_request asked = {
        .op = OP_CHAT, .wire = wire, .stream = as_stream, .want_usage = true
    };
    struct speaker speaker = { .sink = { .emit = speak } };
    struct llm_answer before;
    struct llm_answer after;
    struct buf out;

    buf_init(&out, 64 * 1024 * 1024);
    speaker.writer = (struct wire_writer){
        .wire = wire,
        .op = asked.op,
        .want_usage = asked.want_usage,
        .keep = c->arena,
        .out = &out,
        .id = S("1"),
        .model = S("asked"),
        .created_s = 1,
    };
    answer_init(&before, c->arena);
    answer_init(&after, c->arena);
    if (listen(c->wire, c->arena, stream, c->response, &before.sink) != OK ||
        before.error != NULL) {
        buf_fini(&out);    /* errors have tests of their own */
        return;
    }
    if ((wire == &wire_ollama || wire == &wire_cohere) && before.choices != NULL &&
        before.choices->parts == NULL && before.choices->finish == FINISH_FILTER) {
        buf_fini(&out);    /* has no word for it, and nothing is no answer */
        return;
    }
    if (as_stream)
        EXPECT_INT(listen(c->wire, c->arena, stream, c->response, &speaker.sink), OK);
    else
        wire->caller->write_answer(&speaker.writer, &before);
    same(c, wire, "it can be read",
        listen(wire, c->arena, as_stream, buf_str(&out), &after.sink) == OK && after.error == NULL);
    if (before.complete || as_stream)
        same_answers(c, wire, &before, &after);
    crossed[place(c->wire)][place(wire)]++;
    buf_fini(&out);
}

static void
cross_to_all(struct recorded *c)
{
    bool stream = !json_str_is(json_get(c->about, S("response_file")), S("response.json"));

    if (c->op != OP_CHAT || json_i64(json_get(c->expect, S("status")), 200) >= 400)
        return;
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        if (wire_at(i)->caller == NULL || wire_at(i)->provider == NULL)
            continue;
        cross(c, wire_at(i), stream, true);
        cross(c, wire_at(i), stream, false);
    }
}

TEST(recorded_answers_say_the_same_on_every_wire)
{
    if (recorded_walk(cross_to_all) < 0)
        SKIP("no recorded traffic beside the project");
    print_crossings();
    EXPECT_INT(wrong, 0);
}
