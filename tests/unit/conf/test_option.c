/* test_option.c - the table itself is in order. */
#include "conf/option.c"

#include "conf/form.h"
#include "conf/value.h"
#include "tests/test.h"

TEST(every_row_is_documented)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const struct option *o = &options[i];

        if (o->type == OPTION_LATER) {
            EXPECT(o->later.n != 0);
            continue;
        }
        EXPECT(o->help.n > 10 && str_ends(o->help, S(".")));
        EXPECT(str_chr(o->help, '|') == o->help.n);
        EXPECT(o->help.p[0] != ' ');
    }
    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        EXPECT(str_ends(sections[i].help, S(".")));
}

TEST(every_row_is_found_by_its_key_and_no_key_is_there_twice)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        EXPECT(option_find(options[i].section, options[i].key) == &options[i]);
    EXPECT(option_find(SECTION_root, S("nothing")) == NULL);
    EXPECT(option_at(ARRAY_LEN(options)) == NULL);
}

TEST(numbers_have_bounds_and_defaults_within_them)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const struct option *o = &options[i];
        uint64_t v = 0;
        bool number =
            o->type == OPTION_COUNT || o->type == OPTION_SIZE || o->type == OPTION_DURATION;

        if (!number)
            continue;
        EXPECT(o->min < o->max);
        if (o->choices.n != 0 && str_eq(o->fallback, o->choices))
            continue;
        if (o->fallback.n == 0) {
            EXPECT(o->example.n != 0);    /* the starter file shows one or the other */
            continue;
        }
        EXPECT(o->type == OPTION_COUNT  ? str_u64(o->fallback, &v)
               : o->type == OPTION_SIZE ? value_size(o->fallback, &v)
                                        : value_duration(o->fallback, &v));
        EXPECT(v >= o->min && v <= o->max);
    }
}

TEST(choices_are_counted_from_1)
{
    EXPECT_INT(option_choice(S("a|bc|d"), S("a")), 1);
    EXPECT_INT(option_choice(S("a|bc|d"), S("bc")), 2);
    EXPECT_INT(option_choice(S("a|bc|d"), S("d")), 3);
    EXPECT_INT(option_choice(S("a|bc|d"), S("b")), 0);
    EXPECT_INT(option_choice(S("a|bc|d"), S("")), 0);
    EXPECT_INT(option_choice(S(""), S("a")), 0);
    EXPECT_INT(option_choice(option_find(SECTION_auth, S("mode"))->choices, S("none")), AUTH_NONE);
    EXPECT_INT(option_choice(option_find(SECTION_auth, S("mode"))->choices, S("keys")), AUTH_KEYS);
}
