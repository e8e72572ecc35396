/* test_turn.c - one question and its answer, and what is said when there is none. */
#include "chat/turn.c"

#include <pthread.h>

#include "tests/unit/mock/mock_kit.h"

struct talk {
    struct mock_kit k;
    struct origin *origin;
    struct chat_line *line;
    struct buf text;
    struct buf thinking;
};

static void
on_text(void *arg, struct str piece, bool thinking)
{
    struct talk *t = arg;

    buf_add(thinking ? &t->thinking : &t->text, piece);
}

static void
talk_start_on(struct talk *t, const struct wire *wire, struct str fields)
{
    char url[64];
    char why[256];
    struct str path;

    mock_kit_start(&t->k);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", t->k.lb.port);
    t->origin = origin_create(str_c(url), NULL, &path, WHY(why));
    EXPECT(t->origin != NULL);
    t->line = chat_line_create(t->origin, wire, fields);
    buf_init(&t->text, 65536);
    buf_init(&t->thinking, 65536);
}

static void
talk_start(struct talk *t)
{
    talk_start_on(t, &wire_openai_chat, S(""));
}

static void
talk_stop(struct talk *t)
{
    chat_line_destroy(t->line);
    origin_destroy(t->origin);
    buf_fini(&t->text);
    buf_fini(&t->thinking);
    mock_kit_stop(&t->k);
}

static enum chat_outcome
say(struct talk *t, const char *model)
{
    char body[256];

    snprintf(body, sizeof(body),
        "{\"model\":\"%s\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]"
        "}",
        model);
    buf_reset(&t->text, 0);
    return chat_ask(t->line, S("/v1/chat/completions"), str_c(body), on_text, t);
}

TEST(text_and_thinking_arrive_piece_by_piece)
{
    struct talk t = { 0 };

    talk_start(&t);
    EXPECT(say(&t, "m;echo;reasoning=2") == CHAT_DONE);
    EXPECT_STR(buf_str(&t.text), "hello");
    EXPECT_STR(buf_str(&t.thinking), "The user");
    talk_stop(&t);
}

TEST(any_wire_is_spoken)
{
    struct talk t = { 0 };

    talk_start_on(&t, &wire_anthropic, S("anthropic-version: 2023-06-01\r\n"));
    EXPECT(chat_ask(t.line, S("/v1/messages"),
               S("{\"model\":\"m;echo;reasoning=2\",\"max_tokens\":9,\"stream\":true,\"messages\":"
                 "[{\"role\":\"user\",\"content\":\"hello\"}]}"),
               on_text, &t) == CHAT_DONE);
    EXPECT_STR(buf_str(&t.text), "hello");
    EXPECT_STR(buf_str(&t.thinking), "The user");
    EXPECT(chat_ask(t.line, S("/v1/messages"), S("{}"), on_text, &t) == CHAT_REFUSED);
    EXPECT_STR(chat_message(t.line), "model: Field required");
    talk_stop(&t);
}

TEST(failures_are_distinguished)
{
    struct talk t = { 0 };

    talk_start(&t);
    EXPECT(say(&t, "fault-429") == CHAT_REFUSED);
    EXPECT_INT(chat_status(t.line), 429);
    EXPECT(chat_message(t.line).n > 0);
    EXPECT(say(&t, "fault-error-mid") == CHAT_BROKEN);
    EXPECT(say(&t, "fault-truncated") == CHAT_BROKEN);
    EXPECT_STR(buf_str(&t.text), "Hello! I am");
    EXPECT(say(&t, "fault-reset-mid") == CHAT_BROKEN);
    EXPECT(say(&t, "fault-reset-before") == CHAT_UNREACHED);
    EXPECT(say(&t, "m;echo") == CHAT_DONE);
    talk_stop(&t);
}

static void *
interrupt_soon(void *arg)
{
    (void)arg;
    pause_ms(100);
    chat_interrupt();
    return NULL;
}

TEST(an_interrupt_ends_the_answer_and_not_the_conversation)
{
    struct talk t = { 0 };
    pthread_t thread;

    talk_start(&t);
    EXPECT(pthread_create(&thread, NULL, interrupt_soon, NULL) == 0);
    EXPECT(say(&t, "fault-stall") == CHAT_INTERRUPTED);
    pthread_join(thread, NULL);
    EXPECT_STR(buf_str(&t.text), "Hello! I am");
    EXPECT(say(&t, "m;echo") == CHAT_DONE);
    talk_stop(&t);
}

TEST(a_document_is_kept_whole)
{
    struct talk t = { 0 };

    talk_start(&t);
    EXPECT(chat_ask(t.line, S("/v1/models"), (struct str){ NULL, 0 }, on_text, &t) == CHAT_DONE);
    EXPECT(str_find(chat_body(t.line), S("mock-gpt")) < chat_body(t.line).n);
    talk_stop(&t);
}
