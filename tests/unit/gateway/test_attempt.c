/* test_attempt.c - failures, timeouts and fallback of attempts. */
#include "gateway/attempt.c"

#include "gateway/answer.h"
#include "mock/hub.h"
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

TEST(the_log_says_in_our_words_what_the_provider_said)
{
    static const char *const refusal[] = {
        "HTTP/1.1 400 Bad\r\nContent-Length: 76\r\n\r\n"
        "{\"error\":{\"message\":\"no \",\"type\":\"t1\",\"code\":"
        "\"odd_code\",\"param\":\"tools[0]\"}}",
        NULL
    };
    static const char *const said[] = {
        "the request is not valid (raw, status 400, code odd_code): tools[0]",
        "the request is not valid (raw, status 400): tools[0]",    /* the caller's word */
        "the provider could not be reached (dead: connection refused (127.0.0.1:1))",
        "the body cannot be parsed as JSON: expected a key or '}' at byte 1",
    };

    gateway_world_start(&w, "");
    EXPECT_INT(
        gateway_world_play(&w, "POST /v1/chat/completions", "", WORLD_CHAT("raw/m", ""), refusal),
        400);
    EXPECT_INT(gateway_world_play(&w, "POST /v1/chat/completions", "",
                   WORLD_CHAT("raw/m", ",\"user\":\"odd_code\""), refusal),
        400);
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("dead/m", "")), 502);
    EXPECT_INT(gateway_world_chat(&w, "", "{"), 400);
    gateway_world_stop(&w);
    for (size_t i = 0; i < ARRAY_LEN(said); i++)
        EXPECT_INT(
            gateway_world_logged(&w, arena_printf(w.arena, "\"error_message\":\"%s\"", said[i]).p),
            1);
    gateway_world_forget(&w);
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

TEST(a_target_that_cannot_serve_the_route_is_not_tried)
{
    static const struct {
        const char *line, *provider;
        int attempts;
    } rows[] = { { "POST /v1/responses/compact", "mock", 2 },
        { "POST /v1/responses/compact", "anth", 1 }, { "POST /v1/embeddings", "anth", 1 },
        { "POST /v1/chat/completions", "anth", 2 } };

    gateway_world_start(&w, "models:\n  mock: {targets: [dead/m, mock/m]}\n"
                            "  anth: {targets: [dead/m, anth/m]}\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *body = arena_printf(w.arena,
            "{\"model\":\"%s\",\"input\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
            rows[i].provider)
                               .p;

        (void)gateway_world_ask(&w, rows[i].line, "", body);
        EXPECT(gateway_world_says(
            &w, arena_printf(w.arena, "x-openclaw-attempts: %d\r\n", rows[i].attempts).p));
    }
    finish();
}

TEST(each_timeout_before_the_first_token_falls_back_to_the_next_target)
{
    gateway_world_start(&w, "timeouts: {first_token: 1s}\n"
                            "models:\n"
                            "  slow: {targets: [\"mock/m;ttft=30s\", anth/m]}\n"
                            "  late: {targets: [\"mock/m;head=30s\", anth/m]}\n");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("slow", ",\"stream\":true")), 200);
    EXPECT(gateway_world_says(&w, "x-openclaw-provider: anth\r\n"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("late", ",\"stream\":true")), 200);
    EXPECT(gateway_world_says(&w, "x-openclaw-provider: anth\r\n"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m;head=1500ms", "")),
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

/* Else the caller would get calls of tools that it does not know. */
TEST(a_name_of_a_tool_that_cannot_be_kept_makes_the_request_fail)
{
    for (unsigned lost = 0; lost <= 1; lost++) {
        struct arena *from = arena_create(64 * 1024);
        struct arena *to = arena_create(64 * 1024);
        struct written written = { .unfit = OK };
        struct attempt a = { .arena = to, .written = &written, .drops = { .arena = from } };

        EXPECT(wire_rename(&a.drops, S("long_name"), S("long.name")));
        (void)arena_fail_after_for_tests(lost);
        keep_drops(&a);
        EXPECT(!arena_fail_after_for_tests(0));
        EXPECT_INT(written.unfit, lost > 0 ? ERR_OVERLOADED : OK);
        arena_destroy(from);
        arena_destroy(to);
    }
}

/* --- two at once --- */

/* Begins another attempt of the only exchange, as a hedge would. On the worker's thread. */
static void
begin_another(void *arg UNUSED)
{
    struct exchange *x = exchange_of(w.worker->exchanges);
    struct attempt *first = x->attempt;
    struct attempt *a = gateway_world_attempt(&w);

    written_write_body(a->written);
    answer_await(a);
    CHECK(x->under_way == a && a->next == first && first->next == NULL);
    CHECK(a->state == ATTEMPT_RUNNING && first->state == ATTEMPT_RUNNING);
}

static void
await(atomic_ullong *counter, unsigned n)
{
    for (int i = 0; i < 2000 && atomic_load(counter) < n; i++)
        pause_ms(5);
    EXPECT_INT(atomic_load(counter), n);
}

/* Asks, begins a second attempt once the first has reached its provider, and reads the answer. */
static void
ask_twice(const char *body)
{
    int fd = peer_connect(w.port);

    mock_hub_reset(w.hub);
    buf_reset(&w.answer, SIZE_MAX);
    EXPECT(peer_send(fd, gateway_world_text(&w, "POST /v1/chat/completions", "", body)));
    await(&w.hub->count.requests, 1);
    loop_post(w.worker->loop, begin_another, NULL);
    (void)peer_recv_all(fd, &w.answer);
    (void)close(fd);
    await(&w.hub->count.requests, 2);
    await(&w.hub->count.aborted, 1);    /* the other one was cancelled */
    EXPECT_INT(atomic_load(&w.hub->count.completed), 1);
}

TEST(of_two_attempts_at_once_the_first_with_a_token_wins_and_the_other_is_cancelled)
{
    static const struct {
        const char *model, *rest, *winner;
    } rows[] = {
        { "late", ",\"stream\":true", "anth" },
        { "soon", ",\"stream\":true", "mock" },
        { "late", "", "anth" },
        { "soon", "", "mock" },
    };

    gateway_world_start(&w, "models:\n"
                            "  late: {targets: [\"mock/m;head=30s\", anth/m]}\n"
                            "  soon: {targets: [\"mock/m;head=1s\", \"anth/m;head=30s\"]}\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ask_twice(arena_printf(w.arena,
            "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]%s}",
            rows[i].model, rows[i].rest)
                      .p);
        EXPECT(gateway_world_says(
            &w, arena_printf(w.arena, "x-openclaw-provider: %s\r\n", rows[i].winner).p));
        EXPECT(gateway_world_says(&w, "x-openclaw-attempts: 2\r\n"));
        EXPECT(gateway_world_says(&w, "HTTP/1.1 200 "));
        EXPECT(!gateway_world_has(&w, "\"error\""));
    }
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"outrun\""), ARRAY_LEN(rows));
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"ok\""), ARRAY_LEN(rows));
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

