/* test_text.c - what is said, cut into tokens and told step by step. */
#include "mock/text.c"
#include "tests/test.h"

static struct arena *arena;

static struct mock_script
script(const char *model_options, const char *last_text, int64_t max_tokens)
{
    struct mock_plan plan = MOCK_PLAN_DEFAULT;
    char why[256];

    arena_destroy(arena);
    arena = arena_create(16 * 1024 * 1024);
    EXPECT(mock_plan_read_model(&plan, str_c(model_options), why, sizeof(why)));

    struct mock_ask ask = {
        .arena = arena,
        .model = str_c(model_options),
        .last_text = str_c(last_text),
        .max_tokens = max_tokens,
        .n = 1,
        .top_logprobs = -1,
        .plan = &plan,
        .text_bytes = 40,
    };
    struct mock_script s = { .arena = arena };
    mock_script_make(&s, &ask, &plan);
    return s;
}

static struct str
whole(const struct mock_run *run)
{
    struct buf b;

    buf_init(&b, 1024 * 1024);
    mock_run_write(&b, run);
    struct str s = arena_str(arena, buf_str(&b));
    buf_fini(&b);
    return s;
}

TEST(tokens_put_together_are_the_text)
{
    struct mock_script s =
        script("m;echo", "Grüße,  \n\n an 日本語テキスト and 🦀🦀!", 0);

    EXPECT(s.text.tokens > 5);
    EXPECT_STR(whole(&s.text), "Grüße,  \\n\\n an 日本語テキスト and 🦀🦀!");
}

TEST(the_greeting_quotes_the_question_and_says_how_to_set_a_key)
{
    struct mock_script s = script("mock", "What is a crab?", 0);
    struct str text = whole(&s.text);

    EXPECT(str_find(text, S("What is a crab?")) < text.n);
    EXPECT(str_find(text, S("OPENAI_API_KEY")) < text.n);
    EXPECT_INT(s.finish, MOCK_FINISH_STOP);
}

TEST(an_answer_can_have_any_length)
{
    struct mock_script s = script("m;tokens=5000", "", 0);

    EXPECT_INT(s.text.tokens, 5000);
    EXPECT_INT(s.output_tokens, 5000);
    struct str text = whole(&s.text);
    EXPECT(str_starts(text, S("The tide comes in twice")));
}

TEST(max_tokens_cuts_the_answer_and_says_so)
{
    struct mock_script s = script("m;tokens=100;reasoning=4", "", 10);

    EXPECT_INT(s.reasoning.tokens, 4);
    EXPECT_INT(s.text.tokens, 6);
    EXPECT_INT(s.output_tokens, 10);
    EXPECT_INT(s.finish, MOCK_FINISH_LENGTH);
}

TEST(a_stop_sequence_ends_the_text_before_itself)
{
    struct str stops[] = { S("beta"), S("gamma") };
    struct str found;
    struct mock_run run = mock_run_of(S("alpha gamma beta"));

    arena_destroy(arena);
    arena = arena_create(65536);
    run = mock_run_stop(run, stops, 2, &found);
    EXPECT_STR(found, "gamma");
    EXPECT_STR(whole(&run), "alpha ");
    run = mock_run_stop(mock_run_of(S("none here")), stops, 2, &found);
    EXPECT_INT(found.n, 0);
}

TEST(steps_come_in_order_and_carry_all_tokens)
{
    struct mock_script s = script("m;tokens=7;event-tokens=3;reasoning=2", "", 0);
    struct mock_cursor c = { 0 };
    struct mock_step step;
    uint64_t tokens[2] = { 0 };
    int steps = 0;
    enum mock_step_kind last = MOCK_STEP_START;

    while (mock_script_next(&s, &c, &step)) {
        EXPECT(step.kind >= last);
        last = step.kind;
        if (step.kind == MOCK_STEP_REASONING)
            tokens[0] += step.tokens;
        if (step.kind == MOCK_STEP_TEXT)
            tokens[1] += step.tokens;
        steps++;
    }
    EXPECT_INT(tokens[0], 2);
    EXPECT_INT(tokens[1], 7);
    EXPECT_INT(last, MOCK_STEP_END);
    EXPECT_INT(steps, 1 + 1 + 3 + 1 + 1);
}

TEST(several_choices_are_interleaved)
{
    struct mock_script s = script("m;tokens=2", "", 0);
    struct mock_cursor c = { 0 };
    struct mock_step step;
    unsigned seen[3] = { 0 };
    int ends = 0;

    s.n = 3;
    while (mock_script_next(&s, &c, &step)) {
        if (step.kind == MOCK_STEP_END)
            ends++;
        else
            seen[step.choice]++;
    }
    EXPECT_INT(ends, 1);
    for (int i = 0; i < 3; i++)
        EXPECT_INT(seen[i], 1 + 2 + 1);
}

TEST(a_run_without_tokens_is_no_step)
{
    struct mock_script s = script("m;echo", "", 0);
    struct mock_cursor c = { 0 };
    struct mock_step step;

    while (mock_script_next(&s, &c, &step))
        EXPECT(step.kind != MOCK_STEP_TEXT);
}

TEST(cached_tokens_are_part_of_the_input)
{
    struct mock_script s = script("m;cached=5;cache-write=1000", "", 0);

    EXPECT_INT(s.input_tokens, 11);
    EXPECT_INT(s.cached_tokens, 5);
    EXPECT_INT(s.written_tokens, 6);
}
