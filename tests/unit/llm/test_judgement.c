/* test_judgement.c - is a whole answer good enough? */
#include "llm/judgement.c"    /* white box: the unit under test itself */
#include "tests/test.h"

static struct arena *arena;
static struct llm_answer answer;
static struct llm_request request;

static void
emit(struct llm_event ev)
{
    answer.sink.emit(&answer.sink, &ev);
}

static void
begin(void)
{
    arena_destroy(arena);
    arena = arena_create(64 * 1024 * 1024);
    answer_init(&answer, arena);
    request = (struct llm_request){ .expanded = true };
    emit((struct llm_event){ .kind = EVENT_START });
}

/* What is judged of one choice with that text. */
static enum judgement
judge(unsigned asked)
{
    const struct judged j = {
        .answer = &answer, .request = &request, .min_logprob = -1, .scratch = arena
    };

    return judgement_of(&j, asked);
}

static void
say(const char *text, enum llm_finish finish)
{
    if (*text != '\0')
        emit((struct llm_event){ .kind = EVENT_TEXT, .text = str_c(text) });
    emit((struct llm_event){ .kind = EVENT_FINISH, .finish = finish });
    emit((struct llm_event){ .kind = EVENT_END });
}

static void
expect_text(const char *text, enum judgement expected)
{
    begin();
    say(text, FINISH_STOP);
    EXPECT_INT(judge(~0u), expected);
}

static void
call(const char *args)
{
    begin();
    emit((struct llm_event){ .kind = EVENT_TOOL_START, .id = S("1"), .name = S("f") });
    emit((struct llm_event){ .kind = EVENT_TOOL_ARGS, .text = str_c(args) });
    emit((struct llm_event){ .kind = EVENT_TOOL_END });
    say("", FINISH_TOOLS);
}

TEST(every_row_has_its_name_and_its_words)
{
    for (unsigned i = 0; i < JUDGED_GOOD; i++) {
        const char *name = judgement_name((enum judgement)i);

        EXPECT_INT(judgement_named(str_c(name)), i);
        EXPECT(*judgement_docs((enum judgement)i) != '\0');
    }
    EXPECT_INT(judgement_named(S("")), JUDGED_GOOD);
    EXPECT_INT(judgement_named(S("lengthy")), JUDGED_GOOD);
}

TEST(blanks_and_reasoning_are_no_answer)
{
    expect_text("", JUDGED_empty);
    expect_text(" \n\t ", JUDGED_empty);
    expect_text("42", JUDGED_GOOD);
    begin();
    emit((struct llm_event){ .kind = EVENT_REASONING, .text = S("let me think") });
    say("", FINISH_STOP);
    EXPECT_INT(judge(~0u), JUDGED_empty);
    call("{}");
    EXPECT_INT(judge(~0u), JUDGED_GOOD);
}

TEST(of_several_choices_none_may_be_bad)
{
    begin();
    emit((struct llm_event){ .kind = EVENT_TEXT, .text = S("fine") });
    emit((struct llm_event){ .kind = EVENT_FINISH, .finish = FINISH_STOP });
    emit((struct llm_event){ .kind = EVENT_FINISH, .choice = 1, .finish = FINISH_STOP });
    EXPECT_INT(judge(~0u), JUDGED_empty);
}

TEST(refusals_are_told_by_how_they_begin)
{
    static const char *const refusals[] = { "I'm sorry, but I can't help with that.",
        "I’m sorry, but I can’t assist with that request.",
        "**I cannot provide** instructions for it", "\"Sorry, I can't do that.\"",
        "I  can't\nhelp with this", "I CANNOT HELP WITH THAT",
        "Es tut mir leid, aber ich kann dabei nicht helfen.", "Désolé, je ne peux pas vous aider.",
        "je suis désolé, mais je ne peux pas", "Lo siento, pero no puedo ayudarte.",
        "Mi dispiace, ma non posso.", "Desculpe, mas não posso.", "Извините, но я не могу помочь.",
        "抱歉，我无法帮助你。", "申し訳ありませんが、お答えできません。",
        "죄송하지만 도와드릴 수 없습니다." };
    static const char *const answers[] = {
        "I can't help but notice that the code is wrong: fix it so.",
        "I'm sorry to hear that. Here is what you can do:",
        "Sorry for the confusion! The answer is 4.",
        "The phrase \"I cannot help with that\" is a refusal.", "Unfortunately, the train is late.",
        "As an AI language model would say: hello", "Leider ist das Wetter schlecht.",
        "I can provide that: ...", "Cannot divide by zero.", "对不起 means sorry", ""
    };

    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        EXPECT(judgement_text_refuses(str_c(refusals[i])));
    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        EXPECT(!judgement_text_refuses(str_c(answers[i])));
}

