/* test_analyze.c - an analysis is bounded, the same everywhere, and says what is obvious. How often it is
 * right is measured by tests/scenario/test_analysis.py. */
#include "route/analyze.c"
#include "tests/test.h"

static struct analysis
analyze_text(struct str text)
{
    struct llm_sample s;
    struct analysis a;

    sample_text(text, &s);
    analyze(&s, &a);
    return a;
}

static const struct {
    enum task task;
    const char *text;
} obvious[] = {
    { TASK_TRANSLATE, "Translate the following text into French: I would like a cup of coffee." },
    { TASK_SUMMARISE,
        "Summarize the following article in three sentences.\n\nThe council met on Monday to "
        "discuss the new bridge. Several residents spoke against it." },
    { TASK_CODE, "Fix the bug in this function:\n\ndef add(a, b):\n    return a - b\n" },
    { TASK_CREATIVE, "Write a short story about a dragon." },
    { TASK_CHAT, "Hi, how are you today?" },
    { TASK_QA, "who wrote the song yellow submarine" },
    { TASK_MATHS, "Tom has 12 apples and gives 5 to Ann. How many apples does Tom have left?" },
    { TASK_CLASSIFY, "Is this review positive or negative? I loved every minute of the film." },
    { TASK_EXTRACT,
        "Extract all names of people from the text below.\n\nYesterday Maria met John in Paris." },
};

TEST(an_obvious_task_is_recognised)
{
    for (size_t i = 0; i < ARRAY_LEN(obvious); i++)
        EXPECT_STR(str_c(task_name(analyze_text(str_c(obvious[i].text)).task)),
            task_name(obvious[i].task));
}

TEST(the_systems_text_can_say_what_the_task_is)
{
    struct llm_sample s;
    struct analysis a;

    sample_text(S("Der Hund schläft im Garten."), &s);
    s.system = S("You are a professional translator. Translate what the user writes into English.");
    analyze(&s, &a);
    EXPECT_INT(a.task, TASK_TRANSLATE);
    EXPECT_STR(str_c(a.language), "de");
}

TEST(code_is_told_from_prose_and_fences_say_exactly_where_it_is)
{
    EXPECT(analyze_text(S("#include <stdio.h>\nint main(void)\n{\n    for (int i = 0; i < 3; i++)\n"
                          "        printf(\"%d\\n\", i);\n    return 0;\n}\n"))
               .code_permille >= 500);
    EXPECT(analyze_text(S("The council met on Monday to discuss the new bridge over the river."))
               .code_permille < 200);
    EXPECT_INT(
        analyze_text(S("What does it do?\n```\nx = f(1)\n```\n")).code_permille, 10 * 1000 / 34);
    EXPECT_INT(
        analyze_text(S("```\nx = f(1)")).code_permille, 9 * 1000 / 12);    /* a fence left open */
}

TEST(mood_has_a_sign)
{
    EXPECT(analyze_text(S("I love this, thank you, it is great and works perfectly!"))
               .sentiment_permille > 300);
    EXPECT(analyze_text(S("This is the worst service ever, I hate it and want a refund."))
               .sentiment_permille < -300);
}

TEST(a_hard_question_is_harder_than_an_easy_one)
{
    struct analysis hard =
        analyze_text(S("Find the degree for the given field extension Q(sqrt(2), sqrt(3), "
                       "sqrt(18)) over Q.\nA. 0\nB. 4\nC. 2\nD. 6\nAnswer:"));
    struct analysis easy = analyze_text(S(
        "Which of these is a symptom of stress?\nA. Anxiety\nB. Sleep\nC. Water\nD. Food\nAnswer:"));

    EXPECT(hard.complexity_permille > easy.complexity_permille + 200);
}

TEST(nothing_is_said_of_a_request_without_text)
{
    struct analysis a = analyze_text(S(""));

    EXPECT_INT(a.task, TASK_UNKNOWN);
    EXPECT_STR(str_c(task_name(a.task)), "unknown");
    EXPECT_STR(str_c(a.language), "");
    EXPECT_INT(a.tokens, 0);
    EXPECT_INT(a.complexity_permille, 0);
    EXPECT_INT(a.sensitivity, 0);
}

TEST(tokens_of_a_long_text_follow_from_its_sample)
{
    static char text[100 * 100];
    static const char sentence[] =
        "The quick brown fox jumps over the lazy dog and then it sleeps until the sun goes down in the west. ";

    _Static_assert(sizeof sentence - 1 == 100, "a hundred bytes");
    for (size_t i = 0; i < 100; i++)
        memcpy(text + 100 * i, sentence, 100);
    uint32_t one = analyze_text(str_make(text, 1000)).tokens,
             ten = analyze_text(str_make(text, 10000)).tokens;
    EXPECT(one > 150 && one < 300);    /* 210 by o200k_base */
    EXPECT(ten > 9 * one && ten < 11 * one);
}

TEST(the_work_does_not_depend_on_the_length_of_the_text)
{
    static char text[1 << 20];
    struct llm_sample s;

    memset(text, 'a', sizeof text);
    sample_text(str_make(text, sizeof text), &s);
    EXPECT(s.user.n <= SAMPLE_USER_BYTES + 2 && s.user.n <= FEATURES_BYTES_MAX);
    EXPECT_INT(s.sampled, SAMPLE_USER_BYTES);
    EXPECT_INT(s.bytes, sizeof text);
}

TEST(any_bytes_give_values_within_their_ranges)
{
    static char text[4000];
    uint64_t mix = 7;

    for (unsigned round = 0; round < 2000; round++) {
        size_t n = (round * 37) % sizeof text;
        for (size_t i = 0; i < n; i++) {
            mix = mix * 6364136223846793005u + 1442695040888963407u;
            text[i] = (char)(mix >> (56 + round % 3));
        }
        struct analysis a = analyze_text(str_make(text, n));
        EXPECT(a.complexity_permille <= 1000 && a.code_permille <= 1000);
        EXPECT(a.sentiment_permille >= -1000 && a.sentiment_permille <= 1000);
        EXPECT(a.task <= TASK_UNKNOWN && strlen(a.language) <= 2);
    }
}

TEST(a_logit_becomes_a_share)
{
    EXPECT_INT(permille(0), 500);
    EXPECT_INT(permille(1024), 731);
    EXPECT_INT(permille(-1024), 269);
    EXPECT_INT(permille(INT32_MAX), 999);
    EXPECT_INT(permille(INT32_MIN), 1);
    for (int32_t x = -9000; x < 9000; x++)
        EXPECT(permille(x + 1) >= permille(x));
}

TEST(roots_are_inverted_within_a_hundredth)
{
    for (uint32_t n = 1; n <= FEATURES_WORDS_MAX; n++) {
        double x = inverse_root(n) / 1024.0;
        EXPECT(x * x * n > 0.98 && x * x * n < 1.02);
    }
}
