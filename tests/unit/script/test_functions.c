#include "script/functions.c"    /* white box: the unit under test itself */

#include "script/lua.h"
#include "tests/test.h"

static bool
read_nothing(void *subject, size_t name, struct str member, struct script_value *ret)
{
    (void)subject, (void)name, (void)member, (void)ret;
    return true;
}

static const struct str list[] = { S_INIT("nothing") };
static bool
peek_nothing(void *subject, size_t name, struct script_value *ret)
{
    (void)subject, (void)name, (void)ret;
    return false;
}

static const struct script_names names = { list, 1, read_nothing, peek_nothing };

static void
expect(const char *text, enum script_verdict wanted)
{
    struct script *s = script_create(&names);
    struct script_fault fault = { .text = "" };
    size_t n;

    EXPECT(script_compile(s, str_c(text), &n, &fault));
    script_begin(s, NULL);
    enum script_verdict v = script_test(s, n, &fault);
    if (v != wanted)
        print_error("%s: %d %s\n", text, v, fault.text);
    EXPECT(v == wanted);
    script_destroy(s);
}

static void
expect_each(enum script_verdict wanted, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect(texts[i], wanted);
}
#define EACH(wanted, ...)                                                                          \
    expect_each((wanted), (const char *const[]){ __VA_ARGS__ },                                    \
        ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))

TEST(what_is_looked_for_is_no_pattern)
{
    EACH(SCRIPT_YES, "contains('a.b', '.')", "not contains('ab', '.')", "contains('ab', '')",
        "contains('', '')", "starts('gpt-4o', 'gpt-')", "not starts('gpt', 'gpt-')",
        "ends('x:free', ':free')", "not ends('free', ':free')", "starts('a', '')", "ends('a', '')");
}

TEST(find_says_where_as_lua_does)
{
    EACH(SCRIPT_YES, "find('hello', 'l') == 3", "find('hello', 'l', 4) == 4",
        "find('hello', 'l', -2) == 4", "find('hello', 'x') == nil", "find('hello', '') == 1",
        "find('hello', '', 6) == 6", "find('hello', '', 7) == nil", "find('hello', 'h', -99) == 1",
        "find('hello', 'o', 5) == 5", "find('', '') == 1",
        "(function() local a, b = find('hello', 'll') return a == 3 and b == 4 end)()");
}

TEST(glob_ties_both_ends_and_knows_only_the_star)
{
    EACH(SCRIPT_YES, "glob('claude-sonnet-4', 'claude-*')", "glob('abc', '*')", "glob('', '*')",
        "glob('abc', 'a*c')", "glob('abc', '*b*')", "glob('abc', 'abc')", "glob('abc', '**abc**')",
        "glob('aXbXc', 'a*b*c')", "glob('abab', '*ab')", "glob('a.c', 'a.c')");
    EACH(SCRIPT_NO, "glob('abc', 'a*d')", "glob('abc', 'ab')", "glob('abc', 'bc')",
        "glob('ab', 'ab*b')", "glob('abc', 'a.c')", "glob('', 'a')", "glob('aba', 'ab*ba')");
}

TEST(a_text_that_is_nil_is_no_error_in_a_question)
{
    EACH(SCRIPT_NO, "contains(nothing, 'x')", "starts(nothing, '')", "ends(nothing, '')",
        "glob(nothing, '*')", "find(nothing, 'x')", "lower(nothing)", "upper(nothing)",
        "trim(nothing)", "one_of(nothing, 'a')", "tonumber(nothing)");
    EACH(SCRIPT_FAILED, "contains('x', nothing)", "contains(1, '1')", "sub(nothing, 1)",
        "contains()", "len(nothing)");
}

TEST(letters_change_by_ascii_alone)
{
    EACH(SCRIPT_YES, "lower('AbZ-9') == 'abz-9'", "upper('abz_9') == 'ABZ_9'",
        "lower('\xc3\x84') == '\xc3\x84'", "trim('  a b \\n') == 'a b'", "trim('  ') == ''",
        "lower('') == ''");
}

TEST(sub_counts_as_lua_does)
{
    EACH(SCRIPT_YES, "sub('hello', 2) == 'ello'", "sub('hello', 2, 3) == 'el'",
        "sub('hello', -3) == 'llo'", "sub('hello', -3, -2) == 'll'", "sub('hello', 0) == 'hello'",
        "sub('hello', 4, 2) == ''", "sub('hello', 2, 99) == 'ello'", "sub('hello', 9) == ''",
        "sub('hello', 1, 0) == ''", "sub('hello', 1, -6) == ''", "sub('hello', -99, 1) == 'h'",
        "len('hello') == 5", "('x'):len() == 1");
}

TEST(numbers)
{
    EACH(SCRIPT_YES, "math.min(3, 1, 2) == 1", "math.max(3, 1.5, 9) == 9", "math.abs(-3) == 3",
        "math.abs(-2.5) == 2.5", "math.floor(2.9) == 2", "math.ceil(2.1) == 3",
        "math.floor(5) == 5", "math.floor(-2.5) == -3", "math.huge > 1e300",
        "math.floor(1e300) == 1e300", "math.abs(math.floor(-9.3e18)) > 0", "tonumber('42') == 42",
        "tonumber('4.5') == 4.5", "tonumber('x') == nil", "tonumber('1\\0') == nil",
        "tonumber(7) == 7", "tostring(7) == '7'", "tostring(nil) == 'nil'",
        "tostring(true) == 'true'", "type('x') == 'string'", "type(nothing) == 'nil'",
        "type(math) == 'table'");
    EACH(SCRIPT_FAILED, "math.min()", "math.min('a')", "math.floor('1')", "tostring({})",
        "tostring(math.min)", "type()");
}

TEST(one_of_compares_without_conversion)
{
    EACH(SCRIPT_YES, "one_of('b', 'a', 'b')", "one_of(1, 2, 1.0)");
    EACH(SCRIPT_NO, "one_of('1', 1)", "one_of('x')", "one_of({}, {})");
}
