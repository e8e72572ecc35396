#include "llm/wire.c"
#include "llm/write.h"
#include "tests/test.h"

TEST(every_wire_is_found_by_its_name)
{
    size_t n = 0;

    for (; wire_at(n) != NULL; n++)
        EXPECT(wire_named(wire_at(n)->name) == wire_at(n));
    EXPECT(n >= 2);
    EXPECT(wire_named(S("openai")) == NULL);
}

TEST(a_dropped_parameter_is_named_once)
{
    struct arena *a = arena_create(4096);
    struct wire_drops d = { .arena = a };

    wire_drop(&d, S("seed"));
    wire_drop(&d, S("n"));
    wire_drop(&d, S("seed"));
    wire_drop(&d, S(""));
    EXPECT_STR(d.names->text, "seed");
    EXPECT_STR(d.names->next->text, "n");
    EXPECT(d.names->next->next == NULL);
    wire_drop(NULL, S("seed"));
    arena_destroy(a);
}

TEST(dropped_names_are_few_and_fit_for_a_field)
{
    struct arena *a = arena_create(4096);
    struct wire_drops d = { .arena = a };
    unsigned n = 0;

    wire_drop(&d, S("x\r\nSet-Cookie: y"));
    wire_drop(&d, S("a, b"));
    wire_drop(&d, S("\0"));
    wire_drop(&d, S("a_name_that_is_longer_than_any_parameter_of_any_provider_has_ever_been"));
    EXPECT(d.names == NULL);
    for (int i = 0; i < 1000; i++)
        wire_drop(&d, arena_printf(a, "invented_%d", i));
    for (const struct llm_word *w = d.names; w != NULL; w = w->next)
        n++;
    EXPECT_INT(n, 64);
    arena_destroy(a);
}

static void
expect_edited(const struct wire_edits *e, struct str body, const char *expected)
{
    struct str pieces[2 * WIRE_EDITS + 1];
    char text[256];
    size_t n = 0;
    size_t count = wire_edits_apply(e, body, pieces);

    for (size_t i = 0; i < count; i++) {
        memcpy(text + n, pieces[i].p, pieces[i].n);
        n += pieces[i].n;
    }
    EXPECT_STR(str_make(text, n), expected);
}

TEST(edits_are_applied_in_order_whatever_order_they_came_in)
{
    struct wire_edits e = { .count = 0 };

    expect_edited(&e, S("abcdef"), "abcdef");
    EXPECT(wire_edit_add(&e, 4, 1, S("XX")));
    EXPECT(wire_edit_add(&e, 0, 1, S("")));
    EXPECT(wire_edit_add(&e, 6, 0, S("!")));
    EXPECT(wire_edit_add(&e, 2, 0, S("-")));
    expect_edited(&e, S("abcdef"), "b-cdXXf!");
}

TEST(an_edit_inside_what_is_cut_away_is_moot_and_one_in_front_is_not)
{
    struct wire_edits e = { .count = 0 };
    struct str pieces[2 * WIRE_EDITS + 1];

    EXPECT(wire_edit_add(&e, 1, 4, S("")));
    EXPECT(wire_edit_add(&e, 3, 1, S("lost")));
    EXPECT(wire_edit_add(&e, 1, 0, S("put")));
    EXPECT(wire_edit_add(&e, 5, 1, S("F")));

    size_t n = wire_edits_apply(&e, S("abcdefg"), pieces);

    EXPECT_INT(n, 4);
    EXPECT_STR(pieces[0], "a");
    EXPECT_STR(pieces[1], "put");
    EXPECT_STR(pieces[2], "F");
    EXPECT_STR(pieces[3], "g");
}

TEST(no_more_edits_than_there_is_room_for)
{
    struct wire_edits e = { .count = 0 };

    for (size_t i = 0; i < WIRE_EDITS; i++)
        EXPECT(wire_edit_add(&e, i, 0, S("x")));
    EXPECT(!wire_edit_add(&e, 0, 0, S("x")));
}

/* --- members that readers could tell apart differently --- */

/* `name` with its first letter that has such a form replaced, escaped or not. False: it has none. */
static bool
disguise(struct buf *b, const char *name, unsigned how)
{
    static const struct {
        char letter;
        const char *plain;
        const char *escaped;
    } forms[] = {
        { 's', "\u017f", "\\u017f" },
        { 'k', "\u212a", "\\u212A" },
        { 'i', "\u0130", "\\u0130" },
        { 'i', "\u0131", "\\u0131" },
    };
    bool done = false;

    buf_reset(b, 64);
    switch (how) {
    case 0:    /* MODEL */
        for (; *name != '\0'; name++)
            buf_add_c(b, *name >= 'a' && *name <= 'z' ? (char)(*name - 0x20) : *name);
        return true;
    case 1:    /* \u004dodel */
        buf_printf(b, "\\u00%02x%s", (unsigned)name[0] - 0x20, name + 1);
        return true;
    case 2:
        buf_printf(b, "%s\\u0000", name);
        return true;
    default:
        how -= 3;
        for (; *name != '\0'; name++) {
            if (!done && *name == forms[how / 2].letter) {
                buf_add(b, str_c(how % 2 == 0 ? forms[how / 2].plain : forms[how / 2].escaped));
                done = true;
            } else {
                buf_add_c(b, *name);
            }
        }
        return done;
    }
}

