/* test_overrides.c - what a body looks like after the configuration has had its say. */
#include "gateway/overrides.c"

#include "tests/test.h"

static struct arena *a;

static const struct json *
parse(const char *text)
{
    return text != NULL ? json_parse(a, str_c(text), NULL, NULL) : NULL;
}

/* The body after the overrides of a target of that wire, and of two rules. */
static struct str
edited(const struct wire *wire, enum llm_op op, const char *own, const char *const rules[4],
    const char *body, enum err *ret)
{
    struct rule one = { .params = parse(rules[0]), .caps = parse(rules[1]) };
    struct rule two = { .params = parse(rules[2]), .caps = parse(rules[3]) };
    const struct rule *const list[] = { &one, &two };
    struct wire_target target = { .traits = { .max_tokens = NO } };
    struct overrides o = { .params = str_c(own),
        .rules = list,
        .rule_count = 2,
        .wire = wire,
        .target = &target,
        .op = op };
    struct wire_edits edits = { .count = 0 };
    struct str pieces[2 * WIRE_EDITS + 1], all = S("");

    *ret = overrides_edit(&o, a, parse(body), str_c(body), &edits);
    size_t n = wire_edits_apply(&edits, str_c(body), pieces);
    for (size_t i = 0; i < n; i++)
        EXPECT(arena_append(a, &all, pieces[i]));
    return all;
}

struct sample {
    const struct wire *wire;
    const char *own;
    const char *rules[4];    /* params and caps of the first, and of the second */
    const char *body, *wanted;
};

static void
expect_each(enum llm_op op, const struct sample *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum err e;

        a = arena_create(1024 * 1024);
        struct str got = edited(list[i].wire, op, list[i].own, list[i].rules, list[i].body, &e);
        EXPECT_STR(got, list[i].wanted);
        EXPECT_INT(e, OK);
        EXPECT(json_parse(a, got, NULL, NULL) != NULL);
        arena_destroy(a);
    }
}

TEST(parameters_of_rules_have_the_names_of_the_targets_protocol)
{
    static const struct sample list[] = {
        { &wire_openai_chat, "", { "{\"temperature\":0}", NULL, NULL, NULL },
            "{\"m\":1,\"temperature\":1}", "{\"m\":1,\"temperature\":0}" },
        { &wire_openai_chat, "", { "{\"temperature\":0,\"x_new\":[1]}", NULL, NULL, NULL },
            "{\"m\":1}", "{\"temperature\":0,\"x_new\":[1],\"m\":1}" },
        { &wire_anthropic, "",
            { "{\"temperature\":0,\"max_completion_tokens\":9}", NULL, NULL, NULL },
            "{\"max_tokens\":50}", "{\"temperature\":0,\"max_tokens\":9}" },
        { &wire_ollama, "", { "{\"temperature\":0,\"seed\":7}", NULL, NULL, NULL },
            "{\"options\":{\"seed\":1,\"mirostat\":1}}",
            "{\"options\":{\"temperature\":0,\"seed\":7,\"mirostat\":1}}" },
        { &wire_ollama, "",
            { "{\"temperature\":0,\"max_tokens\":7,\"keep_alive\":1}", NULL, NULL, NULL },
            "{\"m\":1}",
            "{\"keep_alive\":1,\"options\":{\"temperature\":0,\"num_predict\":7},\"m\":1}" },
        { &wire_ollama, "", { "{\"temperature\":0}", NULL, NULL, NULL }, "{\"options\":{}}",
            "{\"options\":{\"temperature\":0}}" },
        { &wire_ollama, "", { "{\"temperature\":0}", NULL, NULL, NULL }, "{\"options\":null}",
            "{\"options\":{\"temperature\":0}}" },
    };

    expect_each(OP_CHAT, list, ARRAY_LEN(list));
}

TEST(the_targets_own_parameters_count_more_than_rules_and_earlier_rules_more_than_later)
{
    static const struct sample list[] = {
        { &wire_openai_chat, "{\"temperature\":0.5}",
            { "{\"temperature\":1,\"top_p\":0.1}", NULL, "{\"top_p\":0.9,\"seed\":3}", NULL },
            "{\"m\":1}", "{\"temperature\":0.5,\"top_p\":0.1,\"seed\":3,\"m\":1}" },
    };

    expect_each(OP_CHAT, list, ARRAY_LEN(list));
}

