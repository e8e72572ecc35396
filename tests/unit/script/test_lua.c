#include "script/lua.c"    /* white box: the unit under test itself */

#include "base/arena.h"
#include "base/buf.h"
#include "tests/test.h"

/* --- a subject with a few names --- */

struct subject {
    int64_t tokens;
    struct str task;
    struct str header;
    unsigned reads[8];
    bool unknown;    /* of tokens */
    struct str member;
};

enum { NAME_TASK, NAME_TOKENS, NAME_LEFT, NAME_TAGS, NAME_NOTHING };

static const struct str name_list[] = { S_INIT("task"), S_INIT("tokens"), S_INIT("budget.left"),
    S_INIT("tags.*"), S_INIT("nothing") };

static bool
read_subject(void *subject, size_t name, struct str member, struct script_value *ret)
{
    struct subject *s = subject;

    s->reads[name]++;
    s->member = member;
    switch (name) {
    case NAME_TASK:
        *ret = (struct script_value){ .type = SCRIPT_TEXT, .text = s->task };
        break;
    case NAME_TOKENS:
        *ret = (struct script_value){ .type = SCRIPT_INTEGER, .integer = s->tokens };
        return !s->unknown;
    case NAME_LEFT:
        *ret = (struct script_value){ .type = SCRIPT_NUMBER, .number = 0.25 };
        break;
    case NAME_TAGS:
        if (str_eq(member, S("team")))
            *ret = (struct script_value){ .type = SCRIPT_TEXT, .text = S("search") };
        else if (str_eq(member, S("long")))
            *ret = (struct script_value){ .type = SCRIPT_TEXT, .text = s->header };
        break;
    default:
        break;
    }
    return true;
}

static bool
peek_subject(void *s, size_t name, struct script_value *ret)
{
    (void)s, (void)name, (void)ret;
    return false;
}

static const struct script_names names = { name_list, ARRAY_LEN(name_list), read_subject,
    peek_subject };

static struct subject subject;
static struct script_fault fault;

/* One expression in an interpreter of its own. */
static enum script_verdict
verdict_of(const char *text)
{
    struct script *s = script_create(&names);
    size_t n;

    EXPECT(s != NULL);
    if (!script_compile(s, str_c(text), &n, &fault)) {
        script_destroy(s);
        return SCRIPT_FAILED;
    }
    subject = (struct subject){ .tokens = 5000, .task = S("code") };
    script_begin(s, &subject);
    enum script_verdict v = script_test(s, n, &fault);
    script_destroy(s);
    return v;
}

static void
expect_all(enum script_verdict wanted, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum script_verdict v = verdict_of(list[i]);

        if (v != wanted)
            print_error("%s: %d (%s)\n", list[i], v, v == SCRIPT_FAILED ? fault.text : "");
        EXPECT(v == wanted);
    }
}
#define EXPECT_ALL(wanted, ...)                                                                    \
    expect_all((wanted), (const char *const[]){ __VA_ARGS__ },                                     \
        ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))

/* It does not even compile, and where the mistake is. */
static void
expect_mistake(const char *text, size_t offset, const char *sentence)
{
    struct script *s = script_create(&names);
    size_t n;

    EXPECT(!script_compile(s, str_c(text), &n, &fault));
    EXPECT_STR(str_c(fault.text), sentence);
    EXPECT_INT(fault.offset, offset);
    script_destroy(s);
}

static void
expect_failure(const char *text, const char *sentence)
{
    EXPECT(verdict_of(text) == SCRIPT_FAILED);
    EXPECT_STR(str_c(fault.text), sentence);
}

/* --- what can be said --- */

TEST(an_expression_is_true_unless_it_is_nil_or_false)
{
    EXPECT_ALL(SCRIPT_YES, "true", "1", "0", "''", "tokens", "task == 'code' and tokens > 4000",
        "budget.left < 0.5", "tags.team == 'search'", "tags['team'] == \"search\"",
        "tokens // 2 == 2500 and tokens % 3 == 2", "not nothing", "#task == 4",
        "tokens > 4000 -- a comment", "task .. '!' == 'code!'");
    EXPECT_ALL(SCRIPT_NO, "false", "nil", "nothing", "tags.other", "task == 'chat'",
        "tokens < 4000 or budget.left > 0.5");
}

