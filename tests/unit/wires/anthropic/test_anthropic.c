/* test_anthropic.c - the words and numbers that both sides of the wire translate. */
#include "wires/anthropic/anthropic.c"
#include "tests/test.h"

static struct arena *a;

static struct llm_usage
usage_from(const char *first, const char *second)
{
    struct llm_usage u = { .known = 0 };

    a = arena_create(64 * 1024);
    anthropic_read_usage(&u, json_parse(a, str_c(first), NULL, NULL));
    if (second != NULL)
        anthropic_read_usage(&u, json_parse(a, str_c(second), NULL, NULL));
    arena_destroy(a);
    return anthropic_usage(&u);
}

TEST(stop_reasons_have_an_equivalent_each)
{
    EXPECT_INT(anthropic_finish(S("end_turn")), FINISH_STOP);
    EXPECT_INT(anthropic_finish(S("stop_sequence")), FINISH_STOP);
    EXPECT_INT(anthropic_finish(S("pause_turn")), FINISH_STOP);
    EXPECT_INT(anthropic_finish(S("tool_use")), FINISH_TOOLS);
    EXPECT_INT(anthropic_finish(S("max_tokens")), FINISH_LENGTH);
    EXPECT_INT(anthropic_finish(S("model_context_window_exceeded")), FINISH_LENGTH);
    EXPECT_INT(anthropic_finish(S("refusal")), FINISH_FILTER);
    EXPECT_INT(anthropic_finish(S("tired")), FINISH_UNKNOWN);
}

TEST(a_stop_reason_of_ours_stays_and_one_of_others_is_translated)
{
    EXPECT_STR(anthropic_stop_reason(FINISH_STOP, S("pause_turn"), S(""), false), "pause_turn");
    EXPECT_STR(anthropic_stop_reason(FINISH_STOP, S("stop"), S(""), false), "end_turn");
    EXPECT_STR(anthropic_stop_reason(FINISH_STOP, S("stop"), S("END"), false), "stop_sequence");
    EXPECT_STR(anthropic_stop_reason(FINISH_LENGTH, S("length"), S(""), true), "max_tokens");
    EXPECT_STR(anthropic_stop_reason(FINISH_FILTER, S("content_filter"), S(""), false), "refusal");
    EXPECT_STR(anthropic_stop_reason(FINISH_UNKNOWN, S("tired"), S(""), false), "end_turn");
}

TEST(an_answer_that_calls_a_tool_stops_for_it_whatever_it_says)
{
    EXPECT_STR(anthropic_stop_reason(FINISH_STOP, S("stop"), S(""), true), "tool_use");
    EXPECT_STR(anthropic_stop_reason(FINISH_UNKNOWN, S(""), S(""), true), "tool_use");
    EXPECT_STR(anthropic_stop_reason(FINISH_TOOLS, S("tool_calls"), S(""), false), "tool_use");
}

TEST(what_is_cached_for_an_hour_and_the_service_tier_are_kept_for_the_bill)
{
    struct llm_usage u = usage_from(
        "{\"input_tokens\":4,\"cache_creation_input_tokens\":426,\"cache_creation\":"
        "{\"ephemeral_5m_input_tokens\":126,\"ephemeral_1h_input_tokens\":300},\"output_tokens\":1,"
        "\"service_tier\":\"priority\"}",
        "{\"output_tokens\":2}");

    EXPECT_INT(u.cache_write, 426);
    EXPECT_INT(u.cache_write_1h, 300);
    EXPECT_INT(u.service, SERVICE_PRIORITY);
}

TEST(input_tokens_include_what_came_from_and_went_to_the_cache)
{
    struct llm_usage u = usage_from("{\"input_tokens\":4,\"cache_read_input_tokens\":14210,"
                                    "\"cache_creation_input_tokens\":426,\"output_tokens\":290,"
                                    "\"output_tokens_details\":{\"thinking_tokens\":15}}",
        NULL);

    EXPECT_INT(u.input, 14640);
    EXPECT_INT(u.cached, 14210);
    EXPECT_INT(u.cache_write, 426);
    EXPECT_INT(u.output, 290);
    EXPECT_INT(u.reasoning, 15);
}

TEST(later_counts_replace_earlier_ones_and_are_not_added)
{
    struct llm_usage u = usage_from("{\"input_tokens\":100,\"output_tokens\":1}",
        "{\"input_tokens\":40,\"cache_read_input_tokens\":60,\"output_tokens\":7}");

    EXPECT_INT(u.input, 100);
    EXPECT_INT(u.cached, 60);
    EXPECT(!usage_has(&u, COUNT_CACHE_WRITE));
    EXPECT_INT(u.output, 7);

    u = usage_from("{\"input_tokens\":43,\"output_tokens\":1}", "{\"output_tokens\":2}");
    EXPECT_INT(u.input, 43);
    EXPECT_INT(u.output, 2);
}

