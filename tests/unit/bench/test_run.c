/* test_run.c - load is made and measured, against the simulated provider. */
#include "bench/run.c"
#include "tests/unit/mock/mock_kit.h"

static void
no_progress(uint64_t elapsed_us, uint64_t done, uint64_t failed)
{
    (void)elapsed_us;
    (void)done;
    (void)failed;
}

static void
measure(struct bench_options o, const char *model, struct bench_totals *ret)
{
    struct mock_kit k = { 0 };
    char url[64];
    char why[256];
    char body[512];
    struct str path;

    mock_kit_start(&k);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", k.lb.port);
    snprintf(body, sizeof(body),
        "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        model, o.stream ? "true" : "false");
    struct origin *origin = origin_create(str_c(url), NULL, &path, WHY(why));
    EXPECT(origin != NULL);
    o.origin = origin;
    if (o.wire == NULL) {
        o.wire = &wire_openai_chat;
        o.path = S("/v1/chat/completions");
    }
    o.body = str_c(body);
    o.timeout_us = o.timeout_us != 0 ? o.timeout_us : PATIENCE_MS * 1000ull;
    bench_run(&o, ret, no_progress);
    origin_destroy(origin);
    mock_kit_stop(&k);
}

static struct bench_totals totals;

TEST(a_number_of_requests_is_sent_and_answered)
{
    measure((struct bench_options){ .connections = 5, .threads = 2, .requests = 101 }, "m;tokens=4",
        &totals);
    EXPECT_INT(totals.done, 101);
    EXPECT_INT(totals.failed, 0);
    EXPECT_INT(totals.output_tokens, 404);
    EXPECT_INT(totals.total.count, 101);
    EXPECT_INT(totals.connect.count, 5);
}

TEST(any_wire_is_measured)
{
    measure((struct bench_options){ .connections = 2,
                .threads = 1,
                .requests = 6,
                .stream = true,
                .wire = &wire_anthropic,
                .path = S("/v1/messages"),
                .fields = S("anthropic-version: 2023-06-01\r\n") },
        "m;tokens=4\",\"max_tokens\":9,\"user\":\"u", &totals);
    EXPECT_INT(totals.done, 6);
    EXPECT_INT(totals.output_tokens, 24);
    EXPECT_INT(totals.between.count, 18);
}

TEST(streams_have_a_first_token_and_times_between)
{
    measure((struct bench_options){ .connections = 2, .threads = 1, .requests = 4, .stream = true },
        "m;tokens=4;ttft=50ms;tps=100", &totals);
    EXPECT_INT(totals.done, 4);
    EXPECT_INT(totals.first_token.count, 4);
    EXPECT_INT(totals.between.count, 12);
    EXPECT(histogram_quantile(&totals.first_token, 0.5) >= 49000);
    /* on a busy machine some tokens are read together: no time between them, more before */
    EXPECT(totals.first_token.sum_us + totals.between.sum_us >= 4 * 79000);
    EXPECT(totals.first_token.sum_us + totals.between.sum_us <= totals.total.sum_us);
    EXPECT(histogram_quantile(&totals.total, 0.5) >= 79000);
}

TEST(errors_are_counted_by_kind)
{
    measure((struct bench_options){ .connections = 1, .threads = 1, .requests = 3 }, "fault-429",
        &totals);
    EXPECT_INT(totals.by_status[429], 3);
    EXPECT_INT(totals.failed, 3);
    measure((struct bench_options){ .connections = 1, .threads = 1, .requests = 3, .stream = true },
        "fault-truncated", &totals);
    EXPECT_INT(totals.by_failure[BENCH_CUT_STREAM], 3);
    measure((struct bench_options){ .connections = 1, .threads = 1, .requests = 3, .stream = true },
        "fault-error-mid", &totals);
    EXPECT_INT(totals.by_failure[BENCH_ERROR_IN_STREAM], 3);
    measure((struct bench_options){ .connections = 1, .threads = 1, .requests = 3 },
        "fault-malformed", &totals);
    EXPECT_INT(totals.by_failure[BENCH_NOT_UNDERSTOOD], 3);
    measure(
        (struct bench_options){
            .connections = 1, .threads = 1, .requests = 2, .timeout_us = 50000 },
        "fault-hang", &totals);
    EXPECT_INT(totals.by_failure[BENCH_TIMED_OUT], 2);
}

TEST(in_an_open_loop_waiting_for_a_free_connection_is_part_of_the_time)
{
    measure((struct bench_options){ .connections = 1, .threads = 1, .requests = 10, .rate = 100 },
        "m;ttft=50ms", &totals);
    EXPECT_INT(totals.done, 10);
    /* The tenth was due after 90 ms and answered after 500. */
    EXPECT(totals.total.max_us >= 350000);
}

TEST(a_duration_ends_the_load)
{
    uint64_t start_ms = clock_now_ms();

    measure((struct bench_options){ .connections = 1, .threads = 1, .duration_us = 200000 }, "m",
        &totals);
    EXPECT(totals.done > 0);
    EXPECT(clock_now_ms() - start_ms < PATIENCE_MS);
}
