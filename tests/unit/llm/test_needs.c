#include <stdlib.h>
#include "llm/needs.c"
#include "tests/test.h"
#include "tests/unit/llm/recorded.h"

#define TOKENS_ALWAYS (TOKENS_PER_REQUEST + TOKENS_PER_MESSAGE)

static struct needs
find(const struct wire *wire, enum llm_op op, const char *body)
{
    struct arena *a = arena_create(16 << 20);
    struct llm_request r = { .arena = a, .op = op, .wire = wire, .body = str_c(body) };
    struct needs n;

    r.doc = json_parse(a, r.body, NULL, NULL);
    EXPECT(r.doc != NULL);
    needs_find(&r, &n);
    arena_destroy(a);
    return n;
}

static struct needs
openai(const char *body)
{
    return find(&wire_openai_chat, OP_CHAT, body);
}

static struct needs
anthropic(const char *body)
{
    return find(&wire_anthropic, OP_CHAT, body);
}

static struct needs
ollama(const char *body)
{
    return find(&wire_ollama, OP_CHAT, body);
}

#define ASK(content, rest)                                                                         \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":" content "}]" rest "}"
#define PART(part, rest) ASK("[{\"type\":\"text\",\"text\":\"What is it?\"}," part "]", rest)

/* --- what is needed --- */

struct row {
    const struct wire *wire;
    const char *body;
    uint32_t bits;
};