TEST(a_long_text_that_begins_with_an_apology_goes_on_to_answer)
{
    char text[REFUSAL_BYTES + 200];
    struct str begins = S("I'm sorry, but I can't say. ");

    memset(text, 'x', sizeof(text));
    memcpy(text, begins.p, begins.n);
    EXPECT(judgement_text_refuses(str_make(text, REFUSAL_BYTES)));
    EXPECT(!judgement_text_refuses(str_make(text, sizeof(text))));
}

TEST(each_opening_is_written_as_it_is_compared)
{
    for (size_t i = 0; i < ARRAY_LEN(openings); i++) {
        EXPECT(openings[i].n <= OPENING_BYTES);
        EXPECT(judgement_text_refuses(openings[i]));
    }
}

TEST(a_filter_or_a_refusal_of_its_own_is_one)
{
    begin();
    say("half a", FINISH_FILTER);
    EXPECT_INT(judge(~0u), JUDGED_refusal);
    begin();
    emit((struct llm_event){ .kind = EVENT_REFUSAL, .text = S("no") });
    say("", FINISH_STOP);
    EXPECT_INT(judge(~0u), JUDGED_refusal);
    EXPECT_INT(judge(~JUDGEMENT_BIT(JUDGED_refusal)), JUDGED_GOOD);
}

static void
expect_json(enum llm_format format, const char *schema, const char *text, bool valid)
{
    begin();
    request.format = format;
    request.schema = str_c(schema);
    say(text, FINISH_STOP);
    EXPECT_INT(judge(~0u), valid ? JUDGED_GOOD : JUDGED_invalid_json);
}

TEST(json_that_was_asked_for_must_be_json)
{
    expect_json(FORMAT_JSON, "", " {\"a\": 1}\n", true);
    expect_json(FORMAT_JSON, "", "[1]", true);
    expect_json(FORMAT_JSON, "", "7", false);
    expect_json(FORMAT_JSON, "", "{\"a\": 1", false);
    expect_json(FORMAT_JSON, "", "```json\n{}\n```", false);
    expect_json(FORMAT_TEXT, "", "{", true);
    begin();
    request.format = FORMAT_JSON;
    request.expanded = false;    /* it is not known what was asked for */
    say("{", FINISH_STOP);
    EXPECT_INT(judge(~0u), JUDGED_GOOD);
}

/* A schema of objects in arrays, with more members than it needs; and an answer of `n` by `n` of
 * them, the last of which lacks one. */
static void
expect_large(unsigned more, unsigned n, bool valid)
{
    struct buf schema, text;

    buf_init(&schema, SIZE_MAX);
    buf_init(&text, SIZE_MAX);
    buf_add(&schema, S("{\"items\":{\"items\":{"));
    for (unsigned i = 0; i < more; i++)
        buf_printf(&schema, "\"x%u\":1,", i);
    buf_add(&schema, S("\"items\":{\"required\":[\"a\"]}}}}"));
    buf_add_c(&schema, 0);
    buf_add_c(&text, '[');
    for (unsigned i = 0; i < n; i++) {
        buf_add(&text, i == 0 ? S("[") : S(",["));
        for (unsigned k = 0; k < n; k++)
            buf_printf(&text, "%s[{\"%c\":1}]", k == 0 ? "" : ",", i + k == 2 * n - 2 ? 'b' : 'a');
        buf_add_c(&text, ']');
    }
    buf_add_c(&text, ']');
    buf_add_c(&text, 0);
    expect_json(FORMAT_SCHEMA, buf_str(&schema).p, buf_str(&text).p, valid);
    buf_fini(&schema);
    buf_fini(&text);
}

