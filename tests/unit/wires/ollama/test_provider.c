#include "wires/ollama/provider.c"

#include "tests/test.h"
#include "tests/unit/llm/wire_kit.h"

/* Golden conversations in tests/wire/ollama show the rest. */

static struct llm_usage usage;

static void
take_usage(struct event_sink *sink UNUSED, const struct llm_event *ev)
{
    if (ev->kind == EVENT_USAGE)
        usage = ev->usage;
}

/* The options that are empty are taken back; what overflowed before them stays lost. */
TEST(a_request_without_options_that_is_too_large_is_refused)
{
    struct arena *a = arena_create(1 << 20);
    char long_text[200];
    struct llm_part text = { .kind = PART_TEXT, .text = str_make(long_text, sizeof(long_text)) };
    struct llm_message message = { .role = ROLE_USER, .parts = &text };
    struct llm_request r = { .arena = a, .op = OP_CHAT, .expanded = true, .messages = &message };
    struct wire_target t = { .model = S("m") };
    struct wire_drops drops = { .arena = a };
    struct wire_fault fault = { 0 };

    memset(long_text, 'x', sizeof(long_text));
    for (size_t room = 1; room < 300; room++) {
        struct buf out;

        buf_init(&out, room);

        enum err e = write_request(&wire_ollama, &out, &r, &t, &drops, &fault);

        EXPECT(e == ERR_TOO_LARGE || (e == OK && buf_len(&out) > sizeof(long_text)));
        EXPECT_INT(buf_len(&out) == 0, e != OK);
        buf_fini(&out);
    }
    arena_destroy(a);
}

static struct wire_reader
read_embeddings(struct arena *a, struct event_sink *sink, struct str body)
{
    struct wire_reader r = {
        .wire = &wire_ollama, .op = OP_EMBED, .keep = a, .scratch = a, .sink = sink
    };

    usage = (struct llm_usage){ .known = 0 };
    EXPECT(wire_ollama.provider->reads[OP_EMBED](&r, body) == OK);
    return r;
}

TEST(embeddings_too_many_to_parse_pass_with_their_counts)
{
    static const struct str tails[] = {
        S_INIT("0]],\"total_duration\":1,\"prompt_eval_count\":8}"),
        S_INIT("0]],\"prompt_eval_count\": 8 ,\"load_duration\":1}\n"),
    };
    struct event_sink sink = { .emit = take_usage };

    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        struct arena *a = arena_create(256 << 20);
        struct buf body;

        buf_init(&body, 16 << 20);
        buf_add(&body, S("{\"model\":\"m\",\"embeddings\":[["));
        for (unsigned n = 0; n < 1100000; n++)
            buf_add(&body, S("0,"));
        buf_add(&body, tails[i]);
        EXPECT(json_parse(a, buf_str(&body), NULL, NULL) == NULL);

        struct wire_reader r = read_embeddings(a, &sink, buf_str(&body));

        EXPECT(r.complete && r.finished);
        EXPECT_INT(usage.input, 8);
        EXPECT(usage_has(&usage, COUNT_OUTPUT));
        EXPECT_INT(usage.output, 0);
        buf_fini(&body);
        arena_destroy(a);
    }
}

TEST(embeddings_have_no_output)
{
    struct arena *a = arena_create(1 << 20);
    struct event_sink sink = { .emit = take_usage };
    struct wire_reader r =
        read_embeddings(a, &sink, S("{\"embeddings\":[[0.5]],\"prompt_eval_count\":3}"));

    EXPECT(r.complete && r.finished);
    EXPECT_INT(usage.input, 3);
    EXPECT(usage_has(&usage, COUNT_OUTPUT) && usage.output == 0);
    arena_destroy(a);
}

TEST(a_request_keeps_its_route)
{
    struct arena *a = arena_create(1 << 20);
    static const struct {
        enum llm_op op;
        struct str body;
        const char *path;
    } rows[] = {
        { OP_CHAT, S_INIT("{\"model\":\"m\"}"), "/api/chat" },
        { OP_CHAT, S_INIT("{\"model\":\"m\",\"messages\":[]}"), "/api/chat" },
        { OP_COMPLETE, S_INIT("{\"model\":\"m\",\"messages\":[]}"), "/api/generate" },
        { OP_COMPLETE, S_INIT("{\"model\":\"m\"}"), "/api/generate" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct llm_request r = { .arena = a, .op = rows[i].op, .wire = &wire_ollama };
        struct wire_target t = { .model = S("m") };
        struct wire_fault fault = { 0 };
        struct buf out;

        r.body = rows[i].body;
        r.doc = json_parse(a, r.body, NULL, NULL);
        EXPECT(llm_request_read(&r, &fault) == OK);
        buf_init(&out, 100);
        wire_ollama.provider->write_path(&out, &r, &t);
        EXPECT_STR(buf_str(&out), rows[i].path);
        buf_fini(&out);
    }
    arena_destroy(a);
}

/* A list without messages would only load the model. */
TEST(a_user_who_says_nothing_is_a_message)
{
    struct kit k;

    kit_init(&k);
    EXPECT_INT(kit_read(&k, &wire_anthropic, OP_CHAT,
                   S("{\"model\":\"m\",\"max_tokens\":1,\"system\":\"s\","
                     "\"messages\":[{\"role\":\"user\",\"content\":[]}]}")),
        OK);
    EXPECT_INT(kit_write(&k, &wire_ollama, NULL), OK);
    EXPECT_STR(kit_text(&k, "messages"), "[{\"role\":\"system\",\"content\":\"s\"},"
                                         "{\"role\":\"user\",\"content\":\"\"}]");
    kit_fini(&k);
}
