#include "llm/request.c"
#include "tests/test.h"

static int64_t
estimate(struct str body)
{
    struct arena *a = arena_create(1 << 20);
    struct wire_fault fault = { 0 };
    struct llm_request r = { .arena = a, .op = OP_CHAT, .wire = &wire_openai_chat, .body = body };

    r.doc = json_parse(a, body, NULL, NULL);
    EXPECT(r.doc != NULL);
    EXPECT(llm_request_expand(&r, &fault) == OK);

    int64_t n = llm_request_estimate_tokens(&r);

    arena_destroy(a);
    return n;
}

#define ASK(content)                                                                               \
    S("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":" content "}]}")

TEST(four_letters_are_about_a_token)
{
    int64_t n = estimate(ASK("\"The quick brown fox jumps over the lazy dog.\""));

    EXPECT(n >= 10 && n <= 20);
}

TEST(letters_of_other_scripts_weigh_more_than_their_number)
{
    EXPECT(estimate(ASK("\"abcdefgh\"")) < estimate(ASK("\"привет миру\"")));
    EXPECT(estimate(ASK("\"привет\"")) <= estimate(ASK("\"こんにちは世\"")));
}

TEST(pictures_and_tools_count)
{
    EXPECT(estimate(ASK("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://a/\"}}]")) >=
           TOKENS_IMAGE);
    EXPECT(estimate(S("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
                      "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"abc\"}}]}")) >
           estimate(ASK("\"x\"")));
}

TEST(a_request_is_expanded_once)
{
    struct arena *a = arena_create(1 << 20);
    struct wire_fault fault = { 0 };
    struct llm_request r = { .arena = a, .op = OP_CHAT, .wire = &wire_openai_chat };

    r.doc = json_parse(a, ASK("\"x\""), NULL, NULL);
    EXPECT(llm_request_expand(&r, &fault) == OK);
    EXPECT(r.expanded);
    EXPECT_INT(r.parallel_tools, UNSAID);
    EXPECT_INT(r.schema_strict, UNSAID);
    EXPECT_INT(r.reasoning, UNSAID);

    const struct llm_message *first = r.messages;

    EXPECT(llm_request_expand(&r, &fault) == OK);
    EXPECT(r.messages == first);
    EXPECT(r.messages->next == NULL);
    arena_destroy(a);
}

TEST(a_request_that_cannot_be_read_stays_as_it_was)
{
    struct arena *a = arena_create(1 << 20);
    struct wire_fault fault = { 0 };
    struct llm_request r = { .arena = a, .op = OP_CHAT, .wire = &wire_openai_chat };

    r.doc = json_parse(a, S("{\"model\":\"m\"}"), NULL, NULL);
    EXPECT(llm_request_expand(&r, &fault) == ERR_BAD_REQUEST);
    EXPECT(!r.expanded);
    EXPECT_STR(fault.param, "messages");
    EXPECT_STR(fault.message, "messages: is required");
    arena_destroy(a);
}
