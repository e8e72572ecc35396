/* test_exchange.c - what every answer carries, and how an exchange is settled. */
#include "gateway/exchange.c"

#include "tests/unit/gateway/gateway_world.h"

static struct gateway_world w;

static void
finish(void)
{
    gateway_world_stop(&w);
    gateway_world_forget(&w);
}

#define CORS "  cors_origins: [\"https://app.example.com\"]\n"
#define FROM(origin) "Origin: " origin "\r\n"
#define PREFLIGHT                                                                                  \
    "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: "                      \
    "authorization,content-type\r\n"

/* --- CORS --- */

TEST(cors_fields_are_sent_to_an_allowed_origin)
{
    gateway_world_start(&w, CORS);
    EXPECT_INT(gateway_world_ask(&w, "OPTIONS /v1/chat/completions",
                   FROM("https://app.example.com") PREFLIGHT, ""),
        204);
    EXPECT(gateway_world_says(&w, "Access-Control-Allow-Origin: https://app.example.com\r\n"));
    EXPECT(gateway_world_says(&w, "Access-Control-Allow-Headers: authorization,content-type\r\n"));
    EXPECT(gateway_world_says(&w, "Access-Control-Allow-Methods: GET, POST,"));
    EXPECT(gateway_world_says(&w, "Vary: Origin\r\n"));
    EXPECT(!gateway_world_has(&w, "Allow-Credentials"));
    EXPECT_INT(gateway_world_chat(
                   &w, FROM("https://app.example.com"), WORLD_CHAT("mock/m", ",\"stream\":true")),
        200);
    EXPECT(gateway_world_says(&w, "Access-Control-Allow-Origin: https://app.example.com\r\n"));
    EXPECT(gateway_world_says(&w, "Access-Control-Expose-Headers: *\r\n"));
    EXPECT_INT(gateway_world_chat(&w, FROM("https://app.example.com"), "{"),
        400);    /* the page must read why */
    EXPECT(gateway_world_says(&w, "Access-Control-Allow-Origin: https://app.example.com\r\n"));
    finish();
}

TEST(another_origin_gets_no_cors_fields_but_vary)
{
    static const char *const strangers[] = { FROM("https://evil.example"),
        FROM("https://app.example.com.evil.example"), FROM("http://app.example.com"), FROM("null"),
        "" };

    gateway_world_start(&w, CORS);
    for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
        EXPECT_INT(gateway_world_ask(&w, "GET /livez", strangers[i], ""), 200);
        EXPECT(!gateway_world_has(&w, "Access-Control-Allow"));
        EXPECT(gateway_world_says(&w, "Vary: Origin\r\n"));
    }
    EXPECT_INT(
        gateway_world_ask(&w, "OPTIONS /v1/models", FROM("https://evil.example") PREFLIGHT, ""),
        204);
    EXPECT(!gateway_world_has(&w, "Access-Control-Allow"));
    finish();
}

TEST(a_star_echoes_any_origin)
{
    gateway_world_start(&w, "  cors_origins: \"*\"\n");
    EXPECT_INT(gateway_world_ask(&w, "GET /livez", FROM("https://any.example"), ""), 200);
    EXPECT(gateway_world_says(&w, "Access-Control-Allow-Origin: https://any.example\r\n"));
    finish();
}

TEST(without_configured_origins_there_are_no_cors_fields)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_ask(&w, "GET /livez", FROM("https://app.example.com"), ""), 200);
    EXPECT(!gateway_world_has(&w, "Access-Control") && !gateway_world_has(&w, "Vary"));
    finish();
}

/* --- fields --- */

TEST(client_ids_and_names_cannot_inject_fields_into_a_response)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_chat(&w, "x-request-id: bad id\r\n",
                   WORLD_CHAT("mock/m\\r\\nX-Smuggled: 1\\r\\n\\r\\n", "")),
        200);
    EXPECT(gateway_world_says(&w, "x-request-id: req_"));
    EXPECT(!gateway_world_has(&w, "\nX-Smuggled"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m\\u0001\\u00e9", "")), 200);
    EXPECT(!gateway_world_has(&w, "\x01"));
    finish();
}

TEST(a_trace_is_continued_and_returned)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_chat(&w,
                   "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
                   WORLD_CHAT("mock/m", "")),
        200);
    EXPECT(gateway_world_says(&w, "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\""), 1);
    gateway_world_forget(&w);
}

/* --- settling --- */