TEST(an_expression_may_have_functions_of_its_own)
{
    EXPECT_ALL(SCRIPT_YES,
        "(function() local n = 0 for i = 1, 10 do n = n + i end return n == 55 end)()",
        "(function() local t = {1, 2, 3} t[4] = 4 return #t == 4 end)()",
        "(function() local i = 0 ::again:: i = i + 1 if i < 50 then goto again end return i == 50 "
        "end)()",
        "(function(...) local a, b = ... return b == 2 end)(1, 2)");
}

TEST(a_text_has_methods_that_are_functions_too)
{
    EXPECT_ALL(SCRIPT_YES, "task:upper() == 'CODE'", "contains(task, 'od')", "task:starts('co')",
        "string.ends(task, 'de')", "('a.b'):find('.') == 2", "glob('claude-sonnet-4', 'claude-*')");
}

/* --- names --- */

TEST(a_name_is_read_once_for_each_subject_and_only_when_it_is_needed)
{
    struct script *s = script_create(&names);
    struct subject first = { .tokens = 1, .task = S("chat") };
    struct subject second = { .tokens = 9, .task = S("code") };
    size_t a, b;

    EXPECT(script_compile(s, S("task == 'code' and tokens > 5"), &a, &fault));
    EXPECT(script_compile(s, S("task ~= 'x' and tokens == tokens"), &b, &fault));
    script_begin(s, &first);
    EXPECT(script_test(s, a, &fault) == SCRIPT_NO);
    EXPECT_INT(first.reads[NAME_TOKENS], 0);
    EXPECT(script_test(s, b, &fault) == SCRIPT_YES);
    EXPECT_INT(first.reads[NAME_TASK], 1);
    EXPECT_INT(first.reads[NAME_TOKENS], 1);
    script_begin(s, &second);
    EXPECT(script_test(s, a, &fault) == SCRIPT_YES);
    EXPECT_INT(second.reads[NAME_TASK], 1);
    EXPECT_INT(first.reads[NAME_TASK], 1);
    script_destroy(s);
}

TEST(a_table_with_any_members_asks_for_each_of_them)
{
    EXPECT(verdict_of("tags['x-y z']") == SCRIPT_NO);
    EXPECT_INT(subject.reads[NAME_TAGS], 1);
    expect_failure("tags[1]", "the members of a table are read by their names");
}

TEST(what_is_not_known_is_undecided_and_nothing_catches_it)
{
    struct script *s = script_create(&names);
    struct subject it = { .unknown = true, .task = S("code") };
    size_t a, b;

    EXPECT(script_compile(s, S("tokens > 5 or true"), &a, &fault));
    EXPECT(script_compile(s, S("task == 'code' or tokens > 5"), &b, &fault));
    script_begin(s, &it);
    EXPECT(script_test(s, a, &fault) == SCRIPT_UNDECIDED);
    EXPECT(script_test(s, b, &fault) == SCRIPT_YES);    /* it did not need to know */
    script_destroy(s);
}

TEST(a_name_that_does_not_exist_is_a_failure)
{
    expect_failure("taks == 'code'", "there is no 'taks'");
    expect_failure("budget.right > 1", "there is no 'budget.right'");
    expect_failure("string.rep('x', 9)", "there is no 'string.rep'");
    expect_failure("('x'):rep(9)", "there is no 'string.rep'");
    expect_failure("math.random()", "there is no 'math.random'");
    EXPECT_INT(fault.line, 1);
}

/* --- escapes --- */

TEST(nothing_of_lua_that_reaches_outside_exists)
{
    EXPECT_ALL(SCRIPT_FAILED, "os", "io", "debug", "package", "require", "load", "loadstring",
        "loadfile", "dofile", "pcall", "xpcall", "error", "assert", "coroutine", "setmetatable",
        "getmetatable", "rawget", "rawset", "rawequal", "rawlen", "collectgarbage", "print", "warn",
        "next", "pairs", "ipairs", "select", "table", "utf8", "_G", "unpack");
    EXPECT_ALL(SCRIPT_FAILED, "string.dump", "string.format", "string.gsub", "string.gmatch",
        "string.match", "string.byte", "string.char", "string.pack", "string.unpack",
        "string.reverse", "string.packsize", "math.randomseed");
    EXPECT_ALL(SCRIPT_FAILED, "('%99999d'):format(1)", "('a'):rep(1e9)", "('a'):dump()",
        "('x'):gsub('x', 'y')", "('x'):match('(a*)*b')");
}

