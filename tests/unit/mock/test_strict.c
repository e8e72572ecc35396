/* test_strict.c - requests are refused as providers refuse them: by the wire's reader, or after it. */
#include "mock/strict.c"
#include "tests/test.h"

static struct arena *arena;
static struct llm_error why;
static struct llm_request r;
static bool published;

/* Is the request accepted? */
static bool
judge(const struct wire *wire, const char *body, bool version)
{
    struct http_field field = { S("anthropic-version"), S("2023-06-01") };
    struct http_head head = { .fields = { &field, version ? 1 : 0 } };
    const struct mock_provider *p = mock_provider_of(wire);
    struct wire_fault fault = { .message = S("") };

    arena_destroy(arena);
    arena = arena_create(16 * 1024 * 1024);
    why = (struct llm_error){ 0 };
    r = (struct llm_request){ .arena = arena, .op = OP_CHAT, .wire = wire };
    r.doc = json_parse(arena, arena_str(arena, str_c(body)), NULL, NULL);
    EXPECT(r.doc != NULL);

    enum err e = llm_request_read(&r, &fault);
    if (e == OK)
        e = llm_request_expand(&r, &fault);
    if (e == OK)
        return mock_judge(p, &head, &r, published, &why);
    why = mock_error_of(wire, e, &fault);
    EXPECT_INT(why.status, 400);
    return false;
}

/* --- OpenAI --- */

static bool
openai(const char *body)
{
    return judge(&wire_openai_chat, body, false);
}

#define CHAT(rest) "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" rest "}"
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}]"
#define CALL                                                                                       \
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"            \
    "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}"

TEST(a_plain_openai_request_is_read)
{
    EXPECT(
        openai(CHAT(",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_tokens\":9,"
                    "\"n\":2,\"logprobs\":true,\"top_logprobs\":3,\"stop\":[\"a\",\"b\"]")));
    EXPECT(r.stream);
    EXPECT(r.want_usage);
    EXPECT_INT(r.max_tokens, 9);
}

TEST(missing_members_of_openai_are_named)
{
    EXPECT(!openai("{\"messages\":[]}"));
    EXPECT_STR(why.param, "model");
    EXPECT(!openai("{\"model\":\"m\"}"));
    EXPECT_STR(why.param, "messages");
    EXPECT(!openai("{\"model\":\"m\",\"messages\":[]}"));
    EXPECT_STR(why.param, "messages");
    EXPECT(!openai("{\"model\":\"m\",\"messages\":[{\"content\":\"x\"}]}"));
    EXPECT_STR(why.param, "messages[0].role");
    EXPECT(!openai("{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}"));
    EXPECT_STR(why.param, "messages[0].content");
    EXPECT(!openai("{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\"}]}"));
    EXPECT_STR(why.param, "messages");
}

TEST(unknown_roles_and_parts_are_refused)
{
    EXPECT(!openai("{\"model\":\"m\",\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}"));
    EXPECT_STR(why.param, "messages[0].role");
    EXPECT(!openai(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"smell\"}]}]}"));
    EXPECT_STR(why.param, "messages[0].content[0].type");
}

TEST(calls_must_be_answered_and_answers_must_have_been_asked_for)
{
    EXPECT(!openai("{\"model\":\"m\",\"messages\":[" CALL "]}"));
    EXPECT_STR(why.message, "call 'c1' is not followed by its result");
    EXPECT(
        !openai("{\"model\":\"m\",\"messages\":[" CALL ",{\"role\":\"user\",\"content\":\"x\"}]}"));
    EXPECT(!openai("{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"tool_call_id\":\"c1\","
                   "\"content\":\"x\"}]}"));
    EXPECT_STR(why.message, "the result of call 'c1' does not follow that call");
    EXPECT(!openai("{\"model\":\"m\",\"messages\":[" CALL
                   ",{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"x\"}]}"));
    EXPECT(openai("{\"model\":\"m\",\"messages\":[" CALL
                  ",{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"x\"}]}"));
    EXPECT(!openai("{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":\"x\","
                   "\"tool_calls\":[]}]}"));
}

TEST(a_tool_message_holds_text_only)
{
    EXPECT(!openai(
        "{\"model\":\"m\",\"messages\":[" CALL ",{\"role\":\"tool\",\"tool_call_id\":\"c1\","
        "\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}"));
    EXPECT_STR(why.message, "only messages of users may hold media");
    EXPECT(!openai("{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
                   "\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}"));
}

TEST(arguments_are_a_string)
{
    EXPECT(!openai(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\","
        "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{}}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"x\"}]}"));
    EXPECT_STR(why.message, "messages: 'arguments' must be a string");
}

