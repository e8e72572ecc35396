/* test_answer.c - answers on their way: whole, in pieces, broken, mislabelled. */
#include "gateway/answer.c"

#include "mock/hub.h"
#include "tests/unit/gateway/gateway_world.h"

static struct gateway_world w;

static void
finish(void)
{
    gateway_world_stop(&w);
    gateway_world_forget(&w);
}

TEST(a_mislabelled_answer_is_parsed_by_its_content)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m;fault=content-type", "")), 200);
    EXPECT(gateway_world_says(&w, "\"object\":\"chat.completion\""));
    EXPECT_INT(
        gateway_world_chat(&w, "", WORLD_CHAT("mock/m;fault=content-type", ",\"stream\":true")),
        200);
    EXPECT(gateway_world_says(&w, "Content-Type: text/event-stream"));
    EXPECT(gateway_world_says(&w, "data: [DONE]"));
    finish();
}

TEST(an_invalid_answer_is_an_error_whatever_its_status)
{
    static const char *const faults[] = { "html", "empty", "malformed", "error-first",
        "truncated" };

    gateway_world_start(&w, "");
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        struct str body = arena_printf(w.arena, WORLD_CHAT("mock/m;fault=%s", ""), faults[i]);
        struct str stream = arena_printf(
            w.arena, WORLD_CHAT("mock/m;fault=%s;after=0", ",\"stream\":true"), faults[i]);
        int status = gateway_world_chat(&w, "", body.p);

        if (status < 500)
            print_error("%s: %d\n", faults[i], status);
        EXPECT(status >= 500);
        EXPECT(gateway_world_says(&w, "\"error\":{"));
        (void)gateway_world_chat(&w, "", stream.p);
        EXPECT(gateway_world_says(&w, "\"error\":{"));
        EXPECT(!gateway_world_has(&w, "[DONE]"));
    }
    finish();
}

TEST(a_missing_terminator_is_added)
{
    gateway_world_start(&w, "");
    EXPECT_INT(
        gateway_world_chat(&w, "", WORLD_CHAT("mock/m;fault=no-done", ",\"stream\":true")), 200);
    EXPECT(str_ends(gateway_world_body(&w), S("data: [DONE]\n\n\r\n0\r\n\r\n")));
    EXPECT_INT(
        gateway_world_chat(&w, "", WORLD_CHAT("anth/m;fault=no-done", ",\"stream\":true")), 200);
    EXPECT(gateway_world_has(&w, "data: [DONE]") || gateway_world_has(&w, "\"error\":{"));
    finish();
}

TEST(an_answer_above_the_limit_is_refused_not_truncated)
{
    gateway_world_start(&w, "  limits: {answer: 4KB, event: 4KB}\n");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m;tokens=5000", "")), 502);
    EXPECT(gateway_world_says(&w, "\"code\":\"upstream_too_large\""));
    EXPECT_INT(gateway_world_chat(&w, "",
                   WORLD_CHAT("mock/m;fault=huge-line;huge=64KB;after=0", ",\"stream\":true")),
        502);
    EXPECT(gateway_world_says(&w, "\"code\":\"upstream_too_large\""));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m;tokens=5000", ",\"stream\":true")),
        200);    /* event by event */
    EXPECT(gateway_world_says(&w, "data: [DONE]"));
    finish();
}

TEST(a_silent_stream_gets_keep_alives_and_can_still_fall_back)
{
    gateway_world_start(&w, "  keepalive: 100ms\n"
                            "timeouts: {first_token: 1500ms}\n"
                            "models:\n"
                            "  slow: {targets: [\"mock/m;head=30s\", mock/m]}\n"
                            "  gone: {targets: [\"mock/m;head=30s\"]}\n");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("slow", ",\"stream\":true")), 200);
    EXPECT(gateway_world_says(&w, ": keep-alive\n\n"));
    EXPECT(gateway_world_says(&w, "data: [DONE]"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("gone", ",\"stream\":true")), 200);
    EXPECT(gateway_world_says(&w, "\"code\":\"timeout\""));
    EXPECT(!gateway_world_has(&w, "[DONE]"));
    EXPECT_INT(
        gateway_world_ask(&w, "POST /v1/messages", "", WORLD_MESSAGES("gone", ",\"stream\":true")),
        200);
    EXPECT(gateway_world_says(&w, "event: error\n"));
    finish();
}