static const struct row rows[] = {
    { &wire_openai_chat, ASK("\"x\"", ""), 0 },
    { &wire_openai_chat, ASK("\"x\"", ",\"tools\":[{\"type\":\"function\"}]"), NEED_BIT(TOOLS) },
    { &wire_openai_chat, ASK("\"x\"", ",\"tools\":[]"), 0 },
    { &wire_openai_chat, ASK("\"x\"", ",\"functions\":[{\"name\":\"f\"}]"), NEED_BIT(TOOLS) },
    { &wire_openai_chat,
        "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"1\"}]}]}",
        NEED_BIT(TOOLS) },
    { &wire_openai_chat,
        ASK("\"x\"", ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{}}"),
        NEED_BIT(SCHEMA) },
    { &wire_openai_chat, ASK("\"x\"", ",\"response_format\":{\"type\":\"json_object\"}"), 0 },
    { &wire_openai_chat, ASK("\"x\"", ",\"response_format\":{\"type\":\"text\"}"), 0 },
    { &wire_openai_chat, ASK("\"x\"", ",\"reasoning_effort\":\"low\""), NEED_BIT(REASONING) },
    { &wire_openai_chat, ASK("\"x\"", ",\"reasoning_effort\":\"none\""), 0 },
    { &wire_openai_chat, ASK("\"x\"", ",\"reasoning_effort\":null"), 0 },
    { &wire_openai_chat, ASK("\"x\"", ",\"reasoning\":{\"max_tokens\":2000}"),
        NEED_BIT(REASONING) },
    { &wire_openai_chat, ASK("\"x\"", ",\"reasoning\":{\"enabled\":false}"), 0 },
    { &wire_openai_chat, ASK("\"x\"", ",\"reasoning\":{\"max_tokens\":0}"), 0 },
    { &wire_openai_chat, ASK("\"x\"", ",\"thinking\":{\"type\":\"disabled\"}"), 0 },
    { &wire_openai_chat, ASK("\"x\"", ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":9}"),
        NEED_BIT(REASONING) },
    { &wire_openai_chat, ASK("\"x\"", ",\"logprobs\":true"), NEED_BIT(LOGPROBS) },
    { &wire_openai_chat, ASK("\"x\"", ",\"logprobs\":false"), 0 },
    { &wire_openai_chat, ASK("\"x\"", ",\"modalities\":[\"text\",\"audio\"]"), NEED_BIT(AUDIO) },
    { &wire_openai_chat, ASK("\"x\"", ",\"modalities\":[\"text\"]"), 0 },
    { &wire_openai_chat,
        PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://a/b.png\"}}", ""),
        NEED_BIT(IMAGES) },
    { &wire_openai_chat,
        PART("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AA\",\"format\":\"wav\"}}", ""),
        NEED_BIT(AUDIO) },
    { &wire_openai_chat, PART("{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}}", ""),
        NEED_BIT(FILES) },
    { &wire_openai_chat,
        PART("{\"type\":\"video_url\",\"video_url\":{\"url\":\"https://a/\"}}", ""),
        NEED_BIT(VIDEO) },
    { &wire_openai_chat,
        PART("{\"type\":\"im\\u0061ge_url\",\"image_url\":\"https://a/b.png\"}", ""),
        NEED_BIT(IMAGES) },
    /* /responses */
    { &wire_openai_chat,
        "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"data:\"}]}],"
        "\"text\":{\"format\":{\"type\":\"json_schema\",\"schema\":{}}},\"reasoning\":{\"effort\":\"high\"}}",
        NEED_BIT(IMAGES) | NEED_BIT(SCHEMA) | NEED_BIT(REASONING) },
    { &wire_openai_chat, "{\"input\":\"hello\",\"text\":{\"format\":{\"type\":\"text\"}}}", 0 },
    { &wire_openai_chat,
        "{\"input\":[{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"{}\"},"
        "{\"type\":\"function_call_output\",\"output\":[{\"type\":\"input_image\",\"image_url\":\"x\"}]}]}",
        NEED_BIT(TOOLS) | NEED_BIT(IMAGES) },
    /* Anthropic */
    { &wire_anthropic, ASK("\"x\"", ",\"max_tokens\":5"), 0 },
    { &wire_anthropic, ASK("\"x\"", ",\"thinking\":{\"type\":\"adaptive\"}"), NEED_BIT(REASONING) },
    { &wire_anthropic, ASK("\"x\"", ",\"thinking\":{\"type\":\"disabled\"}"), 0 },
    { &wire_anthropic, ASK("\"x\"", ",\"tools\":[{\"name\":\"f\"}]"), NEED_BIT(TOOLS) },
    { &wire_anthropic,
        ASK("\"x\"", ",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{}}}"),
        NEED_BIT(SCHEMA) },
    { &wire_anthropic, ASK("\"x\"", ",\"output_config\":{\"effort\":\"low\"}"), 0 },
    { &wire_anthropic,
        PART("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://a\"}}", ""),
        NEED_BIT(IMAGES) },
    { &wire_anthropic,
        PART("{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"data\":\"AA\"}}", ""),
        NEED_BIT(FILES) },
    { &wire_anthropic,
        PART("{\"type\":\"document\",\"source\":{\"type\":\"text\",\"data\":\"AA\"}}", ""), 0 },
    { &wire_anthropic,
        PART(
            "{\"type\":\"tool_result\",\"tool_use_id\":\"1\",\"content\":[{\"type\":\"image\",\"source\":"
            "{\"type\":\"base64\",\"data\":\"AA\"}}]}",
            ""),
        NEED_BIT(TOOLS) | NEED_BIT(IMAGES) },
    /* Ollama */
    { &wire_ollama, ASK("\"x\"", ""), 0 },
    { &wire_ollama, "{\"prompt\":\"x\",\"images\":[\"AAAA\"]}", NEED_BIT(IMAGES) },
    { &wire_ollama, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"images\":[\"AAAA\"]}]}",
        NEED_BIT(IMAGES) },
    { &wire_ollama, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"images\":[]}]}", 0 },
    { &wire_ollama, ASK("\"x\"", ",\"format\":\"json\""), 0 },
    { &wire_ollama, ASK("\"x\"", ",\"format\":{\"type\":\"object\"}"), NEED_BIT(SCHEMA) },
    { &wire_ollama, ASK("\"x\"", ",\"think\":true"), NEED_BIT(REASONING) },
    { &wire_ollama, ASK("\"x\"", ",\"think\":false"), 0 },
    { &wire_ollama, ASK("\"x\"", ",\"tools\":[{\"type\":\"function\"}]"), NEED_BIT(TOOLS) },
};

TEST(a_request_needs_what_it_uses)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct needs n = find(rows[i].wire, OP_CHAT, rows[i].body);

        if (n.bits != rows[i].bits)
            print_error("%s\n", rows[i].body);
        EXPECT_INT(n.bits, rows[i].bits);
    }
}

TEST(embeddings_are_needed_by_the_operation)
{
    struct needs n =
        find(&wire_openai_chat, OP_EMBED, "{\"model\":\"m\",\"input\":[\"one\",\"two\"]}");

    EXPECT_INT(n.bits, NEED_BIT(EMBEDDINGS));
    EXPECT_INT(n.input_tokens, 2);
    n = find(&wire_openai_chat, OP_EMBED, "{\"model\":\"m\",\"input\":[[1,2,3],[4,5]]}");
    EXPECT(n.input_tokens >= 5 && n.input_tokens <= 7);
}

TEST(what_is_not_an_object_needs_nothing)
{
    EXPECT_INT(openai("[1]").bits, 0);
    struct llm_request r = { .op = OP_RELAY, .wire = &wire_openai_chat };
    struct needs n;

    needs_find(&r, &n);
    EXPECT_INT(n.bits, 0);
    EXPECT_INT(n.input_tokens, 0);
}

