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

/* --- the head --- */

static struct arena *arena;
static struct llm_request r;

static enum err
read_head_of(const struct wire *wire, enum llm_op op, struct str model, struct str body)
{
    static struct wire_fault why;

    r = (struct llm_request){
        .arena = arena, .wire = wire, .op = op, .body = body, .model = model
    };
    r.doc = json_parse(arena, body, NULL, NULL);
    return llm_request_read(&r, &why);
}

TEST(a_model_may_be_named_outside_of_the_body_but_not_in_both_places)
{
    arena = arena_create(1 << 20);
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        static const struct str nameless =
            S_INIT("{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");

        if (wire_at(i)->caller->in_path)
            continue;    /* what the body says of them means nothing */
        EXPECT_INT(read_head_of(wire_at(i), OP_CHAT, S("m"), nameless), OK);
        EXPECT_STR(r.model, "m");
        EXPECT(r.model_node == NULL);
        if (wire_at(i)->caller->in_path)    /* the body's means nothing */
            continue;
        EXPECT_INT(read_head_of(wire_at(i), OP_CHAT, S(""), nameless), ERR_BAD_REQUEST);
        EXPECT_INT(
            read_head_of(wire_at(i), OP_CHAT, S("m"), S("{\"model\":\"n\"}")), ERR_BAD_REQUEST);
    }
    arena_destroy(arena);
}

TEST(what_is_passed_on_need_be_no_object_but_its_model_must_be_a_name)
{
    arena = arena_create(1 << 20);
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        EXPECT_INT(read_head_of(wire_at(i), OP_RELAY, S(""), S("[1]")), OK);
        EXPECT_INT(read_head_of(wire_at(i), OP_RELAY, S(""), S("--form")), OK);
        EXPECT_INT(read_head_of(wire_at(i), OP_RELAY, S(""), S("{\"x\":1,\"stream\":true}")), OK);
        EXPECT(r.model.n == 0 && r.stream);
        EXPECT_INT(read_head_of(wire_at(i), OP_RELAY, S(""), S("{\"model\":7}")), ERR_BAD_REQUEST);
        EXPECT_INT(read_head_of(wire_at(i), OP_CHAT, S(""), S("[1]")), ERR_BAD_REQUEST);
    }
    arena_destroy(arena);
}
