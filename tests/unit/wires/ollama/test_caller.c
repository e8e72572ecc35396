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
