/* Recorded answers of real providers, decoded and compared with what is known about them: whole,
 * byte by byte, and cut at every event. It walks every wire that wires.def names.
 */
#include "llm/fail.h"
#include "llm/wire.h"
#include "tests/test.h"
#include "tests/unit/llm/recorded.h"

/* --- decoding --- */

struct decoded {
    struct wire_reader reader;
    struct llm_answer answer;
    struct arena *scratch;
    struct event_sink tap;
    size_t frames;
    size_t most_frames;    /* later ones are cut off */
    unsigned starts;
    unsigned content_before_start;
    unsigned after_end;
    enum err e;
};

static void
tap_emit(struct event_sink *sink, const struct llm_event *ev)
{
    struct decoded *d = CONTAINER_OF(sink, struct decoded, tap);

    d->starts += ev->kind == EVENT_START;
    d->after_end += d->answer.complete || d->answer.error != NULL;
    if (d->starts == 0 && ev->kind != EVENT_ERROR && ev->kind != EVENT_USAGE)
        d->content_before_start++;
    d->answer.sink.emit(&d->answer.sink, ev);
}

static void
decode_init(struct decoded *d, struct recorded *c, bool stream)
{
    *d = (struct decoded){ .tap = { .emit = tap_emit }, .most_frames = SIZE_MAX };
    d->scratch = arena_create(64 * 1024 * 1024);
    answer_init(&d->answer, c->arena);
    d->reader = (struct wire_reader){
        .wire = c->wire,
        .op = c->op,
        .stream = stream,
        .keep = c->arena,
        .scratch = d->scratch,
        .sink = &d->tap,
    };
}

static void
decode_fini(struct decoded *d)
{
    arena_destroy(d->scratch);
}

static bool
take_frame(void *arg, const struct frame *frame)
{
    struct decoded *d = arg;
    struct arena_mark mark = arena_mark(d->scratch);

    if (!frame->has_data || d->frames == d->most_frames)
        return true;
    d->frames++;
    d->e = d->reader.wire->provider->read_event(&d->reader, frame->event, frame->data);
    arena_rewind(d->scratch, mark);
    return d->e == OK;
}

/* Feeds the stream in pieces of `piece` bytes, at most `most_frames` of its frames. */
static void
decode_stream(struct decoded *d, struct recorded *c, size_t piece, size_t most_frames)
{
    struct framing_reader framing;
    enum err e = OK;

    decode_init(d, c, true);
    d->most_frames = most_frames;
    framing_init(&framing, c->wire->framing, 16 * 1024 * 1024);
    for (size_t at = 0; at < c->response.n && e == OK; at += piece)
        e = framing_feed(
            &framing, str_make(c->response.p + at, MIN(piece, c->response.n - at)), take_frame, d);
    if (e == OK)
        e = framing_end(&framing, take_frame, d);
    if (e != OK)
        d->e = e;
    if (d->e == OK)
        d->reader.wire->provider->read_end(&d->reader);
    framing_fini(&framing);
}

static bool
is_stream(struct recorded *c)
{
    return !json_str_is(json_get(c->about, S("response_file")), S("response.json"));
}

static void
decode(struct decoded *d, struct recorded *c)
{
    if (is_stream(c)) {
        decode_stream(d, c, SIZE_MAX, SIZE_MAX);
        return;
    }
    decode_init(d, c, false);
    d->e = wire_read_answer(&d->reader, c->response);
}

/* --- comparing --- */

static unsigned wrong;

#define SAME(c, what, condition)                                                                   \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("%s: %s\n", (c)->id, what);                                                \
            wrong++;                                                                               \
        }                                                                                          \
    } while (0)

static struct str
parts_text(struct recorded *c, const struct llm_answer_choice *choice, enum llm_part_kind kind)
{
    char *text = NULL;
    size_t n = 0;

    for (const struct llm_part *p = choice != NULL ? choice->parts : NULL; p != NULL; p = p->next) {
        if (p->kind != kind || p->text.n == 0)
            continue;
        text = arena_grow(c->arena, text, n, n + p->text.n);
        CHECK(text != NULL);
        memcpy(text + n, p->text.p, p->text.n);
        n += p->text.n;
    }
    return str_make(text, n);
}

static void
same_text(struct recorded *c, const char *what, struct str got, const struct json *expected)
{
    struct str want = json_str(c->arena, expected);

    if (str_eq(got, want))
        return;
    print_error("%s: %s\n    want \"%.*s\"\n    got  \"%.*s\"\n", c->id, what,
        (int)MIN(want.n, 300), want.n > 0 ? want.p : "", (int)MIN(got.n, 300),
        got.n > 0 ? got.p : "");
    wrong++;
}

