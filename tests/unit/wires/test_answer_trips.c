/* test_answer_trips.c - generated answers, from each protocol to each other one and back, streamed and whole.
 *
 * An answer is written for a caller of A, read as a provider's of A, written for a caller of B, read, written for a caller
 * of A, and read again: all that both can express is still there, whichever of the ways was a stream.
 */
#include <stdlib.h>

#include "tests/test.h"
#include "tests/unit/wires/callers.h"
#include "tests/unit/wires/facts.h"

enum { TRIALS = 40, TRIALS_DEEP = 1500 };

enum kind {
    TEXT,
    REASONING,
    PROOF,
    REFUSAL,
    CALL,
    CALL_ID,
    IMAGE,
    AUDIO,
    CITED,
    CITED_AT,
    CITED_QUOTE,
    LOGPROB,
    FINISH,
    FILTERED,
    STOPPED_BY,
    USAGE,
    CACHED,
    CACHE_WRITE,
    REASONING_TOKENS,
    MODEL,
    KINDS,
};

static const char *const names[KINDS] = { "text", "reasoning", "proof of reasoning", "refusal",
    "call", "call's id", "image", "audio", "citation", "citation's place", "citation's quote",
    "log probability", "finish", "filter", "stop sequence", "usage", "cached tokens",
    "cache writes", "reasoning tokens", "model" };

enum {
    CHAT = 1,
    RESPONSES = 2,
    CLAUDE = 4,
    OLLAMA = 8,
    BEDROCK = 16,
    GEMINI = 32,
    COHERE = 64,
    EVERY = 127,
};

static unsigned
bit_of(const struct wire *wire)
{
    return wire == &wire_openai_chat        ? CHAT
           : wire == &wire_openai_responses ? RESPONSES
           : wire == &wire_anthropic        ? CLAUDE
           : wire == &wire_ollama           ? OLLAMA
           : wire == &wire_bedrock          ? BEDROCK
           : wire == &wire_gemini           ? GEMINI
                                            : COHERE;
}

/* Whose answers have a place for it. */
static const unsigned places[KINDS] = {
    [TEXT] = EVERY,
    [REASONING] = EVERY,
    [PROOF] = EVERY & ~(OLLAMA | COHERE | CHAT),
    [REFUSAL] = CHAT | RESPONSES,
    [CALL] = EVERY,
    [CALL_ID] = EVERY,
    [IMAGE] = EVERY & ~(CLAUDE | COHERE),
    [AUDIO] = CHAT | GEMINI,
    [CITED] = EVERY & ~(CLAUDE | OLLAMA),
    [CITED_AT] = CHAT | RESPONSES | GEMINI | COHERE,
    [CITED_QUOTE] = BEDROCK,
    [LOGPROB] = EVERY & ~(CLAUDE | BEDROCK),
    [FINISH] = EVERY,
    [FILTERED] = EVERY & ~(OLLAMA | COHERE),
    [STOPPED_BY] = CLAUDE | BEDROCK,
    [USAGE] = EVERY,
    [CACHED] = EVERY & ~OLLAMA,
    [CACHE_WRITE] = CHAT | RESPONSES | CLAUDE | BEDROCK,
    [REASONING_TOKENS] = EVERY & ~(OLLAMA | BEDROCK),
    [MODEL] = EVERY & ~(BEDROCK | COHERE),
};

/* --- making an answer --- */

enum { EVENTS_MOST = 256 };

struct answer {
    struct gen *g;
    struct llm_event list[EVENTS_MOST];
    size_t count;
};

static struct llm_event *
add(struct answer *ans, enum llm_event_kind kind)
{
    struct llm_event *ev = &ans->list[ans->count++];

    CHECK(ans->count <= EVENTS_MOST);
    *ev = (struct llm_event){ .kind = kind };
    return ev;
}

