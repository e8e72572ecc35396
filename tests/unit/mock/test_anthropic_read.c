/* test_anthropic_read.c - requests are refused as Anthropic refuses them. */
#include "mock/anthropic_read.c"
#include "tests/test.h"

static struct arena *arena;
static struct mock_plan plan;
static struct mock_refusal why;
static struct mock_ask ask;

static bool
read_body(const char *body, bool version)
{
    struct http_field field = { S("anthropic-version"), S("2023-06-01") };
    struct http_head head = { .fields = { &field, version ? 1 : 0 } };

    arena_destroy(arena);
    arena = arena_create(16 * 1024 * 1024);
    why = (struct mock_refusal){ 0 };
    ask = (struct mock_ask){ .arena = arena, .head = &head, .plan = &plan };
    ask.doc = json_parse(arena, str_c(body), NULL, NULL);
    EXPECT(ask.doc != NULL);
    ask.model = json_str(arena, json_get(ask.doc, S("model")));
    return mock_anthropic_read(&ask, &why);
}

static bool
read_messages_of(const char *messages)
{
    char body[4096];

    snprintf(body, sizeof(body), "{\"model\":\"m\",\"max_tokens\":9,\"messages\":%s}", messages);
    return read_body(body, true);
}

#define REQUEST(rest)                                                                              \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":"       \
    "2000" rest "}"
#define ASKED "{\"role\":\"user\",\"content\":\"x\"}"
#define USED(id)                                                                                   \
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"" id                     \
    "\",\"name\":\"f\",\"input\":{}}]}"
#define RESULT "{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"x\"}"

TEST(a_plain_request_is_read)
{
    EXPECT(read_body(REQUEST(",\"stream\":true,\"stop_sequences\":[\"x\"]"), true));
    EXPECT(ask.stream);
    EXPECT_INT(ask.max_tokens, 2000);
    EXPECT_INT(ask.stop_count, 1);
    EXPECT_STR(ask.last_text, "hi");
}

TEST(missing_members_are_named)
{
    EXPECT(!read_body("{\"model\":\"m\",\"messages\":[]}", true));
    EXPECT_STR(why.message, "max_tokens: Field required");
    EXPECT(!read_body("{\"max_tokens\":1}", true));
    EXPECT_STR(why.message, "model: Field required");
    EXPECT(!read_body("{\"model\":\"m\",\"max_tokens\":1}", true));
    EXPECT_STR(why.message, "messages: Field required");
    EXPECT(!read_body(REQUEST(""), false));
    EXPECT_STR(why.message, "anthropic-version: header is required");
}

TEST(roles_are_user_and_assistant_and_a_user_begins)
{
    EXPECT(!read_messages_of("[{\"role\":\"system\",\"content\":\"x\"}]"));
    EXPECT(str_starts(why.message, S("messages: Unexpected role \"system\".")));
    EXPECT(!read_messages_of("[{\"role\":\"robot\",\"content\":\"x\"}]"));
    EXPECT_STR(why.message, "messages.0.role: Input should be 'user' or 'assistant'");
    EXPECT(!read_messages_of("[{\"role\":\"assistant\",\"content\":\"x\"}]"));
    EXPECT(!read_messages_of("[]"));
}

TEST(empty_text_is_refused)
{
    EXPECT(!read_messages_of("[{\"role\":\"user\",\"content\":\"\"}]"));
    EXPECT(
        !read_messages_of("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]}]"));
    EXPECT_STR(why.message, "messages: text content blocks must be non-empty");
}

TEST(every_call_is_answered_in_the_next_message_results_first)
{
    EXPECT(read_messages_of(
        "[" ASKED "," USED("t1") ",{\"role\":\"user\",\"content\":[" RESULT "]}]"));
    EXPECT(ask.after_tool);
    EXPECT(!read_messages_of("[" ASKED "," USED("t1") "]"));
    EXPECT(!read_messages_of("[" ASKED "," USED("t1") "," ASKED "]"));
    EXPECT(!read_messages_of(
        "[" ASKED "," USED("t2") ",{\"role\":\"user\",\"content\":[" RESULT "]}]"));
    EXPECT(!read_messages_of(
        "[" ASKED "," USED("t1") ",{\"role\":\"user\",\"content\":[{\"type\":\"text\","
                                 "\"text\":\"wait\"}," RESULT "]}]"));
    EXPECT(!read_messages_of("[{\"role\":\"user\",\"content\":[" RESULT "]}]"));
}

TEST(ids_of_calls_are_letters_digits_and_dashes)
{
    EXPECT(!read_messages_of("[" ASKED "," USED("call:1") "]"));
    EXPECT(str_find(why.message, S("'^[a-zA-Z0-9_-]+$'")) < why.message.n);
}

TEST(thinking_comes_back_with_its_signature)
{
    EXPECT(
        !read_messages_of("[" ASKED ",{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
                          "\"thinking\":\"x\"}]}]"));
    EXPECT_STR(why.message, "messages.1.content.0.thinking.signature: Field required");
}

TEST(thinking_has_rules)
{
    EXPECT(read_body(REQUEST(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"), true));
    EXPECT(ask.thinking);
    EXPECT(
        !read_body(REQUEST(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1000}"), true));
    EXPECT(
        !read_body(REQUEST(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}"), true));
    EXPECT(!read_body(
        REQUEST(",\"temperature\":0.5,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"),
        true));
}

TEST(tools_have_a_schema_of_an_object)
{
    EXPECT(
        read_body(REQUEST(",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}],"
                          "\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}"),
            true));
    EXPECT_INT(ask.tool_count, 1);
    EXPECT_INT(ask.choice, MOCK_MUST_CALL);
    EXPECT(ask.one_call);
    EXPECT(!read_body(REQUEST(",\"tools\":[{\"name\":\"f\"}]"), true));
    EXPECT(!read_body(REQUEST(",\"tools\":[{\"name\":\"f\",\"input_schema\":{}}]"), true));
    EXPECT(!read_body(REQUEST(",\"tool_choice\":{\"type\":\"any\"}"), true));
    EXPECT(!read_body(REQUEST(",\"tool_choice\":{\"type\":\"required\"}"), true));
}

TEST(a_tool_that_the_provider_runs_may_be_chosen_and_shows_no_call)
{
    EXPECT(
        read_body(REQUEST(",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}],"
                          "\"tool_choice\":{\"type\":\"any\"}"),
            true));
    EXPECT_INT(ask.tool_count, 0);
    EXPECT_INT(ask.choice, MOCK_NO_CALLS);
}

TEST(temperature_goes_from_0_to_1)
{
    EXPECT(!read_body(REQUEST(",\"temperature\":1.5"), true));
    EXPECT_STR(why.message, "temperature: range: 0..1");
}

TEST(extra_inputs_are_refused_only_when_strict)
{
    EXPECT(read_body(REQUEST(",\"n\":1"), true));
    plan.strict = true;
    EXPECT(!read_body(REQUEST(",\"n\":1"), true));
    EXPECT_STR(why.message, "n: Extra inputs are not permitted");
    plan.strict = false;
}
