/* test_rules.c - which rules apply to a request, and what they do with it. */
#define ask_know fake_ask_know    /* what can be found out is the test's to say */
#include "route/rules.c"

#include "tests/unit/route/rules_world.h"

/* "a b" of those that apply. */
static struct str
run(struct ruled *r)
{
    struct str all = S("");

    rules_run(r->runner, &r->ask, &r->result);
    for (size_t i = 0; i < r->result.matched_count; i++)
        all = arena_printf(r->a, STR_FMT "%s" STR_FMT, STR_ARG(all), i != 0 ? ", " : "",
            STR_ARG(r->result.matched[i]->name));
    return all;
}

/* Where the request goes: a name, or a rule's own targets. */
static struct str
found_for(struct ruled *r)
{
    struct route_found found;
    struct str why;

    EXPECT_INT(rules_find(&r->result, r->t, &r->ask, &found, &why), OK);
    EXPECT(found.strategy == r->result.strategy);
    if (found.target != NULL)
        return found.target->wire.model;
    if (r->result.route == NULL || !r->result.route->targets)
        return found.alias->name;
    struct str all = arena_printf(r->a, STR_FMT ":", STR_ARG(found.alias->name));
    for (size_t i = 0; i < found.alias->count; i++)
        all = arena_printf(r->a, STR_FMT " " STR_FMT "/" STR_FMT, STR_ARG(all),
            STR_ARG(found.alias->targets[i]->provider->id),
            STR_ARG(found.alias->targets[i]->wire.model));
    return all;
}

/* The verdict of one condition. */
static bool
holds(struct ruled *r)
{
    return run(r).n != 0;
}

TEST(the_first_rule_whose_condition_holds_applies)
{
    struct ruled r = rules_world("  - {name: a, when: 'tokens > 9000', use: smart}\n"
                                 "  - {name: b, when: 'tokens > 4000', use: fast}\n"
                                 "  - {name: c, use: smart}\n");

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(run(&r), "b");
    EXPECT_STR(found_for(&r), "fast");
    r.ask.needs.input_tokens = 1;
    EXPECT_STR(run(&r), "c");
    EXPECT_STR(found_for(&r), "smart");
    rules_world_end(&r);
}

TEST(a_rule_that_continues_leaves_the_rest_to_others_and_keeps_what_it_set)
{
    struct ruled r = rules_world(
        "  - {name: a, when: stream, use: smart, tag: [s, 'n=1'], continue: true}\n"
        "  - {name: b, params: {temperature: 0}, targets: [openai/x], continue: true}\n"
        "  - {name: c, when: tags.s, strategy: cost, tag: 'n=2', cap: {max_tokens: 5}}\n"
        "  - {name: d, strategy: weighted}\n");

    r.ask.stream = true;
    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(run(&r), "a, b, c");
    EXPECT_STR(found_for(&r), "smart");
    EXPECT_STR(str_c(r.result.strategy->name), "cost");
    EXPECT_STR(tag_value(&r.ask, S("n")), "1");
    EXPECT_STR(tag_value(&r.ask, S("s")), "");
    EXPECT_STR(json_raw(r.result.matched[1]->params), "{\"temperature\":0}");
    EXPECT_STR(json_raw(r.result.matched[2]->caps), "{\"max_tokens\":5}");
    r.ask.stream = false;
    r.ask.tags = NULL;
    EXPECT_STR(run(&r), "b, d");
    EXPECT_STR(found_for(&r), "b: openai/x");
    rules_world_end(&r);
}

TEST(no_more_than_sixteen_rules_apply)
{
    struct ruled r = rules_world("");
    rules_world_end(&r);
    char text[2048] = "";

    for (size_t i = 0; i < 20; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
            "  - {name: r%zu, tag: t%zu, continue: true}\n", i, i);
    r = rules_world(text);
    (void)run(&r);
    EXPECT_INT(r.result.matched_count, 16);
    rules_world_end(&r);
}

TEST(rules_that_reject_do_so_after_sixteen_others_applied)
{
    char text[2048] = "";

    for (size_t i = 0; i < 20; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
            "  - {name: r%zu, tag: t%zu, continue: true}\n", i, i);
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
        "  - {name: last, when: 'tags.t15 and not tags.t16', reject: No.}\n");
    struct ruled r = rules_world(text);
    (void)run(&r);
    EXPECT_INT(r.result.matched_count, 17);
    EXPECT_STR(r.result.rejects->name, "last");
    rules_world_end(&r);
}