TEST(bytecode_is_not_an_expression)
{
    struct script *s = script_create(&names);
    size_t n;

    EXPECT(!script_compile(s, S("\x1bLua"), &n, &fault));
    script_destroy(s);
}

TEST(an_expression_can_change_nothing)
{
    EXPECT_ALL(SCRIPT_FAILED, "(function() task = 'x' return task == 'x' end)()",
        "(function() string.len = nil return true end)()",
        "(function() string = nil return true end)()",
        "(function() math.min = 1 return true end)()", "(function() tags.x = 1 return true end)()",
        "(function() budget.left = 1 return true end)()",
        "(function() ('').len = 1 return true end)()", "(function() new = 1 return true end)()",
        "(function() function f() end return true end)()");
    expect_failure("(function() task = 'x' end)()",
        "an expression can change nothing but its own local variables");
}

TEST(the_environment_is_not_within_reach)
{
    EXPECT_ALL(SCRIPT_FAILED, "_ENV", "(function() _ENV = {} end)()",
        "(function(_ENV) return x end)({ x = 1 })", "(function() local _ENV = {} end)()");
    expect_mistake("task == 'x' or _ENV.os", 15, "_ENV cannot be used");
}

TEST(metamethods_cannot_be_set)
{
    EXPECT_ALL(SCRIPT_NO, "({__index = tokens}).x", "({__gc = true}).x");
    EXPECT_ALL(SCRIPT_FAILED, "('').__index.len", "{} < {}", "{} .. ''", "{}()",
        "(function() local x <close> = {__close = 1} return true end)()", "'10' + 1", "'a' < 1");
}

TEST(a_value_read_before_is_not_changed_by_an_expression_after_it)
{
    struct script *s = script_create(&names);
    struct subject it = { .tokens = 1, .task = S("chat") };
    size_t a, b;

    EXPECT(
        script_compile(s, S("task and (function() task = 'code' return true end)()"), &a, &fault));
    EXPECT(script_compile(s, S("task == 'code'"), &b, &fault));
    script_begin(s, &it);
    EXPECT(script_test(s, a, &fault) == SCRIPT_FAILED);
    EXPECT(script_test(s, b, &fault) == SCRIPT_NO);
    script_destroy(s);
}

/* --- bounds --- */

static const char *const endless[] = {
    "(function() while true do end end)()",
    "(function() repeat until false end)()",
    "(function() ::a:: goto a end)()",
    "(function() for i = 1, math.huge do end end)()",
    "(function() for i = 1, 1e18 do end end)()",
    "(function() local function f() return f() end return f() end)()",
    "(function(f) return f(f) end)(function(f) return f(f) end)",
    "(function() while true do local x = task end end)()",
    "(function() while true do local x = tags.team end end)()",
    "(function() while true do local x = contains(task, 'x') end end)()",
};

TEST(what_does_not_end_is_ended)
{
    for (size_t i = 0; i < ARRAY_LEN(endless); i++)
        expect_failure(endless[i], "it takes more than 10000 instructions");
}

#define FIFTY "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"

TEST(recursion_texts_and_tables_have_no_more_memory_than_an_evaluation_may_take)
{
    static const char *const large[] = {
        "(function() local function f() return 1 + f() end return f() end)()",
        "(function() local s = 'x' while true do s = s .. s end end)()",
        "(function() local s = task while true do s = s .. 'xxxxxxxxxxxxxxxxxxxxxxxx' end end)()",
        "(function() local t = {} for i = 1, 9e9 do t[i] = i end end)()",
        "(function() local t = {} for i = 1, 9e9 do t[{}] = i end end)()",
        "(function() local t = {} while true do t = { t } end end)()",
        "(function() while true do local f = function() return f end end end)()",
        "(function() local s = '" FIFTY FIFTY "' while true do local t = s:upper() end end)()",
        "(function(...) local function f(...) return f(1, ...) end return f() end)()",
    };

    for (size_t i = 0; i < ARRAY_LEN(large); i++)
        expect_failure(large[i], "it makes more than 128KB of texts, tables and calls");
}