TEST(comparing_with_a_schema_is_bounded)
{
    expect_large(0, 30, false);
    expect_large(200, 30, false);
    expect_large(300, 30, true);    /* so large a level of a schema is not looked at */
    expect_large(0, 60, true);      /* nor are so many values */
}

TEST(members_that_a_schema_requires_must_be_there)
{
    static const char schema[] =
        "{\"type\":\"object\",\"required\":[\"na\\u006de\",\"items\"],\"properties\":{\"name\":{"
        "\"type\":\"string\"},\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
        "\"required\":[\"id\"],\"properties\":{\"id\":{}}}}}}";

    expect_json(FORMAT_SCHEMA, schema, "{\"name\":\"x\",\"items\":[]}", true);
    expect_json(FORMAT_SCHEMA, schema, "{\"name\":\"x\",\"items\":[{\"id\":1}]}", true);
    expect_json(FORMAT_SCHEMA, schema, "{\"name\":\"x\",\"items\":[{\"id\":1},{\"ib\":2}]}", false);
    expect_json(FORMAT_SCHEMA, schema, "{\"name\":\"x\"}", false);
    expect_json(FORMAT_SCHEMA, schema, "[]", true);    /* what it must be is not checked further */
    expect_json(FORMAT_SCHEMA, schema, "\"name\"", false);
    expect_json(FORMAT_SCHEMA, "", "\"name\"", true);
    expect_json(FORMAT_SCHEMA, "{\"anyOf\":[]}", "{}", true);
}

TEST(arguments_of_calls_must_be_json)
{
    call("{\"a\":1}");
    EXPECT_INT(judge(~0u), JUDGED_GOOD);
    call("");
    EXPECT_INT(judge(~0u), JUDGED_GOOD);
    call("{\"a\":");
    EXPECT_INT(judge(~0u), JUDGED_invalid_json);
}

TEST(an_answer_that_was_cut_is_one)
{
    begin();
    say("once upon a", FINISH_LENGTH);
    EXPECT_INT(judge(~0u), JUDGED_length);
    EXPECT_INT(judge(JUDGEMENT_BIT(JUDGED_empty)), JUDGED_GOOD);
}

TEST(the_mean_log_probability_is_that_of_all_tokens)
{
    double mean;

    begin();
    emit((struct llm_event){ .kind = EVENT_LOGPROBS,
        .raw = S(
            "{\"content\":[{\"token\":\"a\",\"logprob\":-0.5},{\"token\":\"b\",\"logprob\":-1}]}") });
    emit((struct llm_event){ .kind = EVENT_LOGPROBS,
        .raw = S("{\"content\":[{\"token\":\"c\",\"logprob\":-3}],\"refusal\":null}") });
    say("abc", FINISH_STOP);
    EXPECT(judgement_mean_logprob(&answer, &mean));
    EXPECT(mean == -1.5);
    EXPECT_INT(judge(~0u), JUDGED_low_logprob);
    begin();
    emit((struct llm_event){
        .kind = EVENT_LOGPROBS, .raw = S("{\"tokens\":[\"a\"],\"token_logprobs\":[null,-0.25]}") });
    say("a", FINISH_STOP);
    EXPECT(judgement_mean_logprob(&answer, &mean));
    EXPECT(mean == -0.25);
    EXPECT_INT(judge(~0u), JUDGED_GOOD);
    begin();
    say("a", FINISH_STOP);
    EXPECT(!judgement_mean_logprob(&answer, &mean));
    EXPECT_INT(judge(~0u), JUDGED_GOOD);
}

TEST(the_worst_is_told_first)
{
    begin();
    say("", FINISH_LENGTH);
    EXPECT_INT(judge(~0u), JUDGED_empty);
    EXPECT_INT(judge(JUDGEMENT_BIT(JUDGED_length)), JUDGED_length);
    arena_destroy(arena);
    arena = NULL;
}
