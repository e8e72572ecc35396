/* test_turn.c - one question and its answer, and what is said when there is none. */
#include "cli/talk.c"

#include <pthread.h>

#include "tests/unit/mock/mock_kit.h"

struct world {
    struct mock_kit k;
    struct origin *origin;
    struct talk *line;
    struct buf text;
    struct buf thinking;
    struct event_sink sink;
};

static void
on_piece(struct event_sink *sink, const struct llm_event *ev)
{
    struct world *t = CONTAINER_OF(sink, struct world, sink);

    if (ev->kind == EVENT_TEXT || ev->kind == EVENT_REASONING)
        buf_add(ev->kind == EVENT_TEXT ? &t->text : &t->thinking, ev->text);
}

static void
world_start_on(struct world *t, const struct wire *wire, struct str fields)
{
    char url[64];
    char why[256];
    struct str path;

    t->sink.emit = on_piece;
    mock_kit_start(&t->k);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", t->k.lb.port);
    t->origin = origin_create(str_c(url), NULL, &path, WHY(why));
    EXPECT(t->origin != NULL);
    t->line = talk_create(t->origin, wire, fields);
    buf_init(&t->text, 65536);
    buf_init(&t->thinking, 65536);
}

static void
world_start(struct world *t)
{
    world_start_on(t, &wire_openai_chat, S(""));
}

static void
world_stop(struct world *t)
{
    talk_destroy(t->line);
    origin_destroy(t->origin);
    buf_fini(&t->text);
    buf_fini(&t->thinking);
    mock_kit_stop(&t->k);
}

static enum talk_outcome
say(struct world *t, const char *model)
{
    char body[256];

    snprintf(body, sizeof(body),
        "{\"model\":\"%s\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]"
        "}",
        model);
    buf_reset(&t->text, 0);
    return talk_ask(t->line, S("/v1/chat/completions"), str_c(body), &t->sink);
}

TEST(text_and_thinking_arrive_piece_by_piece)
{
    struct world t = { 0 };

    world_start(&t);
    EXPECT(say(&t, "m;echo;reasoning=2") == TALK_DONE);
    EXPECT_STR(buf_str(&t.text), "hello");
    EXPECT_STR(buf_str(&t.thinking), "The user");
    world_stop(&t);
}

TEST(any_wire_is_spoken)
{
    struct world t = { 0 };

    world_start_on(&t, &wire_anthropic, S("anthropic-version: 2023-06-01\r\n"));
    EXPECT(talk_ask(t.line, S("/v1/messages"),
               S("{\"model\":\"m;echo;reasoning=2\",\"max_tokens\":9,\"stream\":true,\"messages\":"
                 "[{\"role\":\"user\",\"content\":\"hello\"}]}"),
               &t.sink) == TALK_DONE);
    EXPECT_STR(buf_str(&t.text), "hello");
    EXPECT_STR(buf_str(&t.thinking), "The user");
    EXPECT(talk_ask(t.line, S("/v1/messages"), S("{}"), &t.sink) == TALK_REFUSED);
    EXPECT_STR(talk_message(t.line), "model: Field required");
    world_stop(&t);
}

TEST(failures_are_distinguished)
{
    struct world t = { 0 };

    world_start(&t);
    EXPECT(say(&t, "fault-429") == TALK_REFUSED);
    EXPECT_INT(talk_status(t.line), 429);
    EXPECT(talk_message(t.line).n > 0);
    EXPECT(say(&t, "fault-error-mid") == TALK_BROKEN);
    EXPECT(say(&t, "fault-truncated") == TALK_BROKEN);
    EXPECT_STR(buf_str(&t.text), "Hello! I am");
    EXPECT(say(&t, "fault-reset-mid") == TALK_BROKEN);
    EXPECT(say(&t, "fault-reset-before") == TALK_UNREACHED);
    EXPECT(say(&t, "m;echo") == TALK_DONE);
    world_stop(&t);
}

static void *
interrupt_soon(void *arg)
{
    (void)arg;
    pause_ms(100);
    talk_interrupt();
    return NULL;
}

TEST(an_interrupt_ends_the_answer_and_not_the_conversation)
{
    struct world t = { 0 };
    pthread_t thread;

    world_start(&t);
    EXPECT(pthread_create(&thread, NULL, interrupt_soon, NULL) == 0);
    EXPECT(say(&t, "fault-stall") == TALK_INTERRUPTED);
    pthread_join(thread, NULL);
    EXPECT_STR(buf_str(&t.text), "Hello! I am");
    EXPECT(say(&t, "m;echo") == TALK_DONE);
    world_stop(&t);
}

TEST(a_document_is_kept_whole)
{
    struct world t = { 0 };

    world_start(&t);
    EXPECT(talk_ask(t.line, S("/v1/models"), (struct str){ NULL, 0 }, &t.sink) == TALK_DONE);
    EXPECT(str_find(talk_body(t.line), S("mock-gpt")) < talk_body(t.line).n);
    world_stop(&t);
}
