/* The OpenAI wire against anything: the first byte says what the rest is.
 *
 *     r   a caller's request: read, then written for every provider's wire
 *     s   a provider's stream, one frame a line: to events, written for callers of every wire
 *     a   a provider's whole answer, the same
 *     e   a failed answer
 *
 * Whatever comes in, what we write must be JSON again.
 */
#include <stdlib.h>

#include "llm/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_LIMIT = 4 << 20, OUT_LIMIT = 4 << 20 };

static void
must_be_json(struct arena *a, struct str text)
{
    struct json_limits limits = { .depth = 256, .values = 10000000 };

    CHECK(json_parse(a, text, &limits, NULL) != NULL);
}

/* --- requests --- */

static void
write_for(const struct wire *wire, struct llm_request *r)
{
    struct wire_target targets[] = {
        { .model = S("m") },
        { .model = S("m"),
            .traits = TRAITS(.no_stream_options = YES, .max_tokens = YES, .no_developer = YES,
                .strict_keys = YES, .max_output = 100) },
        { .model = S("m"),
            .traits =
                TRAITS(.reasoning = YES, .thinking = THINKS_ADAPTIVE, .sampling_fixed = YES) },
    };

    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct wire_drops drops = { .arena = r->arena };
        struct wire_fault fault = { { NULL, 0 }, { NULL, 0 } };
        struct arena *big = arena_create(64 << 20);
        struct buf out;

        buf_init(&out, OUT_LIMIT);
        if (write_request(wire, &out, r, &targets[i], &drops, &fault) == OK)
            must_be_json(big, buf_str(&out));
        else
            CHECK(fault.message.n > 0);
        buf_fini(&out);
        arena_destroy(big);
    }
}

static void
edit(const struct llm_request *r, struct traits traits)
{
    struct wire_target t = { .model = S("m"), .traits = traits };
    struct wire_edits edits = { .count = 0 };
    struct str pieces[2 * WIRE_EDITS + 1];
    struct arena *big = arena_create(64 << 20);
    struct buf out;

    wire_openai_chat.provider->edit_request(r, &t, &edits);
    buf_init(&out, OUT_LIMIT);
    for (size_t i = 0, n = wire_edits_apply(&edits, r->body, pieces); i < n; i++)
        buf_add(&out, pieces[i]);
    must_be_json(big, buf_str(&out));
    buf_fini(&out);
    arena_destroy(big);
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

static void
fuzz_request(struct arena *a, struct str body)
{
    for (int op = 0; op < OP_COUNT; op++) {
        struct wire_fault fault = { { NULL, 0 }, { NULL, 0 } };
        struct llm_request r = {
            .arena = a, .op = (enum llm_op)op, .body = body, .wire = &wire_openai_chat
        };

        r.doc = json_parse(a, body, NULL, NULL);
        if (r.doc == NULL)
            return;
        check_needs(&r);
        if (llm_request_read(&r, &fault) != OK) {
            CHECK(fault.message.n > 0);
            continue;
        }
        edit(&r, (struct traits)TRAITS(.max_tokens = YES, .no_developer = YES, .strict_keys = YES));
        edit(&r, (struct traits)TRAITS(.no_stream_options = YES));
        if (llm_request_expand(&r, &fault) != OK) {
            CHECK(fault.message.n > 0);
            continue;
        }
        CHECK(llm_request_estimate_tokens(&r) >= 0);
        for (size_t i = 0; wire_at(i) != NULL; i++)
            if (wire_at(i)->provider != NULL)
                write_for(wire_at(i), &r);
    }
}

/* --- answers --- */

/* Every wire's caller, and the fold, behind one sink. */
struct fan {
    struct event_sink sink;
    struct llm_answer answer;
    struct wire_writer writers[8];
    struct buf outs[8];
    size_t count;
    bool over;
};

static void
fan_emit(struct event_sink *sink, const struct llm_event *ev)
{
    struct fan *fan = CONTAINER_OF(sink, struct fan, sink);

    CHECK(!fan->over);    /* nothing follows an end or an error */
    fan->over = ev->kind == EVENT_END || ev->kind == EVENT_ERROR;
    fan->answer.sink.emit(&fan->answer.sink, ev);
    for (size_t i = 0; i < fan->count; i++)
        fan->writers[i].wire->caller->write_event(&fan->writers[i], ev);
}

static void
fan_init(struct fan *fan, struct arena *keep, struct llm_request *request)
{
    *fan = (struct fan){ .sink = { .emit = fan_emit } };
    answer_init(&fan->answer, keep);
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        if (wire_at(i)->caller == NULL || fan->count == ARRAY_LEN(fan->writers))
            continue;

        size_t n = fan->count++;

        buf_init(&fan->outs[n], OUT_LIMIT);
        fan->writers[n] = (struct wire_writer){ .wire = wire_at(i),
            .op = request->op,
            .want_usage = request->want_usage,
            .keep = keep,
            .out = &fan->outs[n],
            .id = S("id"),
            .model = S("m"),
            .created_s = 1 };
    }
}

