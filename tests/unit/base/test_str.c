/* test_str.c - slices compare, search and cut as their header says. */
#include "base/str.c"
#include "tests/test.h"

TEST(order_is_by_bytes_and_the_shorter_comes_first)
{
    EXPECT(str_cmp(S("abc"), S("abd")) < 0);
    EXPECT(str_cmp(S("abc"), S("ab")) > 0);
    EXPECT(str_cmp(S("ab"), S("abc")) < 0);
    EXPECT(str_cmp(S("\xff"), S("a")) > 0);
    EXPECT(str_cmp(S("same"), S("same")) == 0);
    EXPECT(str_cmp(str_c(NULL), S("")) == 0);
}

TEST(case_is_ignored_for_ascii_letters_only)
{
    EXPECT(str_ieq(S("Content-TYPE"), S("content-type")));
    EXPECT(!str_ieq(S("content-type"), S("content-typ")));
    EXPECT(!str_ieq(S("@"), S("`")));
    EXPECT(!str_ieq(S("["), S("{")));
    EXPECT(!str_ieq(S("\xc4"), S("\xe4")));
    EXPECT(str_ieq(str_c(NULL), S("")));
}

TEST(a_prefix_and_a_suffix_may_be_empty_or_the_whole)
{
    EXPECT(str_starts(S("Bearer x"), S("Bearer ")));
    EXPECT(!str_starts(S("bearer x"), S("Bearer ")));
    EXPECT(str_istarts(S("bearer x"), S("Bearer ")));
    EXPECT(!str_starts(S("Bear"), S("Bearer")));
    EXPECT(str_starts(S(""), S("")));
    EXPECT(str_ends(S("a.json"), S(".json")));
    EXPECT(str_ends(S("a.json"), S("a.json")));
    EXPECT(str_ends(S("a"), str_c(NULL)));
    EXPECT(!str_ends(S("json"), S(".json")));
}

TEST(finding_nothing_gives_the_length)
{
    EXPECT_INT(str_find(S("hello world"), S("world")), 6);
    EXPECT_INT(str_find(S("hello"), S("world")), 5);
    EXPECT_INT(str_find(S("hi"), S("world")), 2);
    EXPECT_INT(str_find(S("hi"), S("")), 0);
    EXPECT_INT(str_find(S("a\0b"), S("\0b")), 1);
    EXPECT_INT(str_chr(S("a=b"), '='), 1);
    EXPECT_INT(str_chr(S("ab"), '='), 2);
    EXPECT_INT(str_chr(str_c(NULL), '='), 0);
}

TEST(skipping_too_much_gives_the_empty_slice)
{
    EXPECT_STR(str_skip(S("abc"), 1), "bc");
    EXPECT_STR(str_skip(S("abc"), 3), "");
    EXPECT_STR(str_skip(S("abc"), 99), "");
    EXPECT_STR(str_skip(str_c(NULL), 1), "");
}

TEST(trimming_takes_blanks_tabs_and_line_ends_from_both_sides)
{
    EXPECT_STR(str_trim(S(" \t x y\r\n")), "x y");
    EXPECT_STR(str_trim(S(" \t\r\n")), "");
    EXPECT_STR(str_trim(S("")), "");
    EXPECT_STR(str_trim(S("\vx")), "\vx");
}

TEST(cutting_splits_at_the_first_separator)
{
    struct str head;
    struct str tail;

    EXPECT(str_cut(S("a:b:c"), ':', &head, &tail));
    EXPECT_STR(head, "a");
    EXPECT_STR(tail, "b:c");
    EXPECT(str_cut(S("a:"), ':', &head, &tail));
    EXPECT_STR(head, "a");
    EXPECT_STR(tail, "");
    EXPECT(str_cut(S(":"), ':', &head, &tail));
    EXPECT_STR(head, "");
    EXPECT_STR(tail, "");
    EXPECT(!str_cut(S("abc"), ':', &head, &tail));
    EXPECT_STR(head, "abc");
    EXPECT_STR(tail, "");
}

TEST(cutting_may_write_over_the_slice_that_it_cuts)
{
    struct str rest = S("one two three");
    struct str word;
    int words = 0;

    while (rest.n != 0) {
        (void)str_cut(rest, ' ', &word, &rest);
        words++;
    }
    EXPECT_INT(words, 3);
    EXPECT_STR(word, "three");
}

