/* test_read.c - what counts in an answer is found in every protocol. */
#include "bench/read.c"
#include "tests/test.h"

static struct bench_reader r;

static void
begin(const struct wire *wire)
{
    static struct arena *keep, *scratch;

    arena_destroy(keep);
    arena_destroy(scratch);
    keep = arena_create(1024 * 1024);
    scratch = arena_create(1024 * 1024);
    bench_read_begin(&r, wire, true, keep, scratch);
}

#define FRAME(text) bench_read_frame(&r, S(""), S(text))

TEST(an_openai_stream_is_understood)
{
    begin(&wire_openai_chat);
    FRAME("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
          "\"finish_reason\":null}]}");
    EXPECT(!r.has_tokens);
    FRAME("{\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}");
    EXPECT(r.has_tokens);
    FRAME("{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{"
          "\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}");
    EXPECT(r.has_tokens);
    EXPECT(!r.wire.finished);
    FRAME("{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}");
    EXPECT(r.wire.finished && !r.wire.complete);
    FRAME("{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}");
    FRAME("[DONE]");
    bench_read_end(&r);
    EXPECT(r.wire.complete && !r.wire.failed && !r.broken);
    EXPECT_INT(r.usage.input, 3);
    EXPECT_INT(r.usage.output, 5);
    EXPECT_INT(r.token_events, 2);
}

TEST(an_anthropic_stream_is_understood)
{
    begin(&wire_anthropic);
    FRAME("{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,"
          "\"output_tokens\":1}}}");
    FRAME("{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
          "\"text\":\"\"}}");
    FRAME("{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
          "\"text\":\"x\"}}");
    EXPECT(r.has_tokens);
    FRAME("{\"type\":\"content_block_stop\",\"index\":0}");
    FRAME("{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
          "\"usage\":{\"output_tokens\":7}}");
    FRAME("{\"type\":\"message_stop\"}");
    bench_read_end(&r);
    EXPECT(r.wire.complete);
    EXPECT_INT(r.usage.input, 9);
    EXPECT_INT(r.usage.output, 7);
}

TEST(errors_and_invalid_data_are_detected)
{
    begin(&wire_openai_chat);
    FRAME("{\"error\":{\"message\":\"no\"}}");
    EXPECT(r.wire.failed);
    begin(&wire_openai_chat);
    FRAME("{\"choices\":[{");
    EXPECT(r.broken);
    begin(&wire_openai_chat);
    bench_read_answer(&r, S("<html>"));
    EXPECT(r.broken && !r.wire.complete);
    begin(&wire_openai_chat);
    bench_read_answer(&r, S("{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":"
                            "\"stop\"}],\"usage\":{\"completion_tokens\":2}}"));
    EXPECT(r.wire.complete);
    EXPECT_INT(r.usage.output, 2);
}
