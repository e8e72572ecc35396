#include "script/scan.c"    /* white box: the unit under test itself */

#include <stdio.h>

#include "tests/test.h"

struct found {
    char text[512];
};

static void
note(void *arg, struct str name, struct str member, size_t offset)
{
    struct found *f = arg;
    size_t n = strlen(f->text);

    (void)snprintf(f->text + n, sizeof(f->text) - n, "%s" STR_FMT "%s" STR_FMT "@%zu",
        n != 0 ? " " : "", STR_ARG(name), member.n != 0 ? "." : "", STR_ARG(member), offset);
}

static void
expect_names(const char *text, const char *wanted)
{
    struct found f = { .text = "" };

    scan_names(str_c(text), note, &f);
    EXPECT_STR(str_c(f.text), wanted);
}

TEST(names_are_those_that_the_expression_does_not_declare)
{
    expect_names("task == 'code' and tokens > 4000", "task@0 tokens@19");
    expect_names(
        "(function(a, b) local c = a for i = 1, n do c = c + i end return c end)(x)", "n@39 x@72");
    expect_names("{ task = 1, model, [key] = 2 }", "model@12 key@20");
    expect_names("s:lower() == t.lower", "s@0 t.lower@13");
    expect_names("(function() goto done ::done:: end)()", "");
}

TEST(members_are_told_with_their_table)
{
    expect_names("budget.left < 1 and headers[\"x-y\"]", "budget.left@0 headers.x-y@20");
    expect_names("headers[name] or tags . x", "headers@0 name@8 tags.x@17");
    expect_names("a.b.c", "a.b@0");
}

TEST(texts_comments_and_numbers_hold_no_names)
{
    expect_names("'task' == \"a \\\" tokens\" -- key", "");
    expect_names("[[ task ]] == [==[ ]] key ]==] or x", "x@34");
    expect_names("--[[ task\n]] y --[=[ z ]=] .. w", "y@13 w@30");
    expect_names("0x1F + 1e5 + .5 + 3 .. z", "z@23");
    expect_names("a -- b\r c", "a@0 c@8");
}

TEST(whatever_is_unfinished_ends_with_the_text)
{
    expect_names("'abc\\", "");
    expect_names("[[ x", "");
    expect_names("--[[ x", "");
    expect_names("a[", "a@0");
    expect_names("a.", "a@0");
    expect_names("", "");
}
