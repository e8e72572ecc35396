/* test_traits.c - traits have names, and what is not said overrides nothing. */
#include "llm/traits.c"

#include "tests/test.h"

TEST(traits_are_set_by_name_and_what_is_wrong_says_what_to_write)
{
    struct arena *a = arena_create(64 * 1024);
    struct traits t = NO_TRAITS;
    static const char *const good[][2] = { { "no_developer", "true" }, { "strict_keys", "false" },
        { "thinking", "adaptive" }, { "max_output", "0" }, { "max_output", "4096" } };
    static const char *const bad[][3] = {
        { "no_developer", "1", "write true or false" },
        { "max_output", "-4", "write a whole number; 0: not known" },
        { "max_output", "4096.5", "write a whole number; 0: not known" },
        { "max_output", "9223372036854775808", "write a whole number; 0: not known" },
        { "thinking", "budget|adaptive", "write one of budget|adaptive" },
        { "thinking", "", "write one of budget|adaptive" },
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        EXPECT(traits_set(&t, str_c(good[i][0]), str_c(good[i][1]), a) == NULL);
    EXPECT_INT(t.no_developer, YES);
    EXPECT_INT(t.strict_keys, NO);
    EXPECT_INT(t.thinking, THINKS_ADAPTIVE);
    EXPECT_INT(t.max_output, 4096);
    EXPECT_INT(t.max_tokens, UNSAID);
    EXPECT(traits_set(&t, S("thinking"), S("budget"), a) == NULL);
    EXPECT_INT(t.thinking, THINKS_BY_BUDGET);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_STR(str_c(traits_set(&t, str_c(bad[i][0]), str_c(bad[i][1]), a)), bad[i][2]);
    EXPECT(str_starts(
        str_c(traits_set(&t, S("slow"), S("true"), a)), S("use one of no_stream_options, ")));
    EXPECT(traits_set(&t, S(""), S("true"), a) != NULL);
    EXPECT_INT(t.max_output, 4096);
    arena_destroy(a);
}

TEST(what_is_not_said_overrides_nothing)
{
    struct traits t = TRAITS(.no_developer = YES, .max_output = 10, .thinking = THINKS_BY_BUDGET);
    struct traits over =
        TRAITS(.no_developer = NO, .strict_keys = YES, .thinking = THINKS_ADAPTIVE);

    traits_override(&t, &(struct traits)NO_TRAITS);
    EXPECT_INT(t.no_developer, YES);
    traits_override(&t, &over);
    EXPECT_INT(t.no_developer, NO);
    EXPECT_INT(t.strict_keys, YES);
    EXPECT_INT(t.thinking, THINKS_ADAPTIVE);
    EXPECT_INT(t.max_output, 10);
    traits_override(&t, &(struct traits)TRAITS(.max_output = 20));
    EXPECT_INT(t.max_output, 20);
    EXPECT_INT(t.strict_keys, YES);
}
