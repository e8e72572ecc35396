/* test_count.c - requests are counted as OpenAI's cookbook says. */
#include "llm/count.c"

#include "llm/wire.h"
#include "tests/test.h"

static int64_t
count(enum tokens_family family, struct str body)
{
    struct arena *a = arena_create(1 << 20);
    struct wire_fault fault = { 0 };
    struct llm_request r = { .arena = a, .op = OP_CHAT, .wire = &wire_openai_chat, .body = body };

    r.doc = json_parse(a, body, NULL, NULL);
    EXPECT(r.doc != NULL);
    EXPECT(llm_request_expand(&r, &fault) == OK);

    int64_t n = llm_request_count_tokens(&r, family);

    arena_destroy(a);
    return n;
}

#define ASK(rest)                                                                                  \
    S("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}" rest "}")
enum { ASKED = PER_MESSAGE + 1 + 1 + PER_ANSWER };    /* the role and the text are a token each */

TEST(a_message_has_three_tokens_besides_its_role_and_its_text)
{
    EXPECT_INT(count(TOKENS_o200k, ASK("]")), ASKED);
    EXPECT_INT(count(TOKENS_o200k, ASK(",{\"role\":\"assistant\",\"content\":\"hello world\"}]")),
        ASKED + PER_MESSAGE + 1 + 2);
}

TEST(a_name_is_one_token_more)
{
    EXPECT_INT(
        count(TOKENS_o200k, ASK(",{\"role\":\"user\",\"name\":\"hello\",\"content\":\"hello\"}]")),
        ASKED + PER_MESSAGE + 1 + 1 + PER_NAME + 1);
}

#define TOOL(parameters)                                                                                         \
    "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"hello\",\"description\":\"hello.\"" parameters \
    "}}]"

TEST(a_function_is_its_name_and_description)
{
    int64_t line = (int64_t)tokens_count(TOKENS_o200k, S("hello:hello"));

    EXPECT_INT(count(TOKENS_o200k, ASK(TOOL(""))), ASKED + PER_FUNCTION + line + WITH_FUNCTIONS);
    EXPECT_INT(count(TOKENS_cl100k, ASK(TOOL(""))),
        ASKED + PER_FUNCTION_CL100K + (int64_t)tokens_count(TOKENS_cl100k, S("hello:hello")) +
            WITH_FUNCTIONS);
}

#define OBJECT(properties) ",\"parameters\":{\"type\":\"object\",\"properties\":{" properties "}}"

static int64_t
text(const char *s)
{
    return (int64_t)tokens_count(TOKENS_o200k, str_c(s));
}

TEST(a_parameter_is_its_name_type_description_and_values)
{
    int64_t bare = count(TOKENS_o200k, ASK(TOOL("")));

    EXPECT_INT(count(TOKENS_o200k, ASK(TOOL(OBJECT("")))), bare);
    EXPECT_INT(count(TOKENS_o200k,
                   ASK(TOOL(OBJECT("\"city\":{\"type\":\"string\",\"description\":\"Where.\"}")))),
        bare + WITH_PARAMETERS + PER_PARAMETER + text("city:string:Where"));
    EXPECT_INT(
        count(TOKENS_o200k,
            ASK(TOOL(OBJECT("\"unit\":{\"type\":\"string\",\"enum\":[\"celsius\",\"kelvin\"]}")))),
        bare + WITH_PARAMETERS + PER_PARAMETER + text("unit:string:") + WITH_VALUES +
            2 * PER_VALUE + text("celsius") + text("kelvin"));
    EXPECT_INT(
        count(TOKENS_o200k,
            ASK(TOOL(OBJECT(
                "\"at\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"number\"}}}")))),
        bare + 2 * (WITH_PARAMETERS + PER_PARAMETER) + text("at:object:") + text("x:number:"));
}

TEST(tools_of_other_families_are_their_text)
{
    int64_t asked = count(TOKENS_llama, ASK("]"));

    EXPECT_INT(count(TOKENS_llama, ASK(TOOL(""))),
        asked + PER_OTHER_TOOL + (int64_t)tokens_count(TOKENS_llama, S("hello")) +
            (int64_t)tokens_count(TOKENS_llama, S("hello.")));
    EXPECT(count(TOKENS_claude, ASK(TOOL(""))) > asked + WITH_CLAUDE_TOOLS);
}

TEST(results_of_tools_are_messages)
{
    EXPECT_INT(
        count(TOKENS_o200k,
            ASK(",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":"
                "\"function\",\"function\":{\"name\":\"hello\",\"arguments\":\"{}\"}}]},"
                "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"hello\"}]")),
        ASKED + 2 * (PER_MESSAGE + 1) + PER_CALL + text("hello") + text("{}") + text("hello"));
}