TEST(numbers_are_digits_only_and_do_not_overflow)
{
    uint64_t v = 7;

    EXPECT(str_u64(S("0"), &v) && v == 0);
    EXPECT(str_u64(S("18446744073709551615"), &v) && v == UINT64_MAX);
    EXPECT(str_u64(S("0000000000000000000000001"), &v) && v == 1);
    v = 7;
    EXPECT(!str_u64(S("18446744073709551616"), &v));
    EXPECT(!str_u64(S("99999999999999999999"), &v));
    EXPECT(!str_u64(S(""), &v));
    EXPECT(!str_u64(S("-1"), &v));
    EXPECT(!str_u64(S("+1"), &v));
    EXPECT(!str_u64(S(" 1"), &v));
    EXPECT(!str_u64(S("1a"), &v));
    EXPECT(!str_u64(S("0x1"), &v));
    EXPECT_INT(v, 7);
}

TEST(secrets_are_equal_only_when_every_byte_is)
{
    EXPECT(str_eq_secret(S("sk-1234"), S("sk-1234")));
    EXPECT(!str_eq_secret(S("sk-1234"), S("sk-1235")));
    EXPECT(!str_eq_secret(S("xk-1234"), S("sk-1234")));
    EXPECT(!str_eq_secret(S("sk-123"), S("sk-1234")));
    EXPECT(str_eq_secret(S(""), str_c(NULL)));
}

TEST(copying_into_a_small_buffer_truncates_and_terminates)
{
    char room[4] = "zzz";

    str_copy_c(room, sizeof(room), S("abcdef"));
    EXPECT(strcmp(room, "abc") == 0);
    str_copy_c(room, sizeof(room), str_c(NULL));
    EXPECT(strcmp(room, "") == 0);
    str_copy_c(room, 1, S("abc"));
    EXPECT(strcmp(room, "") == 0);
}

TEST(a_heap_copy_is_complete_and_nul_terminated)
{
    char *copy = str_dup_c(S("a\0b"));

    EXPECT(memcmp(copy, "a\0b", 4) == 0);
    free(copy);
    copy = str_dup_c(str_c(NULL));
    EXPECT(copy[0] == '\0');
    free(copy);
}

TEST(distance_counts_edits_and_a_swap_as_one)
{
    EXPECT_INT(str_distance(S("listen"), S("listen"), 3), 0);
    EXPECT_INT(str_distance(S("lisetn"), S("listen"), 3), 1);
    EXPECT_INT(str_distance(S("listn"), S("listen"), 3), 1);
    EXPECT_INT(str_distance(S("listten"), S("listen"), 3), 1);
    EXPECT_INT(str_distance(S("lispen"), S("listen"), 3), 1);
    EXPECT_INT(str_distance(S("kitten"), S("sitting"), 3), 3);
    EXPECT_INT(str_distance(S(""), S("ab"), 3), 2);
    EXPECT_INT(str_distance(S("ab"), str_c(NULL), 3), 2);
}

TEST(distance_beyond_the_limit_or_32_bytes_is_the_limit_plus_one)
{
    struct str longest = S("aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb");
    struct str longer = S("aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbb");

    EXPECT_INT(longest.n, 32);
    EXPECT_INT(str_distance(S("timeout"), S("address"), 2), 3);
    EXPECT_INT(str_distance(longest, longest, 2), 0);
    EXPECT_INT(str_distance(longer, longer, 2), 3);
}

TEST(hexadecimal_digits_have_values_and_nothing_else_has)
{
    const char *digits = "0123456789abcdef", *upper = "0123456789ABCDEF";
    unsigned known = 0;

    for (int i = 0; i < 16; i++) {
        EXPECT_INT(str_hex_digit(digits[i]), i);
        EXPECT_INT(str_hex_digit(upper[i]), i);
    }
    for (int c = 0; c < 256; c++)
        known += str_hex_digit((char)c) >= 0;
    EXPECT_INT(known, 22);
}

TEST(a_text_resembles_a_name_if_some_parser_treats_them_as_equal)
{
    static const struct {
        struct str text;
        struct str name;
    } yes[] = {
        { S_INIT("MODEL"), S_INIT("model") },
        { S_INIT("modeL"), S_INIT("model") },
        { S_INIT("\u017ftream"), S_INIT("stream") },
        { S_INIT("me\u017fSages"), S_INIT("messages") },
        { S_INIT("top_\u212a"), S_INIT("top_k") },
        { S_INIT("\u0130nput"), S_INIT("input") },
        { S_INIT("\u0131nput"), S_INIT("input") },
        { S_INIT("model\0"), S_INIT("model") },
        { S_INIT("Model\0x"), S_INIT("model") },
    };
    static const struct str no[] = { S_INIT("model"), S_INIT(""), S_INIT("mode"), S_INIT("models"),
        S_INIT("MODELS"), S_INIT("m\u0131del"), S_INIT("\0model"), S_INIT("mode\xc5"),
        S_INIT("mode\xe2\x84") };

    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        EXPECT(str_resembles(yes[i].text, yes[i].name));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        EXPECT(!str_resembles(no[i], S("model")));
}