#define STREAM_HEAD                                                                                \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define ROLE                                                                                         \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{" \
    "\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"

TEST(nothing_of_an_attempt_that_fails_without_a_token_is_sent)
{
    static const char *const endings[][3] = { { ROLE "data: {broken\n\n" },
        { ROLE, "data: {broken\n\n" }, { ROLE }, { ROLE "data: {\"cut\":" } };

    gateway_world_start(&w, "  keepalive: 100ms\nmodels: {two: {targets: [raw/m, mock/m]}}\n");
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        const char *pieces[] = { WORLD_UNTIL_KEEPALIVE, STREAM_HEAD, endings[i][0], endings[i][1],
            NULL };

        EXPECT_INT(gateway_world_play(&w, "POST /v1/chat/completions", "",
                       WORLD_CHAT("raw/m", ",\"stream\":true"), pieces),
            200);
        EXPECT(gateway_world_says(&w, ": keep-alive\n\n"));
        EXPECT(gateway_world_says(&w, "\"error\":{"));
        EXPECT(!gateway_world_has(&w, "assistant"));
        EXPECT_INT(gateway_world_play(&w, "POST /v1/messages", "",
                       WORLD_MESSAGES("raw/m", ",\"stream\":true"), pieces),
            200);
        EXPECT(gateway_world_says(&w, "event: error\n"));
        EXPECT(!gateway_world_has(&w, "message_start"));
        EXPECT_INT(gateway_world_play(&w, "POST /v1/chat/completions", "",
                       WORLD_CHAT("two", ",\"stream\":true"), pieces),
            200);
        EXPECT(gateway_world_says(&w, "data: [DONE]"));
        struct str s = buf_str(&w.answer);    /* of the other attempt */
        s = str_skip(s, str_find(s, S("assistant")) + 1);
        EXPECT(str_find(s, S("assistant")) == s.n);
    }
    finish();
}

TEST(a_passed_stream_that_breaks_ends_with_the_error_event_of_its_route)
{
    static const char *const pieces[] = { STREAM_HEAD, "data: {\"type\":\"a\"}\n\n: note\n\n",
        "data: {\"type\":\"b\"}\n\ndata: {\"error\":\"sk-canary-key\"}\n\n", NULL };
    static const char message[] =
        "the provider's answer contained one of the gateway's credentials and was withheld";

    gateway_world_start(&w, "");
    EXPECT_INT(
        gateway_world_play(&w, "POST /v1/responses/compact", "", "{\"model\":\"raw/m\"}", pieces),
        200);
    EXPECT(gateway_world_says(&w, "{\"type\":\"a\"}\n\n: note\n\n"));
    EXPECT(gateway_world_says(&w, "data: {\"type\":\"b\"}\n\n"));
    EXPECT(gateway_world_says(
        &w, arena_printf(w.arena,
                "event: error\ndata: {\"type\":\"error\",\"sequence_number\":2,\"code\":"
                "\"upstream_error\",\"message\":\"%s\",\"param\":null}\n\n",
                message)
                .p));
    EXPECT(!gateway_world_has(&w, "sk-canary"));
    EXPECT_INT(
        gateway_world_play(&w, "POST /v1/audio/speech", "", "{\"model\":\"raw/m\"}", pieces), 200);
    EXPECT(gateway_world_says(&w,
        arena_printf(w.arena, "event: error\ndata: {\"error\":{\"message\":\"%s\",", message).p));
    EXPECT(!gateway_world_has(&w, "sk-canary"));
    finish();
}

TEST(a_refusal_of_a_passed_route_is_the_provider_s_own_if_it_is_whole)
{
    static const char *const whole[] = { "HTTP/1.1 404 Not Found\r\nContent-Type: application/x\r\n"
                                         "Content-Length: 31\r\nx-ratelimit-left: 3\r\n\r\n",
        "{\"error\": {\"message\":\"gone\"}} \n", NULL };
    static const char *const cut[] = { "HTTP/1.1 404 Not Found\r\nContent-Type: application/x\r\n"
                                       "Content-Length: 32\r\n\r\n",
        "{\"error\": {\"message\":\"gone\"}} \n", NULL };

    gateway_world_start(&w, "");
    EXPECT_INT(
        gateway_world_play(&w, "POST /v1/responses/compact", "", "{\"model\":\"raw/m\"}", whole),
        404);
    EXPECT_STR(gateway_world_body(&w), whole[1]);
    EXPECT(gateway_world_says(&w, "Content-Type: application/x\r\n"));
    EXPECT(gateway_world_says(&w, "x-ratelimit-left: 3\r\n"));
    EXPECT_INT(
        gateway_world_play(&w, "POST /v1/responses/compact", "", "{\"model\":\"raw/m\"}", cut),
        404);
    EXPECT(gateway_world_says(&w, "Content-Type: application/json\r\n"));
    EXPECT(gateway_world_says(&w, "\"message\":\"gone"));
    EXPECT(!gateway_world_has(&w, whole[1]));
    finish();
}

