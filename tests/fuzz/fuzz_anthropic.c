/* The Anthropic wire against anything: the first byte says what the rest is.
 *
 *     r   a caller's request: read, written for every provider's wire; what we wrote for our own
 *         is read again and must come out the same
 *     o   an OpenAI caller's request, written for this wire
 *     s   a provider's stream, one frame a line: to events, written for callers of every wire
 *     t   the same of an OpenAI provider
 *     a   a provider's whole answer, the same
 *     e   a failed answer
 *
 * Whatever comes in: a conversation that we send obeys the API's rules, and a stream that we
 * write is one block after the other.
 */
#include <stdlib.h>

#include "base/map.h"
#include "llm/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_LIMIT = 4 << 20, OUT_LIMIT = 4 << 20 };

static const struct json *
parse_ours(struct arena *a, struct str text)
{
    static const struct json_limits limits = { .depth = 256, .values = 10000000 };
    const struct json *doc = json_parse(a, text, &limits, NULL);

    CHECK(doc != NULL);
    return doc;
}

/* --- the rules of a conversation --- */

static bool
is_type(const struct json *block, struct str type)
{
    return json_str_is(json_get(block, S("type")), type);
}

/* The results come first, one for each call of the message before, and no other. */
static void
check_results(struct arena *a, const struct json *message, const struct json *before)
{
    struct json_iter results = json_iter(json_get(message, S("content")));
    struct json_iter calls = json_iter(json_get(before, S("content")));

    while (json_next(&calls)) {
        if (!is_type(calls.value, S("tool_use")))
            continue;
        CHECK(json_next(&results) && is_type(results.value, S("tool_result")));
        CHECK(str_eq(json_str(a, json_get(results.value, S("tool_use_id"))),
            json_str(a, json_get(calls.value, S("id")))));
    }
    while (json_next(&results))
        CHECK(!is_type(results.value, S("tool_result")));
}

static void
check_block(struct arena *a, const struct json *block, struct map *ids)
{
    if (is_type(block, S("text")))
        CHECK(str_trim(json_str(a, json_get(block, S("text")))).n > 0);
    if (!is_type(block, S("tool_use")))
        return;

    struct str id = json_str(a, json_get(block, S("id")));

    CHECK(id.n > 0 && id.n <= 64);
    CHECK(map_put(ids, id, ids) == NULL);
    CHECK(json_is(json_get(block, S("input")), JSON_OBJECT));
}

static void
check_conversation(struct arena *a, const struct json *doc)
{
    struct json_iter it = json_iter(json_get(doc, S("messages")));
    struct map *ids = map_create();
    const struct json *before = NULL;
    bool user = false;

    CHECK(it.next != it.end);
    while (json_next(&it)) {
        const struct json *content = json_get(it.value, S("content"));
        struct json_iter blocks = json_iter(content);

        user = !user;    /* they take turns, and the user begins */
        CHECK(json_str_is(json_get(it.value, S("role")), user ? S("user") : S("assistant")));
        CHECK(json_is(content, JSON_STRING) || !json_is_empty(content));
        while (json_next(&blocks))
            check_block(a, blocks.value, ids);
        if (user)
            check_results(a, it.value, before);
        before = it.value;
    }
    map_destroy(ids);
}

static void
check_parameters(const struct json *doc)
{
    const struct json *temperature = json_get(doc, S("temperature"));
    const struct json *budget = json_at(doc, "thinking.budget_tokens");

    CHECK(json_f64(temperature, 0) <= 1);
    CHECK(temperature == NULL || json_get(doc, S("top_p")) == NULL);
    CHECK(json_get(doc, S("tool_choice")) == NULL || !json_is_empty(json_get(doc, S("tools"))));
    if (budget == NULL)
        return;
    CHECK(json_i64(budget, 0) >= 1024);
    CHECK(json_get(doc, S("max_tokens")) == NULL ||
          json_i64(budget, 0) < json_i64(json_get(doc, S("max_tokens")), 0));
    CHECK(json_get(doc, S("top_k")) == NULL);
    CHECK(json_f64(temperature, 1) >= 1);
}

/* Whatever is asked for, an estimate is not negative, and a limit is not either. */
static void
check_needs(const struct llm_request *r)
{
    struct needs n;

    needs_find(r, &n);
    CHECK(n.input_tokens >= 0 && n.output_tokens >= 0);
    CHECK(n.bits < 1u << NEED_COUNT);
}

