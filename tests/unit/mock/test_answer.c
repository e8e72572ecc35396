/* test_answer.c - answers come at their pace, and break as they shall. */
#include "mock/answer.c"
#include "tests/unit/mock/mock_kit.h"

#define CHAT(model)                                                                                \
    "{\"model\":\"" model                                                                          \
    "\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define WHOLE(model)                                                                               \
    "{\"model\":\"" model "\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define ROUTE "/v1/chat/completions"

static bool
is_done(const struct mock_kit *k)
{
    return str_ends(buf_str(&k->answer), S("data: [DONE]\n\n"));
}

TEST(errors_by_status_have_retry_after)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(&k, ROUTE, CHAT("fault-429;retry-after=7"));
    EXPECT_INT(mock_kit_status(&k), 429);
    EXPECT(mock_kit_has(&k, "retry-after: 7\r\n"));
    EXPECT(mock_kit_has(&k, "\"code\":\"rate_limit_exceeded\""));
    mock_kit_post(&k, ROUTE, CHAT("fault-500"));
    EXPECT_INT(mock_kit_status(&k), 500);
    EXPECT(!mock_kit_has(&k, "retry-after"));
    mock_kit_post(&k, ROUTE, WHOLE("fault-quota"));
    EXPECT(mock_kit_has(&k, "\"type\":\"insufficient_quota\""));
    mock_kit_post(&k, ROUTE, WHOLE("fault-context"));
    EXPECT(mock_kit_has(&k, "\"code\":\"context_length_exceeded\""));
    mock_kit_post(&k, "/v1/messages",
        "{\"model\":\"fault-529\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":"
        "\"x\"}]}");
    EXPECT_INT(mock_kit_status(&k), 529);
    EXPECT(mock_kit_has(&k, "\"type\":\"overloaded_error\""));
    mock_kit_stop(&k);
}

TEST(connections_are_reset_before_and_in_the_middle)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    EXPECT(mock_kit_post(&k, ROUTE, CHAT("fault-reset-before")) == PEER_RESET);
    EXPECT_INT(buf_len(&k.answer), 0);
    EXPECT(mock_kit_post(&k, ROUTE, CHAT("fault-reset-mid;after=2")) == PEER_RESET);
    EXPECT(mock_kit_has(&k, "\"content\":\" I\""));
    EXPECT(!mock_kit_has(&k, "\"content\":\" am\""));
    EXPECT(mock_kit_post(&k, ROUTE, WHOLE("fault-reset-mid")) == PEER_RESET);
    EXPECT(mock_kit_has(&k, "chat.completion"));
    mock_kit_stop(&k);
}

TEST(streams_break_in_the_middle_in_many_ways)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    EXPECT(mock_kit_post(&k, ROUTE, CHAT("fault-truncated")) == PEER_CLOSED);
    EXPECT(mock_kit_has(&k, "\"content\":\" am\""));
    EXPECT(!mock_kit_has(&k, "\"finish_reason\":\"stop\"") && !is_done(&k));
    mock_kit_post(&k, ROUTE, CHAT("fault-no-done"));
    EXPECT(mock_kit_has(&k, "\"finish_reason\":\"stop\"") && !is_done(&k));
    mock_kit_post(&k, ROUTE, CHAT("fault-error-mid"));
    EXPECT(mock_kit_has(&k, "\"content\":\" am\"") && mock_kit_has(&k, "data: {\"error\":{") &&
           !is_done(&k));
    mock_kit_post(&k, ROUTE, CHAT("fault-error-first"));
    EXPECT_INT(mock_kit_status(&k), 200);
    EXPECT(str_starts(mock_kit_body(&k), S("data: {\"error\":{")));
    mock_kit_post(&k, ROUTE, CHAT("fault-malformed"));
    EXPECT(mock_kit_has(&k, "data: {\"broken\n\n") && is_done(&k));
    mock_kit_post(&k, ROUTE, CHAT("fault-empty"));
    EXPECT_INT(mock_kit_status(&k), 200);
    EXPECT_INT(mock_kit_body(&k).n, 0);
    mock_kit_stop(&k);
}

