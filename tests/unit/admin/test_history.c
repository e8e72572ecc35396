/* test_history.c - the newest configurations, and which of them a rollback means. */
#include "admin/history.c"

#include "tests/test.h"

/* The text of a generation (0: the one to go back to), "" if there is none; its number. */
static struct str
found(struct history *h, uint64_t generation, uint64_t *ret)
{
    static struct buf text;

    buf_fini(&text);
    buf_init(&text, 1024);
    *ret = generation;
    if (!history_find(h, ret, &text))
        *ret = 0;
    return buf_str(&text);
}

TEST(a_rollback_means_the_newest_that_differs)
{
    struct history *h = history_create();
    uint64_t n;

    history_add(h, 1, 0, S("a"));
    EXPECT_STR(found(h, 0, &n), "");
    history_add(h, 2, 0, S("b"));
    history_add(h, 3, 0, S("c"));
    history_add(h, 4, 0, S("c"));    /* a certificate was renewed */
    EXPECT_STR(found(h, 0, &n), "b");
    EXPECT_INT(n, 2);
    EXPECT_STR(found(h, 1, &n), "a");
    EXPECT_STR(found(h, 5, &n), "");
    EXPECT_INT(n, 0);
    history_destroy(h);
}

TEST(a_second_rollback_goes_back_to_what_was_left)
{
    struct history *h = history_create();
    uint64_t n;

    history_add(h, 1, 0, S("a"));
    history_add(h, 2, 0, S("b"));
    history_add(h, 3, 1, S("a"));
    EXPECT_INT(history_from(h), 1);
    EXPECT_STR(found(h, 0, &n), "b");
    history_add(h, 4, 0, S("b"));
    EXPECT_INT(history_from(h), 0);
    history_destroy(h);
}

TEST(only_the_newest_are_kept)
{
    struct history *h = history_create();
    struct buf out;
    struct json_out o = json_out(&out);
    uint64_t n;

    for (uint64_t i = 1; i <= HISTORY_MOST + 2; i++)
        history_add(h, i, 0, S("x"));
    EXPECT_STR(found(h, 2, &n), "");
    EXPECT_STR(found(h, 3, &n), "x");
    buf_init(&out, 64 * 1024);
    out_object(&o);
    history_write(h, &o);
    out_end(&o);
    EXPECT(str_starts(buf_str(&out), S("{\"generation\":12,\"loaded\":\"")));
    EXPECT(str_find(buf_str(&out), S("\"generation\":3,")) != buf_len(&out));
    EXPECT(str_find(buf_str(&out), S("\"generation\":2,")) == buf_len(&out));
    buf_fini(&out);
    history_destroy(h);
}