/* --- requests --- */

/* Reads `body` and writes it for `to`. False when it is refused. */
static bool
translate(struct arena *a, const struct wire *from, const struct wire *to, enum llm_op op,
    const struct wire_target *target, struct str body, struct buf *out)
{
    struct wire_drops drops = { .arena = a };
    struct wire_fault fault = { { NULL, 0 }, { NULL, 0 } };
    struct llm_request r = { .arena = a, .op = op, .body = body, .wire = from };
    enum err e = ERR_BAD_JSON;

    r.doc = json_parse(a, body, NULL, NULL);
    if (r.doc == NULL)
        return false;
    check_needs(&r);
    e = llm_request_read(&r, &fault);
    if (e == OK)
        e = llm_request_expand(&r, &fault);
    if (e == OK)
        e = write_request(to, out, &r, target, &drops, &fault);
    CHECK(e == OK || fault.message.n > 0);
    CHECK(e == OK || buf_len(out) == 0 || to != &wire_anthropic);
    return e == OK;
}

static void
fuzz_request(const struct wire *from, const struct wire *to, enum llm_op op, struct str body)
{
    static const struct wire_target targets[] = {
        { .model = S_INIT("m") },
        { .model = S_INIT("m"), .traits = TRAITS(.max_output = 2000) },
        { .model = S_INIT("m"),
            .traits = TRAITS(.thinking = THINKS_ADAPTIVE, .sampling_fixed = YES) },
    };

    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct arena *a = arena_create(64 << 20);
        struct buf once;
        struct buf again;
        struct buf more;

        buf_init(&once, OUT_LIMIT);
        buf_init(&again, OUT_LIMIT);
        buf_init(&more, OUT_LIMIT);
        if (translate(a, from, to, op, &targets[i], body, &once)) {
            const struct json *doc = parse_ours(a, buf_str(&once));

            if (to == &wire_anthropic) {
                check_conversation(a, doc);
                check_parameters(doc);
                /* Once in order, a conversation stays as it is. */
                if (translate(a, to, to, op, &targets[i], buf_str(&once), &again) &&
                    translate(a, to, to, op, &targets[i], buf_str(&again), &more))
                    CHECK(str_eq(buf_str(&again), buf_str(&more)));
            }
        }
        buf_fini(&once);
        buf_fini(&again);
        buf_fini(&more);
        arena_destroy(a);
    }
}

/* --- the rules of a stream --- */

struct watch {
    bool started;
    bool over;
    bool open;
    int64_t index;
};

static void
check_frame(struct watch *s, const struct json *doc)
{
    int64_t index = json_i64(json_get(doc, S("index")), -1);

    CHECK(!s->over);
    if (is_type(doc, S("message_start"))) {
        CHECK(!s->started);
        s->started = true;
    } else if (is_type(doc, S("error"))) {
        s->over = true;
    } else if (is_type(doc, S("content_block_start"))) {
        CHECK(s->started && !s->open && index == s->index);
        s->open = true;
    } else if (is_type(doc, S("content_block_delta"))) {
        CHECK(s->open && index == s->index);
    } else if (is_type(doc, S("content_block_stop"))) {
        CHECK(s->open && index == s->index);
        s->open = false;
        s->index++;
    } else if (is_type(doc, S("message_delta"))) {
        CHECK(s->started && !s->open);
    } else {
        CHECK(is_type(doc, S("message_stop")));
        s->over = true;
    }
}

static void
check_stream(const struct wire *wire, struct str text)
{
    struct arena *a = arena_create(64 << 20);
    struct watch watch = { .index = 0 };

    while (text.n > 0) {
        struct arena_mark mark = arena_mark(a);
        struct str line;

        str_cut(text, '\n', &line, &text);
        if (str_starts(line, S("data: ")) && !str_eq(line, S("data: [DONE]"))) {
            const struct json *doc = parse_ours(a, str_skip(line, 6));

            if (wire == &wire_anthropic)
                check_frame(&watch, doc);
        }
        arena_rewind(a, mark);
    }
    arena_destroy(a);
}

/* --- answers --- */

/* Callers of both wires, and the fold, behind one sink. */
struct fan {
    struct event_sink sink;
    struct llm_answer answer;
    struct wire_writer writers[2];
    struct buf outs[2];
    bool over;
};

