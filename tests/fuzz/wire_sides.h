/* wire_sides.h - a wire's four sides against anything: the first byte says what the rest is.
 *
 *     r   a caller's request: read, edited for its own provider, and written for every provider's wire
 *     s   a provider's stream, the data of a frame a line: to events, which are written for callers of
 *         every wire, as they come and folded
 *     a   a provider's whole answer, the same
 *     n   a provider's count of tokens
 *     e   a failed answer: read, and written for callers
 *
 * Whatever comes in: what is written is JSON, and a stream that is written is one of its framing, with
 * JSON in its frames. For targets that have nothing of their own to check.
 */
#pragma once

#include "llm/write.h"

enum { SIDES_IN = 4 << 20, SIDES_OUT = 4 << 20, SIDES_CHECK = 64 << 20 };

static void
sides_document(struct str text)
{
    static const struct json_limits limits = { .depth = 256, .values = 10000000 };
    struct arena *a = arena_create(SIDES_CHECK);

    CHECK(json_is(json_parse(a, text, &limits, NULL), JSON_OBJECT));
    arena_destroy(a);
}

/* --- requests --- */

static void
sides_write(const struct wire *to, const struct llm_request *r)
{
    struct wire_target targets[] = {
        { .model = S("m") },
        { .model = S("gemini-2.5-pro"),
            .traits = TRAITS(.no_developer = YES, .strict_keys = YES, .max_output = 100) },
        { .model = S("gpt-5"),
            .traits =
                TRAITS(.reasoning = YES, .thinking = THINKS_ADAPTIVE, .sampling_fixed = YES) },
    };

    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct wire_drops drops = { .arena = r->arena };
        struct wire_fault fault = { .message = S("") };
        struct buf out;

        buf_init(&out, SIDES_OUT);
        to->provider->write_path(&out, r, &targets[i]);
        CHECK(str_starts(buf_str(&out), S("/")));
        buf_reset(&out, SIDES_OUT);
        if (write_request(to, &out, r, &targets[i], &drops, &fault) == OK)
            sides_document(buf_str(&out));
        else
            CHECK(fault.message.n > 0);
        buf_fini(&out);
    }
}

static void
sides_edit(const struct llm_request *r)
{
    static const struct wire_target target = { .model = S_INIT("m") };
    struct wire_edits edits = { .count = 0 };
    struct str pieces[2 * WIRE_EDITS + 1];
    struct buf out;

    if (r->wire->provider == NULL || r->wire->provider->edit_request == NULL)
        return;
    r->wire->provider->edit_request(r, &target, &edits);
    buf_init(&out, 2 * SIDES_OUT);
    for (size_t i = 0, n = wire_edits_apply(&edits, r->body, pieces); i < n; i++)
        buf_add(&out, pieces[i]);
    sides_document(buf_str(&out));
    buf_fini(&out);
}

static void
sides_request(const struct wire *wire, struct str body, enum llm_op op, bool stream)
{
    struct arena *a = arena_create(SIDES_IN);
    struct wire_fault fault = { .message = S("") };
    struct llm_request r = {
        .arena = a, .op = op, .wire = wire, .body = body, .model = S("m"), .stream = stream
    };
    struct needs needs;

    r.doc = json_parse(a, body, NULL, NULL);
    if (r.doc != NULL) {
        needs_find(&r, &needs);
        CHECK(needs.input_tokens >= 0 && needs.output_tokens >= 0);
        CHECK(needs.bits < 1u << NEED_COUNT);
    }
    if (r.doc == NULL || llm_request_read(&r, &fault) != OK) {
        CHECK(r.doc == NULL || fault.message.n > 0);
        arena_destroy(a);
        return;
    }
    sides_edit(&r);
    if (llm_request_expand(&r, &fault) == OK) {
        CHECK(llm_request_estimate_tokens(&r) >= 0);
        for (size_t i = 0; wire_at(i) != NULL; i++)
            if (wire_at(i)->provider != NULL && (wire_at(i)->provider->ops & OP_BIT(op)) != 0)
                sides_write(wire_at(i), &r);
        if (wire->caller->echo != NULL)
            (void)wire->caller->echo(a, &r);
    } else {
        CHECK(fault.message.n > 0);
    }
    arena_destroy(a);
}

/* --- answers --- */

/* A caller of every wire, in each framing that it may ask for, and the fold. */
struct sides_fan {
    struct event_sink sink;
    struct llm_answer answer;
    struct wire_writer writers[12];
    struct buf outs[12];
    size_t count;
    bool over;
};

static void
sides_emit(struct event_sink *sink, const struct llm_event *ev)
{
    struct sides_fan *fan = CONTAINER_OF(sink, struct sides_fan, sink);

    CHECK(!fan->over);    /* nothing follows an end or an error */
    fan->over = ev->kind == EVENT_END || ev->kind == EVENT_ERROR;
    fan->answer.sink.emit(&fan->answer.sink, ev);
    for (size_t i = 0; i < fan->count; i++)
        fan->writers[i].wire->caller->write_event(&fan->writers[i], ev);
}

static void
sides_add(struct sides_fan *fan, const struct wire *wire, const struct framing *framing,
    struct arena *keep)
{
    size_t n = fan->count++;