TEST(caps_lower_what_is_there_and_limit_an_answer_without_a_limit)
{
    static const struct sample list[] = {
        { &wire_openai_chat, "", { NULL, "{\"max_tokens\":500}", NULL, NULL },
            "{\"max_tokens\":900}", "{\"max_tokens\":500}" },
        { &wire_openai_chat, "", { NULL, "{\"max_tokens\":500}", NULL, NULL },
            "{\"max_completion_tokens\":900}", "{\"max_completion_tokens\":500}" },
        { &wire_openai_chat, "", { NULL, "{\"max_tokens\":500}", NULL, NULL },
            "{\"max_tokens\":499}", "{\"max_tokens\":499}" },
        { &wire_openai_chat, "", { NULL, "{\"max_tokens\":500}", NULL, "{\"max_tokens\":300}" },
            "{\"m\":1}", "{\"max_completion_tokens\":300,\"m\":1}" },
        { &wire_openai_chat, "", { NULL, "{\"max_tokens\":500}", NULL, NULL },
            "{\"max_tokens\":null}", "{\"max_completion_tokens\":500,\"max_tokens\":null}" },
        { &wire_openai_chat, "{\"max_tokens\":9000}", { NULL, "{\"max_tokens\":500}", NULL, NULL },
            "{\"m\":1}", "{\"max_tokens\":500,\"m\":1}" },
        { &wire_anthropic, "", { NULL, "{\"max_completion_tokens\":500}", NULL, NULL },
            "{\"max_tokens\":8192}", "{\"max_tokens\":500}" },
        { &wire_ollama, "", { NULL, "{\"max_tokens\":500}", NULL, NULL },
            "{\"options\":{\"num_predict\":-1}}", "{\"options\":{\"num_predict\":500}}" },
        { &wire_ollama, "", { NULL, "{\"max_tokens\":500,\"temperature\":0.5}", NULL, NULL },
            "{\"options\":{\"temperature\":2}}",
            "{\"options\":{\"num_predict\":500,\"temperature\":0.5}}" },
        { &wire_openai_chat, "", { NULL, "{\"temperature\":0.5,\"n\":2}", NULL, NULL },
            "{\"temperature\":0.4,\"n\":8}", "{\"temperature\":0.4,\"n\":2}" },
        { &wire_openai_chat, "", { "{\"max_tokens\":700}", "{\"max_tokens\":500}", NULL, NULL },
            "{\"max_tokens\":100}", "{\"max_tokens\":500}" },
    };

    expect_each(OP_CHAT, list, ARRAY_LEN(list));
}

TEST(what_makes_no_text_gets_no_limit_and_what_is_passed_through_only_the_targets_own)
{
    static const struct sample embed[] = {
        { &wire_openai_chat, "", { NULL, "{\"max_tokens\":500,\"dimensions\":64}", NULL, NULL },
            "{\"input\":\"a\",\"dimensions\":256}", "{\"input\":\"a\",\"dimensions\":64}" },
    };
    static const struct sample complete[] = {
        { &wire_openai_chat, "", { NULL, "{\"max_tokens\":500}", NULL, NULL }, "{\"m\":1}",
            "{\"max_tokens\":500,\"m\":1}" },
    };
    static const struct sample relay[] = {
        { &wire_openai_chat, "{\"x\":1}",
            { "{\"temperature\":0}", "{\"max_tokens\":500}", NULL, NULL }, "{\"max_tokens\":900}",
            "{\"x\":1,\"max_tokens\":900}" },
        { &wire_openai_chat, "", { "{\"temperature\":0}", NULL, NULL, NULL }, "{}", "{}" },
        { &wire_openai_chat, "", { "{\"temperature\":0}", NULL, NULL, NULL }, "[1]", "[1]" },
    };

    expect_each(OP_EMBED, embed, ARRAY_LEN(embed));
    expect_each(OP_COMPLETE, complete, ARRAY_LEN(complete));
    expect_each(OP_RELAY, relay, ARRAY_LEN(relay));
}

TEST(a_body_without_members_or_memory_for_more_is_left_alone)
{
    static const char *const rules[4] = { "{\"temperature\":0}" };
    enum err e;

    a = arena_create(1024 * 1024);
    EXPECT_STR(edited(&wire_openai_chat, OP_CHAT, "", rules, "{}", &e), "{}");
    EXPECT_INT(e, OK);
    const struct json *doc = parse("{\"m\":1}");
    struct rule rule = { .params = parse(rules[0]) };
    const struct rule *const list[] = { &rule };
    struct wire_target target = { .model = S("m") };
    struct overrides o = {
        .rules = list, .rule_count = 1, .wire = &wire_openai_chat, .target = &target
    };
    struct wire_edits edits = { .count = 0 };
    (void)arena_fail_after_for_tests(1);
    EXPECT_INT(overrides_edit(&o, a, doc, S("{\"m\":1}"), &edits), ERR_NO_MEMORY);
    (void)arena_fail_after_for_tests(0);
    arena_destroy(a);
}

TEST(edits_within_a_value_that_is_replaced_are_dropped)
{
    struct wire_edits e = { .count = 0 };

    EXPECT(wire_edit_add(&e, 5, 2, S("a")));
    EXPECT(wire_edit_add(&e, 10, 3, S("b")));
    EXPECT(wire_edit_add(&e, 20, 0, S("c")));
    drop_edits(&e, 10, 10);
    EXPECT_INT(e.count, 2);
    EXPECT_INT(e.list[0].at, 5);
    EXPECT_INT(e.list[1].at, 20);
}