TEST(a_client_that_does_not_read_pauses_the_provider)
{
    gateway_world_start(&w, "");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(w.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    };
    EXPECT(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
    EXPECT(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    EXPECT(peer_send(fd, gateway_world_text(&w, "POST /v1/chat/completions", "",
                             WORLD_CHAT("mock/m;tokens=100000", ",\"stream\":true"))));
    unsigned long long held = 0;
    for (int still = 0; still < 3;) {    /* not just for lack of a processor */
        unsigned long long before = held;

        pause_ms(200);
        held = atomic_load(&w.hub->count.output_tokens);
        still = held != 0 && held == before ? still + 1 : 0;
    }
    EXPECT(held < 90000);
    struct buf got;
    buf_init(&got, 256 * 1024 * 1024);
    (void)peer_recv_all(fd, &got);    /* now it reads */
    (void)close(fd);
    struct str s = buf_str(&got);
    EXPECT(str_find(s, S("data: [DONE]\n\n")) != s.n);
    EXPECT_INT(atomic_load(&w.hub->count.output_tokens), 100000);
    buf_fini(&got);
    finish();
}

/* --- a document whose end has still to come --- */

#define DOCUMENT                                                                                            \
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0," \
    "\"message\":{\"role\":\"assistant\",\"content\":\"all of it\"},\"finish_reason\":\"stop\"}]}"

static struct attempt *given;

/* The document comes in one piece, as in one frame of HTTP/2; the frame that ends the stream has
 * still to come. On the worker's thread. */
static void
give_document(void *arg UNUSED)
{
    struct exchange *x = exchange_of(w.worker->exchanges);
    struct http_field type = { S("content-type"), S("application/json") };
    struct http_head head = {
        .status = 200, .content_length = sizeof(DOCUMENT) - 1, .fields = { &type, 1 }
    };

    given = x->attempt;
    client_cancel(given->call);    /* from now on the test is its provider */
    given->call = NULL;
    on_head(given, &head);
    on_data(given, S(DOCUMENT));
    EXPECT_INT(given->state, ATTEMPT_RUNNING);
    EXPECT(x->delivery.draft == &given->draft);
    exchange_wake(x);    /* as another attempt would that is stopped now */
}

static void
end_document(void *arg UNUSED)
{
    EXPECT_INT(given->state, ATTEMPT_RUNNING);
    EXPECT(given->exchange->attempt == given && given->exchange->under_way->next == NULL);
    on_end(given);
}

TEST(a_document_that_was_handed_over_is_the_answer_although_its_end_has_still_to_come)
{
    gateway_world_start(&w, "models: {two: {targets: [\"mock/m;head=30s\", mock/n]}}\n");
    int fd = peer_connect(w.port);
    buf_reset(&w.answer, SIZE_MAX);
    EXPECT(peer_send(
        fd, gateway_world_text(&w, "POST /v1/chat/completions", "", WORLD_CHAT("two", ""))));
    for (int ms = 0; ms < PATIENCE_MS && atomic_load(&w.hub->count.requests) == 0; ms += 10)
        pause_ms(10);
    loop_post(w.worker->loop, give_document, NULL);
    pause_ms(50);    /* the stages run: nothing else may begin */
    loop_post(w.worker->loop, end_document, NULL);
    (void)peer_recv_all(fd, &w.answer);
    (void)close(fd);
    EXPECT_STR(gateway_world_body(&w), DOCUMENT);
    EXPECT(gateway_world_says(&w, "x-openclaw-attempts: 1\r\n"));
    EXPECT_INT(atomic_load(&w.hub->count.requests), 1);
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"ok\""), 1);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}
