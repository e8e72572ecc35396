/* Bedrock's wire against anything: the first byte says what the rest is.
 *
 *     r   a caller's request: read, and written for every provider's wire
 *     s   a provider's stream, a message a line, its name and its payload: to events, written for
 *         callers of every wire
 *     a   a provider's whole answer, the same
 *     e   a failed answer
 *
 * Whatever comes in: what we write for this protocol is JSON, and a stream that we write is one of
 * messages with the right CRCs and JSON in them.
 */
#include "llm/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_LIMIT = 4 << 20, OUT_LIMIT = 4 << 20 };

static void
check_document(struct str text)
{
    static const struct json_limits limits = { .depth = 256, .values = 10000000 };
    struct arena *a = arena_create(64 << 20);

    CHECK(json_is(json_parse(a, text, &limits, NULL), JSON_OBJECT));
    arena_destroy(a);
}

static bool
check_message(void *arg UNUSED, const struct frame *frame)
{
    CHECK(frame->event.n != 0);
    check_document(frame->data);
    return true;
}

static void
check_messages(struct str text)
{
    struct framing_reader r;

    framing_init(&r, &framing_aws_events, OUT_LIMIT);
    CHECK(framing_feed(&r, text, check_message, NULL) == OK);
    CHECK(framing_end(&r, check_message, NULL) == OK);
    framing_fini(&r);
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
    static const struct wire_target target = { .model = S_INIT("anthropic.claude-sonnet-4-5") };
    struct wire_fault fault = { .message = S_INIT("") };
    struct llm_request r = {
        .arena = a, .op = OP_CHAT, .wire = &wire_bedrock, .body = body, .model = S("m")
    };
    struct buf out;

    r.doc = json_parse(a, body, NULL, NULL);
    if (r.doc != NULL)
        check_needs(&r);
    if (r.doc == NULL || llm_request_read(&r, &fault) != OK || llm_request_expand(&r, &fault) != OK)
        return;
    buf_init(&out, OUT_LIMIT);
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        struct wire_drops drops = { .arena = a };

        if (wire_at(i)->provider == NULL)
            continue;
        buf_reset(&out, OUT_LIMIT);
        if (write_request(wire_at(i), &out, &r, &target, &drops, &fault) == OK)
            check_document(buf_str(&out));
    }
    buf_fini(&out);
}

struct writers {
    struct event_sink sink;
    struct wire_writer each[8];
    struct buf out[8];
    size_t count;
};

static void
write_all(struct event_sink *sink, const struct llm_event *ev)
{
    struct writers *w = CONTAINER_OF(sink, struct writers, sink);

    for (size_t i = 0; i < w->count; i++)
        w->each[i].wire->caller->write_event(&w->each[i], ev);
}

static void
fuzz_answer(struct arena *a, struct str text, bool stream)
{
    struct writers w = { .sink = { .emit = write_all } };
    struct arena *scratch = arena_create(ARENA_LIMIT);
    struct wire_reader r = { .wire = &wire_bedrock,
        .op = OP_CHAT,
        .stream = stream,
        .keep = a,
        .scratch = scratch,
        .sink = &w.sink };
    enum err e = OK;

    for (size_t i = 0; wire_at(i) != NULL; i++) {
        if (wire_at(i)->caller == NULL)
            continue;
        buf_init(&w.out[w.count], OUT_LIMIT);
        w.each[w.count] = (struct wire_writer){ .wire = wire_at(i),
            .op = OP_CHAT,
            .keep = a,
            .out = &w.out[w.count],
            .id = S("1"),
            .model = S("m") };
        w.count++;
    }
    while (stream && e == OK && text.n != 0) {
        struct arena_mark mark = arena_mark(scratch);
        struct str line, name, payload;

        (void)str_cut(text, '\n', &line, &text);
        (void)str_cut(line, ' ', &name, &payload);
        e = wire_bedrock.provider->read_event(&r, name, payload);
        arena_rewind(scratch, mark);
    }
    if (!stream)
        (void)wire_bedrock.provider->read_answer(&r, text);
    else if (e == OK)
        wire_bedrock.provider->read_end(&r);
    for (size_t i = 0; i < w.count; i++) {
        if (w.each[i].wire == &wire_bedrock && !w.out[i].overflow)
            check_messages(buf_str(&w.out[i]));
        buf_fini(&w.out[i]);
    }
    arena_destroy(scratch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *a = arena_create(ARENA_LIMIT);
    struct str text = str_make((const char *)data + 1, size - 1);
    struct llm_error e;

    if (data[0] == 'r')
        fuzz_request(a, text);
    else if (data[0] == 's' || data[0] == 'a')
        fuzz_answer(a, text, data[0] == 's');
    else
        wire_bedrock.provider->read_error(a, 500, text, &e);
    arena_destroy(a);
    return 0;
}