    CHECK(n < ARRAY_LEN(fan->writers));
    buf_init(&fan->outs[n], SIDES_OUT);
    fan->writers[n] = (struct wire_writer){ .wire = wire,
        .framing = framing,
        .op = OP_CHAT,
        .want_usage = true,
        .keep = keep,
        .out = &fan->outs[n],
        .id = S("id"),
        .model = S("m"),
        .created_s = 1 };
}

static bool
sides_frame(void *arg UNUSED, const struct frame *frame)
{
    if (frame->has_data && !str_eq(frame->data, S("[DONE]")))
        sides_document(frame->data);
    return true;
}

static void
sides_stream(const struct framing *framing, struct str text)
{
    struct framing_reader r;

    framing_init(&r, framing, SIDES_OUT);
    CHECK(framing_feed(&r, text, sides_frame, NULL) == OK);
    CHECK(framing_end(&r, sides_frame, NULL) == OK);
    framing_fini(&r);
}

static void
sides_check(struct sides_fan *fan)
{
    for (size_t i = 0; i < fan->count; i++) {
        struct wire_writer *w = &fan->writers[i];
        struct wire_writer whole = *w;
        const struct framing *framing = w->framing != NULL ? w->framing : w->wire->framing;

        if (!fan->outs[i].overflow && !w->broken)
            sides_stream(framing, buf_str(&fan->outs[i]));
        buf_reset(&fan->outs[i], SIDES_OUT);
        whole.state = NULL;
        whole.broken = false;
        if (fan->answer.error != NULL)
            w->wire->caller->write_error(&fan->outs[i], fan->answer.error, S("r"));
        else
            w->wire->caller->write_answer(&whole, &fan->answer);
        if (!fan->outs[i].overflow)
            sides_document(buf_str(&fan->outs[i]));
        buf_fini(&fan->outs[i]);
    }
}

static void
sides_answer(const struct wire *wire, struct str text, bool stream, enum llm_op op)
{
    static const struct llm_error cut = { .kind = ERR_UPSTREAM_TRUNCATED };
    struct arena *keep = arena_create(4 * SIDES_IN);
    struct arena *scratch = arena_create(SIDES_IN);
    struct sides_fan fan = { .sink = { .emit = sides_emit } };
    struct wire_reader r = { .wire = wire,
        .op = op,
        .stream = stream,
        .keep = keep,
        .scratch = scratch,
        .sink = &fan.sink };
    enum err e = OK;

    answer_init(&fan.answer, keep);
    for (size_t i = 0; wire_at(i) != NULL && op == OP_CHAT; i++)
        if (wire_at(i)->caller != NULL)
            sides_add(&fan, wire_at(i), NULL, keep);
    if (op == OP_CHAT)
        sides_add(&fan, &wire_gemini, &framing_json_array, keep);
    if (!stream)
        e = wire_read_answer(&r, text);
    while (stream && e == OK && text.n > 0) {
        struct arena_mark mark = arena_mark(scratch);
        struct str line;

        (void)str_cut(text, '\n', &line, &text);
        e = wire->provider->read_event(&r, S(""), line);
        arena_rewind(scratch, mark);
    }
    if (stream && e == OK)
        wire->provider->read_end(&r);
    CHECK(r.complete == fan.answer.complete);
    CHECK(r.failed == (fan.answer.error != NULL));
    if (!fan.over)    /* as the gateway tells callers that a stream broke off */
        sides_emit(&fan.sink, &(struct llm_event){ .kind = EVENT_ERROR, .error = &cut });
    sides_check(&fan);
    arena_destroy(scratch);
    arena_destroy(keep);
}

static void
sides_error(const struct wire *wire, struct str body)
{
    static const int statuses[] = { 200, 400, 401, 403, 404, 429, 500, 503 };
    struct arena *a = arena_create(SIDES_IN);

    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        struct llm_error e;
        struct buf out;

        wire->provider->read_error(a, statuses[i], body, &e);
        CHECK(e.kind != OK && e.message.n > 0);
        for (size_t j = 0; wire_at(j) != NULL; j++) {
            if (wire_at(j)->caller == NULL)
                continue;
            buf_init(&out, SIDES_OUT);
            wire_at(j)->caller->write_error(&out, &e, S("r"));
            sides_document(buf_str(&out));
            buf_fini(&out);
        }
    }
    arena_destroy(a);
}

static void
sides_fuzz(const struct wire *wire, const uint8_t *data, size_t size)
{
    if (size == 0)
        return;

    struct str rest = str_make((const char *)data + 1, size - 1);

    switch (data[0]) {
    case 'r':
        sides_request(wire, rest, OP_CHAT, false);
        sides_request(wire, rest, OP_CHAT, true);
        sides_request(wire, rest, OP_COUNT_TOKENS, false);
        break;
    case 's':
    case 'a':
        sides_answer(wire, rest, data[0] == 's', OP_CHAT);
        break;
    case 'n':
        sides_answer(wire, rest, false, OP_COUNT_TOKENS);
        break;
    case 'e':
        sides_error(wire, rest);
        break;
    default:
        break;
    }
}
