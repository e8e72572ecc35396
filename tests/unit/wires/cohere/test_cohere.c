#include "wires/cohere/cohere.c"

#include "tests/test.h"
#include "tests/unit/llm/wire_kit.h"

/* Golden conversations in tests/wire/cohere-v2 show the rest. */

static struct llm_usage
counts_of(const char *usage)
{
    struct arena *a = arena_create(1 << 16);
    struct llm_usage u = { .known = 0 };

    cohere_read_usage(&u, json_parse(a, str_c(usage), NULL, NULL));
    arena_destroy(a);
    return u;
}

TEST(what_was_processed_is_the_usage_and_what_is_billed_is_kept_beside_it)
{
    struct llm_usage u =
        counts_of("{\"billed_units\":{\"input_tokens\":135.0,\"output_tokens\":78},\"tokens\":{"
                  "\"input_tokens\":1568,\"output_tokens\":132.0,\"reasoning_tokens\":9},"
                  "\"cached_tokens\":992}");

    EXPECT_INT(u.input, 1568);
    EXPECT_INT(u.output, 132);
    EXPECT_INT(u.reasoning, 9);
    EXPECT_INT(u.cached, 992);
    EXPECT_INT(u.billed_input, 135);
    EXPECT_INT(u.billed_output, 78);
    EXPECT(usage_has(&u, COUNT_BILLED_INPUT) && usage_has(&u, COUNT_BILLED_OUTPUT));
}

TEST(what_is_billed_stands_for_what_was_processed_where_that_is_not_said)
{
    struct llm_usage u = counts_of("{\"billed_units\":{\"input_tokens\":5}}");

    EXPECT_INT(u.input, 5);
    EXPECT(!usage_has(&u, COUNT_OUTPUT) && !usage_has(&u, COUNT_CACHED));
    EXPECT(!usage_known(&(struct llm_usage){ 0 }));
    u = counts_of("{\"tokens\":{\"input_tokens\":1e30,\"output_tokens\":-4}}");
    EXPECT_INT(u.input, USAGE_MOST);
    EXPECT_INT(u.output, 0);
    u = counts_of("null");
    EXPECT_INT(u.known, 0);
}

TEST(reasons_to_end_keep_their_meaning)
{
    static const char *const natives[] = { "COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "TOOL_CALL" };

    for (size_t i = 0; i < ARRAY_LEN(natives); i++) {
        enum llm_finish finish = cohere_finish(str_c(natives[i]));

        EXPECT(finish != FINISH_UNKNOWN);
        EXPECT_STR(cohere_finish_reason(finish, str_c(natives[i]), S(""), i == 3), natives[i]);
    }
    EXPECT_INT(cohere_finish(S("ERROR")), FINISH_UNKNOWN);
    EXPECT_STR(cohere_finish_reason(FINISH_STOP, S("end_turn"), S(""), false), "COMPLETE");
    EXPECT_STR(
        cohere_finish_reason(FINISH_STOP, S("stop_sequence"), S(""), false), "STOP_SEQUENCE");
    EXPECT_STR(cohere_finish_reason(FINISH_STOP, S("stop"), S("x"), false), "STOP_SEQUENCE");
    EXPECT_STR(cohere_finish_reason(FINISH_LENGTH, S("length"), S(""), false), "MAX_TOKENS");
    EXPECT_STR(cohere_finish_reason(FINISH_TOOLS, S("tool_use"), S(""), true), "TOOL_CALL");
    EXPECT_STR(cohere_finish_reason(FINISH_UNKNOWN, S(""), S(""), true), "TOOL_CALL");
    EXPECT_STR(cohere_finish_reason(FINISH_FILTER, S("content_filter"), S(""), false), "ERROR");
}

TEST(a_prompt_that_was_blocked_is_the_caller_s_matter)
{
    struct arena *a = arena_create(1 << 16);
    struct llm_error e;

    cohere_provider.read_error(a, 498, S("{\"message\":\"blocked output\",\"id\":\"x\"}"), &e);
    EXPECT_INT(e.kind, ERR_CONTENT_FILTER);
    EXPECT_STR(e.message, "blocked output");
    cohere_provider.read_error(a, 400,
        S("{\"error_type\":\"TOO_MANY_TOKENS\",\"message\":\"too many tokens: size limit exceeded\"}"),
        &e);
    EXPECT_INT(e.kind, ERR_CONTEXT_LENGTH);
    EXPECT_STR(e.type, "TOO_MANY_TOKENS");
    cohere_provider.read_error(a, 401, S("{\"message\":\"invalid api token\"}"), &e);
    EXPECT_INT(e.kind, ERR_UPSTREAM_AUTH);
    arena_destroy(a);
}