TEST(a_tag_of_a_rule_counts_more_than_one_that_the_caller_sends)
{
    struct ask_tag other = { .name = S("other"), .value = S("1") };
    struct ask_tag sent = { S("team"), S("search"), &other };
    struct ruled r = rules_world(
        "  - {name: a, when: 'tags.team == \"search\"', tag: [team=guests, x], continue: true}\n"
        "  - {name: b, when: 'tags.team == \"guests\" and tags.other == \"1\"', reject: No.}\n");

    r.ask.tags = &sent;
    EXPECT_STR(run(&r), "a, b");
    EXPECT_STR(tag_value(&r.ask, S("team")), "guests");
    rules_world_end(&r);
}

TEST(a_rule_that_rejects_a_model_rejects_it_among_those_that_are_tried_next)
{
    struct llm_word last = { .text = S("smart") }, next = { .text = S("other"), .next = &last };
    struct wishes w = { .models = &next };
    struct ruled r =
        rules_world("  - {name: a, when: 'model == \"fast\"', tag: 'of=fast', continue: true}\n"
                    "  - {name: b, when: 'model == \"smart\"', reject: No.}\n"
                    "  - {name: c, when: 'tags.of == nil and tokens > 1', tag: t}\n");
    const struct rule_count *counts = rules_counts(r.runner);

    EXPECT_STR(run(&r), "a");
    r.ask.tags = NULL;
    r.ask.wishes = &w;
    EXPECT_STR(run(&r), "b");
    EXPECT_STR(r.result.rejects->name, "b");
    EXPECT_INT(counts[1].matched, 1);
    last.text = S("third");
    r.ask.tags = NULL;
    EXPECT_STR(run(&r), "a");
    EXPECT(r.result.rejects == NULL);
    EXPECT_STR(r.ask.model, "fast");
    EXPECT_STR(tag_value(&r.ask, S("of")), "fast");
    EXPECT(tag_value(&r.ask, S("t")).p == NULL);
    EXPECT_INT(counts[0].matched, 3);
    EXPECT_INT(counts[2].matched, 0);
    rules_world_end(&r);
}

TEST(a_rule_rejects_with_its_sentence_and_status)
{
    struct ruled r =
        rules_world("  - {name: a, when: images, reject: No pictures., status: 400}\n"
                    "  - {name: b, when: tools, reject: No tools., tag: x, continue: true}\n"
                    "  - {name: c, use: smart}\n");

    EXPECT_STR(run(&r), "b");
    EXPECT_STR(r.result.reject, "No tools.");
    EXPECT(r.result.rejects->reject_as == ERR_FORBIDDEN);
    r.ask.needs.bits |= NEED_BIT(IMAGES);
    EXPECT_STR(run(&r), "a");
    EXPECT(r.result.rejects->reject_as == ERR_BAD_REQUEST);
    r.ask.needs.bits = 0;
    EXPECT_STR(run(&r), "c");
    EXPECT(r.result.rejects == NULL);
    rules_world_end(&r);
}

TEST(a_condition_that_fails_does_not_hold_and_is_told)
{
    struct ruled r =
        rules_world("  - {name: a, when: 'user > 3', use: smart}\n"
                    "  - {name: b, when: \"true and\\n\\n (function() while true do end "
                    "end)()\", use: smart}\n"
                    "  - {name: c, when: 'tokens > 4000', use: fast}\n");

    EXPECT_STR(run(&r), "c");
    const struct rule_failure *f = r.result.failures;
    EXPECT_STR(f->rule->name, "a");
    EXPECT_STR(f->why, "line 1: attempt to compare number with nil");
    EXPECT_STR(f->next->rule->name, "b");
    EXPECT_STR(f->next->why, "it takes more than 10000 instructions");
    EXPECT(f->next->next == NULL);
    rules_world_end(&r);
}

TEST(a_rule_that_rejects_does_so_when_its_condition_fails)
{
    struct ruled r = rules_world("  - {name: a, when: 'user > 3', reject: No.}\n"
                                 "  - {name: b, use: smart}\n");

    EXPECT_STR(run(&r), "");
    EXPECT_STR(r.result.rejects->name, "a");
    EXPECT_STR(r.result.reject,
        "the condition of the rule 'a', which rejects requests, failed for this one");
    EXPECT_STR(r.result.failures->rule->name, "a");
    rules_world_end(&r);
}