TEST(documents_break_as_well)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(&k, ROUTE, WHOLE("fault-truncated"));
    EXPECT(!str_ends(mock_kit_body(&k), S("}")));
    mock_kit_post(&k, ROUTE, WHOLE("fault-malformed"));
    EXPECT_STR(mock_kit_body(&k), "{\"id\":\"broken\",\"choices\":[{\"index\":0,");
    mock_kit_post(&k, ROUTE, WHOLE("fault-error-mid"));
    EXPECT_INT(mock_kit_status(&k), 200);
    EXPECT(str_starts(mock_kit_body(&k), S("{\"error\":{")));
    mock_kit_post(&k, ROUTE, WHOLE("fault-empty"));
    EXPECT_INT(mock_kit_body(&k).n, 0);
    mock_kit_stop(&k);
}

TEST(answers_can_have_a_wrong_content_type)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(&k, ROUTE, CHAT("fault-content-type"));
    EXPECT(mock_kit_has(&k, "content-type: text/html; charset=utf-8\r\n") && is_done(&k));
    EXPECT(!mock_kit_has(&k, "text/event-stream"));
    mock_kit_post(&k, ROUTE, CHAT("fault-html"));
    EXPECT(mock_kit_has(&k, "<!DOCTYPE html>"));
    mock_kit_stop(&k);
}

TEST(a_huge_line_has_the_configured_length)
{
    struct mock_kit k = { 0 };
    struct arena *a = arena_create(64 * 1024 * 1024);

    mock_kit_start(&k);
    mock_kit_post(&k, ROUTE, CHAT("fault-huge-line;huge=3MB;after=0"));
    EXPECT(buf_len(&k.answer) > 3 * 1024 * 1024 && is_done(&k));
    mock_kit_post(&k, ROUTE, WHOLE("fault-huge-line;huge=1MB"));
    EXPECT(buf_len(&k.answer) > 1024 * 1024);
    EXPECT(json_parse(a, mock_kit_body(&k), NULL, NULL) != NULL);
    arena_destroy(a);
    mock_kit_stop(&k);
}

TEST(some_answers_never_come)
{
    struct mock_kit k = { 0 };
    struct buf half;
    const char *bodies[] = { CHAT("fault-hang"), CHAT("fault-stall") };

    mock_kit_start(&k);
    for (size_t i = 0; i < 2; i++) {
        char text[512];
        int fd = peer_connect(k.lb.port);
        buf_init(&half, 65536);
        snprintf(text, sizeof(text), "POST " ROUTE " HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s",
            strlen(bodies[i]), bodies[i]);
        EXPECT(peer_send(fd, str_c(text)));
        EXPECT(i == 0 || peer_await(fd, &half, "\"content\":\" am\""));
        while (peer_recv(fd, &half, 100) == PEER_MORE)
            continue;
        EXPECT(peer_recv(fd, &half, 100) == PEER_SILENT);
        EXPECT(i == 1 || buf_len(&half) == 0);
        buf_fini(&half);
        close(fd);
    }
    mock_kit_stop(&k);
}

TEST(tokens_come_at_the_configured_rate)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    uint64_t start = clock_now_ms();
    mock_kit_post(&k, ROUTE, CHAT("m;ttft=100ms;tps=100;tokens=11"));
    uint64_t took = clock_now_ms() - start;
    EXPECT(is_done(&k));
    EXPECT(took >= 199);
    start = clock_now_ms();
    mock_kit_post(&k, ROUTE, WHOLE("m;ttft=50ms;tps=100;tokens=5"));
    EXPECT(clock_now_ms() - start >= 99);
    start = clock_now_ms();
    mock_kit_post(&k, ROUTE, CHAT("m;head=60ms"));
    EXPECT(clock_now_ms() - start >= 59);
    mock_kit_stop(&k);
}

TEST(a_slow_reader_gets_everything_in_the_end)
{
    struct mock_kit k = { 0 };
    struct buf all;
    const char *body = CHAT("m;tokens=50000");
    char head[128];
    int fd;

    mock_kit_start(&k);
    fd = peer_connect(k.lb.port);
    snprintf(
        head, sizeof(head), "POST " ROUTE " HTTP/1.0\r\nContent-Length: %zu\r\n\r\n", strlen(body));
    EXPECT(peer_send(fd, str_c(head)) && peer_send(fd, str_c(body)));
    pause_ms(200);    /* by now the kernel's buffers are full */
    buf_init(&all, 64 * 1024 * 1024);
    EXPECT(peer_recv_all(fd, &all) == PEER_CLOSED);
    EXPECT(str_ends(buf_str(&all), S("data: [DONE]\n\n")));
    buf_fini(&all);
    close(fd);
    mock_kit_stop(&k);
}
