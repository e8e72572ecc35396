#include "llm/write.c"
#include "tests/test.h"
#include "tests/unit/llm/wire_kit.h"

static struct str
input_for(struct buf *out, const char *args, bool custom)
{
    struct arena *a = arena_create(64 * 1024);

    buf_reset(out, 0);

    struct json_out o = json_out(out);

    EXPECT(write_arguments(&o, a, str_c(args), custom, NULL));
    arena_destroy(a);
    return buf_str(out);
}

TEST(arguments_that_are_an_object_stay_byte_for_byte)
{
    struct buf out;

    buf_init(&out, 4096);
    EXPECT_STR(input_for(&out, "{ \"b\": 1.50,\"a\":\"\\u00fc\\/\" }", false),
        "{ \"b\": 1.50,\"a\":\"\\u00fc\\/\" }");
    EXPECT_STR(input_for(&out, "\n {\"a\":1e400}\t", false), "{\"a\":1e400}");
    buf_fini(&out);
}

TEST(no_arguments_are_an_empty_object)
{
    struct buf out;

    buf_init(&out, 4096);
    EXPECT_STR(input_for(&out, "", false), "{}");
    EXPECT_STR(input_for(&out, " \n", false), "{}");
    EXPECT_STR(input_for(&out, "null", false), "{}");
    EXPECT_STR(input_for(&out, "{}", false), "{}");
    buf_fini(&out);
}

TEST(arguments_that_are_no_object_are_wrapped_in_one)
{
    struct buf out;

    buf_init(&out, 4096);
    EXPECT_STR(input_for(&out, "[1]", false), "{\"input\":[1]}");
    EXPECT_STR(input_for(&out, "\"x\"", false), "{\"input\":\"x\"}");
    EXPECT_STR(input_for(&out, "{\"cut\":", false), "{\"input\":\"{\\\"cut\\\":\"}");
    EXPECT_STR(
        input_for(&out, "{\"a\":1} trailing", false), "{\"input\":\"{\\\"a\\\":1} trailing\"}");
    EXPECT_STR(input_for(&out, "{}", true), "{\"input\":\"{}\"}");
    buf_fini(&out);
}
TEST(arguments_never_break_a_line)
{
    struct buf out;

    buf_init(&out, 4096);
    EXPECT_STR(input_for(&out, "{\n \"a\":\r\n1}", false), "{ \"a\":1}");
    EXPECT_STR(input_for(&out, "[\n1]", false), "{\"input\":[1]}");
    buf_fini(&out);
}

TEST(what_a_target_cannot_make_at_all_is_refused_before_anything_is_written)
{
    struct kit k;

    for (size_t i = 0; wire_at(i) != NULL; i++) {
        const struct wire_provider *to = wire_at(i)->provider;

        for (enum llm_op op = 0; op < OP_COUNT; op++) {
            if (to->writes[op] != NULL)
                continue;
            kit_init(&k);
            k.r = (struct llm_request){ .arena = k.a, .op = op, .expanded = true, .n = 2 };
            if ((to->translates & OP_BIT(op)) == 0) {
                EXPECT_INT(kit_write(&k, wire_at(i), NULL), ERR_UNSUPPORTED);
                EXPECT_STR(k.fault.message, "this provider has no such operation");
            } else if (!to->choices) {
                EXPECT_INT(kit_write(&k, wire_at(i), NULL), ERR_UNSUPPORTED);
                EXPECT_STR(k.fault.param, "n");
            }
            EXPECT(buf_len(&k.out) == 0 || to->choices);
            kit_fini(&k);
        }
    }
}

TEST(the_first_refusal_counts)
{
    struct wire_fault fault = { .message = S("") };
    struct request_out w = { .a = arena_create(1 << 16), .fault = &fault };

    write_refuse(&w, ERR_UNSUPPORTED, "messages", "no %s", "audio");
    write_refuse(&w, ERR_BAD_REQUEST, "", "second");
    EXPECT_INT(w.err, ERR_UNSUPPORTED);
    EXPECT_STR(fault.param, "messages");
    EXPECT_STR(fault.message, "messages: no audio");
    arena_destroy(w.a);
}
