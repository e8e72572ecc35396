/* test_yaml.c - the tree, its places and its bounds. */
#include "conf/yaml.c"

#include "base/buf.h"
#include "tests/test.h"

struct parsed {
    struct arena *arena;
    struct conf_problems problems;
    struct yaml *root;
};

static struct parsed
parse(struct str text)
{
    struct parsed p = { .arena = arena_create(64 * 1024 * 1024) };

    conf_problems_init(&p.problems, p.arena);
    p.root = yaml_parse(p.arena, text, &p.problems);
    return p;
}

#define EXPECT_MARK(node, line_, column_)                                                          \
    do {                                                                                           \
        EXPECT_INT((node)->mark.line, line_);                                                      \
        EXPECT_INT((node)->mark.column, column_);                                                  \
    } while (0)

TEST(every_value_knows_its_place)
{
    struct parsed p = parse(S(
        "a: 1\nb:\n  - x\n  - \"y\"\n  - 'z'\n  - {k: v}\n\"c\": |\n  text\nd:\ne: \xc3\xa9 # x\n"));
    EXPECT(p.root != NULL && p.problems.count == 0);
    const struct yaml_entry *list = yaml_get(p.root, S("b"))->first;

    EXPECT_INT(p.root->count, 5);
    EXPECT_MARK(yaml_get(p.root, S("a")), 1, 4);
    EXPECT_MARK(list->value, 3, 5);
    EXPECT_MARK(list->next->value, 4, 5);
    EXPECT(list->next->value->quoted && !list->value->quoted);
    EXPECT_MARK(list->next->next->value, 5, 5);
    EXPECT_MARK(yaml_get(list->next->next->next->value, S("k")), 6, 9);
    EXPECT_STR(yaml_get(p.root, S("c"))->text, "text\n");
    EXPECT(yaml_get(p.root, S("c"))->quoted);
    EXPECT(yaml_get(p.root, S("d"))->type == YAML_NULL);
    EXPECT_STR(yaml_get(p.root, S("e"))->text, "\xc3\xa9");
    EXPECT(yaml_get(p.root, S("f")) == NULL);
    EXPECT(yaml_get(list->value, S("f")) == NULL && yaml_get(NULL, S("f")) == NULL);
    arena_destroy(p.arena);
}

TEST(nothing_gives_a_null_node)
{
    static const char *const nothings[] = { "", " \n", "#\n", "---\n", "---\n...\n", "~", "null",
        "\xef\xbb\xbf" };

    for (size_t i = 0; i < ARRAY_LEN(nothings); i++) {
        struct parsed p = parse(str_c(nothings[i]));
        EXPECT(p.root != NULL && p.root->type == YAML_NULL && p.problems.count == 0);
        arena_destroy(p.arena);
    }
}

TEST(an_alias_is_the_node_of_its_anchor)
{
    struct parsed p = parse(S("a: &x [1, 2]\nb: *x\nc: &x 3\nd: *x\n"));

    EXPECT(p.root != NULL);
    EXPECT(yaml_get(p.root, S("a")) == yaml_get(p.root, S("b")));
    EXPECT(yaml_get(p.root, S("c")) == yaml_get(p.root, S("d")));
    EXPECT_INT(p.root->nodes, 1 + 3 + 3 + 1 + 1);
    arena_destroy(p.arena);
}

TEST(a_billion_laughs_are_refused)
{
    struct buf b;

    buf_init(&b, 64 * 1024);
    buf_add(&b, S("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"));
    for (int i = 1; i < 20; i++) {
        buf_printf(&b, "a%d: &a%d [", i, i);
        for (int j = 0; j < 9; j++)
            buf_printf(&b, "*a%d,", i - 1);
        buf_add(&b, S("]\n"));
    }
    struct parsed p = parse(buf_str(&b));
    EXPECT(p.root == NULL);
    EXPECT_INT(p.problems.count, 1);
    EXPECT_STR(p.problems.first->text,
        "its aliases stand for more than 100000 values; write the values out");
    arena_destroy(p.arena);
    buf_fini(&b);
}

/* `n` times `open`, then `middle`, then `n` times `close`. */
static struct str
nested(struct buf *b, int n, const char *open, const char *middle, const char *close)
{
    buf_init(b, 16 * 1024 * 1024);
    for (int i = 0; i < n; i++)
        buf_add(b, str_c(open));
    buf_add(b, str_c(middle));
    for (int i = 0; i < n; i++)
        buf_add(b, str_c(close));
    return buf_str(b);
}