TEST(what_functions_look_at_is_bounded_too)
{
    struct script *s = script_create(&names);
    static char room[60000];
    struct subject it = { .tokens = 1 };
    size_t n;

    memset(room, 'a', sizeof(room));
    it.header = str_make(room, sizeof(room));
    EXPECT(script_compile(s,
        S("(function() local s = tags.long for i = 1, 1000 do local x = glob(s, '*a*a*a*b') end "
          "end)()"),
        &n, &fault));
    script_begin(s, &it);
    EXPECT(script_test(s, n, &fault) == SCRIPT_FAILED);
    EXPECT_STR(str_c(fault.text), "its functions look at more than 1MB of text");
    script_destroy(s);
}

TEST(after_a_failure_of_any_kind_the_next_evaluation_is_as_the_first)
{
    struct script *s = script_create(&names);
    struct subject it = { .tokens = 5000, .task = S("code") };
    size_t bad[ARRAY_LEN(endless)], memory, good;

    for (size_t i = 0; i < ARRAY_LEN(endless); i++)
        EXPECT(script_compile(s, str_c(endless[i]), &bad[i], &fault));
    EXPECT(script_compile(
        s, S("(function() local s = 'x' while true do s = s .. s end end)()"), &memory, &fault));
    EXPECT(script_compile(s, S("task == 'code' and tokens > 4000"), &good, &fault));
    for (size_t i = 0; i < ARRAY_LEN(endless); i++) {
        script_begin(s, &it);
        EXPECT(script_test(s, bad[i], &fault) == SCRIPT_FAILED);
        EXPECT(script_test(s, good, &fault) == SCRIPT_YES);
        EXPECT(script_test(s, memory, &fault) == SCRIPT_FAILED);
        EXPECT(script_test(s, good, &fault) == SCRIPT_YES);
    }
    EXPECT_INT(lua_gettop(s->L), AT_JOINED);
    script_destroy(s);
}

TEST(nothing_that_an_evaluation_allocates_survives)
{
    struct script *s = script_create(&names);
    struct subject it = { .tokens = 5000, .task = S("code") };
    char room[64];
    size_t n, most = 0;

    EXPECT(script_compile(
        s, S("(task .. tags.team .. tokens):upper() == 'x' or #{ 1, 2, 3 } == 4"), &n, &fault));
    size_t before = s->held;
    for (int64_t i = 0; i < 20000; i++) {
        it.tokens = i;
        it.task = str_make(room, (size_t)snprintf(room, sizeof(room), "task %lld", (long long)i));
        script_begin(s, &it);
        EXPECT(script_test(s, n, &fault) == SCRIPT_NO);
        most = MAX(most, s->held);
    }
    EXPECT(most < before + 2 * GARBAGE_MOST);
    script_begin(s, &it);
    collect(s);
    EXPECT(s->held < before + 8192);    /* Lua's table of short texts has grown */
    script_destroy(s);
}

TEST(every_allocation_may_fail)
{
    /* the interpreter has a limit that is moved: SCRIPT_HELD_MOST, made of what is counted as held */
    struct script *s = script_create(&names);
    struct subject it = { .tokens = 5000, .task = S("code") };
    size_t good, n, failures = 0;

    EXPECT(script_compile(s, S("(task .. tokens) == 'code5000'"), &good, &fault));
    for (size_t left = 0; left < 6000; left += 40) {
        collect(s);    /* or else the garbage is what an allocation gets */
        size_t real = s->held;

        s->held = SCRIPT_HELD_MOST - left;
        size_t hidden = s->held - real;
        script_begin(s, &it);
        failures += script_test(s, good, &fault) == SCRIPT_FAILED;
        failures += !script_compile(s, S("tokens > 1 and { task, 'a', 'b' }"), &n, &fault);
        s->held -= hidden;
        script_begin(s, &it);
        EXPECT(script_test(s, good, &fault) == SCRIPT_YES);
    }
    EXPECT(failures > 10);
    script_destroy(s);
}

