/* test_rules_check.c - what `openclaw check` says of rules that are valid. */
#define ask_know fake_ask_know
#include "route/rules.c"
#include "route/rules_check.c"

#include "tests/unit/route/rules_world.h"

static void
expect_warnings(const char *rules, const char *wanted)
{
    struct ruled r = rules_world(rules);
    struct conf_problems warnings;
    struct str all = S("");

    conf_problems_init(&warnings, r.a);
    EXPECT_STR(problem_lines(&r.l), "");
    rules_warnings(r.rules, r.l.conf, &warnings);
    for (const struct conf_problem *p = warnings.first_warning; p != NULL; p = p->next)
        all = arena_printf(r.a, STR_FMT "%u:%u: " STR_FMT "\n", STR_ARG(all), p->mark.line,
            p->mark.column, STR_ARG(p->text));
    EXPECT_STR(all, wanted);
    rules_world_end(&r);
}

TEST(good_rules_are_not_doubted)
{
    expect_warnings("  - {when: 'tokens > 4000 and tools', use: fast}\n"
                    "  - {when: 'budget.left_ratio < 0.1 or tags.x == \"y\"', use: fast}\n"
                    "  - {when: 'starts(headers[\"user-agent\"], \"curl/\")', use: fast}\n"
                    "  - {when: 'starts(model, \"gpt\") or math.max(hour, 3) > 5', use: fast}\n"
                    "  - {when: '(function(n) return n > 1 end)(weekday)', use: fast}\n"
                    "  - {when: 'key and key:lower() == \"ci\"', use: fast}\n"
                    "  - {use: smart, continue: true}\n"
                    "  - {tag: x}\n",
        "");
}

TEST(names_that_do_not_exist_are_told_with_their_place)
{
    expect_warnings("  - {when: 'stream and taks == 1', use: fast}\n"
                    "  - when: |\n"
                    "      stream and\n"
                    "        budget.left_ration < 1\n"
                    "    use: fast\n"
                    "  - {when: 'string.rep(\"x\", 5) == key', use: fast}\n",
        "7:24: rules[0].when: there is no 'taks'; did you mean 'task'?\n"
        "10:9: rules[1].when: there is no 'budget.left_ration'; did you mean 'budget.left_ratio'?\n"
        "12:13: rules[2].when: there is no 'string.rep'; docs/rules.md lists the names\n");
}

TEST(a_condition_that_fails_for_an_ordinary_request_is_told)
{
    expect_warnings("  - {when: 'user > 3', use: fast}\n"
                    "  - {when: 'tools and #tags.team > 1 and user.x', reject: No.}\n"
                    "  - {when: 'string.len(key) > 3', use: fast}\n"
                    "  - {when: 'operation == \"embed\" and model + 1', use: fast}\n",
        "7:13: rules[0].when fails for a short chat: line 1: attempt to compare number with nil; "
        "the rule does not apply to such requests\n"
        "8:13: rules[1].when fails for a long chat with tools and pictures, a key, a tag and a "
        "header field: line 1: attempt to index a nil value (global 'user'); such requests are "
        "rejected\n"
        "9:13: rules[2].when fails for a short chat: line 1: bad argument #1 to 'len' (string "
        "expected, got nil); the rule does not apply to such requests\n"
        "10:13: rules[3].when fails for a request for embeddings: line 1: attempt to perform "
        "arithmetic on a string value (global 'model'); the rule does not apply to such requests\n");
}

TEST(credentials_and_rules_that_are_never_reached_are_told)
{
    expect_warnings("  - {when: 'headers.authorization == \"x\"', use: fast}\n"
                    "  - {name: all, use: smart}\n"
                    "  - {when: stream, use: fast}\n",
        "7:13: rules[0].when: the header field 'authorization' can hold a credential and is always "
        "nil here; use 'key'\n"
        "9:5: rules[2] is never reached: 'all' applies to every request\n");
}
