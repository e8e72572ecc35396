/* Cohere's wire against anything: the first byte says what the rest is.
 *
 *     r   a caller's request: read, and written for every provider's wire
 *     o   an OpenAI caller's request, written for this wire
 *     s   a provider's stream, a frame a line: to events, written for callers of every wire
 *     t   the same of an OpenAI provider
 *     a   a provider's whole answer, the same
 *     e   a failed answer
 *
 * Whatever comes in: what we write for this protocol is JSON, and in a stream that we write each
 * event names itself twice, blocks are numbered without gaps and one is open at a time, and so are
 * calls.
 */
#include "llm/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_LIMIT = 4 << 20, OUT_LIMIT = 4 << 20, WRITERS_MOST = 16 };

static const struct json_limits limits = { .depth = 256, .values = 10000000 };

static void
check_document(struct str text)
{
    struct arena *a = arena_create(64 << 20);

    CHECK(json_is(json_parse(a, text, &limits, NULL), JSON_OBJECT));
    arena_destroy(a);
}

/* --- our streams --- */

struct following {
    bool started, over;
    bool content, call;    /* is open */
    int64_t contents, calls;
};

static void
follow(struct following *f, struct str event, struct str data)
{
    struct arena *a = arena_create(64 << 20);
    const struct json *doc = json_parse(a, data, &limits, NULL);
    int64_t index = json_i64(json_get(doc, S("index")), -1);

    CHECK(json_str_is(json_get(doc, S("type")), event));
    CHECK(!f->over);
    if (str_eq(event, S("message-start"))) {
        CHECK(!f->started);
        f->started = true;
    } else if (str_eq(event, S("message-end"))) {
        CHECK(!f->content);
        f->over = true;
    } else if (str_starts(event, S("content-"))) {
        CHECK(f->started && !f->call && index == f->contents);
        CHECK(f->content != str_ends(event, S("-start")));
        f->content = !str_ends(event, S("-end"));
        f->contents += !f->content;
    } else if (str_starts(event, S("tool-call-"))) {
        CHECK(f->started && !f->content && index == f->calls);
        CHECK(f->call != str_ends(event, S("-start")));
        f->call = !str_ends(event, S("-end"));
        f->calls += !f->call;
    }
    arena_destroy(a);
}

static void
check_stream(struct str text)
{
    struct following f = { .started = false };
    struct str line;

    while (text.n != 0) {
        struct str event;

        (void)str_cut(text, '\n', &line, &text);
        if (str_eq(line, S("data: [DONE]"))) {
            CHECK(f.over && str_eq(text, S("\n")));
            return;
        }
        CHECK(str_starts(line, S("event: ")));
        event = str_skip(line, 7);
        (void)str_cut(text, '\n', &line, &text);
        CHECK(str_starts(line, S("data: ")));
        follow(&f, event, str_skip(line, 6));
        CHECK(str_starts(text, S("\n")));
        text = str_skip(text, 1);
    }
}

/* --- requests --- */

static void
fuzz_request(struct arena *a, const struct wire *from, struct str body)
{
    static const struct wire_target target = { .model = S_INIT("command-a"),
        .traits = TRAITS(.reasoning = YES) };
    struct wire_fault fault = { .message = S_INIT("") };
    struct llm_request r = { .arena = a, .op = OP_CHAT, .wire = from, .body = body };
    struct buf out;

    r.doc = json_parse(a, body, NULL, NULL);
    if (r.doc == NULL || llm_request_read(&r, &fault) != OK || llm_request_expand(&r, &fault) != OK)
        return;
    buf_init(&out, OUT_LIMIT);
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        struct wire_drops drops = { .arena = a };

        if (wire_at(i)->provider == NULL || (from != &wire_cohere && wire_at(i) != &wire_cohere))
            continue;
        buf_reset(&out, OUT_LIMIT);
        if (write_request(wire_at(i), &out, &r, &target, &drops, &fault) == OK)
            check_document(buf_str(&out));
    }
    buf_fini(&out);
}

/* --- answers --- */

struct writers {
    struct event_sink sink;
    struct wire_writer each[WRITERS_MOST];
    struct buf out[WRITERS_MOST];
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
fuzz_answer(struct arena *a, const struct wire *from, struct str text, bool stream)
{
    struct writers w = { .sink = { .emit = write_all } };
    struct arena *scratch = arena_create(ARENA_LIMIT);
    struct wire_reader r = { .wire = from,
        .op = OP_CHAT,
        .stream = stream,
        .keep = a,
        .scratch = scratch,
        .sink = &w.sink };
    enum err e = OK;

    for (size_t i = 0; wire_at(i) != NULL && w.count < WRITERS_MOST; i++) {
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
        struct str line;

        (void)str_cut(text, '\n', &line, &text);
        if (str_trim(line).n != 0)
            e = from->provider->read_event(&r, S(""), str_trim(line));
        arena_rewind(scratch, mark);
    }
    if (!stream)
        (void)from->provider->read_answer(&r, text);
    else if (e == OK)
        from->provider->read_end(&r);
    for (size_t i = 0; i < w.count; i++) {
        if (w.each[i].wire == &wire_cohere && !w.out[i].overflow)
            check_stream(buf_str(&w.out[i]));
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

    if (data[0] == 'r' || data[0] == 'o')
        fuzz_request(a, data[0] == 'r' ? &wire_cohere : &wire_openai_chat, text);
    else if (data[0] == 's' || data[0] == 'a')
        fuzz_answer(a, &wire_cohere, text, data[0] == 's');
    else if (data[0] == 't')
        fuzz_answer(a, &wire_openai_chat, text, true);
    else
        wire_cohere.provider->read_error(a, 500, text, &e);
    arena_destroy(a);
    return 0;
}
