/* test_filters.c - filters that hold back, change and add events, on every way from a provider to a caller. */
#include "gateway/filters.h"

#include "gateway/answer.h"
#include "mock/hub.h"
#include "tests/unit/gateway/gateway_world.h"

enum { TEXT_MOST = 200 };

static struct gateway_world w;

/* Collects text, and passes it on in capital letters when the answer is finished. */
static struct {
    struct filter filter;
    char text[TEXT_MOST];
    size_t n;
} capitals;

static void
on_event(struct event_sink *sink UNUSED, const struct llm_event *ev)
{
    if (ev->kind == EVENT_TEXT) {
        for (size_t i = 0; i < ev->text.n && capitals.n < TEXT_MOST; i++) {
            char c = ev->text.p[i];
            capitals.text[capitals.n++] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        }
        return;
    }
    if (ev->kind == EVENT_FINISH)
        filter_pass(&capitals.filter,
            &(struct llm_event){ .kind = EVENT_TEXT, .text = str_make(capitals.text, capitals.n) });
    filter_pass(&capitals.filter, ev);
}

/* Begins another attempt of the only exchange, whose events pass the filter. */
static void
begin_filtered(void *arg UNUSED)
{
    struct attempt *a = gateway_world_attempt(&w);

    memset(&capitals, 0, sizeof(capitals));
    capitals.filter.sink.emit = on_event;
    capitals.filter.rewrites = true;
    filters_add(&a->filters, &capitals.filter);
    a->intake.events = a->filters.first;
    written_write_body(a->written);
    answer_await(a);
}

#define CHUNK(delta, finish)                                                                       \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{"      \
    "\"index\":0,\"delta\":{" delta "},\"finish_reason\":" finish "}]}\n\n"

static const char stream[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" CHUNK(
        "\"role\":\"assistant\",\"content\":\"\"", "null") CHUNK("\"content\":\"hel\"", "null")
        CHUNK("\"content\":\"lo\"", "null") CHUNK("", "\"stop\"") "data: [DONE]\n\n";
static const char document[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,"
    "\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}";

static const struct {
    const char *line, *body, *answer, *ends;
} ways[] = {
    { "POST /v1/chat/completions", WORLD_CHAT("two", ",\"stream\":true"), stream, "data: [DONE]" },
    { "POST /v1/chat/completions", WORLD_CHAT("two", ",\"stream\":true"), document,
        "data: [DONE]" },
    { "POST /v1/chat/completions", WORLD_CHAT("two", ""), document, "\"chat.completion\"" },
    { "POST /v1/chat/completions", WORLD_CHAT("two", ""), stream, "\"chat.completion\"" },
    { "POST /v1/messages", WORLD_MESSAGES("two", ",\"stream\":true"), stream, "message_stop" },
    { "POST /v1/messages", WORLD_MESSAGES("two", ",\"stream\":true"), document, "message_stop" },
    { "POST /v1/messages", WORLD_MESSAGES("two", ""), document, "\"end_turn\"" },
    { "POST /v1/messages", WORLD_MESSAGES("two", ""), stream, "\"end_turn\"" },
};

TEST(what_a_filter_makes_of_the_events_is_what_the_caller_gets)
{
    gateway_world_start(&w, "models: {two: {targets: [\"mock/m;head=30s\", raw/m]}}\n");
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct buf got;
        int fd = peer_connect(w.port);

        mock_hub_reset(w.hub);
        EXPECT(peer_send(fd, gateway_world_text(&w, ways[i].line, "", ways[i].body)));
        for (int k = 0; k < 1000 && atomic_load(&w.hub->count.requests) == 0; k++)
            pause_ms(5);
        loop_post(w.worker->loop, begin_filtered, NULL);
        int provider = peer_next(w.raw);
        buf_init(&got, 1024 * 1024);
        EXPECT(provider >= 0 && peer_await(provider, &got, "\r\n\r\n"));
        EXPECT(peer_send(provider, str_c(ways[i].answer)));
        (void)close(provider);
        buf_reset(&w.answer, SIZE_MAX);
        (void)peer_recv_all(fd, &w.answer);
        (void)close(fd);
        EXPECT(gateway_world_says(&w, "HTTP/1.1 200 "));
        EXPECT(gateway_world_says(&w, "\"HELLO\""));
        EXPECT(gateway_world_says(&w, ways[i].ends));
        EXPECT(!gateway_world_has(&w, "hel") && !gateway_world_has(&w, "\"lo\""));
        buf_fini(&got);
    }
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"ok\""), ARRAY_LEN(ways));
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}