/* --- mistakes --- */

TEST(a_mistake_has_its_place)
{
    expect_mistake("tokens > ", 9, "unexpected symbol near <eof>");
    expect_mistake("tokens > > 4", 9, "unexpected symbol near '>'");
    expect_mistake("task = 'code'", 5,
        "the expression is complete before this; 'and', 'or', '..' or a comparison is missing");
    expect_mistake("task == 'code' tokens > 1", 15,
        "the expression is complete before this; 'and', 'or', '..' or a comparison is missing");
    expect_mistake("task == 'code", 13, "unfinished string near <eof>");
    expect_mistake("(tokens > 1", 11, "')' expected near <eof>");
    expect_mistake("task == 'a' or\n  tokens >", 25, "unexpected symbol near <eof>");
    EXPECT_INT(fault.line, 2);
}

TEST(it_is_one_expression)
{
    EXPECT_ALL(SCRIPT_FAILED, "", "  ", "-- only a comment", "1, 2", "return true", "local x = 1",
        "true; x()", "true) or (", "true end", "while true do end");
    expect_mistake("1, 2", 1, "this is not one expression; write a condition, like tokens > 4000");
}

TEST(deep_nesting_and_long_texts_are_refused)
{
    static char deep[20000];

    memset(deep, '(', 1000);
    deep[1000] = '1';
    memset(deep + 1001, ')', 1000);
    EXPECT(verdict_of(deep) == SCRIPT_FAILED);
    EXPECT_STR(str_c(fault.text), "it is nested too deeply");
    memset(deep, ' ', sizeof(deep) - 1);
    EXPECT(verdict_of(deep) == SCRIPT_FAILED);
    EXPECT_STR(str_c(fault.text), "it is longer than 16KB");
}

TEST(a_failure_says_its_line)
{
    EXPECT(verdict_of("task == 'code' and\n\n  nothing > 3") == SCRIPT_FAILED);
    EXPECT_INT(fault.line, 3);
    EXPECT_STR(str_c(fault.text), "attempt to compare number with nil");
}

TEST(many_expressions_fit)
{
    struct script *s = script_create(&names);
    struct subject it = { .tokens = 700 };
    char room[64];
    size_t n, yes = 0;

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(room, sizeof(room), "tokens == %d", i);
        EXPECT(script_compile(s, str_c(room), &n, &fault));
        EXPECT_INT(n, i);
    }
    script_begin(s, &it);
    for (size_t i = 0; i < 1000; i++)
        yes += script_test(s, i, &fault) == SCRIPT_YES;
    EXPECT_INT(yes, 1);
    EXPECT(script_held_bytes(s) < 1024 * 1024);
    script_destroy(s);
}

/* --- several expressions at once --- */

static bool
peek_two(void *it, size_t name, struct script_value *ret)
{
    return name <= NAME_TOKENS && read_subject(it, name, S(""), ret);
}

static const struct script_names peeked = { name_list, ARRAY_LEN(name_list), read_subject,
    peek_two };

static struct script *
joined(const struct script_names *n, const char *const *texts, size_t count)
{
    struct script *s = script_create(n);
    size_t number;

    for (size_t i = 0; i < count; i++)
        EXPECT(script_compile(s, str_c(texts[i]), &number, &fault));
    script_join(s);
    return s;
}
#define JOINED(...)                                                                                \
    joined(&peeked, (const char *const[]){ __VA_ARGS__ },                                          \
        ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))

TEST(the_first_expression_that_holds_is_found_in_one_call)
{
    struct script *s = JOINED("tokens > 100 -- many", "task == 'code'\n or tags.x", "tokens > 5");
    struct subject it = { .tokens = 7, .task = S("code") };
    size_t n;

    EXPECT(s->joined);
    script_begin(s, &it);
    EXPECT(script_first(s, &n) == SCRIPT_YES);
    EXPECT_INT(n, 1);
    it.task = S("chat");
    script_begin(s, &it);
    EXPECT(script_first(s, &n) == SCRIPT_YES);
    EXPECT_INT(n, 2);
    it.tokens = 3;
    script_begin(s, &it);
    EXPECT(script_first(s, &n) == SCRIPT_NO);
    it.tokens = 101;
    script_begin(s, &it);
    EXPECT(script_first(s, &n) == SCRIPT_YES);
    EXPECT_INT(n, 0);
    script_destroy(s);
}