/* --- sizes --- */

TEST(three_bytes_are_a_token)
{
    struct needs n =
        openai(ASK("\"The quick brown fox jumps over the lazy dog.\"", ",\"max_tokens\":7"));

    EXPECT_INT(n.input_tokens, TOKENS_ALWAYS + 15);
    EXPECT_INT(n.output_tokens, 7);
    EXPECT_INT(n.messages, 1);
}

TEST(escapes_count_as_what_they_stand_for)
{
    EXPECT_INT(openai(ASK("\"\\n\\n\\n\"", "")).input_tokens, TOKENS_ALWAYS + 1);
    EXPECT_INT(openai(ASK("\"\\u4f60\\u597d\"", "")).input_tokens, TOKENS_ALWAYS + 2);
    EXPECT_INT(openai(ASK("\"\\\\u4f60\"", "")).input_tokens, TOKENS_ALWAYS + 2);
}

TEST(the_limit_of_the_answer_has_many_names)
{
    EXPECT_INT(openai(ASK("\"x\"", ",\"max_completion_tokens\":9")).output_tokens, 9);
    EXPECT_INT(openai("{\"input\":\"x\",\"max_output_tokens\":8}").output_tokens, 8);
    EXPECT_INT(anthropic(ASK("\"x\"", ",\"max_tokens\":6")).output_tokens, 6);
    EXPECT_INT(ollama(ASK("\"x\"", ",\"options\":{\"num_predict\":5}")).output_tokens, 5);
    EXPECT_INT(ollama(ASK("\"x\"", ",\"options\":{\"num_predict\":-1}")).output_tokens, 0);
}

/* A body with `n` bytes of base64 where the text has "@". */
static struct needs
with_data(const struct wire *wire, const char *text, size_t n)
{
    char *body = malloc(strlen(text) + n + 1);
    const char *at = strchr(text, '@');
    size_t before = (size_t)(at - text);

    memcpy(body, text, before);
    memset(body + before, 'A', n);
    memcpy(body + before + n, at + 1, strlen(at));
    struct needs ret = find(wire, OP_CHAT, body);
    free(body);
    return ret;
}

TEST(an_image_counts_the_same_however_long_it_is)
{
    const char *body =
        PART("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,@\"}}", "");

    EXPECT_INT(with_data(&wire_openai_chat, body, 10).input_tokens,
        with_data(&wire_openai_chat, body, 3000000).input_tokens);
    EXPECT(with_data(&wire_openai_chat, body, 10).input_tokens >= TOKENS_IMAGE);
    const char *result =
        ASK("[{\"type\":\"tool_result\",\"content\":[{\"type\":\"image\",\"source\":"
            "{\"type\":\"base64\",\"data\":\"@\"}}]}]",
            "");

    EXPECT(with_data(&wire_anthropic, result, 3000000).input_tokens < 2 * TOKENS_IMAGE);
    EXPECT(with_data(&wire_ollama, "{\"prompt\":\"x\",\"images\":[\"@\",\"AA\"]}", 3000000)
               .input_tokens < 3 * TOKENS_IMAGE);
}

TEST(sound_and_documents_count_by_their_size)
{
    const char *sound =
        PART("{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"@\",\"format\":\"mp3\"}}", "");
    const char *file =
        PART("{\"type\":\"file\",\"file\":{\"file_data\":\"data:application/pdf;base64,@\"}}", "");
    int64_t n = with_data(&wire_openai_chat, sound, 4000000).input_tokens;

    EXPECT(n > 10000 && n < 10100);
    EXPECT(with_data(&wire_openai_chat, sound, 400).input_tokens >= TOKENS_MEDIUM_LEAST);
    n = with_data(&wire_openai_chat, file, 400000).input_tokens;
    EXPECT(n > 10000 && n < 10100);
}

TEST(tools_and_schemas_count)
{
    struct needs n = openai(
        ASK("\"x\"", ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\"}},{}]"));

    EXPECT_INT(n.tools, 2);
    EXPECT(n.input_tokens > openai(ASK("\"x\"", "")).input_tokens + 2 * TOKENS_PER_TOOL);
    EXPECT(
        openai(
            ASK("\"x\"",
                ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"abcdefghi\"}}"))
            .input_tokens > openai(ASK("\"x\"", "")).input_tokens + 10);
}

/* --- hashes --- */

#define TURN(role, text) "{\"role\":\"" role "\",\"content\":\"" text "\"}"
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"

