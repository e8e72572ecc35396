#include "wires/bedrock/provider.c"

#include "tests/test.h"
#include "tests/unit/llm/wire_kit.h"

/* Golden conversations in tests/wire/bedrock-converse show the rest. */

#define CLAUDE "anthropic.claude-sonnet-4-5-20250929-v1:0"

static struct kit k;

/* Reads a request, in which ' stands for ", and writes it for a model. */
static enum err
send_to(const char *model, const struct wire *caller, enum llm_op op, const char *body)
{
    struct wire_target target = { .model = str_c(model) };
    char *text = NULL;

    kit_init(&k);
    text = arena_array(k.a, char, strlen(body) + 1);
    for (size_t i = 0; body[i] != '\0'; i++)
        text[i] = body[i] == '\'' ? '"' : body[i];

    enum err e = kit_read(&k, caller, op, str_c(text));

    return e != OK ? e : kit_write(&k, &wire_bedrock, &target);
}

static bool
sent(const char *text)
{
    return str_find(buf_str(&k.out), str_c(text)) < buf_len(&k.out);
}

/* --- paths --- */

static void
expect_path(const char *model, enum llm_op op, bool stream, const char *path)
{
    struct llm_request r = { .op = op, .stream = stream };
    struct wire_target t = { .model = str_c(model) };
    struct buf out;

    buf_init(&out, 1024);
    write_path(&out, &r, &t);
    EXPECT_STR(buf_str(&out), path);
    buf_fini(&out);
}

TEST(a_model_is_one_segment_of_the_path)
{
    expect_path(
        CLAUDE, OP_CHAT, false, "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse");
    expect_path("arn:aws:bedrock:us-east-1:1:inference-profile/us.x-v1:0", OP_CHAT, true,
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x-v1%3A0/"
        "converse-stream");
    expect_path("a/../b?c", OP_COUNT_TOKENS, false, "/model/a%2F..%2Fb%3Fc/count-tokens");
}

/* --- documents --- */

#define PDF(name)                                                                                  \
    "{'type':'file','file':{'filename':'" name "','file_data':'data:application/pdf;base64,JVBE'}}"

TEST(documents_have_names_that_the_api_takes_and_that_differ)
{
    EXPECT_INT(
        send_to(CLAUDE, &wire_openai_chat, OP_CHAT,
            "{'model':'m','messages':[{'role':'user','content':[" PDF("a.b__c\\n(1).pdf") "," PDF(
                "x") "," PDF("x") "," PDF("\xc3\xa4") "," PDF("x 2") "]}]}"),
        OK);
    EXPECT(sent("\"name\":\"a b c (1) pdf\""));
    EXPECT(sent("\"name\":\"x\"") && sent("\"name\":\"x 2\"") && sent("\"name\":\"document\""));
    EXPECT(sent("\"name\":\"x 2 3\""));
    EXPECT(sent("{\"text\":\"(see the document)\"}"));
    kit_fini(&k);
}

/* --- prompt-cache marks --- */

static unsigned
count(const char *text)
{
    struct str rest = buf_str(&k.out);
    unsigned n = 0;

    for (size_t at = 0; (at = str_find(rest, str_c(text))) < rest.n; n++)
        rest = str_skip(rest, at + 1);
    return n;
}

#define MARKED(text)                                                                               \
    "{'type':'text','text':'" text "','cache_control':{'type':'ephemeral','ttl':'1h'}}"
#define ASKED(content)                                                                             \
    "{'model':'m','max_tokens':9,'messages':[{'role':'user','content':[" content "]}]}"

TEST(the_last_four_marks_are_kept_of_models_that_have_marks)
{
    static const char *const body =
        ASKED(MARKED("a") "," MARKED("b") "," MARKED("c") "," MARKED("d") "," MARKED("e"));

    EXPECT_INT(send_to(CLAUDE, &wire_anthropic, OP_CHAT, body), OK);
    EXPECT_INT(count("cachePoint"), 4);
    EXPECT_INT(count("\"ttl\":\"1h\""), 4);
    EXPECT(sent("{\"text\":\"a\"},{\"text\":\"b\"},{\"cachePoint\""));
    kit_fini(&k);
    EXPECT_INT(
        send_to("anthropic.claude-3-7-sonnet-20250219-v1:0", &wire_anthropic, OP_CHAT, body), OK);
    EXPECT_INT(count("cachePoint"), 4);
    EXPECT_INT(count("ttl"), 0);
    kit_fini(&k);
    EXPECT_INT(send_to("meta.llama3-70b-instruct-v1:0", &wire_anthropic, OP_CHAT, body), OK);
    EXPECT_INT(count("cachePoint"), 0);
    kit_fini(&k);
}

