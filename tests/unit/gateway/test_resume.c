/* test_resume.c - streams that break, and what is kept to continue them. */
#include "gateway/resume.c"    /* white box: the unit under test itself */

#include "tests/unit/gateway/gateway_world.h"

static struct gateway_world w;

#define STREAM(model)                                                                              \
    WORLD_CHAT(model, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}")

static void
finish(void)
{
    gateway_world_stop(&w);
    EXPECT_INT(w.worker_held, 0);
    gateway_world_forget(&w);
}

static unsigned
count(struct str text, const char *what)
{
    unsigned n = 0;

    for (size_t at; (at = str_find(text, str_c(what))) != text.n; n++)
        text = str_skip(text, at + strlen(what));
    return n;
}

/* The text of all chunks, put together. */
static struct str
chat_text(void)
{
    struct str body = gateway_world_body(&w), before, after;
    struct buf text;

    buf_init(&text, 1 << 20);
    while (str_find(body, S("\"content\":\"")) != body.n) {
        body = str_skip(body, str_find(body, S("\"content\":\"")) + 11);
        (void)str_cut(body, '"', &before, &after);
        buf_add(&text, before);
        body = after;
    }
    struct str s = arena_str(w.arena, buf_str(&text));
    buf_fini(&text);
    return s;
}

TEST(the_last_words_begin_with_a_word)
{
    EXPECT_STR(last_words(S("short")), "short");
    EXPECT_STR(
        last_words(S("It is a truth universally acknowledged, that a single man in possession of")),
        "universally acknowledged, that a single man in possession of");
    /* a script without blanks, of three bytes each */
    struct str han = last_words(S("一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十"));
    EXPECT_INT(han.n, 60);
    han = last_words(S("一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十x"));
    EXPECT_INT(han.n, 58);
}

TEST(requests_for_more_than_plain_text_are_recognised)
{
    static const struct {
        const char *body;
        bool asks;
    } rows[] = {
        { "{\"messages\":[],\"temperature\":1}", false },
        { "{\"tools\":[{}]}", true },
        { "{\"tools\":[]}", false },
        { "{\"tools\":null}", false },
        { "{\"t\\u006fols\":[{}]}", true },
        { "{\"reasoning_effort\":\"low\"}", true },
        { "{\"response_format\":{\"type\":\"json_object\"}}", true },
        { "{\"logprobs\":false}", false },
        { "{\"logprobs\":true}", true },
        { "{\"metadata\":{\"tools\":[1]}}", false },
    };
    struct arena *a = arena_create(1024 * 1024);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct llm_request q = { .wire = wire_named(S("openai-chat")),
            .doc = json_parse(a, str_c(rows[i].body), NULL, NULL) };

        EXPECT(q.doc != NULL);
        EXPECT_INT(asks_beyond_text(&q), rows[i].asks);
    }
    arena_destroy(a);
}

#define STORY "models: {story: {targets: ["
#define TOKENS "tokens=40"

TEST(a_stream_that_breaks_is_continued_once)
{
    static const char *const faults[] = { "reset-mid", "stall", "malformed", "truncated",
        "error-mid" };

    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        char conf[512];

        (void)snprintf(conf, sizeof(conf),
            "timeouts: {between_tokens: 200ms}\n" STORY "\"mock/m;fault=%s;after=9;tps=400;" TOKENS
            "\", \"anth/m;" TOKENS "\"]}}\n",
            faults[i]);
        gateway_world_start(&w, conf);
        EXPECT_INT(gateway_world_chat(&w, "", STREAM("mock/m;" TOKENS)), 200);
        struct str whole = chat_text();
        EXPECT_INT(gateway_world_chat(&w, "", STREAM("story")), 200);
        EXPECT(str_eq(chat_text(), whole));
        EXPECT_INT(count(gateway_world_body(&w), "[DONE]"), 1);
        EXPECT_INT(count(gateway_world_body(&w), "\"role\":\"assistant\""), 1);
        EXPECT_INT(count(gateway_world_body(&w), "\"finish_reason\":\"stop\""), 1);
        EXPECT(gateway_world_says(&w, "\n: continued by anth/m;"));
        gateway_world_stop(&w);
        EXPECT_INT(gateway_world_logged(&w, "\"continued\":true"), 1);
        EXPECT_INT(w.worker_held, 0);
        gateway_world_forget(&w);
    }
}