TEST(counts_that_are_null_negative_or_huge_do_no_harm)
{
    struct llm_usage u = usage_from("{\"input_tokens\":-5,\"cache_read_input_tokens\":null,"
                                    "\"cache_creation_input_tokens\":9223372036854775807,"
                                    "\"output_tokens\":\"many\"}",
        "{\"input_tokens\":9e99}");

    EXPECT_INT(u.input, USAGE_MOST);
    EXPECT(!usage_has(&u, COUNT_CACHED));
    EXPECT(!usage_has(&u, COUNT_OUTPUT));

    u = usage_from("[]", NULL);
    EXPECT(!usage_known(&u));
}

TEST(written_cache_tokens_are_found_in_the_breakdown_too)
{
    struct llm_usage u =
        usage_from("{\"input_tokens\":1,\"cache_creation\":"
                   "{\"ephemeral_5m_input_tokens\":2,\"ephemeral_1h_input_tokens\":3}}",
            NULL);

    EXPECT_INT(u.cache_write, 5);
    EXPECT_INT(u.input, 6);
}

TEST(all_iterations_are_counted_when_there_were_several)
{
    struct llm_usage u =
        usage_from("{\"input_tokens\":10,\"output_tokens\":5,\"iterations\":["
                   "{\"type\":\"compaction\",\"input_tokens\":100,\"cache_read_input_tokens\":7,"
                   "\"output_tokens\":20},"
                   "{\"type\":\"message\",\"input_tokens\":10,\"output_tokens\":5}]}",
            NULL);

    EXPECT_INT(u.input, 117);
    EXPECT_INT(u.output, 25);
}

static void
expect_usage(const struct llm_usage *u, const char *expected)
{
    struct buf out;
    struct json_out o = json_out(&out);

    buf_init(&out, 1024);
    anthropic_add_usage(&o, u);
    EXPECT_STR(buf_str(&out), expected);
    buf_fini(&out);
}

TEST(usage_for_a_caller_leaves_the_cache_out_of_the_input_and_never_goes_below_zero)
{
    struct llm_usage u = { .known = 0 };

    usage_set(&u, COUNT_INPUT, 100);
    usage_set(&u, COUNT_CACHED, 60);
    usage_set(&u, COUNT_CACHE_WRITE, 10);
    usage_set(&u, COUNT_OUTPUT, 7);
    expect_usage(&u, "\"usage\":{\"input_tokens\":30,\"cache_creation_input_tokens\":10,"
                     "\"cache_read_input_tokens\":60,\"output_tokens\":7}");
    u = (struct llm_usage){ .known = 0 };
    usage_set(&u, COUNT_INPUT, 5);
    usage_set(&u, COUNT_CACHED, 9);
    usage_set(&u, COUNT_REASONING, 2);
    expect_usage(&u, "\"usage\":{\"input_tokens\":0,\"cache_creation_input_tokens\":0,"
                     "\"cache_read_input_tokens\":9,\"output_tokens\":0,"
                     "\"output_tokens_details\":{\"thinking_tokens\":2}}");
}

static enum err
kind_of(int status, const char *body)
{
    struct llm_error e;

    a = arena_create(64 * 1024);
    wire_anthropic.provider->read_error(a, status, str_c(body), &e);
    EXPECT(e.message.n > 0);
    EXPECT_INT(e.retry_after_ms, 0);
    EXPECT_INT(e.status, status);
    arena_destroy(a);
    return e.kind;
}

#define ERROR_BODY(type, message)                                                                  \
    "{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message "\"},"           \
    "\"request_id\":\"req_1\"}"

TEST(errors_are_told_apart_by_their_type)
{
    EXPECT_INT(kind_of(400, ERROR_BODY("invalid_request_error", "bad")), ERR_BAD_REQUEST);
    EXPECT_INT(
        kind_of(401, ERROR_BODY("authentication_error", "invalid x-api-key")), ERR_UPSTREAM_AUTH);
    EXPECT_INT(kind_of(403, ERROR_BODY("permission_error", "no")), ERR_UPSTREAM_FORBIDDEN);
    EXPECT_INT(kind_of(404, ERROR_BODY("not_found_error", "model: x")), ERR_UPSTREAM_NO_MODEL);
    EXPECT_INT(kind_of(413, ERROR_BODY("request_too_large", "big")), ERR_TOO_LARGE);
    EXPECT_INT(kind_of(429, ERROR_BODY("rate_limit_error", "slow down")), ERR_UPSTREAM_RATE_LIMIT);
    EXPECT_INT(kind_of(500, ERROR_BODY("api_error", "oops")), ERR_UPSTREAM_ERROR);
    EXPECT_INT(kind_of(504, ERROR_BODY("timeout_error", "late")), ERR_UPSTREAM_TIMEOUT);
    EXPECT_INT(kind_of(529, ERROR_BODY("overloaded_error", "Overloaded")), ERR_UPSTREAM_OVERLOADED);
    EXPECT_INT(kind_of(402, ERROR_BODY("billing_error", "pay")), ERR_UPSTREAM_QUOTA);
}