TEST(what_is_costly_is_found_out_only_when_a_condition_reads_it)
{
    struct ruled r =
        rules_world("  - {when: 'key == \"x\" and tokens > 1', use: smart}\n"
                    "  - {when: 'stream and images', use: smart}\n"
                    "  - {when: 'tools and tokens > 1 and messages == 3', use: fast}\n");

    r.ask.stream = false;
    EXPECT_STR(run(&r), "rule 3");
    EXPECT_INT(fake_found[0], 1);
    r.ask.known = ASK_HEADERS;
    r.ask.needs.bits = 0;
    EXPECT_STR(run(&r), "");
    EXPECT((r.result.read & (UINT64_C(1) << NAME_tokens)) == 0);
    EXPECT((r.result.read & (UINT64_C(1) << NAME_tools)) != 0);
    EXPECT((r.result.read & (UINT64_C(1) << NAME_images)) == 0);
    EXPECT((r.result.read & (UINT64_C(1) << NAME_key)) != 0);
    rules_world_end(&r);
}

TEST(what_a_recorded_ask_does_not_know_makes_the_result_undecidable)
{
    struct ruled r =
        rules_world("  - {name: a, when: 'key == \"ci\" and model == \"x\"', use: smart}\n"
                    "  - {name: b, when: 'tokens > 1', reject: No.}\n"
                    "  - {name: c, use: fast}\n");

    fake_knowable = 0;
    EXPECT_STR(run(&r), "");
    EXPECT_STR(r.result.undecidable->name, "b");
    EXPECT_STR(str_c(r.result.missing), "tokens");
    EXPECT(r.result.rejects == NULL);    /* not guessed */
    EXPECT(r.result.failures == NULL);
    r.ask.model = S("x");
    EXPECT_STR(run(&r), "a");
    EXPECT(r.result.undecidable == NULL);
    rules_world_end(&r);
}

TEST(header_fields_are_read_in_any_case_and_noted_and_credentials_are_not)
{
    struct ruled r = rules_world(
        "  - {when: 'headers[\"x-team\"] == \"search\" and not headers.authorization', use: smart}\n");
    struct http_field list[] = { { S("X-Team"), S("search") },
        { S("Authorization"), S("Bearer k") } };
    struct http_fields fields = { list, 2 };

    r.ask.fields = &fields;
    EXPECT(holds(&r));
    EXPECT_INT(r.result.member_count, 2);
    EXPECT_STR(r.result.members[0].member, "x-team");
    EXPECT_STR(str_c(r.result.members[0].name), "headers.*");
    r.ask.known = 0;    /* a recorded one: what was read is there, and nothing else is known */
    EXPECT(holds(&r));
    fields.count = 0;
    EXPECT(!holds(&r));
    EXPECT_STR(str_c(r.result.missing), "headers.*");
    list[0].value = S("");
    fields.count = 1;
    EXPECT(!holds(&r));
    EXPECT(r.result.undecidable == NULL);    /* it is known that it was not sent */
    rules_world_end(&r);
}

TEST(every_name_can_be_read)
{
    struct ask_tag tag = { .name = S("team"), .value = S("search") };

    for (size_t i = 0; i < NAME_COUNT; i++) {
        struct str head, tail;
        char text[256];
        bool table = str_cut(name_list[i], '.', &head, &tail);

        (void)snprintf(text, sizeof(text),
            "  - {when: '" STR_FMT "%s" STR_FMT " == nil or true', use: fast}\n", STR_ARG(head),
            table ? "." : "", STR_ARG(str_eq(tail, S("*")) ? S("team") : tail));
        struct ruled r = rules_world(text);
        r.ask.tags = &tag;
        if (!holds(&r))
            print_error("%s%s", text, r.result.failures != NULL ? r.result.failures->why.p : "");
        EXPECT(r.result.matched_count == 1);
        EXPECT_INT(r.result.read, UINT64_C(1) << i);
        rules_world_end(&r);
    }
}

TEST(names_have_the_values_that_the_docs_say)
{
    struct ruled r = rules_world(
        "  - {when: 'hour == 13 and minute == 37 and weekday == 1 and operation == \"chat\"', tag: a, continue: true}\n"
        "  - {when: 'model == \"fast\" and key == \"ci\" and user == nil and max_tokens == 0', tag: b, continue: true}\n"
        "  - {when: 'tools and not images and messages == 3 and tool_count == 0', tag: c, continue: true}\n"
        "  - {when: 'budget.left_ratio == 1 and protocol == nil', tag: d, continue: true}\n"
        "  - {when: 'tags.a and tags.zzz == nil and session == nil and ip == nil', tag: e, continue: true}\n");

    r.ask.wall_ms = UINT64_C(1796045820000);    /* Monday, 2026-11-30 13:37 UTC */
    EXPECT_STR(run(&r), "rule 1, rule 2, rule 3, rule 4, rule 5");
    rules_world_end(&r);
}