TEST(a_conversation_stays_the_same_from_turn_to_turn)
{
    struct needs first =
        openai("{\"messages\":[" TURN("system", "s") "," TURN("user", "a") "]" TOOLS "}");
    struct needs second = openai("{\"temperature\":1" TOOLS ",\"messages\":[" TURN(
        "system", "s") "," TURN("user", "a") "," TURN("assistant", "b") "," TURN("user", "c") "]}");
    struct needs other =
        openai("{\"messages\":[" TURN("system", "s") "," TURN("user", "z") "]" TOOLS "}");

    EXPECT(first.conversation != 0);
    EXPECT(first.conversation == second.conversation);
    EXPECT(first.conversation != other.conversation);
    EXPECT(first.prefix == other.prefix);
    EXPECT(
        first.prefix !=
        openai("{\"messages\":[" TURN("system", "t") "," TURN("user", "a") "]" TOOLS "}").prefix);
    EXPECT(first.prefix !=
           openai("{\"messages\":[" TURN("system", "s") "," TURN("user", "a") "]}").prefix);
}

TEST(a_mark_for_the_prompt_cache_changes_no_conversation)
{
    struct needs plain = anthropic("{\"system\":\"s\",\"messages\":[" TURN("user", "a") "]}");
    struct needs marked = anthropic(
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\",\"cache_control\":"
        "{\"type\":\"ephemeral\"}}]}],\"system\":[{\"type\":\"text\",\"text\":\"s\"}]}");

    EXPECT(plain.conversation == marked.conversation);
    EXPECT(plain.prefix == marked.prefix);
}

TEST(without_system_text_and_tools_the_first_message_is_the_prefix)
{
    struct needs a = ollama("{\"prompt\":\"a\"}");

    EXPECT(a.prefix != 0 && a.conversation != 0);
    EXPECT(a.prefix != ollama("{\"prompt\":\"b\"}").prefix);
    EXPECT_INT(openai("{\"messages\":[]}").conversation, 0);
    EXPECT_INT(openai("{\"messages\":[]}").prefix, 0);
}

TEST(of_a_long_text_the_beginning_the_end_and_the_length_count)
{
    const char *body = "{\"messages\":[{\"role\":\"user\",\"content\":\"a@b\"}]}";
    const char *end = "{\"messages\":[{\"role\":\"user\",\"content\":\"a@c\"}]}";

    EXPECT(with_data(&wire_openai_chat, body, 50000).conversation ==
           with_data(&wire_openai_chat, body, 50000).conversation);
    EXPECT(with_data(&wire_openai_chat, body, 50000).conversation !=
           with_data(&wire_openai_chat, body, 50001).conversation);
    EXPECT(with_data(&wire_openai_chat, body, 50000).conversation !=
           with_data(&wire_openai_chat, end, 50000).conversation);
}

/* Other replicas of the gateway compute it, too. */
TEST(hashes_do_not_depend_on_the_process)
{
    struct needs n = openai("{\"messages\":[" TURN("user", "hello") "]}");

    EXPECT(n.conversation == UINT64_C(0x2cf0ff981856a80));
}


/* --- recorded traffic --- */

static unsigned compared, above;

static void
compare(struct recorded *c)
{
    int64_t said = json_i64(json_at(c->expect, "usage.prompt_tokens"), 0);
    struct llm_request r = { .arena = c->arena, .op = c->op, .wire = c->wire, .body = c->request };
    struct needs n;

    r.doc = c->request.n != 0 ? json_parse(c->arena, c->request, NULL, NULL) : NULL;
    if (r.doc == NULL || said == 0 || c->wire->caller == NULL)
        return;
    if (c->wire == &wire_cohere)    /* it counts a hidden prompt of its own, of 500 tokens and more */
        return;
    needs_find(&r, &n);
    compared++;
    above += n.input_tokens >= said;
    if (getenv("NEEDS") != NULL)
        printf("%lld for %lld, %s\n", (long long)n.input_tokens, (long long)said, c->id);
}

/* The exceptions are tools that providers run themselves, and which find text or bring instructions
 * of their own, and templates of some models. */
TEST(nine_of_ten_estimates_are_above_what_providers_counted)
{
    if (recorded_walk(compare) < 0)
        skip();
    EXPECT(compared > 80);
    EXPECT(above * 10 >= compared * 9);
}

TEST(every_need_has_a_name_and_a_sentence)
{
    for (int i = 0; i < NEED_COUNT; i++) {
        EXPECT(need_name((enum need)i)[0] != '\0');
        EXPECT(str_starts(str_c(need_says((enum need)i)), S("it ")));
    }
}