TEST(every_way_to_end_releases_everything_and_logs_one_line)
{
    gateway_world_start(&w, "");
    (void)gateway_world_chat(&w, "", WORLD_CHAT("mock/m", ""));
    (void)gateway_world_chat(&w, "", WORLD_CHAT("mock/m", ",\"stream\":true"));
    (void)gateway_world_chat(&w, "", WORLD_CHAT("mock/fault-429", ""));
    (void)gateway_world_chat(&w, "", WORLD_CHAT("mock/m;fault=reset-mid", ",\"stream\":true"));
    (void)gateway_world_chat(&w, "", WORLD_CHAT("mock/fault-malformed", ",\"stream\":true"));
    (void)gateway_world_chat(&w, "", "{");
    (void)gateway_world_ask(&w, "GET /v1/files", "", "");

    int fd = peer_connect(w.port);    /* leaves in the middle of a stream */
    struct buf some;
    buf_init(&some, 1024 * 1024);
    EXPECT(peer_send(fd, gateway_world_text(&w, "POST /v1/chat/completions", "",
                             WORLD_CHAT("mock/m;tps=20;tokens=500", ",\"stream\":true"))));
    EXPECT(peer_await(fd, &some, "\"content\":"));
    (void)close(fd);
    buf_fini(&some);

    EXPECT(gateway_world_metric(&w, "openclaw_client_aborts_total 1\n"));
    EXPECT(gateway_world_metric(&w, "openclaw_streams_in_flight 0\n"));
    EXPECT(gateway_world_metric(&w, "openclaw_upstream_calls_open 0\n"));
    EXPECT(gateway_world_metric(&w, "openclaw_usage_estimated_total 3\n"));
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"request_id\""), 8);
    EXPECT_INT(gateway_world_logged(&w, "\"client_abort\":true"), 1);
    /* its answer had begun with 200 */
    EXPECT_INT(gateway_world_logged(&w, "\"status\":499"), 0);
    gateway_world_forget(&w);
}

TEST(a_client_that_disconnects_before_the_answer_is_counted_as_499)
{
    gateway_world_start(&w, "");
    int fd = peer_connect(w.port);
    EXPECT(peer_send(fd, gateway_world_text(&w, "POST /v1/chat/completions", "",
                             WORLD_CHAT("mock/m;head=30s", ""))));
    EXPECT(gateway_world_metric(&w, "openclaw_upstream_calls_open 1\n"));
    (void)close(fd);
    EXPECT(gateway_world_metric(
        &w, "openclaw_requests_total{endpoint=\"chat_completions\",status=\"499\"} 1\n"));
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"error\":\"client_gone\""), 1);
    gateway_world_forget(&w);
}

TEST(health_checks_do_not_fill_the_log)
{
    gateway_world_start(&w, "");
    for (int i = 0; i < 5; i++)
        (void)gateway_world_ask(&w, "GET /livez", "", "");
    gateway_world_stop(&w);
    EXPECT_INT(buf_len(&w.log), 0);
    gateway_world_forget(&w);
}

/* --- large requests --- */

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { LARGE = 6 * 1000 * 1000 };    /* sanitizers are slow, and tests patient for so long only */
#else
enum { LARGE = 30 * 1000 * 1000 };
#endif
enum { TURN_MOST = 4 * 1024 * 1024 };

/* A chat request of so many bytes, in turns of two thousand. */
static void
make_large(struct buf *b, const char *model, size_t bytes)
{
    struct buf body;
    char text[2001];

    memset(text, 'x', 2000);
    text[2000] = 0;
    buf_init(&body, 2 * bytes + 10000);
    buf_printf(
        &body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}", model);
    while (buf_len(&body) < bytes)
        buf_printf(&body,
            ",{\"role\":\"assistant\",\"content\":\"%s\"},{\"role\":\"user\",\"content\":\"\\u00e9\"}",
            text);
    buf_add(&body, S("]}"));
    buf_init(b, 2 * bytes + 20000);
    buf_printf(b,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        "Content-Length: %zu\r\n\r\n",
        buf_len(&body));
    buf_add(b, buf_str(&body));
    buf_fini(&body);
}

static int
send_large(struct gateway_world *world, const char *model)
{
    struct buf request;
    int fd = peer_connect(world->port);

    make_large(&request, model, LARGE);
    (void)peer_send(fd, buf_str(&request));
    buf_fini(&request);
    return fd;
}

TEST(a_large_request_does_not_block_the_loop)
{
    static const char *const models[] = { "mock/m", "anth/m" };

    gateway_world_start(&w, "");
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        int fd = send_large(&w, models[i]);

        buf_reset(&w.answer, SIZE_MAX);
        (void)peer_recv_all(fd, &w.answer);
        close(fd);
        EXPECT(gateway_world_says(&w, "HTTP/1.1 200"));
    }
    EXPECT(loop_longest_turn(w.worker->loop) < TURN_MOST);
    gateway_world_stop(&w);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