TEST(a_stream_that_breaks_is_not_continued_where_that_is_switched_off)
{
    static const char *const settings[] = {
        "models: {story: {on_stream_break: error, targets: [\"mock/m;fault=reset-mid;tps=400\", mock/m]}}\n",
        "  limits: {continued: 0}\n" STORY "\"mock/m;fault=reset-mid;tps=400\", mock/m]}}\n",
        STORY "\"mock/m;fault=reset-mid;tps=400\"]}}\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        gateway_world_start(&w, settings[i]);
        EXPECT_INT(gateway_world_chat(&w, "", STREAM("story")), 200);
        EXPECT(gateway_world_says(&w, "\"error\""));
        EXPECT(!gateway_world_has(&w, "[DONE]") && !gateway_world_has(&w, "continued"));
        gateway_world_stop(&w);
        EXPECT_INT(gateway_world_logged(&w, "\"continued\""), 0);
        EXPECT_INT(w.worker_held, 0);
        gateway_world_forget(&w);
    }
}

/* --- what is kept meanwhile --- */

struct glance {
    bool keeps;      /* the text */
    bool request;    /* and the request */
    _Atomic bool done;
};

static void
look_at(void *arg)
{
    struct glance *l = arg;
    const struct exchange *x = exchange_of(w.worker->exchanges);

    l->keeps = x->attempt->resume != NULL;
    l->request = x->request != NULL;
    l->done = true;
}

/* Looks at a stream that stopped in the middle. */
static struct glance
look_at_stalled(const char *body)
{
    struct glance l = { .done = false };
    int fd = peer_connect(w.port);

    buf_reset(&w.answer, SIZE_MAX);
    EXPECT(peer_send(fd, gateway_world_text(&w, "POST /v1/chat/completions", "", body)));
    EXPECT(peer_await(fd, &w.answer, "chat.completion.chunk"));
    pause_ms(100);
    loop_post(w.worker->loop, look_at, &l);
    while (!l.done)
        pause_ms(1);
    (void)close(fd);
    while (!gateway_world_metric(&w, "openclaw_exchanges_in_flight 1\n"))
        pause_ms(1);
    return l;
}

#define STALLS "\"mock/m;fault=stall;" TOKENS

TEST(nothing_is_kept_for_what_is_not_continued)
{
    static const struct {
        const char *body;
        bool keeps;
    } rows[] = {
        { WORLD_CHAT("two", ",\"stream\":true"), true },
        { WORLD_CHAT("one", ",\"stream\":true"), false },
        { WORLD_CHAT("off", ",\"stream\":true"), false },
        { WORLD_CHAT("mock/m;fault=stall;" TOKENS, ",\"stream\":true"), false },
        { WORLD_CHAT("two", ",\"stream\":true,\"reasoning_effort\":\"low\""), false },
        { WORLD_CHAT("thinks", ",\"stream\":true"), false },
        { WORLD_CHAT("more", ",\"stream\":true,\"reasoning_effort\":\"low\""), true },
    };

    gateway_world_start(&w, "models:\n"
                            "  one: {targets: [" STALLS "\"]}\n"
                            "  two: {targets: [" STALLS "\", mock/n]}\n"
                            "  thinks: {targets: [" STALLS ";reasoning=4;after=8\", mock/n]}\n"
                            "  more: {on_stream_break: continue, targets: [" STALLS "\"]}\n"
                            "  off: {on_stream_break: error, targets: [" STALLS "\", mock/n]}\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct glance l = look_at_stalled(rows[i].body);

        EXPECT_INT(l.keeps, rows[i].keeps);
        EXPECT_INT(l.request, rows[i].keeps);
    }
    finish();
}

/* A text that reaches the limit is dropped, and the request with it. */
TEST(a_text_that_reaches_the_limit_is_dropped)
{
    gateway_world_start(&w, "  limits: {continued: 100}\n" STORY STALLS ";after=39\", mock/n]}}\n");
    struct glance l = look_at_stalled(WORLD_CHAT("story", ",\"stream\":true"));
    EXPECT(!l.keeps && !l.request);
    finish();
}