/* --- counts, and what does not fit --- */

TEST(a_count_has_the_conversation_only)
{
    EXPECT_INT(send_to(CLAUDE, &wire_anthropic, OP_COUNT_TOKENS,
                   "{'model':'m','messages':[{'role':'user','content':'a'}]}"),
        OK);
    EXPECT_STR(buf_str(&k.out),
        "{\"input\":{\"converse\":{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":"
        "\"a\"}]}]}}}");
    kit_fini(&k);
}

TEST(a_request_that_is_too_large_is_refused_at_any_size)
{
    struct arena *a = arena_create(1 << 20);
    char long_text[200];
    struct llm_part text = { .kind = PART_TEXT, .text = str_make(long_text, sizeof(long_text)) };
    struct llm_message message = { .role = ROLE_USER, .parts = &text };
    struct llm_request r = { .arena = a,
        .op = OP_CHAT,
        .wire = &wire_openai_chat,
        .expanded = true,
        .messages = &message,
        .format = FORMAT_SCHEMA,
        .schema = S("{\"type\":\"object\"}") };
    struct wire_target t = { .model = S("m") };
    struct wire_drops drops = { .arena = a };
    struct wire_fault fault = { 0 };

    memset(long_text, 'x', sizeof(long_text));
    for (size_t room = 1; room < 500; room++) {
        struct buf out;

        buf_init(&out, room);

        enum err e = write_request(&wire_bedrock, &out, &r, &t, &drops, &fault);

        EXPECT(e == ERR_TOO_LARGE || (e == OK && buf_len(&out) > sizeof(long_text)));
        EXPECT_INT(buf_len(&out) == 0, e != OK);
        buf_fini(&out);
    }
    arena_destroy(a);
}

/* --- a request that is passed through --- */

static void
expect_edit(const char *model, const char *body, const char *wanted)
{
    struct arena *a = arena_create(1 << 20);
    struct str pieces[2 * WIRE_EDITS + 1];
    struct wire_edits edits = { .count = 0 };
    struct wire_target t = { .model = str_c(model) };
    struct llm_request r = { .arena = a, .body = str_c(body) };
    struct buf out;

    r.doc = json_parse(a, r.body, NULL, NULL);
    EXPECT(r.doc != NULL);
    edit_request(&r, &t, &edits);
    buf_init(&out, 1 << 20);
    for (size_t i = 0, n = wire_edits_apply(&edits, r.body, pieces); i < n; i++)
        buf_add(&out, pieces[i]);
    EXPECT_STR(buf_str(&out), wanted);
    buf_fini(&out);
    arena_destroy(a);
}

#define SAYS(blocks) "{\"messages\":[{\"role\":\"assistant\",\"content\":[" blocks "]}]}"
#define THOUGHT(more) "{\"reasoningContent\":{\"reasoningText\":{\"text\":\"hm\"" more "}}}"

TEST(thoughts_that_claude_did_not_sign_do_not_go_back_to_it)
{
    expect_edit(CLAUDE, SAYS(THOUGHT("") ",{\"text\":\"a\"}"), SAYS("{\"text\":\"a\"}"));
    expect_edit(CLAUDE,
        SAYS(THOUGHT(",\"signature\":\"openclaw.1.gemini.AAAA\"") ",{\"text\":\"a\"}"),
        SAYS("{\"text\":\"a\"}"));
    expect_edit(CLAUDE, SAYS(THOUGHT(",\"signature\":\"c2ln\"") ",{\"text\":\"a\"}"),
        SAYS(THOUGHT(",\"signature\":\"c2ln\"") ",{\"text\":\"a\"}"));
    expect_edit("openai.gpt-oss-120b-1:0", SAYS(THOUGHT("")), SAYS(THOUGHT("")));
}