TEST(a_large_request_with_invalid_json_is_refused_like_a_small_one)
{
    struct buf request;

    gateway_world_start(&w, "");
    make_large(&request, "mock/m", 1000000);
    request.p[request.tail - 1] = ' ';    /* its last bracket */
    int fd = peer_connect(w.port);
    EXPECT(peer_send(fd, buf_str(&request)));
    buf_reset(&w.answer, SIZE_MAX);
    (void)peer_recv_all(fd, &w.answer);
    close(fd);
    EXPECT(gateway_world_says(&w, "HTTP/1.1 400") && gateway_world_says(&w, "invalid_json"));
    buf_fini(&request);
    gateway_world_stop(&w);
    gateway_world_forget(&w);
}

TEST(disconnecting_while_a_helper_thread_works_releases_everything)
{
    gateway_world_start(&w, "");
    for (int i = 0; i < 4; i++) {
        close(send_large(&w, i % 2 ? "anth/m" : "mock/m"));
        pause_ms(i * 20);
    }
    EXPECT(gateway_world_metric(&w, "openclaw_exchanges_in_flight 0\n"));
    gateway_world_stop(&w);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

TEST(stopping_waits_for_helper_threads)
{
    for (int i = 0; i < 3; i++) {
        gateway_world_start(&w, "");
        int fd = send_large(&w, "anth/m");

        pause_ms(i * 30);
        gateway_world_stop(&w);
        EXPECT_INT(w.worker_held, 0);
        close(fd);
        gateway_world_forget(&w);
    }
}

/* --- large answers --- */

#define MANY "2000000"
enum { MANY_BYTES = 8 * 1000 * 1000 };

TEST(a_large_answer_never_makes_a_turn_of_the_loop_long)
{
    static const char *const whole[] = { WORLD_CHAT("mock/m;tokens=" MANY, ""),
        WORLD_CHAT("anth/m;tokens=" MANY, ",\"max_tokens\":" MANY) };

    gateway_world_start(&w, "");
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        EXPECT_INT(gateway_world_chat(&w, "", whole[i]), 200);
        struct str body = gateway_world_body(&w);
        EXPECT(body.n > MANY_BYTES);
        EXPECT(body.n > 2 && body.p[body.n - 1] == '}');
        EXPECT(gateway_world_has(&w, "\"completion_tokens\":" MANY));
    }
    EXPECT(loop_longest_turn(w.worker->loop) < TURN_MOST);
    gateway_world_stop(&w);
    EXPECT_INT(w.worker_held, 0);
    EXPECT_INT(gateway_world_logged(&w, "\"status\":200"), 2);
    gateway_world_forget(&w);
}

static int
ask_large(struct gateway_world *world, const char *model)
{
    int fd = peer_connect(world->port);
    struct str body = arena_printf(world->arena,
        "{\"model\":\"%s;tokens=" MANY "\",\"max_tokens\":" MANY
        ",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
        model);

    EXPECT(peer_send(fd, gateway_world_text(world, "POST /v1/chat/completions", "", body.p)));
    return fd;
}

TEST(a_client_that_disconnects_while_a_large_answer_is_processed_leaves_nothing_behind)
{
    gateway_world_start(&w, "");
    for (int i = 0; i < 6; i++) {
        int fd = ask_large(&w, i % 2 ? "anth/m" : "mock/m");

        pause_ms(i * 40);
        close(fd);
    }
    EXPECT(gateway_world_metric(&w, "openclaw_exchanges_in_flight 0\n"));
    gateway_world_stop(&w);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

TEST(stopping_waits_for_jobs_on_large_answers)
{
    for (int i = 0; i < 3; i++) {
        gateway_world_start(&w, "");
        int fd = ask_large(&w, "anth/m");

        pause_ms(100 + i * 60);
        gateway_world_stop(&w);
        EXPECT_INT(w.worker_held, 0);
        close(fd);
        gateway_world_forget(&w);
    }
}

TEST(a_client_that_reads_slowly_gets_a_large_answer_whole)
{
    gateway_world_start(&w, "");
    int fd = ask_large(&w, "mock/m");
    pause_ms(300);
    buf_reset(&w.answer, SIZE_MAX);
    (void)peer_recv_all(fd, &w.answer);
    close(fd);
    struct str body = gateway_world_body(&w);
    EXPECT(body.n > MANY_BYTES && body.p[body.n - 1] == '}');
    gateway_world_stop(&w);
    EXPECT_INT(w.worker_held, 0);
    EXPECT_INT(gateway_world_logged(&w, "\"status\":200"), 1);
    gateway_world_forget(&w);
}
