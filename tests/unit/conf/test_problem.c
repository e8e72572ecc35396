/* test_problem.c - problems come out in file order, bounded, with the place in front. */
#include "conf/problem.c"

#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"

/* What conf_problems_print() writes. */
static struct str
printed(struct arena *a, const struct conf_problems *p, struct str path)
{
    char name[] = "/tmp/openclaw-problems-XXXXXX";
    int fd = mkstemp(name);
    static char room[64 * 1024];

    EXPECT(fd >= 0);
    conf_problems_print(p, path, fd);
    ssize_t n = pread(fd, room, sizeof(room), 0);
    EXPECT(n >= 0 && close(fd) == 0 && unlink(name) == 0);
    return arena_str(a, str_make(room, (size_t)n));
}

TEST(problems_come_in_file_order)
{
    struct arena *a = arena_create(1024 * 1024);
    struct conf_problems p;

    conf_problems_init(&p, a);
    conf_problem(&p, (struct conf_mark){ 0, 0 }, "--set a: first");
    conf_problem(&p, (struct conf_mark){ 2, 5 }, "c");
    conf_problem(&p, (struct conf_mark){ 2, 1 }, "b %d", 1);
    conf_problem(&p, (struct conf_mark){ 2, 1 }, "b %d", 2);
    conf_problem(&p, (struct conf_mark){ 1, 9 }, "a");
    conf_problem(&p, (struct conf_mark){ 0, 0 }, "no place");
    EXPECT_INT(p.count, 6);
    EXPECT_STR(printed(a, &p, S("f.yaml")),
        "f.yaml:1:9: a\nf.yaml:2:1: b 1\nf.yaml:2:1: b 2\nf.yaml:2:5: c\n--set a: first\nf.yaml: no place\n");
    arena_destroy(a);
}

TEST(the_same_problem_at_the_same_place_is_told_once)
{
    struct arena *a = arena_create(1024 * 1024);
    struct conf_problems p;

    conf_problems_init(&p, a);
    conf_problem(&p, (struct conf_mark){ 2, 5 }, "a");
    conf_problem(&p, (struct conf_mark){ 2, 5 }, "b");
    conf_problem(&p, (struct conf_mark){ 2, 6 }, "a");
    conf_problem(&p, (struct conf_mark){ 2, 5 }, "a");
    EXPECT_INT(p.count, 3);
    EXPECT_STR(printed(a, &p, S("f")), "f:2:5: a\nf:2:5: b\nf:2:6: a\n");
    arena_destroy(a);
}

TEST(a_hundred_problems_are_enough)
{
    struct arena *a = arena_create(1024 * 1024);
    struct conf_problems p;
    size_t n = 0;

    conf_problems_init(&p, a);
    for (unsigned i = 1; i <= 150; i++)
        conf_problem(&p, (struct conf_mark){ i, 1 }, "x");
    for (const struct conf_problem *i = p.first; i != NULL; i = i->next)
        n++;
    EXPECT_INT(n, 100);
    EXPECT_INT(p.count, 150);
    struct str text = printed(a, &p, S("f.yaml"));
    EXPECT(str_ends(text, S("f.yaml:100:1: x\nand 50 more\n")));
    arena_destroy(a);
}

TEST(a_long_problem_is_cut)
{
    struct arena *a = arena_create(1024 * 1024);
    struct conf_problems p;
    char text[5000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    conf_problems_init(&p, a);
    conf_problem(&p, (struct conf_mark){ 1, 1 }, "%s", text);
    EXPECT_INT(p.first->text.n, 1023);
    arena_destroy(a);
}

TEST(the_closest_name_is_close)
{
    static const struct str names[] = { S_INIT("listen"), S_INIT("limits"), S_INIT("tls"),
        S_INIT("workers") };

    EXPECT_STR(conf_closest(S("lisen"), names, 4), "listen");
    EXPECT_STR(conf_closest(S("limit"), names, 4), "limits");
    EXPECT_STR(conf_closest(S("tsl"), names, 4), "tls");
    EXPECT_STR(conf_closest(S("wrokers"), names, 4), "workers");
    EXPECT_STR(conf_closest(S("zzz"), names, 4), "");
    EXPECT_STR(conf_closest(S("x"), names, 4), "");
    EXPECT_STR(conf_closest(S(""), names, 4), "");
    EXPECT_STR(conf_closest(S("listen"), names, 0), "");
    EXPECT_STR(
        conf_closest(S("a very long word that is no setting of anything at all"), names, 4), "");
}