TEST(some_errors_are_told_apart_by_their_words)
{
    EXPECT_INT(kind_of(400, ERROR_BODY("invalid_request_error",
                                "prompt is too long: 3333404 tokens > 200000 maximum")),
        ERR_CONTEXT_LENGTH);
    EXPECT_INT(kind_of(400, ERROR_BODY("invalid_request_error",
                                "Your credit balance is too low to access the Anthropic API.")),
        ERR_UPSTREAM_QUOTA);
}

TEST(a_type_that_blames_the_caller_does_not_overrule_a_status_that_does_not)
{
    static const struct {
        int status;
        enum err kind;
    } rows[] = {
        { 400, ERR_BAD_REQUEST },
        { 422, ERR_BAD_REQUEST },
        { 401, ERR_UPSTREAM_AUTH },
        { 403, ERR_UPSTREAM_FORBIDDEN },
        { 404, ERR_UPSTREAM_NO_MODEL },
        { 408, ERR_UPSTREAM_TIMEOUT },
        { 409, ERR_UPSTREAM_ERROR },
        { 413, ERR_TOO_LARGE },
        { 429, ERR_UPSTREAM_RATE_LIMIT },
        { 499, ERR_UPSTREAM_ERROR },
        { 500, ERR_UPSTREAM_ERROR },
        { 502, ERR_UPSTREAM_ERROR },
        { 503, ERR_UPSTREAM_OVERLOADED },
        { 504, ERR_UPSTREAM_TIMEOUT },
        { 522, ERR_UPSTREAM_TIMEOUT },
        { 529, ERR_UPSTREAM_OVERLOADED },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT_INT(
            kind_of(rows[i].status, ERROR_BODY("invalid_request_error", "no")), rows[i].kind);
    EXPECT_INT(kind_of(500, ERROR_BODY("request_too_large", "no")), ERR_UPSTREAM_ERROR);
    EXPECT_INT(kind_of(500, ERROR_BODY("overloaded_error", "no")), ERR_UPSTREAM_OVERLOADED);
    EXPECT_INT(kind_of(400, ERROR_BODY("overloaded_error", "no")), ERR_UPSTREAM_OVERLOADED);
    EXPECT_INT(kind_of(500, ERROR_BODY("invalid_request_error", "prompt is too long: 9 tokens")),
        ERR_CONTEXT_LENGTH);
}

TEST(errors_of_whoever_stands_in_between_are_told_apart_by_status)
{
    EXPECT_INT(kind_of(529, "<html>Overloaded</html>"), ERR_UPSTREAM_OVERLOADED);
    EXPECT_INT(kind_of(502, ""), ERR_UPSTREAM_ERROR);
    EXPECT_INT(kind_of(429, "{\"error\":\"slow down\"}"), ERR_UPSTREAM_RATE_LIMIT);
    EXPECT_INT(kind_of(400, "{\"error\":null}"), ERR_BAD_REQUEST);
    EXPECT_INT(kind_of(400, "[1]"), ERR_BAD_REQUEST);
    EXPECT_INT(kind_of(503, "{\"message\":\"no\"}"), ERR_UPSTREAM_OVERLOADED);
}

TEST(the_message_of_an_error_is_quoted_without_keys_and_without_markup)
{
    struct llm_error e;

    a = arena_create(64 * 1024);
    wire_anthropic.provider->read_error(
        a, 400, S("{\"error\":{\"message\":\"bad key sk-ant-REDACTED here\"}}"), &e);
    EXPECT_STR(e.message, "bad key *** here");
    wire_anthropic.provider->read_error(a, 502, S("<html><h1>Bad gateway</h1></html>"), &e);
    EXPECT_STR(e.message, err_row(ERR_UPSTREAM_ERROR)->sentence);
    wire_anthropic.provider->read_error(a, 502, S("upstream connect error"), &e);
    EXPECT_STR(e.message, "upstream connect error");
    wire_anthropic.provider->read_error(
        a, 401, S(ERROR_BODY("authentication_error", "invalid x-api-key")), &e);
    EXPECT_STR(e.message, "the provider refused the gateway's credentials: invalid x-api-key");
    EXPECT_STR(e.type, "authentication_error");
    arena_destroy(a);
}

TEST(paths_follow_the_operation)
{
    static const struct {
        enum llm_op op;
        const char *path;
    } rows[] = {
        { OP_CHAT, "/messages" },
        { OP_COUNT_TOKENS, "/messages/count_tokens" },
        { OP_RELAY, "/messages/batches" },
    };
    struct buf out;

    buf_init(&out, 1024);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct llm_request r = { .op = rows[i].op, .path = S("/messages/batches") };

        buf_reset(&out, 0);
        wire_anthropic.provider->write_path(&out, &r, &(struct wire_target){ 0 });
        EXPECT_STR(buf_str(&out), rows[i].path);
        EXPECT(wire_anthropic.provider->ops & OP_BIT(rows[i].op));
    }
    buf_fini(&out);
}