/* In pieces of any number of bytes, but whole characters. */
static void
add_pieces(struct answer *ans, struct llm_event like, struct str text)
{
    while (text.n > 0) {
        size_t most = 1 + gen_below(ans->g, 12);
        size_t n = MIN(text.n, most);

        while (n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
            n++;
        like.text = str_make(text.p, n);
        *add(ans, like.kind) = like;
        text = str_skip(text, n);
    }
}

static void
make_reasoning(struct answer *ans)
{
    static const enum llm_origin origins[] = { ORIGIN_ANTHROPIC, ORIGIN_OPENAI, ORIGIN_GEMINI };
    enum llm_origin origin = origins[gen_below(ans->g, 3)];

    add_pieces(ans, (struct llm_event){ .kind = EVENT_REASONING }, gen_words(ans->g));
    if (gen_one_in(ans->g, 3))
        return;

    struct llm_event *ev = add(ans, EVENT_SIGNATURE);

    ev->signature = arena_printf(ans->g->a, "c2lnbmVk%04uAAAA", ++ans->g->words);
    ev->origin = origin;
}

static void
make_call(struct answer *ans, uint32_t number)
{
    static const char *const args[] = { "{}",
        "{\"city\":\"Oslo\",\"n\":1.50,\"big\":12345678901234567890}",
        "{\"deep\":{\"a\":[1,2,{\"b\":null}]},\"u\":\"\\u00e9\\ud83d\\ude00\"}",
        "{\"file\":\"a\\nb \\\"q\\\" \\\\ \"}" };
    struct llm_event *ev = add(ans, EVENT_TOOL_START);

    ev->tool = number;
    ev->id = arena_printf(ans->g->a, "call_%u", ++ans->g->words);
    ev->name = gen_one_in(ans->g, 2) ? S("get_weather") : S("search");
    add_pieces(ans, (struct llm_event){ .kind = EVENT_TOOL_ARGS, .tool = number },
        str_c(args[gen_below(ans->g, ARRAY_LEN(args))]));
    add(ans, EVENT_TOOL_END)->tool = number;
}

static void
make_citation(struct answer *ans)
{
    struct llm_citation *c = arena_new(ans->g->a, struct llm_citation);

    c->url = arena_printf(ans->g->a, "https://example.com/%u", ++ans->g->words);
    c->title = S("A title");
    c->quote = gen_one_in(ans->g, 2) ? S("its own words") : S("");
    c->from = 1;
    c->to = 4;
    add(ans, EVENT_CITATION)->citation = c;
}

static void
make_media(struct answer *ans)
{
    struct llm_part *media = arena_new(ans->g->a, struct llm_part);
    bool sound = gen_one_in(ans->g, 3);

    media->kind = sound ? PART_AUDIO : PART_IMAGE;
    media->mime = sound ? S("audio/wav") : S("image/png");
    media->data = arena_printf(ans->g->a, "%s%04u",
        sound ? "UklGRiQAAABXQVZFZm10IBAAAAABAAEA" : "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB",
        ++ans->g->words);
    add(ans, EVENT_MEDIA)->media = media;
}

static void
make_usage(struct answer *ans)
{
    struct llm_usage *u = &add(ans, EVENT_USAGE)->usage;

    usage_set(u, COUNT_INPUT, 100 + gen_below(ans->g, 900));
    usage_set(u, COUNT_OUTPUT, 60 + gen_below(ans->g, 100));
    if (gen_one_in(ans->g, 2))
        usage_set(u, COUNT_CACHED, 10 + gen_below(ans->g, 30));
    if (gen_one_in(ans->g, 4))
        usage_set(u, COUNT_CACHE_WRITE, 10 + gen_below(ans->g, 30));
    if (gen_one_in(ans->g, 2))
        usage_set(u, COUNT_REASONING, 10 + gen_below(ans->g, 30));
}

/* Adds what two lists have from some place on, in the order of each. */
static void
mix(struct answer *ans, const struct answer *x, size_t from, const struct answer *y)
{
    for (size_t i = from, k = 0; i < x->count || k < y->count;) {
        bool first = k == y->count || (i < x->count && gen_one_in(ans->g, 2));
        const struct llm_event *ev = first ? &x->list[i++] : &y->list[k++];

        *add(ans, ev->kind) = *ev;
    }
}

static struct answer *
another(const struct answer *ans)
{
    struct answer *made = arena_new(ans->g->a, struct answer);

    made->g = ans->g;
    return made;
}

/* One after the other, or two at once, which are numbered as they begin, and end in that order: where calls
 * are written whole, they follow each other as they end. */
static void
make_calls(struct answer *ans, uint32_t count)
{
    struct answer *x = another(ans);
    struct answer *y = another(ans);
    bool mixed = count == 2 && gen_one_in(ans->g, 2);

    for (uint32_t i = 0; i < count; i++)
        make_call(!mixed ? ans : i == 0 ? x : y, i);
    if (mixed) {
        y->count--;
        *add(ans, EVENT_TOOL_START) = x->list[0];
        mix(ans, x, 1, y);
        *add(ans, EVENT_TOOL_END) = y->list[y->count];
    }
}

/* Only the first choice has sources: Gemini's streams have room for those of one. */
static void
make_choice(struct answer *ans, bool first)
{
    static const enum llm_finish finishes[] = { FINISH_STOP, FINISH_STOP, FINISH_LENGTH,
        FINISH_FILTER };
    struct gen *g = ans->g;
    unsigned calls = gen_one_in(g, 2) ? 1 + gen_below(g, 3) : 0;
    struct llm_event *finish;

    if (gen_one_in(g, 2))
        make_reasoning(ans);
    if (calls == 0 || gen_one_in(g, 2)) {
        bool refusal = calls == 0 && gen_one_in(g, 8);

        add_pieces(
            ans, (struct llm_event){ .kind = refusal ? EVENT_REFUSAL : EVENT_TEXT }, gen_words(g));
        if (!refusal && first && gen_one_in(g, 4))
            make_citation(ans);
        if (!refusal && gen_one_in(g, 4))
            add(ans, EVENT_LOGPROBS)->raw = S(
                "{\"content\":[{\"token\":\"<w\",\"logprob\":-0.5,\"bytes\":null,\"top_logprobs\":"
                "[{\"token\":\"<w\",\"logprob\":-0.5,\"bytes\":null}]}],\"refusal\":null}");
    }
    if (gen_one_in(g, 4))
        make_media(ans);
    make_calls(ans, calls);
    if (calls > 0 && gen_one_in(g, 6))
        add_pieces(ans, (struct llm_event){ .kind = EVENT_TEXT }, gen_words(g));
    finish = add(ans, EVENT_FINISH);
    finish->finish = calls > 0 ? FINISH_TOOLS : finishes[gen_below(g, ARRAY_LEN(finishes))];
    if (finish->finish == FINISH_STOP && gen_one_in(g, 4))
        finish->stop_sequence = S("END");
}

/* Of one choice, or of two at once. */
static void
make_answer(struct answer *ans)
{
    struct llm_event *start = add(ans, EVENT_START);
    struct answer *x = another(ans);
    struct answer *y = another(ans);

    start->id = S("answer-17");
    start->model = S("model-17");
    start->created_s = 1700000001;
    make_choice(x, true);
    if (gen_one_in(ans->g, 8))
        make_choice(y, false);
    for (size_t i = 0; i < y->count; i++)
        y->list[i].choice = 1;
    mix(ans, x, 0, y);
    make_usage(ans);
    add(ans, EVENT_END);
}

/* --- its facts --- */

static void
list_logprobs(struct facts *f, const struct llm_fragment *fragments)
{
    for (; fragments != NULL; fragments = fragments->next) {
        struct json_iter it = json_iter(json_get(fragments->doc, S("content")));

        while (json_next(&it))
            fact_add(f, LOGPROB,
                arena_printf(f->a, STR_FMT " " STR_FMT,
                    STR_ARG(json_str(f->a, json_get(it.value, S("token")))),
                    STR_ARG(json_raw(json_get(it.value, S("logprob"))))));
    }
}

static void
list_choice(struct facts *f, const struct llm_answer_choice *c)
{
    for (const struct llm_part *p = c->parts; p != NULL; p = p->next) {
        if (p->kind == PART_TEXT ||
            p->kind == PART_REFUSAL)    /* which is text to those who have none */
            fact_add_words(f, TEXT, "", p->text);
        if (p->kind == PART_REFUSAL)
            fact_add_words(f, REFUSAL, "", p->text);
        if (p->kind == PART_REASONING)
            fact_add_words(f, REASONING, "", p->text);
        if (p->kind == PART_REASONING && p->signature.n + p->redacted.n > 0)
            fact_add(f, PROOF, S("one"));
        if (p->kind == PART_TOOL_CALL) {
            fact_add(f, CALL,
                arena_printf(f->a, STR_FMT " " STR_FMT, STR_ARG(p->name), STR_ARG(p->args)));
            fact_add(f, CALL_ID, p->id);
        }
        if (p->kind == PART_IMAGE || p->kind == PART_AUDIO)
            fact_add(f, p->kind == PART_IMAGE ? IMAGE : AUDIO,
                arena_printf(f->a, STR_FMT " " STR_FMT, STR_ARG(p->mime), STR_ARG(p->data)));
    }
    for (const struct llm_cited *cited = c->citations; cited != NULL; cited = cited->next) {
        const struct llm_citation *at = &cited->citation;

        fact_add(f, CITED,
            arena_printf(f->a, STR_FMT " " STR_FMT, STR_ARG(at->url), STR_ARG(at->title)));
        fact_add(
            f, CITED_AT, arena_printf(f->a, "%lld-%lld", (long long)at->from, (long long)at->to));
        if (at->quote.n > 0)
            fact_add(f, CITED_QUOTE, at->quote);
    }
    list_logprobs(f, c->logprobs);
    fact_add(f, c->finish == FINISH_FILTER ? FILTERED : FINISH, str_c(llm_finish_name(c->finish)));
    if (c->stop_sequence.n > 0)
        fact_add(f, STOPPED_BY, c->stop_sequence);
}

/* `all`: of all choices, not only of the first. */
static struct facts
facts_of(const struct llm_answer *ans, bool all)
{
    struct facts f = facts_in(ans->arena);
    const struct llm_usage *u = &ans->usage;

    for (const struct llm_answer_choice *c = ans->choices; c != NULL; c = all ? c->next : NULL)
        list_choice(&f, c);
    fact_add(&f, USAGE, arena_printf(f.a, "%lld %lld", (long long)u->input, (long long)u->output));
    if (u->cached > 0)
        fact_add(&f, CACHED, arena_printf(f.a, "%lld", (long long)u->cached));
    if (u->cache_write > 0)
        fact_add(&f, CACHE_WRITE, arena_printf(f.a, "%lld", (long long)u->cache_write));
    if (u->reasoning > 0)
        fact_add(&f, REASONING_TOKENS, arena_printf(f.a, "%lld", (long long)u->reasoning));
    fact_add(&f, MODEL, ans->model);
    return f;
}

/* --- there and back --- */

static unsigned wrong;
static unsigned trips[8];

/* An answer in the form in which a protocol's callers get it. */
struct written {
    const struct wire *wire;
    bool stream;
    struct event_sink sink;    /* of a stream */
    struct wire_writer writer;
    struct buf out;
};

static void
write_on(struct event_sink *sink, const struct llm_event *ev)
{
    struct written *w = CONTAINER_OF(sink, struct written, sink);

    w->wire->caller->write_event(&w->writer, ev);
}

static void
written_init(struct written *w, const struct wire *wire, bool stream, struct arena *a)
{
    *w = (struct written){ .wire = wire, .stream = stream, .sink = { .emit = write_on } };
    buf_init(&w->out, 16 << 20);
    w->writer = (struct wire_writer){
        .wire = wire,
        .op = OP_CHAT,
        .want_usage = true,
        .keep = a,
        .out = &w->out,
        .id = S("0123456789abcdef"),
        .model = S("asked"),
        .created_s = 1700000000,
    };
}

/* Reads one into a sink. */
static void
read_back(const struct written *w, struct arena *a, struct event_sink *sink)
{
    struct arrival arrival = { .bytes = buf_str(&w->out),
        .framing = w->wire->framing,
        .piece = SIZE_MAX,
        .frames = SIZE_MAX };

    if (w->stream)
        listen_to(w->wire, a, arrival, sink);
    else
        EXPECT_INT(listen_to_whole(w->wire, a, buf_str(&w->out), sink), OK);
}

/* From one to the next. */
static void
pass_on(const struct written *from, struct written *to, struct arena *a)
{
    struct llm_answer ans;

    answer_init(&ans, a);
    read_back(from, a, to->stream ? &to->sink : &ans.sink);
    if (!to->stream)
        to->wire->caller->write_answer(&to->writer, &ans);
}

static void
same_kind(const struct facts *before, const struct facts *after, unsigned kind, const char *trip)
{
    const struct fact *x = fact_of(before->first, kind);
    const struct fact *y = fact_of(after->first, kind);

    while (x != NULL && y != NULL && str_eq(x->text, y->text)) {
        x = fact_of(x->next, kind);
        y = fact_of(y->next, kind);
    }
    if (x == NULL && y == NULL)
        return;
    print_error("%s: %s\n    was \"" STR_FMT "\"\n    is  \"" STR_FMT "\"\n", trip, names[kind],
        STR_ARG(x != NULL ? x->text : S("(nothing)")),
        STR_ARG(y != NULL ? y->text : S("(nothing)")));
    wrong++;
}

/* What a protocol can say, but not beside what else is said. */
static bool
is_kept(const struct facts *before, unsigned kind, unsigned able)
{
    if (kind == FINISH)    /* without a word for a filter's work */
        return (able & (OLLAMA | COHERE)) == 0 || !fact_has(before, FILTERED);
    if (kind ==
        CITED_AT)    /* what comes after a call is another block of text, of which the place is not known */
        return (able & COHERE) == 0 || !fact_has(before, CALL);
    return true;
}

static void
same_answer(const struct llm_answer *x, const struct llm_answer *y, unsigned able, const char *trip)
{
    bool choices = (able & ~(unsigned)(CHAT | GEMINI)) == 0;    /* the others have one */
    struct facts before = facts_of(x, choices);
    struct facts after = facts_of(y, choices);

    if (!y->complete || y->error != NULL) {
        print_error("%s: not complete\n", trip);
        wrong++;
    }
    for (unsigned kind = 0; kind < KINDS; kind++)
        if ((places[kind] & able) == able && is_kept(&before, kind, able))
            same_kind(&before, &after, kind, trip);
}

/* `ways`: bits for those of the three ways that are streams. */
static void
round_trip(const struct answer *made, const struct wire *a, const struct wire *b, unsigned ways,
    unsigned seed)
{
    struct arena *arena = made->g->a;
    unsigned able = bit_of(a) | bit_of(b);
    struct written w[3];
    struct llm_answer first;
    struct llm_answer here;
    struct llm_answer last;
    char trip[96];

    snprintf(trip, sizeof(trip), "seed %u, " STR_FMT " > " STR_FMT, seed, STR_ARG(a->name),
        STR_ARG(b->name));
    for (unsigned i = 0; i < 3; i++)
        written_init(&w[i], i == 1 ? b : a, (ways >> i & 1) != 0, arena);
    answer_init(&first, arena);
    answer_init(&last, arena);
    for (size_t i = 0; i < made->count; i++) {
        first.sink.emit(&first.sink, &made->list[i]);
        if (w[0].stream)
            w[0].sink.emit(&w[0].sink, &made->list[i]);
    }
    if (!w[0].stream)
        a->caller->write_answer(&w[0].writer, &first);
    answer_init(&here, arena);
    read_back(&w[0], arena, &here.sink);
    same_answer(&first, &here, bit_of(a),
        arena_printf(arena, "seed %u, all > " STR_FMT, seed, STR_ARG(a->name)).p);
    pass_on(&w[0], &w[1], arena);
    pass_on(&w[1], &w[2], arena);
    read_back(&w[2], arena, &last.sink);
    same_answer(&here, &last, able, trip);
    for (unsigned i = 0; i < 3; i++)
        buf_fini(&w[i].out);
}

TEST(an_answer_survives_the_way_there_and_back)
{
    unsigned n = getenv("OPENCLAW_DEEP") != NULL ? TRIALS_DEEP : TRIALS;

    for (unsigned seed = 1; seed <= n; seed++)
        for (size_t i = 0; wire_at(i) != NULL; i++)
            for (size_t k = 0; wire_at(k) != NULL; k++) {
                struct gen g = { .a = arena_create(256 << 20), .state = seed };
                struct answer made = { .g = &g };

                make_answer(&made);
                round_trip(&made, wire_at(i), wire_at(k), gen_below(&g, 8), seed);
                trips[i]++;
                arena_destroy(g.a);
            }
    for (size_t i = 0; wire_at(i) != NULL; i++)
        print_message("%-20.*s %u answers to all and back\n", (int)wire_at(i)->name.n,
            wire_at(i)->name.p, trips[i]);
    EXPECT_INT(wrong, 0);
}
