/* test_openai_read.c - requests are refused as OpenAI refuses them. */
#include "mock/openai_read.c"
#include "tests/test.h"

static struct arena *arena;
static struct mock_plan plan;
static struct mock_refusal why;
static struct mock_ask ask;

static bool
read_chat(const char *body)
{
    static const struct http_head head;

    arena_destroy(arena);
    arena = arena_create(16 * 1024 * 1024);
    why = (struct mock_refusal){ 0 };
    ask = (struct mock_ask){
        .arena = arena, .head = &head, .n = 1, .top_logprobs = -1, .plan = &plan
    };
    ask.doc = json_parse(arena, str_c(body), NULL, NULL);
    EXPECT(ask.doc != NULL);
    ask.model = json_str(arena, json_get(ask.doc, S("model")));
    return mock_openai_read_chat(&ask, &why);
}

#define CHAT(rest) "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" rest "}"
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}]"
#define CALL                                                                                       \
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"            \
    "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}"

TEST(a_plain_request_is_read)
{
    EXPECT(read_chat(
        CHAT(",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_tokens\":9,"
             "\"n\":2,\"logprobs\":true,\"top_logprobs\":3,\"stop\":[\"a\",\"b\"]")));
    EXPECT(ask.stream);
    EXPECT(ask.want_usage);
    EXPECT_INT(ask.max_tokens, 9);
    EXPECT_INT(ask.n, 2);
    EXPECT_INT(ask.top_logprobs, 3);
    EXPECT_INT(ask.stop_count, 2);
    EXPECT_STR(ask.last_text, "hi");
}

TEST(missing_members_are_named)
{
    EXPECT(!read_chat("{\"messages\":[]}"));
    EXPECT_STR(why.message, "you must provide a model parameter");
    EXPECT(!read_chat("{\"model\":\"m\"}"));
    EXPECT_STR(why.message, "Missing required parameter: 'messages'.");
    EXPECT_STR(why.param, "messages");
    EXPECT_STR(why.code, "missing_required_parameter");
    EXPECT(!read_chat("{\"model\":\"m\",\"messages\":[]}"));
    EXPECT_STR(why.code, "empty_array");
    EXPECT(!read_chat("{\"model\":\"m\",\"messages\":[{\"content\":\"x\"}]}"));
    EXPECT_STR(why.param, "messages[0].role");
    EXPECT(!read_chat("{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}"));
    EXPECT_STR(why.param, "messages[0].content");
}

TEST(unknown_roles_and_parts_are_refused_with_what_is_supported)
{
    EXPECT(!read_chat("{\"model\":\"m\",\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}"));
    EXPECT_STR(why.message,
        "Invalid value: 'robot'. Supported values are: 'system', 'assistant', 'user',"
        " 'function', 'tool', and 'developer'.");
    EXPECT_STR(why.param, "messages[0].role");
    EXPECT(!read_chat(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"smell\"}]}]}"));
    EXPECT_STR(why.param, "messages[0].content[0].type");
}

TEST(calls_must_be_answered_and_answers_must_have_been_asked_for)
{
    EXPECT(!read_chat("{\"model\":\"m\",\"messages\":[" CALL "]}"));
    EXPECT(str_find(why.message, S("c1")) < why.message.n);
    EXPECT(!read_chat(
        "{\"model\":\"m\",\"messages\":[" CALL ",{\"role\":\"user\",\"content\":\"x\"}]}"));
    EXPECT(!read_chat("{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"tool_call_id\":\"c1\","
                      "\"content\":\"x\"}]}"));
    EXPECT_STR(why.param, "messages.[0].role");
    EXPECT(!read_chat("{\"model\":\"m\",\"messages\":[" CALL
                      ",{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"x\"}]}"));
    EXPECT(read_chat("{\"model\":\"m\",\"messages\":[" CALL
                     ",{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"x\"}]}"));
    EXPECT(ask.after_tool);
}

TEST(a_tool_message_holds_text_only)
{
    EXPECT(!read_chat(
        "{\"model\":\"m\",\"messages\":[" CALL ",{\"role\":\"tool\",\"tool_call_id\":\"c1\","
        "\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}"));
    EXPECT_STR(why.param, "messages[1].content[0].type");
}

TEST(arguments_are_a_string)
{
    EXPECT(!read_chat(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\","
        "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{}}}]}]}"));
    EXPECT_STR(why.code, "invalid_type");
}

TEST(numbers_have_bounds)
{
    EXPECT(!read_chat(CHAT(",\"temperature\":3")));
    EXPECT_STR(why.code, "decimal_above_max_value");
    EXPECT(!read_chat(CHAT(",\"max_tokens\":0")));
    EXPECT_STR(why.code, "integer_below_min_value");
    EXPECT(!read_chat(CHAT(",\"n\":129")));
    EXPECT(!read_chat(CHAT(",\"max_tokens\":1,\"max_completion_tokens\":1")));
    EXPECT(!read_chat(CHAT(",\"stream_options\":{\"include_usage\":true}")));
    EXPECT_STR(why.param, "stream_options");
    EXPECT(!read_chat(CHAT(",\"top_logprobs\":3")));
    EXPECT(!read_chat(CHAT(",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\"]")));
}

TEST(tools_and_choices_are_read)
{
    EXPECT(read_chat(CHAT(TOOLS ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false")));
    EXPECT_INT(ask.choice, MOCK_MUST_CALL);
    EXPECT(ask.one_call);
    EXPECT(read_chat(
        CHAT(TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}")));
    EXPECT_INT(ask.choice, MOCK_CALL_NAMED);
    EXPECT_STR(ask.choice_name, "f");
    EXPECT(!read_chat(CHAT(",\"tool_choice\":\"auto\"")));
    EXPECT(!read_chat(CHAT(TOOLS ",\"tool_choice\":\"maybe\"")));
    EXPECT(!read_chat(CHAT(",\"tools\":[{\"type\":\"function\",\"function\":{}}]")));
}

TEST(unknown_parameters_are_refused_only_when_strict)
{
    EXPECT(read_chat(CHAT(",\"brand_new\":1")));
    plan.strict = true;
    EXPECT(!read_chat(CHAT(",\"brand_new\":1")));
    EXPECT_STR(why.param, "brand_new");
    plan.strict = false;
}