static void
fan_emit(struct event_sink *sink, const struct llm_event *ev)
{
    struct fan *fan = CONTAINER_OF(sink, struct fan, sink);

    CHECK(!fan->over);    /* nothing follows an end or an error */
    fan->over = ev->kind == EVENT_END || ev->kind == EVENT_ERROR;
    fan->answer.sink.emit(&fan->answer.sink, ev);
    for (size_t i = 0; i < ARRAY_LEN(fan->writers); i++)
        fan->writers[i].wire->caller->write_event(&fan->writers[i], ev);
}

static void
fan_check(struct fan *fan)
{
    struct arena *a = arena_create(64 << 20);

    for (size_t i = 0; i < ARRAY_LEN(fan->writers); i++) {
        const struct wire_caller *caller = fan->writers[i].wire->caller;

        if (!fan->outs[i].overflow)
            check_stream(fan->writers[i].wire, buf_str(&fan->outs[i]));
        buf_reset(&fan->outs[i], 0);
        if (fan->answer.error != NULL)
            caller->write_error(&fan->outs[i], fan->answer.error, S("r"));
        else
            caller->write_answer(&fan->writers[i], &fan->answer);
        if (!fan->outs[i].overflow)
            parse_ours(a, buf_str(&fan->outs[i]));
        buf_fini(&fan->outs[i]);
    }
    arena_destroy(a);
}

static void
fuzz_answer(const struct wire *from, struct str body, bool stream, enum llm_op op)
{
    const struct wire *const callers[] = { &wire_anthropic, &wire_openai_chat };
    struct arena *keep = arena_create(ARENA_LIMIT);
    struct arena *scratch = arena_create(ARENA_LIMIT);
    struct llm_request asked = {
        .op = OP_CHAT, .wire = from, .stream = stream, .want_usage = true
    };
    struct fan fan = { .sink = { .emit = fan_emit } };
    struct wire_reader r = { .wire = from,
        .op = op,
        .stream = stream,
        .keep = keep,
        .scratch = scratch,
        .sink = &fan.sink };
    enum err e = OK;

    answer_init(&fan.answer, keep);
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        buf_init(&fan.outs[i], OUT_LIMIT);
        fan.writers[i] = (struct wire_writer){
            .wire = callers[i],
            .op = asked.op,
            .want_usage = asked.want_usage,
            .keep = keep,
            .out = &fan.outs[i],
            .id = S("id"),
            .model = S("m"),
            .created_s = 1,
        };
    }
    if (!stream)
        e = from->provider->read_answer(&r, body);
    while (stream && body.n > 0 && e == OK) {
        struct arena_mark mark = arena_mark(scratch);
        struct str line;

        str_cut(body, '\n', &line, &body);
        e = from->provider->read_event(&r, S(""), line);
        arena_rewind(scratch, mark);
    }
    if (stream && e == OK)
        from->provider->read_end(&r);
    CHECK(!r.complete || fan.answer.complete);
    fan_check(&fan);
    arena_destroy(scratch);
    arena_destroy(keep);
}

static void
fuzz_error(struct str body)
{
    static const int statuses[] = { 0, 200, 400, 401, 404, 429, 500, 529, 999 };

    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        struct arena *a = arena_create(ARENA_LIMIT);
        struct llm_error e;

        wire_anthropic.provider->read_error(a, statuses[i], body, &e);
        CHECK(e.message.n > 0 && err_row(e.kind) != NULL && e.kind != OK);
        arena_destroy(a);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;

    struct str body = str_make((const char *)data + 1, size - 1);

    switch (data[0]) {
    case 'r':
        fuzz_request(&wire_anthropic, &wire_anthropic, OP_CHAT, body);
        fuzz_request(&wire_anthropic, &wire_anthropic, OP_COUNT_TOKENS, body);
        fuzz_request(&wire_anthropic, &wire_openai_chat, OP_CHAT, body);
        break;
    case 'o':
        fuzz_request(&wire_openai_chat, &wire_anthropic, OP_CHAT, body);
        break;
    case 's':
        fuzz_answer(&wire_anthropic, body, true, OP_CHAT);
        break;
    case 't':
        fuzz_answer(&wire_openai_chat, body, true, OP_CHAT);
        break;
    case 'a':
        fuzz_answer(&wire_anthropic, body, false, OP_CHAT);
        fuzz_answer(&wire_anthropic, body, false, OP_COUNT_TOKENS);
        break;
    case 'e':
        fuzz_error(body);
        break;
    default:
        break;
    }
    return 0;
}
