/* test_script.c - what is said, told event by event. */
#include "mock/script.c"
#include "tests/test.h"

#include "base/json.h"
#include "llm/answer.h"

static struct arena *arena;
static struct llm_answer ans;

/* The script of a request whose members are `rest`, with the plan that the model's name gives. */
static struct mock_script
script_of(const struct wire *wire, const char *model_options, const char *rest)
{
    struct mock_plan plan = MOCK_PLAN_DEFAULT;
    struct wire_fault fault;
    char body[4096];
    char why[256];

    arena_destroy(arena);
    arena = arena_create(64 * 1024 * 1024);
    EXPECT(mock_plan_read_model(&plan, str_c(model_options), WHY(why)));
    snprintf(body, sizeof(body), "{\"model\":\"m\"%s}", rest);

    struct llm_request r = { .arena = arena, .op = OP_CHAT, .wire = wire };
    struct mock_script s = { .arena = arena, .provider = mock_provider_of(wire) };

    r.doc = json_parse(arena, arena_str(arena, str_c(body)), NULL, NULL);
    EXPECT(r.doc != NULL);
    EXPECT(llm_request_read(&r, &fault) == OK && llm_request_expand(&r, &fault) == OK);
    mock_script_make(&s, &r, S(""), &plan);
    return s;
}

#define ASKED(text) ",\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]"
#define F                                                                                          \
    ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"                           \
    "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]"

static struct mock_script
script(const char *model_options, const char *rest)
{
    return script_of(&wire_openai_chat, model_options, rest);
}

/* The text of the whole answer. */
static struct str
said(const struct mock_script *s)
{
    struct mock_cursor c = { 0 };
    struct mock_step step;

    answer_init(&ans, arena);
    while (mock_script_next(s, &c, &step))
        mock_script_emit(s, &step, &ans.sink);
    EXPECT(ans.complete);
    return ans.choices->parts != NULL ? ans.choices->parts->text : S("");
}

TEST(an_echo_is_the_last_message_unchanged)
{
    struct mock_script s = script("m;echo",
        ",\"messages\":[{\"role\":\"user\",\"content\":\"one\"},"
        "{\"role\":\"assistant\",\"content\":\"two\"},"
        "{\"role\":\"user\",\"content\":\"Grüße,  \\n\\n an 日本語テキスト and 🦀🦀!\"}]");

    EXPECT_STR(said(&s), "Grüße,  \n\n an 日本語テキスト and 🦀🦀!");
}

TEST(the_greeting_quotes_the_question_and_says_how_to_set_a_key)
{
    struct mock_script s = script("mock", ASKED("What is a crab?"));
    struct str text = said(&s);

    EXPECT(str_find(text, S("What is a crab?")) < text.n);
    EXPECT(str_find(text, S("OPENAI_API_KEY")) < text.n);
    EXPECT_INT(s.finish, FINISH_STOP);
}

TEST(an_answer_can_have_any_length)
{
    struct mock_script s = script("m;tokens=5000", ASKED(""));

    EXPECT_INT(s.text.tokens, 5000);
    EXPECT_INT(s.usage.output, 5000);
    EXPECT(str_starts(said(&s), S("The tide comes in twice")));
}

TEST(max_tokens_cuts_the_answer_and_says_so)
{
    struct mock_script s = script("m;tokens=100;reasoning=4", ASKED("") ",\"max_tokens\":10");

    EXPECT_INT(s.reasoning.tokens, 4);
    EXPECT_INT(s.text.tokens, 6);
    EXPECT_INT(s.usage.output, 10);
    EXPECT_INT(s.usage.reasoning, 4);
    EXPECT_INT(s.finish, FINISH_LENGTH);
}

TEST(a_stop_sequence_ends_the_text_before_itself)
{
    struct mock_script s =
        script("m;echo", ASKED("alpha gamma beta") ",\"stop\":[\"beta\",\"gamma\"]");

    EXPECT_STR(s.stop_sequence, "gamma");
    EXPECT_STR(said(&s), "alpha ");
    s = script("m;echo", ASKED("none here") ",\"stop\":[\"beta\",\"gamma\"]");
    EXPECT_INT(s.stop_sequence.n, 0);
}

TEST(events_come_in_order_and_carry_all_tokens)
{
    struct mock_script s = script("m;tokens=7;event-tokens=3;reasoning=2", ASKED(""));
    static const enum llm_event_kind order[] = { EVENT_START, EVENT_REASONING, EVENT_TEXT,
        EVENT_TEXT, EVENT_TEXT, EVENT_FINISH, EVENT_USAGE, EVENT_END };
    struct mock_cursor c = { 0 };
    struct mock_step step;
    uint64_t tokens[EVENT_END + 1] = { 0 };
    size_t steps = 0;

    while (mock_script_next(&s, &c, &step)) {
        EXPECT(steps < ARRAY_LEN(order));
        EXPECT_INT(step.event.kind, order[steps]);
        EXPECT_INT(step.timed, step.tokens > 0);
        tokens[step.event.kind] += step.tokens;
        steps++;
    }
    EXPECT_INT(steps, ARRAY_LEN(order));
    EXPECT_INT(tokens[EVENT_REASONING], 2);
    EXPECT_INT(tokens[EVENT_TEXT], 7);
}