static void
same_calls(struct recorded *c, const struct llm_part *part, const struct json *expected)
{
    struct json_iter it = json_iter(expected);

    while (json_next(&it)) {
        const struct json *args = json_get(it.value, S("arguments"));
        const struct json *id = json_get(it.value, S("id"));
        const struct json *raw = json_get(it.value, S("arguments_raw"));

        if (json_str_is(json_get(it.value, S("name")), S("")))
            continue;    /* a placeholder of Snowflake's, not a call */
        while (part != NULL && part->kind != PART_TOOL_CALL)
            part = part->next;
        SAME(c, "a call is missing", part != NULL);
        if (part == NULL)
            return;
        same_text(c, "name of a call", part->name, json_get(it.value, S("name")));
        SAME(c, "a call without an id", part->id.n > 0);
        if (json_is(id, JSON_STRING))
            same_text(c, "id of a call", part->id, id);
        if (raw != NULL) {
            /* the readers complete a call without arguments */
            if (!json_str_is(raw, S("")) || !str_eq(part->args, S("{}")))
                same_text(c, "arguments, raw", part->args, raw);
        } else if (part->custom) {
            same_text(c, "input of a free-form call", part->args, args);
        } else {
            struct str text = part->args.n > 0 ? part->args : S("{}");

            SAME(c, "arguments of a call",
                json_same(c->arena, json_parse(c->arena, text, NULL, NULL), args));
        }
        part = part->next;
    }
    while (part != NULL && part->kind != PART_TOOL_CALL)
        part = part->next;
    SAME(c, "one call too many", part == NULL);
}

static void
same_usage(struct recorded *c, const struct llm_usage *u, const struct json *expected)
{
    const struct {
        const char *key;
        int64_t got;
    } counts[] = {
        { "prompt_tokens", u->input },
        { "completion_tokens", u->output },
        { "cached_tokens", u->cached },
        { "cache_write_tokens", u->cache_write },
        { "reasoning_tokens", u->reasoning },
    };

    if (!json_present(expected))
        return;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        const struct json *want = json_get(expected, str_c(counts[i].key));

        SAME(c, counts[i].key, !json_present(want) || counts[i].got == json_i64(want, -9));
    }
}

static void
same_finish(struct recorded *c, const struct llm_answer_choice *choice, const struct json *expected)
{
    if (!json_present(expected))
        return;
    SAME(c, "it did not finish", choice != NULL);
    if (choice != NULL)
        same_text(c, "finish", str_c(llm_finish_name(choice->finish)), expected);
}

static void
same_choices(struct recorded *c, struct llm_answer *ans)
{
    struct json_iter it = json_iter(json_get(c->expect, S("choices")));

    while (json_next(&it)) {
        uint32_t index = (uint32_t)json_i64(json_get(it.value, S("index")), 0);
        struct llm_answer_choice *choice = answer_choice(ans, index);

        same_text(
            c, "text of a choice", parts_text(c, choice, PART_TEXT), json_get(it.value, S("text")));
        same_text(c, "finish of a choice", choice->native, json_get(it.value, S("finish")));
        same_calls(c, choice->parts, json_get(it.value, S("tool_calls")));
    }
}

/* What an error says, apart from what must not be passed on. */
static void
same_error(struct recorded *c, const struct llm_error *e, const struct json *expected)
{
    struct str want = json_str(c->arena, json_get(expected, S("message")));

    SAME(c, "the error is ours", err_row(e->kind)->fault != FAULT_GATEWAY && e->kind != OK);
    if (fail_is_about_key(e->kind))    /* it may tell of our key: never all of it */
        SAME(c, "message about the key", e->message.n > 0);
    else
        SAME(c, "message of the error", str_find(e->message, want) < e->message.n || want.n == 0);
    if (json_is(json_get(expected, S("type")), JSON_STRING))
        same_text(c, "type of the error", e->type, json_get(expected, S("type")));
    if (json_is(json_get(expected, S("code")), JSON_STRING))
        same_text(c, "code of the error", e->code, json_get(expected, S("code")));
}

