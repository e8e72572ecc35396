#include "wires/ollama/caller.c"

#include "tests/test.h"

/* Golden conversations in tests/wire/ollama show the rest. */

static const struct llm_event call[] = {
    { .kind = EVENT_TOOL_START, .id = S_INIT("call_1"), .name = S_INIT("remove") },
    { .kind = EVENT_TOOL_ARGS, .text = S_INIT("{\"what\":\"a\",") },
    { .kind = EVENT_TOOL_ARGS, .text = S_INIT("\"keep\":true}") },
    { .kind = EVENT_TOOL_END },
    { .kind = EVENT_FINISH, .finish = FINISH_TOOLS },
    { .kind = EVENT_END },
};

/* Writes the call, where the n-th request for memory fails. Returns whether one did. */
static bool
write_call(struct buf *out, unsigned n)
{
    struct arena *a = arena_create(1 << 20);
    struct wire_writer w = {
        .wire = &wire_ollama, .op = OP_CHAT, .keep = a, .out = out, .model = S("m")
    };

    wire_ollama.caller->write_event(&w, &(struct llm_event){ .kind = EVENT_START });
    (void)arena_fail_after_for_tests(n);
    for (size_t i = 0; i < ARRAY_LEN(call); i++)
        wire_ollama.caller->write_event(&w, &call[i]);

    bool failed = !arena_fail_after_for_tests(0);

    arena_destroy(a);
    return failed;
}

/* A call is written whole or not at all, and nothing follows the error. */
TEST(a_call_that_memory_lost_a_part_of_is_not_written)
{
    bool failed = true;
    unsigned n;

    for (n = 1; failed; n++) {
        struct buf out;

        buf_init(&out, 1 << 20);
        failed = write_call(&out, n);

        struct str text = buf_str(&out);
        struct str whole = S("{\"id\":\"call_1\",\"function\":{\"name\":\"remove\",\"arguments\":"
                             "{\"what\":\"a\",\"keep\":true}}}");
        bool has_error = str_starts(text, S("{\"error\":\""));

        EXPECT_INT(str_find(text, whole) < text.n, !has_error);
        EXPECT_INT(str_find(text, S("\"done\":true")) < text.n, !has_error);
        EXPECT(failed || !has_error);
        if (has_error)
            EXPECT(str_chr(text, '\n') == text.n - 1);
        buf_fini(&out);
    }
    EXPECT(n > 5);
}

/* A helper thread that goes on with a stream must not touch the memory of its beginning. */
TEST(what_comes_later_is_kept_in_the_arena_of_then)
{
    struct arena *first = arena_create(1 << 20), *then = arena_create(1 << 24);
    struct wire_writer w = { .wire = &wire_ollama, .op = OP_CHAT, .keep = first, .model = S("m") };
    struct llm_event large = { .kind = EVENT_TOOL_ARGS };
    struct buf out, text;

    buf_init(&out, 1 << 24);
    buf_init(&text, 1 << 24);
    w.out = &out;
    buf_add(&text, S("{\"what\":\""));
    for (unsigned i = 0; i < 300000; i++)
        buf_add_c(&text, 'x');
    buf_add(&text, S("\"}"));
    large.text = buf_str(&text);

    wire_ollama.caller->write_event(&w, &(struct llm_event){ .kind = EVENT_START });
    wire_ollama.caller->write_event(
        &w, &(struct llm_event){ .kind = EVENT_TEXT, .text = S("first") });
    size_t before = arena_held_bytes(first);
    w.keep = then;
    wire_ollama.caller->write_event(&w, &call[0]);
    wire_ollama.caller->write_event(&w, &large);
    for (size_t i = 3; i < ARRAY_LEN(call); i++)
        wire_ollama.caller->write_event(&w, &call[i]);
    EXPECT_INT(arena_held_bytes(first), before);
    EXPECT(str_find(buf_str(&out), large.text) != buf_len(&out));
    buf_fini(&out);
    buf_fini(&text);
    arena_destroy(first);
    arena_destroy(then);
}
