/* test_read.c - what counts in an answer is found in both protocols. */
#include "bench/read.c"
#include "tests/test.h"

static struct bench_reader
reader(bool anthropic)
{
    static struct arena *arena;

    if (arena == NULL)
        arena = arena_create(1024 * 1024);
    return (struct bench_reader){ .scratch = arena, .anthropic = anthropic };
}

TEST(an_openai_stream_is_understood)
{
    struct bench_reader r = reader(false);

    bench_read_event(&r, S("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
                           "\"finish_reason\":null}]}"));
    EXPECT(!r.has_tokens);
    bench_read_event(
        &r, S("{\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}"));
    EXPECT(r.has_tokens);
    bench_read_event(&r, S("{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}"));
    EXPECT(r.has_tokens);
    EXPECT(!r.finished);
    bench_read_event(&r, S("{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}"));
    EXPECT(r.finished && !r.complete);
    bench_read_event(
        &r, S("{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}"));
    bench_read_event(&r, S("[DONE]"));
    EXPECT(r.complete && !r.error && !r.broken);
    EXPECT_INT(r.input_tokens, 3);
    EXPECT_INT(r.output_tokens, 5);
    EXPECT_INT(r.token_events, 2);
}

TEST(an_anthropic_stream_is_understood)
{
    struct bench_reader r = reader(true);

    bench_read_event(&r, S("{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,"
                           "\"output_tokens\":1}}}"));
    bench_read_event(&r, S("{\"type\":\"content_block_delta\",\"delta\":{}}"));
    EXPECT(r.has_tokens);
    bench_read_event(&r, S("{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}"));
    bench_read_event(&r, S("{\"type\":\"message_stop\"}"));
    EXPECT(r.complete);
    EXPECT_INT(r.input_tokens, 9);
    EXPECT_INT(r.output_tokens, 7);
}

TEST(errors_and_invalid_data_are_detected)
{
    struct bench_reader r = reader(false);

    bench_read_event(&r, S("{\"error\":{\"message\":\"no\"}}"));
    EXPECT(r.error);
    bench_read_event(&r, S("{\"choices\":[{"));
    EXPECT(r.broken);
    r = reader(false);
    bench_read_answer(&r, S("<html>"));
    EXPECT(r.broken && !r.complete);
    bench_read_answer(&r, S("{\"usage\":{\"completion_tokens\":2}}"));
    EXPECT(r.complete);
    EXPECT_INT(r.output_tokens, 2);
}