TEST(numbers_have_bounds)
{
    EXPECT(!openai(CHAT(",\"temperature\":3")));
    EXPECT_STR(why.message, "temperature: must be from 0 to 2");
    EXPECT(!openai(CHAT(",\"top_p\":1.5")));
    EXPECT(!openai(CHAT(",\"presence_penalty\":-3")));
    EXPECT(!openai(CHAT(",\"max_tokens\":0")));
    EXPECT_STR(why.param, "max_tokens");
    EXPECT(!openai(CHAT(",\"n\":129")));
    EXPECT(!openai(CHAT(",\"max_tokens\":1,\"max_completion_tokens\":1")));
    EXPECT(!openai(CHAT(",\"stream_options\":{\"include_usage\":true}")));
    EXPECT_STR(why.param, "stream_options");
    EXPECT(!openai(CHAT(",\"top_logprobs\":3")));
    EXPECT(!openai(CHAT(",\"logprobs\":true,\"top_logprobs\":21")));
    EXPECT(!openai(CHAT(",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\"]")));
}

TEST(tools_and_choices_of_openai_are_read)
{
    EXPECT(openai(CHAT(TOOLS ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false")));
    EXPECT(openai(
        CHAT(TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}")));
    EXPECT(!openai(CHAT(",\"tool_choice\":\"auto\"")));
    EXPECT(!openai(CHAT(TOOLS ",\"tool_choice\":\"maybe\"")));
    EXPECT(!openai(CHAT(",\"tools\":[{\"type\":\"function\",\"function\":{}}]")));
    EXPECT(!openai(CHAT(",\"tools\":[{\"type\":\"web_search\"}]")));
}

TEST(unknown_parameters_of_openai_are_refused_only_when_strict)
{
    EXPECT(openai(CHAT(",\"brand_new\":1")));
    published = true;
    EXPECT(!openai(CHAT(",\"brand_new\":1")));
    EXPECT_STR(why.param, "brand_new");
    published = false;
}

/* --- Anthropic --- */

static bool
anthropic(const char *body)
{
    return judge(&wire_anthropic, body, true);
}

static bool
anthropic_messages(const char *messages)
{
    char body[4096];

    snprintf(body, sizeof(body), "{\"model\":\"m\",\"max_tokens\":9,\"messages\":%s}", messages);
    return anthropic(body);
}

#define REQUEST(rest)                                                                              \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":"       \
    "2000" rest "}"
#define ASKED "{\"role\":\"user\",\"content\":\"x\"}"
#define USED(id)                                                                                   \
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"" id                     \
    "\",\"name\":\"f\",\"input\":{}}]}"
#define RESULT "{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"x\"}"

TEST(a_plain_anthropic_request_is_read)
{
    EXPECT(anthropic(REQUEST(",\"stream\":true,\"stop_sequences\":[\"x\"]")));
    EXPECT(r.stream);
    EXPECT_INT(r.max_tokens, 2000);
}

TEST(missing_members_of_anthropic_are_named)
{
    EXPECT(!anthropic("{\"model\":\"m\",\"messages\":[" ASKED "]}"));
    EXPECT_STR(why.message, "max_tokens: Field required");
    EXPECT(!anthropic("{\"max_tokens\":1}"));
    EXPECT_STR(why.message, "model: Field required");
    EXPECT(!anthropic("{\"model\":\"m\",\"max_tokens\":1}"));
    EXPECT_STR(why.message, "messages: Field required");
    EXPECT(!judge(&wire_anthropic, REQUEST(""), false));
    EXPECT_STR(why.message, "anthropic-version: header is required");
    EXPECT(!anthropic("{\"model\":\"m\",\"max_tokens\":0,\"messages\":[" ASKED "]}"));
    EXPECT_STR(why.param, "max_tokens");
}

TEST(roles_are_user_and_assistant_and_a_user_begins)
{
    EXPECT(!anthropic_messages("[{\"role\":\"system\",\"content\":\"x\"}," ASKED "]"));
    EXPECT(str_starts(why.message, S("messages: Unexpected role \"system\".")));
    EXPECT(!anthropic_messages("[{\"role\":\"robot\",\"content\":\"x\"}]"));
    EXPECT_STR(why.message, "messages[0].role: Input should be 'user' or 'assistant'");
    EXPECT(!anthropic_messages("[{\"role\":\"assistant\",\"content\":\"x\"}]"));
    EXPECT(!anthropic_messages("[]"));
}

TEST(empty_text_is_refused)
{
    EXPECT(!anthropic_messages("[{\"role\":\"user\",\"content\":\"\"}]"));
    EXPECT(!anthropic_messages(
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]}]"));
    EXPECT_STR(why.message, "messages: text content blocks must be non-empty");
}

TEST(every_call_is_answered_in_the_next_message_results_first)
{
    EXPECT(anthropic_messages(
        "[" ASKED "," USED("t1") ",{\"role\":\"user\",\"content\":[" RESULT "]}]"));
    EXPECT(!anthropic_messages("[" ASKED "," USED("t1") "]"));
    EXPECT(!anthropic_messages("[" ASKED "," USED("t1") "," ASKED "]"));
    EXPECT(!anthropic_messages(
        "[" ASKED "," USED("t1") "," ASKED ",{\"role\":\"user\",\"content\":[" RESULT "]}]"));
    EXPECT(!anthropic_messages(
        "[" ASKED "," USED("t2") ",{\"role\":\"user\",\"content\":[" RESULT "]}]"));
    EXPECT(!anthropic_messages(
        "[" ASKED "," USED("t1") ",{\"role\":\"user\",\"content\":[{\"type\":\"text\","
                                 "\"text\":\"wait\"}," RESULT "]}]"));
    EXPECT_STR(why.message, "messages: `tool_result` blocks must come first");
    EXPECT(!anthropic_messages("[{\"role\":\"user\",\"content\":[" RESULT "]}]"));
}

TEST(ids_of_calls_are_letters_digits_and_dashes)
{
    EXPECT(!anthropic_messages(
        "[" ASKED "," USED("call:1") ",{\"role\":\"user\",\"content\":[{"
                                     "\"type\":\"tool_result\",\"tool_use_id\":\"call:1\"}]}]"));
    EXPECT(str_find(why.message, S("'^[a-zA-Z0-9_-]+$'")) < why.message.n);
}

TEST(the_input_of_a_call_is_an_object)
{
    EXPECT(!anthropic_messages(
        "[" ASKED ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t1\","
        "\"name\":\"f\",\"input\":\"{}\"}]},{\"role\":\"user\",\"content\":[" RESULT "]}]"));
    EXPECT_STR(why.message, "tool_use.input: Input should be a valid dictionary");
}

TEST(thinking_comes_back_with_its_signature)
{
    EXPECT(!anthropic_messages(
        "[" ASKED ",{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
        "\"thinking\":\"x\"}]}]"));
    EXPECT_STR(why.message, "thinking.signature: Field required");
}

TEST(thinking_has_rules)
{
    EXPECT(anthropic(REQUEST(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}")));
    EXPECT(!anthropic(REQUEST(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1000}")));
    EXPECT(!anthropic(REQUEST(",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}")));
    EXPECT(!anthropic(REQUEST(
        ",\"temperature\":0.5,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}")));
    EXPECT(!anthropic(REQUEST(
        ",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}],\"tool_choice\":{"
        "\"type\":\"any\"},\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}")));
}

TEST(tools_of_anthropic_have_a_schema_of_an_object)
{
    EXPECT(anthropic(
        REQUEST(",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}],"
                "\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}")));
    EXPECT(!anthropic(REQUEST(",\"tools\":[{\"name\":\"f\"}]")));
    EXPECT(!anthropic(REQUEST(",\"tools\":[{\"name\":\"f\",\"input_schema\":{}}]")));
    EXPECT(!anthropic(REQUEST(",\"tool_choice\":{\"type\":\"any\"}")));
    EXPECT(!anthropic(REQUEST(",\"tool_choice\":{\"type\":\"required\"}")));
    EXPECT(anthropic(REQUEST(",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":"
                             "\"web_search\"}],\"tool_choice\":{\"type\":\"any\"}")));
}

TEST(threads_are_not_kept)
{
    EXPECT(!anthropic(REQUEST(",\"thread\":{\"id\":\"x\"}")));
    EXPECT_INT(why.kind, ERR_UNSUPPORTED);
}

TEST(temperature_of_anthropic_goes_from_0_to_1)
{
    EXPECT(!anthropic(REQUEST(",\"temperature\":1.5")));
    EXPECT_STR(why.param, "temperature");
}

TEST(stop_sequences_are_not_blank)
{
    EXPECT(!anthropic(REQUEST(",\"stop_sequences\":[\"x\",\" \"]")));
    EXPECT_STR(why.param, "stop_sequences");
}

TEST(extra_inputs_of_anthropic_are_refused_only_when_strict)
{
    EXPECT(anthropic(REQUEST(",\"n\":1")));
    published = true;
    EXPECT(!anthropic(REQUEST(",\"n\":1")));
    EXPECT_STR(why.param, "n");
    published = false;
}