TEST(several_choices_are_interleaved)
{
    struct mock_script s = script("m;tokens=2", ASKED("") ",\"n\":3");
    struct mock_cursor c = { 0 };
    struct mock_step step;
    unsigned seen[3] = { 0 };
    int others = 0;

    while (mock_script_next(&s, &c, &step)) {
        if (step.event.kind == EVENT_TEXT || step.event.kind == EVENT_FINISH)
            seen[step.event.choice]++;
        else
            others++;
    }
    EXPECT_INT(others, 3);    /* start, usage, end */
    for (int i = 0; i < 3; i++)
        EXPECT_INT(seen[i], 2 + 1);
    EXPECT_INT(s.usage.output, 6);
}

TEST(a_run_without_tokens_is_no_event)
{
    struct mock_script s = script("m;echo", ASKED(""));
    struct mock_cursor c = { 0 };
    struct mock_step step;

    while (mock_script_next(&s, &c, &step))
        EXPECT(step.event.kind != EVENT_TEXT);
}

TEST(every_text_is_followed_by_the_logprobs_of_its_tokens)
{
    struct mock_script s =
        script("m;tokens=2;event-tokens=2", ASKED("") ",\"logprobs\":true,\"top_logprobs\":1");

    said(&s);
    const struct json *list = json_get(ans.choices->logprobs->doc, S("content"));
    EXPECT_INT(json_count(list), 2);
    EXPECT(ans.choices->logprobs->next == NULL);
}

TEST(cached_tokens_are_part_of_the_input)
{
    struct mock_script s =
        script("m;cached=5;cache-write=1000", ASKED("0123456789012345678901234567890123456789"));

    EXPECT(s.usage.input > 10);
    EXPECT_INT(s.usage.cached, 5);
    EXPECT_INT(s.usage.cache_write, s.usage.input - 5);
}

TEST(tools_are_called_in_turn_or_the_one_that_is_named)
{
    struct mock_script s = script("m;tools=3", ASKED("") F);

    EXPECT_INT(s.call_count, 3);
    EXPECT_STR(s.calls[0].name, "f");
    EXPECT_STR(s.calls[1].name, "g");
    EXPECT_STR(s.calls[2].name, "f");
    EXPECT_INT(s.finish, FINISH_TOOLS);
    s = script("m;tools=2", ASKED("") F ",\"tool_choice\":{\"type\":\"function\",\"function\":{"
                                        "\"name\":\"g\"}}");
    EXPECT_INT(s.call_count, 2);
    EXPECT_STR(s.calls[0].name, "g");
    EXPECT_STR(s.calls[1].name, "g");
    s = script("m;tools=2", ASKED("") F ",\"tool_choice\":\"none\"");
    EXPECT_INT(s.call_count, 0);
    s = script("m", ASKED("") F ",\"tool_choice\":\"required\"");
    EXPECT_INT(s.call_count, 1);
    s = script("m;tools=2", ASKED("") F ",\"parallel_tool_calls\":false");
    EXPECT_INT(s.call_count, 1);
}

TEST(after_a_result_no_tool_is_called_unless_it_must_be)
{
#define ANSWERED                                                                                   \
    ",\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"tool_calls\":" \
    "[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"  \
    "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"x\"}]"
    struct mock_script s = script("m;tools=1", ANSWERED F);

    EXPECT_INT(s.call_count, 0);
    s = script("m;tools=1", ANSWERED F ",\"tool_choice\":\"required\"");
    EXPECT_INT(s.call_count, 1);
}

TEST(a_tool_that_the_provider_runs_shows_no_call)
{
    struct mock_script s = script_of(&wire_anthropic, "m;tools=1",
        ASKED("x") ",\"max_tokens\":9,\"tool_choice\":{\"type\":\"any\"},\"tools\":[{\"type\":"
                   "\"web_search_20250305\",\"name\":\"web_search\"}]");

    EXPECT_INT(s.call_count, 0);
}

TEST(thinking_comes_when_asked_for_and_is_signed_where_that_is_the_custom)
{
    struct mock_script s = script_of(&wire_anthropic, "m",
        ASKED(
            "x") ",\"max_tokens\":2000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}");

    EXPECT_INT(s.reasoning.tokens, 24);
    said(&s);
    EXPECT(ans.choices->parts->kind == PART_REASONING);
    EXPECT(ans.choices->parts->signature.n > 0);
    s = script_of(&wire_anthropic, "m",
        ASKED("x") ",\"max_tokens\":2000,\"thinking\":{\"type\":\"adaptive\"}");
    EXPECT_INT(s.reasoning.tokens, 24);
    s = script("m;reasoning=3", ASKED("x"));
    EXPECT_INT(s.reasoning.tokens, 3);
    said(&s);
    EXPECT_INT(ans.choices->parts->signature.n, 0);
}