TEST(a_client_that_disconnects_stops_all_attempts)
{
    gateway_world_start(
        &w, "models:\n  slow: {targets: [\"mock/m;head=30s\", \"anth/m;head=30s\"]}\n");
    int fd = peer_connect(w.port);

    EXPECT(peer_send(
        fd, gateway_world_text(&w, "POST /v1/chat/completions", "", WORLD_CHAT("slow", ""))));
    await(&w.hub->count.requests, 1);
    loop_post(w.worker->loop, begin_another, NULL);
    await(&w.hub->count.requests, 2);
    (void)close(fd);
    await(&w.hub->count.aborted, 2);
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"client_gone\""), 1);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

/* Begins an attempt that nobody sees beside the only exchange's own. On the worker's thread. */
static void
begin_shadow(void *arg UNUSED)
{
    struct exchange *x = exchange_of(w.worker->exchanges);
    struct attempt *first = x->attempt;
    struct attempt *a = gateway_world_attempt(&w);

    written_write_body(a->written);
    answer_await(a);
    attempt_let_go(a);
    CHECK(x->attempt == first && x->under_way == first && first->next == NULL);
    CHECK(w.worker->lone == a && a->exchange == NULL && x->attempts == 1);
}

static void
ask_with_shadow(const char *body)
{
    int fd = peer_connect(w.port);

    mock_hub_reset(w.hub);
    buf_reset(&w.answer, SIZE_MAX);
    EXPECT(peer_send(fd, gateway_world_text(&w, "POST /v1/chat/completions", "", body)));
    await(&w.hub->count.requests, 1);
    loop_post(w.worker->loop, begin_shadow, NULL);
    (void)peer_recv_all(fd, &w.answer);
    (void)close(fd);
    EXPECT(gateway_world_says(&w, "HTTP/1.1 200 "));
    EXPECT(gateway_world_says(&w, "x-openclaw-provider: mock\r\n"));
    EXPECT(gateway_world_says(&w, "x-openclaw-attempts: 1\r\n"));
    EXPECT_INT(atomic_load(&w.hub->count.requests), 2);
}

TEST(an_attempt_that_was_let_go_outlives_its_exchange_and_counts_itself)
{
    static const struct {
        const char *model, *rest, *counted;
    } rows[] = {
        { "good", ",\"stream\":true", "model=\"m;head=2s\",outcome=\"ok\"} 1" },
        { "good", "", "model=\"m;head=2s\",outcome=\"ok\"} 2" },
        { "bad", "", "model=\"m;head=2s;fault=500\",outcome=\"upstream_error\"} 1" },
    };

    gateway_world_start(&w,
        "models:\n"
        "  good: {targets: [\"mock/m;head=1s\", \"anth/m;head=2s\"]}\n"
        "  bad: {targets: [\"mock/m;head=1s\", \"anth/m;head=2s;fault=500\"]}\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ask_with_shadow(arena_printf(w.arena,
            "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]%s}",
            rows[i].model, rows[i].rest)
                            .p);
        EXPECT(gateway_world_metric(&w, rows[i].counted));
    }
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"provider\":\"mock\""), ARRAY_LEN(rows));
    EXPECT_INT(gateway_world_logged(&w, "\"provider\":\"anth\""), 0);    /* the exchange's record */
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

TEST(a_stop_ends_attempts_that_were_let_go)
{
    gateway_world_start(&w, "models:\n  m: {targets: [\"mock/m;head=1s\", \"anth/m;head=30s\"]}\n");
    ask_with_shadow(WORLD_CHAT("m", ",\"stream\":true"));
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"status\":200"), 1);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

TEST(a_state_changes_only_as_the_table_allows)
{
    for (enum attempt_state from = 0; from < ATTEMPT_STATES; from++) {
        EXPECT((moves[from] & 1u << from) == 0);
        EXPECT((moves[from] & 1u << ATTEMPT_WRITING) == 0);    /* each is begun once */
        EXPECT(from == ATTEMPT_OVER || (moves[from] & 1u << ATTEMPT_OVER) != 0);
    }
    EXPECT_INT(moves[ATTEMPT_OVER], 0);
    EXPECT((moves[ATTEMPT_COMMITTED] & 1u << ATTEMPT_RUNNING) == 0);
}