TEST(depth_is_bounded)
{
    static const struct {
        const char *open;
        const char *close;
    } ways[] = { { "[", "]" }, { "{a: ", "}" }, { "- ", "" }, { "[{a: ", "}]" } };
    struct buf b;

    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        int fits = i == 3 ? YAML_DEPTH_MAX / 2 : YAML_DEPTH_MAX;
        struct parsed p = parse(nested(&b, fits, ways[i].open, "x", ways[i].close));
        EXPECT(p.root != NULL);
        arena_destroy(p.arena);
        buf_fini(&b);
        p = parse(nested(&b, fits + 1, ways[i].open, "x", ways[i].close));
        EXPECT(p.root == NULL && p.problems.count == 1);
        arena_destroy(p.arena);
        buf_fini(&b);
        p = parse(nested(&b, 100000, ways[i].open, "x", ""));
        EXPECT(p.root == NULL && p.problems.count == 1);
        arena_destroy(p.arena);
        buf_fini(&b);
    }
}

TEST(the_number_of_values_is_bounded)
{
    struct buf b;
    struct parsed p = parse(nested(&b, YAML_NODES_MAX, "- x\n", "", ""));

    EXPECT(p.root == NULL);
    EXPECT_STR(p.problems.first->text,
        "more values than a configuration may have; write less than 100000");
    arena_destroy(p.arena);
    buf_fini(&b);
}

TEST(anchors_are_bounded)
{
    struct buf b;

    buf_init(&b, 64 * 1024);
    for (int i = 0; i <= ANCHORS_MAX; i++)
        buf_printf(&b, "- &a%d x\n", i);
    struct parsed p = parse(buf_str(&b));
    EXPECT(p.root == NULL && p.problems.count == 1);
    EXPECT_STR(p.problems.first->text, "more than 256 anchors; write the values out");
    arena_destroy(p.arena);
    buf_fini(&b);
}

TEST(text_that_is_no_text_is_refused)
{
    static const struct str texts[] = { S_INIT("\xff"), S_INIT("\xc0\x80"), S_INIT("\xe0\x80\x80"),
        S_INIT("\xed\xa0\x80"), S_INIT("\xf4\x90\x80\x80"), S_INIT("\xf0\x80\x80\x80"),
        S_INIT("\xc3"), S_INIT("\xe2\x82"), S_INIT("\xc3("), S_INIT("a\0b"), S_INIT("\x1b[0m"),
        S_INIT("\x7f") };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct parsed p = parse(texts[i]);
        EXPECT(p.root == NULL && p.problems.count == 1);
        arena_destroy(p.arena);
    }
}

/* A long line of % would keep libfyaml busy for minutes. */
TEST(directives_are_refused_before_anybody_reads_them)
{
    struct buf b;
    struct parsed p = parse(nested(&b, YAML_BYTES_MAX, "%", "", ""));

    EXPECT(p.root == NULL);
    EXPECT_STR(p.problems.first->text,
        "directives (%) are not supported; remove the line, or put the text in quotes");
    arena_destroy(p.arena);
    buf_fini(&b);
    p = parse(S("a: 1%\nb: \"100 %\"\n"));
    EXPECT(p.root != NULL && p.problems.count == 0);
    arena_destroy(p.arena);
}

TEST(a_full_arena_is_a_problem_and_not_a_crash)
{
    struct arena *a = arena_create(64);
    struct conf_problems problems;

    conf_problems_init(&problems, a);
    EXPECT(yaml_parse(a,
               S("a: something that is longer than what the arena may hold, which is little\n"),
               &problems) == NULL);
    EXPECT_STR(problems.first->text, "the file is too large to hold; make it smaller");
    arena_destroy(a);
}

TEST(what_is_shown_is_printable_and_short)
{
    struct arena *a = arena_create(64 * 1024);

    EXPECT_STR(yaml_shown(a, S("a\x1b[31m\n\xc3\xa9")), "a?[31m???");
    EXPECT_INT(
        yaml_shown(a, S("0123456789012345678901234567890123456789012345678901234567890123456789"))
            .n,
        64 + 3);
    EXPECT_STR(yaml_shown(a, S("")), "");
    arena_destroy(a);
}
