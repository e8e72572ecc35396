/* test_edit.c - thinking that nobody signed does not go back to Anthropic. */
#include "wires/anthropic/provider.c"
#include "tests/test.h"

static struct wire_target target = { .traits = TRAITS(.signed_thoughts = YES) };

/* The body as it is sent on, in which ' stands for ". */
static struct str
edited(struct arena *a, const char *quoted)
{
    struct str pieces[2 * WIRE_EDITS + 1];
    struct wire_edits edits = { .count = 0 };
    struct str text = arena_str(a, str_c(quoted));
    char *p = (char *)(uintptr_t)text.p;

    for (size_t i = 0; i < text.n; i++)
        if (p[i] == '\'')
            p[i] = '"';
    struct llm_request r = { .arena = a, .body = text, .doc = json_parse(a, text, NULL, NULL) };
    EXPECT(r.doc != NULL);
    edit_request(&r, &target, &edits);

    struct buf out;
    size_t n = wire_edits_apply(&edits, text, pieces);
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < n; i++)
        buf_add(&out, pieces[i]);
    struct str s = arena_str(a, buf_str(&out));
    buf_fini(&out);
    EXPECT(json_parse(a, s, NULL, NULL) != NULL);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '"')
            ((char *)(uintptr_t)s.p)[i] = '\'';
    return s;
}

static void
expect_edit(const char *content, const char *wanted)
{
    struct arena *a = arena_create(1 << 20);
    struct str before =
        arena_printf(a, "{'messages': [{'role':'assistant','content':%s}], 'x': 1}", content);
    struct str after =
        arena_printf(a, "{'messages': [{'role':'assistant','content':%s}], 'x': 1}", wanted);

    EXPECT(str_eq(edited(a, before.p), after));
    arena_destroy(a);
}

#define UNSIGNED "{'type':'thinking','thinking':'hm','signature':''}"
#define SIGNED "{'type':'thinking','thinking':'hm','signature':'c2ln'}"
#define TEXT "{'type':'text','text':'a'}"
#define CALL "{'type':'tool_use','id':'t','name':'f','input':{}}"

TEST(unsigned_thinking_is_cut_wherever_it_stands)
{
    expect_edit("[" UNSIGNED ", " TEXT "]", "[" TEXT "]");
    expect_edit("[" TEXT ", " UNSIGNED "]", "[" TEXT "]");
    expect_edit("[" TEXT "," UNSIGNED " , " CALL "]", "[" TEXT "," CALL "]");
    expect_edit("[ " UNSIGNED ", " UNSIGNED "," TEXT "," UNSIGNED "," UNSIGNED " ]", "[ " TEXT "]");
    expect_edit("[{'type':'thinking','thinking':'no field at all'}," TEXT "]", "[" TEXT "]");
}

TEST(what_is_signed_or_nothing_to_do_with_it_keeps_every_byte)
{
    expect_edit("[" SIGNED " , " TEXT ", " CALL "]", "[" SIGNED " , " TEXT ", " CALL "]");
    expect_edit("'just text'", "'just text'");
    expect_edit("[]", "[]");
    expect_edit("[" UNSIGNED "]", "[" UNSIGNED "]");
}

TEST(any_number_of_blocks_is_cut)
{
    struct arena *a = arena_create(1 << 20);
    struct buf b;
    struct buf wanted;

    buf_init(&b, 1 << 20);
    buf_init(&wanted, 1 << 20);
    buf_add(&b, S("{'messages':[{'role':'user','content':'q'}"));
    buf_add(&wanted, S("{'messages':[{'role':'user','content':'q'}"));
    for (int i = 0; i < 3 * WIRE_EDITS; i++) {
        buf_add(&b, S(",{'role':'assistant','content':[" UNSIGNED "," TEXT "]}"));
        buf_add(&wanted, S(",{'role':'assistant','content':[" TEXT "]}"));
    }
    buf_add(&b, S("]}"));
    buf_add_c(&b, '\0');
    buf_add(&wanted, S("]}"));
    EXPECT(str_eq(edited(a, buf_str(&b).p), buf_str(&wanted)));
    buf_fini(&b);
    buf_fini(&wanted);
    arena_destroy(a);
}

TEST(a_message_of_nothing_but_unsigned_thinking_goes_whole)
{
    struct arena *a = arena_create(1 << 20);

#define USER "{'role':'user','content':'q'}"
#define ONLY "{'role':'assistant','content':[" UNSIGNED "," UNSIGNED "]}"
#define BOTH "{'role':'assistant','content':[" UNSIGNED "," TEXT "]}"
#define KEPT "{'role':'assistant','content':[" TEXT "]}"
    EXPECT_STR(edited(a, "{'messages':[" USER "," ONLY "," USER " ]}"),
        "{'messages':[" USER "," USER " ]}");
    EXPECT_STR(edited(a, "{'messages':[" ONLY ", " ONLY ", " BOTH "," USER "]}"),
        "{'messages':[" KEPT "," USER "]}");
    EXPECT_STR(
        edited(a, "{'messages':[" BOTH ", " ONLY "\n],'x':1}"), "{'messages':[" KEPT "],'x':1}");
    EXPECT_STR(edited(a, "{'messages':[{'role':'user','content':[" UNSIGNED "]}]}"),
        "{'messages':[{'role':'user','content':[" UNSIGNED "]}]}");
    EXPECT_STR(edited(a, "{'messages':[{'role':'assistant','content':[]}]}"),
        "{'messages':[{'role':'assistant','content':[]}]}");
    arena_destroy(a);
}

TEST(a_host_that_signs_nothing_gets_its_thinking_back)
{
    static const struct {
        const char *model;
        enum llm_tri signs;
        bool stays;
    } rows[] = {
        { "mimo-v2.5-pro", UNSAID, true },
        { "mimo-v2.5-pro", YES, false },
        { "claude-sonnet-5", UNSAID, false },
        { "us.anthropic.claude-opus-4-6-v1", UNSAID, false },
        { "claude-sonnet-5", NO, true },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        target = (struct wire_target){ .model = str_c(rows[i].model),
            .traits = { .signed_thoughts = rows[i].signs } };
        expect_edit(
            "[" UNSIGNED "," TEXT "]", rows[i].stays ? "[" UNSIGNED "," TEXT "]" : "[" TEXT "]");
    }
    target = (struct wire_target){ .traits = TRAITS(.signed_thoughts = YES) };
}