TEST(mistakes_of_rules_are_told_with_their_places)
{
    static const struct {
        const char *rules, *problems;
    } list[] = {
        { "  - {when: 'tokens >', use: fast}\n",
            "7:21: rules[0].when is not a Lua expression: unexpected symbol near <eof>\n" },
        { "  - when: |\n      tokens > 1 and\n      task = 'x'\n    use: fast\n",
            "9:12: rules[0].when is not a Lua expression: the expression is complete before this; "
            "'and', 'or', '..' or a comparison is missing\n" },
        { "  - {use: fats}\n",
            "7:11: rules[0].use: there is no model 'fats'; did you mean 'fast'?\n" },
        { "  - {targets: [fast, nope/x]}\n",
            "7:22: target 'nope/x': no provider or alias 'nope' is configured; write "
            "provider/model\n" },
        { "  - {strategy: cheapest, use: fast}\n",
            "7:16: rules[0].strategy: there is no strategy 'cheapest'; docs/routing.md lists "
            "them\n" },
        { "  - {use: fast, targets: [smart]}\n",
            "7:5: rules[0]: 'use' and 'targets' both say where requests go; keep one of them\n" },
        { "  - {use: fast, reject: No.}\n",
            "7:5: rules[0]: a rule with 'reject' can do nothing else with the request; remove one "
            "of the two\n" },
        { "  - {when: 'true'}\n",
            "7:5: rules[0]: does nothing; write use, strategy, targets, params, cap, tag, reject, "
            "shadow or experiment\n" },
        { "  - {params: {model: x}}\n", "7:5: rules[0].params cannot set 'model'; write use\n" },
        { "  - {experiment: none}\n",
            "7:18: rules[0].experiment: there is no experiment 'none' under experiments\n" },
        { "  - {cap: {max_tokens: many}}\n", "7:5: rules[0].cap: 'max_tokens' is not a number\n" },
        { "  - {tag: '=x'}\n", "7:11: rules[0].tag: a tag needs a name before the '='\n" },
        { "  - {name: a, use: fast}\n  - {name: a, use: fast}\n",
            "8:12: two rules are called 'a'\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        struct ruled r = rules_world(list[i].rules);

        EXPECT_STR(problem_lines(&r.l), list[i].problems);
        rules_world_end(&r);
    }
}

TEST(targets_of_a_rule_may_be_aliases_and_a_model_that_is_used_may_be_a_target)
{
    struct ruled r = rules_world("  - {name: t, when: stream, targets: [smart, openai/x, fast]}\n"
                                 "  - {when: images, use: openai/y}\n");

    EXPECT_STR(run(&r), "");
    EXPECT_STR(found_for(&r), "fast");    /* as it was asked for */
    r.ask.stream = true;
    EXPECT_STR(run(&r), "t");
    EXPECT_STR(found_for(&r), "t: openai/large openai/x openai/small");
    r.ask.stream = false;
    r.ask.needs.bits = NEED_BIT(IMAGES);
    EXPECT_STR(run(&r), "rule 2");
    EXPECT_STR(found_for(&r), "y");
    rules_world_end(&r);
}

TEST(no_rules_cost_no_interpreter)
{
    struct ruled r = rules_world("  []\n");

    EXPECT(r.runner->script == NULL);
    EXPECT_STR(run(&r), "");
    EXPECT(rules_at(r.rules, 0) == NULL);
    rules_world_end(&r);
}

TEST(what_rules_do_is_counted_but_for_dry_runs)
{
    struct ruled r = rules_world("  - {when: 'user > 3', use: smart}\n"
                                 "  - {when: tools, use: smart}\n");
    const struct rule_count *counts = rules_counts(r.runner);

    for (int i = 0; i < 3; i++)
        (void)run(&r);
    r.ask.dry = true;
    (void)run(&r);
    EXPECT_INT(counts[0].matched, 0);
    EXPECT_INT(counts[0].failed, 3);
    EXPECT_STR(str_c(counts[0].why), "line 1: attempt to compare number with nil");
    EXPECT_INT(counts[1].matched, 3);
    EXPECT_INT(counts[1].failed, 0);
    rules_world_end(&r);
}