static enum err
read_head_with(const struct wire *wire, enum llm_op op, struct arena *a, struct str member,
    struct wire_fault *fault)
{
    struct llm_request r = { .arena = a, .wire = wire, .op = op };
    struct buf b;

    buf_init(&b, 4096);
    buf_add(&b, S("{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
                  "\"x\"}],\"prompt\":\"x\",\"input\":\"x\",\"contents\":\"x\",\""));
    buf_add(&b, member);
    buf_add(&b, S("\":1}"));
    r.body = arena_str(a, buf_str(&b));
    buf_fini(&b);
    r.doc = json_parse(a, r.body, NULL, NULL);
    return r.doc != NULL ? llm_request_read(&r, fault) : ERR_BAD_JSON;
}

/* Whether requests of an operation that is no conversation have no such member. */
static bool
has_no_member(const struct wire *wire, enum llm_op op, const char *name)
{
    const struct wire_asks *asks = wire->caller->asks[op];
    const struct read_member *m = asks != NULL ? asks->members : NULL;

    while (m != NULL && m->name != NULL && strcmp(m->name, name) != 0)
        m++;
    return m != NULL && m->name == NULL;
}

/* Gives every disguise of a member to a wire's reader; returns how many it refused. */
static unsigned
refuse_disguises(const struct wire *wire, const char *name, struct buf *member)
{
    static const enum llm_op ops[] = { OP_CHAT, OP_COMPLETE, OP_EMBED, OP_COUNT_TOKENS, OP_RELAY };
    unsigned refused = 0;

    for (size_t op = 0; op < ARRAY_LEN(ops); op++) {
        bool read =
            ops[op] != OP_RELAY || strcmp(name, "model") == 0 || strcmp(name, "stream") == 0;

        if (has_no_member(wire, ops[op], name))
            read = false;

        for (unsigned how = 0; how < 11; how++) {
            struct arena *a = arena_create(1 << 20);
            struct wire_fault fault = { S(""), S("") };

            if (!disguise(member, name, how)) {
                ;
            } else if (!read) {    /* what is only passed on may have any other members */
                EXPECT_INT(read_head_with(wire, ops[op], a, buf_str(member), &fault), OK);
            } else {
                EXPECT_INT(
                    read_head_with(wire, ops[op], a, buf_str(member), &fault), ERR_BAD_REQUEST);
                EXPECT_STR(fault.param, name);
                EXPECT(str_find(fault.message, str_c(name)) < fault.message.n);
                refused++;
            }
            arena_destroy(a);
        }
    }
    return refused;
}

TEST(a_member_in_another_case_is_refused_by_every_wire)
{
    struct buf member;
    unsigned refused = 0;

    buf_init(&member, 256);
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        const struct wire_caller *caller = wire_at(i)->caller;

        if (caller == NULL || caller->in_path)    /* their models and streams are not in the body */
            continue;
        EXPECT(caller->members[0].name != NULL);
        for (const struct read_member *m = caller->members; m->name != NULL; m++)
            refused += refuse_disguises(wire_at(i), m->name, &member);
        for (unsigned p = 0; p < PARAM_NODES; p++)
            if (param_name(p, caller->params) != NULL)
                refused += refuse_disguises(wire_at(i), param_name(p, caller->params), &member);
    }
    EXPECT(refused > 500);
    buf_fini(&member);
}

TEST(a_member_that_occurs_twice_is_refused_however_it_is_spelled)
{
    struct arena *a = arena_create(1 << 20);
    struct wire_fault fault = { S(""), S("") };

    for (size_t i = 0; wire_at(i) != NULL; i++) {
        EXPECT_INT(read_head_with(wire_at(i), OP_CHAT, a, S("model"), &fault), ERR_BAD_JSON);
        EXPECT_INT(read_head_with(wire_at(i), OP_CHAT, a, S("\\u006dodel"), &fault), ERR_BAD_JSON);
    }
    arena_destroy(a);
}

TEST(members_that_resemble_none_of_ours_pass)
{
    static const struct str members[] = { S_INIT("X-Custom"), S_INIT("Models"), S_INIT("modeltype"),
        S_INIT("\\u0061nything"), S_INIT("\xc3\xa4"), S_INIT("") };
    struct arena *a = arena_create(1 << 20);
    struct wire_fault fault = { S(""), S("") };

    for (size_t i = 0; wire_at(i) != NULL; i++)
        for (size_t m = 0; m < ARRAY_LEN(members); m++)
            EXPECT_INT(read_head_with(wire_at(i), OP_CHAT, a, members[m], &fault), OK);
    arena_destroy(a);
}

/* --- tools of one protocol --- */