TEST(what_fails_or_is_undecided_among_several_is_told_by_testing_each)
{
    struct script *s = JOINED("nothing > 1", "tokens > 5");
    struct subject it = { .tokens = 7 };
    size_t n;

    script_begin(s, &it);
    EXPECT(script_first(s, &n) == SCRIPT_FAILED);
    EXPECT(script_test(s, 0, &fault) == SCRIPT_FAILED);
    EXPECT(script_test(s, 1, &fault) == SCRIPT_YES);
    script_destroy(s);
    s = joined(&names, (const char *const[]){ "tokens > 5" }, 1);
    it.unknown = true;
    script_begin(s, &it);
    EXPECT(script_first(s, &n) == SCRIPT_UNDECIDED);
    script_destroy(s);
    s = JOINED("true", "(function() while true do end end)()");
    script_begin(s, &it);
    EXPECT(script_first(s, &n) == SCRIPT_YES);
    script_destroy(s);
    s = JOINED("false", "(function() while true do end end)()");
    script_begin(s, &it);
    EXPECT(script_first(s, &n) == SCRIPT_FAILED);
    script_destroy(s);
}

TEST(expressions_that_are_too_long_to_be_joined_are_tested_one_by_one)
{
    struct script *s = script_create(&peeked);
    static char text[SCRIPT_TEXT_MOST];
    size_t n;

    memset(text, ' ', sizeof(text));
    text[0] = '1';
    for (size_t i = 0; i < 5; i++)
        EXPECT(script_compile(s, str_make(text, sizeof(text)), &n, &fault));
    script_join(s);
    EXPECT(!s->joined);
    EXPECT(script_first(s, &n) == SCRIPT_FAILED);
    EXPECT(script_test(s, 4, &fault) == SCRIPT_YES);
    script_destroy(s);
}

TEST(a_value_never_stays_for_the_next_subject)
{
    struct script *s = JOINED("task == 'code'", "tags.team and tokens == 3");
    struct subject one = { .tokens = 3, .task = S("code") }, two = { .tokens = 3, .task = S("a") };
    size_t n;

    for (size_t left = 0; left < 400; left += 8) {
        size_t real = s->held;

        script_begin(s, &one);
        EXPECT(script_first(s, &n) == SCRIPT_YES && n == 0);
        s->held = SCRIPT_HELD_MOST - left;    /* there is no memory for the second one's values */
        size_t hidden = s->held - real;
        script_begin(s, &two);
        s->held -= hidden;
        EXPECT(script_first(s, &n) == SCRIPT_YES && n == 1);
    }
    script_destroy(s);
}

TEST(values_are_those_of_the_subject_whether_they_changed_or_not)
{
    struct script *s = JOINED("task == 'a' and tokens == 1", "task == 'b' and tokens == 1",
        "task == 'b' and tokens == 2");
    struct subject it = { .tokens = 1, .task = S("a") };
    char room[] = "b";
    size_t n;

    for (int round = 0; round < 3; round++) {
        it = (struct subject){ .tokens = 1, .task = S("a") };
        script_begin(s, &it);
        EXPECT(script_first(s, &n) == SCRIPT_YES && n == 0);
        it.task = str_make(room, 1);
        script_begin(s, &it);
        EXPECT(script_first(s, &n) == SCRIPT_YES && n == 1);
        it.tokens = 2;
        script_begin(s, &it);
        EXPECT(script_first(s, &n) == SCRIPT_YES && n == 2);
        room[0] = 'z';    /* the bytes are not ours to keep */
        script_begin(s, &it);
        EXPECT(script_first(s, &n) == SCRIPT_NO);
        room[0] = 'b';
    }
    script_destroy(s);
}