static void
same_content(struct recorded *c, struct llm_answer *ans)
{
    const struct llm_answer_choice *choice = ans->choices;

    same_text(c, "text", parts_text(c, choice, PART_TEXT), json_get(c->expect, S("text")));
    /* what Cohere's models write before their calls is reasoning for all others */
    same_text(c, "reasoning", parts_text(c, choice, PART_REASONING),
        json_get(c->expect,
            json_present(json_get(c->expect, S("tool_plan"))) ? S("tool_plan") : S("reasoning")));
    same_text(c, "refusal", parts_text(c, choice, PART_REFUSAL), json_get(c->expect, S("refusal")));
    same_calls(c, choice != NULL ? choice->parts : NULL, json_get(c->expect, S("tool_calls")));
    same_finish(c, choice, json_get(c->expect, S("finish_openai")));
    same_usage(c, &ans->usage, json_get(c->expect, S("usage")));
    /* GitHub changes the id of a response from event to event */
    if (json_is(json_get(c->expect, S("id")), JSON_STRING) &&
        !json_str_is(json_get(c->about, S("provider")), S("github-copilot")))
        same_text(c, "id", ans->id, json_get(c->expect, S("id")));
    if (json_is(json_get(c->expect, S("model")), JSON_STRING))
        same_text(c, "model", ans->model, json_get(c->expect, S("model")));
    same_choices(c, ans);
}

static void
check_events(struct recorded *c, struct decoded *d)
{
    SAME(c, "it could not be read", d->e == OK);
    SAME(c, "not exactly one start", d->starts == 1);
    SAME(c, "content before the start", d->content_before_start == 0);
    SAME(c, "something after the end", d->after_end == 0);
    SAME(c, "too large", !d->answer.too_large);
}

/* --- the tests --- */

static void
run_whole(struct recorded *c)
{
    const struct json *error = json_get(c->expect, S("error"));
    int status = (int)json_i64(json_get(c->expect, S("status")), 200);
    struct decoded d;

    if (status >= 400) {
        struct llm_error e;

        c->wire->provider->read_error(c->arena, status, c->response, &e);
        same_error(c, &e, error);
        return;
    }
    decode(&d, c);
    check_events(c, &d);
    if (c->op != OP_EMBED)
        same_content(c, &d.answer);
    else
        same_usage(c, &d.answer.usage, json_get(c->expect, S("usage")));
    if (json_present(error)) {
        SAME(c, "the error was not seen", d.answer.error != NULL && d.reader.failed);
        SAME(c, "complete in spite of the error", !d.answer.complete && !d.reader.complete);
        if (d.answer.error != NULL)
            same_error(c, d.answer.error, error);
    } else {
        SAME(c, "it is not complete", d.answer.complete && d.reader.complete);
        SAME(c, "an error out of nothing", d.answer.error == NULL);
    }
    decode_fini(&d);
}

static void
run_cut(struct recorded *c)
{
    struct decoded d;

    if (!is_stream(c))
        return;
    decode_stream(&d, c, SIZE_MAX, SIZE_MAX);

    size_t frames = d.frames;
    /* reading a long one up to every single event takes minutes */
    size_t step = 1 + frames / 400;

    decode_fini(&d);
    for (size_t i = 0; i < frames; i += step) {
        decode_stream(&d, c, SIZE_MAX, i);
        SAME(c, "a cut stream could not be read", d.e == OK);
        SAME(c, "complete and cut", d.answer.complete == d.reader.complete);
        SAME(c, "complete without a finish", !d.answer.complete || d.reader.finished);
        for (const struct llm_answer_choice *ch = d.answer.choices; ch != NULL; ch = ch->next)
            SAME(c, "a choice is complete without its finish",
                !d.answer.complete || ch->finish != FINISH_UNKNOWN);
        decode_fini(&d);
    }
}

static void
run_bytewise(struct recorded *c)
{
    struct decoded d;

    if (!is_stream(c) || c->response.n > 200 * 1024)
        return;
    decode_stream(&d, c, 1, SIZE_MAX);
    check_events(c, &d);
    same_content(c, &d.answer);
    decode_fini(&d);
}

static void
walk(void (*run)(struct recorded *c))
{
    wrong = 0;

    int n = recorded_walk(run);

    if (n < 0)
        SKIP("no recorded traffic beside the project");
    EXPECT(n > 0);
    EXPECT_INT(wrong, 0);
}

TEST(recorded_answers_are_understood)
{
    walk(run_whole);
}

TEST(recorded_streams_arrive_the_same_byte_by_byte)
{
    walk(run_bytewise);
}

TEST(a_stream_cut_at_any_event_is_complete_only_when_it_had_finished)
{
    walk(run_cut);
}