/* Every data line of a stream is JSON, or the [DONE] of this wire. */
static void
check_stream(struct str text)
{
    struct arena *a = arena_create(64 << 20);

    while (text.n > 0) {
        struct arena_mark mark = arena_mark(a);
        struct str line;

        str_cut(text, '\n', &line, &text);
        if (str_starts(line, S("data: ")) && !str_eq(line, S("data: [DONE]")))
            must_be_json(a, str_skip(line, 6));
        arena_rewind(a, mark);
    }
    arena_destroy(a);
}

static void
fan_check(struct fan *fan)
{
    struct arena *a = arena_create(64 << 20);

    for (size_t i = 0; i < fan->count; i++) {
        if (!fan->outs[i].overflow)
            check_stream(buf_str(&fan->outs[i]));
        buf_reset(&fan->outs[i], 0);
        if (fan->answer.error != NULL)
            fan->writers[i].wire->caller->write_error(&fan->outs[i], fan->answer.error, S("r"));
        else
            fan->writers[i].wire->caller->write_answer(&fan->writers[i], &fan->answer);
        if (!fan->outs[i].overflow)
            must_be_json(a, buf_str(&fan->outs[i]));
        buf_fini(&fan->outs[i]);
    }
    arena_destroy(a);
}

static void
fuzz_answer(struct arena *keep, struct str body, bool stream, enum llm_op op)
{
    struct llm_request request = {
        .op = op, .wire = &wire_openai_chat, .stream = stream, .want_usage = true
    };
    struct arena *scratch = arena_create(ARENA_LIMIT);
    struct fan fan;
    enum err e = OK;

    fan_init(&fan, keep, &request);

    struct wire_reader r = { .wire = &wire_openai_chat,
        .op = op,
        .stream = stream,
        .keep = keep,
        .scratch = scratch,
        .sink = &fan.sink };

    if (!stream)
        e = r.wire->provider->read_answer(&r, body);
    while (stream && body.n > 0 && e == OK) {
        struct arena_mark mark = arena_mark(scratch);
        struct str line;

        str_cut(body, '\n', &line, &body);
        e = r.wire->provider->read_event(&r, S(""), line);
        arena_rewind(scratch, mark);
    }
    if (stream && e == OK)
        r.wire->provider->read_end(&r);
    CHECK(r.complete == fan.answer.complete);
    CHECK(r.failed == (fan.answer.error != NULL));
    CHECK(!r.complete || r.finished);
    fan_check(&fan);
    arena_destroy(scratch);
}

static void
fuzz_error(struct arena *a, struct str body)
{
    static const int statuses[] = { 200, 400, 401, 404, 429, 500, 529 };

    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        struct llm_error e;
        struct buf out;

        wire_openai_chat.provider->read_error(a, statuses[i], body, &e);
        CHECK(e.kind != OK && e.message.n > 0);
        buf_init(&out, OUT_LIMIT);
        wire_openai_chat.caller->write_error(&out, &e, S(""));
        must_be_json(a, buf_str(&out));
        buf_fini(&out);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;

    struct arena *a = arena_create(ARENA_LIMIT);
    struct str rest = str_make((const char *)data + 1, size - 1);

    switch (data[0]) {
    case 'r':
        fuzz_request(a, rest);
        break;
    case 's':
        fuzz_answer(a, rest, true, OP_CHAT);
        break;
    case 'c':
        fuzz_answer(a, rest, true, OP_COMPLETE);
        break;
    case 'a':
        fuzz_answer(a, rest, false, OP_CHAT);
        break;
    case 'e':
        fuzz_error(a, rest);
        break;
    default:
        break;
    }
    arena_destroy(a);
    return 0;
}