static enum err
write_with(
    const struct wire *from, const struct wire *to, const char *members, struct wire_fault *fault)
{
    static const struct wire_target target = { .model = S_INIT("t") };
    struct arena *a = arena_create(1 << 20);
    struct llm_request r = { .arena = a, .wire = from, .op = OP_CHAT };
    struct wire_drops drops = { .arena = a };
    struct buf b;

    buf_init(&b, 1 << 16);
    buf_printf(&b,
        "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],%s}",
        members);
    r.body = buf_str(&b);
    r.doc = json_parse(a, r.body, NULL, NULL);
    EXPECT(r.doc != NULL);

    enum err e = llm_request_read(&r, fault);

    if (e == OK)
        e = llm_request_expand(&r, fault);
    if (e == OK) {
        struct buf out;

        buf_init(&out, 1 << 16);
        e = write_request(to, &out, &r, &target, &drops, fault);
        EXPECT(e == OK || buf_len(&out) == 0);
        EXPECT(e == OK || drops.names == NULL);
        buf_fini(&out);
    }
    EXPECT(e == OK || str_find(fault->message, S("web_search")) < fault->message.n ||
           str_find(fault->message, S("mcp_servers")) < fault->message.n);
    buf_fini(&b);
    arena_destroy(a);
    return e;
}

#define SEARCH "{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}"
#define FUNCTION "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"
#define CUSTOM "{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}"

TEST(a_request_whose_tools_would_all_be_lost_is_refused)
{
    static const struct {
        const struct wire *from;
        const struct wire *to;
        const char *members;
        enum err e;
    } rows[] = {
        { &wire_anthropic, &wire_openai_chat, "\"tools\":[" SEARCH "]", ERR_UNSUPPORTED },
        { &wire_anthropic, &wire_openai_chat, "\"tools\":[" SEARCH "," CUSTOM "]", OK },
        { &wire_anthropic, &wire_openai_chat, "\"tools\":[" CUSTOM "," SEARCH "]", OK },
        { &wire_anthropic, &wire_openai_chat,
            "\"tools\":[" CUSTOM "," SEARCH
            "],\"tool_choice\":{\"type\":\"tool\",\"name\":\"web_search\"}",
            ERR_UNSUPPORTED },
        { &wire_anthropic, &wire_openai_chat,
            "\"tools\":[" CUSTOM "," SEARCH "],\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}",
            OK },
        { &wire_anthropic, &wire_openai_chat,
            "\"tools\":[" SEARCH "],\"tool_choice\":{\"type\":\"none\"}", OK },
        { &wire_anthropic, &wire_openai_chat,
            "\"tools\":[" SEARCH ",{\"type\":\"code_execution_20250522\",\"name\":\"c\"}]",
            ERR_UNSUPPORTED },
        { &wire_anthropic, &wire_openai_chat, "\"mcp_servers\":[{\"url\":\"u\"}]",
            ERR_UNSUPPORTED },
        { &wire_anthropic, &wire_openai_chat, "\"mcp_servers\":[],\"tools\":[" CUSTOM "]", OK },
        { &wire_anthropic, &wire_openai_chat, "\"tools\":[]", OK },
        { &wire_anthropic, &wire_anthropic, "\"tools\":[" SEARCH "]", OK },
        { &wire_openai_chat, &wire_anthropic, "\"tools\":[{\"type\":\"web_search_preview\"}]",
            ERR_UNSUPPORTED },
        { &wire_openai_chat, &wire_anthropic,
            "\"tools\":[{\"type\":\"web_search_preview\"}," FUNCTION "]", OK },
        { &wire_openai_chat, &wire_anthropic, "\"web_search_options\":{}", ERR_UNSUPPORTED },
        { &wire_openai_chat, &wire_anthropic, "\"web_search_options\":{},\"tools\":[" FUNCTION "]",
            OK },
        { &wire_openai_chat, &wire_anthropic, "\"web_search_options\":{},\"tool_choice\":\"none\"",
            OK },
        { &wire_openai_chat, &wire_anthropic, "\"web_search_options\":null", OK },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wire_fault fault = { S(""), S("") };
        enum err e = write_with(rows[i].from, rows[i].to, rows[i].members, &fault);

        if (e != rows[i].e)
            print_error("%s\n", rows[i].members);
        EXPECT_INT(e, rows[i].e);
        if (e != OK)
            EXPECT_STR(fault.param, "tools");
    }
}

TEST(every_wire_has_a_name_for_every_error)
{
    const struct wire *wire;

    for (size_t i = 0; (wire = wire_at(i)) != NULL; i++) {
        if (wire == &wire_ollama || wire == &wire_cohere)    /* their errors are a sentence each */
            continue;
        for (enum err e = OK + 1; wire->caller != NULL && e < ERR_COUNT; e++) {
            const struct wire_error_name *name = &wire->caller->error_names[e];

            EXPECT(name->type != NULL && name->type[0] != '\0');
            EXPECT(name->code == NULL || name->code[0] != '\0');
        }
    }
}
