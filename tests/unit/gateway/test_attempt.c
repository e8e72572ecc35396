/* test_attempt.c - what becomes of what a provider is sent. */
#include "gateway/attempt.c"

#include "tests/unit/gateway/gateway_world.h"

static struct gateway_world w;

static void
finish(void)
{
    gateway_world_stop(&w);
    gateway_world_forget(&w);
}

TEST(a_providers_retry_after_is_passed_to_the_client)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m;fault=429;retry-after=7", "")), 429);
    EXPECT(gateway_world_says(&w, "Retry-After: 7\r\n"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/fault-quota", "")), 429);
    EXPECT(gateway_world_says(&w, "x-should-retry: false\r\n"));
    EXPECT(gateway_world_says(&w, "\"code\":\"insufficient_quota\""));
    finish();
}

TEST(client_errors_do_not_fall_back_to_another_target)
{
    gateway_world_start(&w, "models:\n  two: {targets: [\"mock/fault-400\", mock/m]}\n"
                            "  three: {targets: [\"mock/fault-context\", mock/m]}\n");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("two", "")), 400);
    EXPECT(gateway_world_says(&w, "x-openclaw-attempts: 1\r\n"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("three", "")), 200);
    EXPECT(gateway_world_says(&w, "x-openclaw-attempts: 2\r\n"));
    finish();
}

TEST(each_timeout_before_the_first_token_falls_back_to_the_next_target)
{
    gateway_world_start(&w, "timeouts: {first_token: 150ms}\n"
                            "models:\n"
                            "  slow: {targets: [\"mock/m;ttft=30s\", anth/m]}\n"
                            "  late: {targets: [\"mock/m;head=30s\", anth/m]}\n");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("slow", ",\"stream\":true")), 200);
    EXPECT(gateway_world_says(&w, "x-openclaw-provider: anth\r\n"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("late", ",\"stream\":true")), 200);
    EXPECT(gateway_world_says(&w, "x-openclaw-provider: anth\r\n"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m;head=400ms", "")),
        200);    /* a whole answer may take its time */
    finish();
}

TEST(a_stalled_stream_ends_with_an_error_not_as_complete)
{
    gateway_world_start(&w, "timeouts: {between_tokens: 150ms}\n");
    EXPECT_INT(
        gateway_world_chat(&w, "", WORLD_CHAT("mock/m;fault=stall", ",\"stream\":true")), 200);
    EXPECT(gateway_world_says(&w, "the provider's answer stalled"));
    EXPECT(!gateway_world_has(&w, "[DONE]"));
    finish();
}
