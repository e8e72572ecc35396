/* test_thoughts.c - what is remembered belongs to a key, and to no more memory than there may be. */
#include "gateway/thoughts.c"
#include "tests/test.h"

static struct thoughts t;
static struct arena *a;

static void
begin(size_t bytes)
{
    thoughts_begin(&t);
    thoughts_set_limits(&t, bytes, 3600 * 1000);
    a = arena_create(1 << 20);
}

static void
end(void)
{
    arena_destroy(a);
    thoughts_end(&t);
    EXPECT(t.oldest == NULL && t.newest == NULL && t.bytes == 0 && t.named == NULL);
}

TEST(one_key_s_thoughts_are_not_another_s)
{
    begin(1 << 20);
    remember(&t, S("alice 1"), S("call x"), S("1"));
    remember(&t, S("bob 1"), S("call x"), S("2"));
    EXPECT_STR(recall(&t, a, S("alice 1"), S("call x")), "1");
    EXPECT_STR(recall(&t, a, S("bob 1"), S("call x")), "2");
    EXPECT_INT(recall(&t, a, S("alice"), S("call x")).n, 0);
    EXPECT_INT(recall(&t, a, S("alice 1"), S("call y")).n, 0);
    remember(&t, S("alice 1"), S("call x"), S("3"));
    EXPECT_STR(recall(&t, a, S("alice 1"), S("call x")), "3");
    end();
}

TEST(what_was_not_asked_for_longest_goes_first)
{
    char name[32];

    begin(10 * (sizeof(struct thought) + 128 + 1));
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "call %d", i);
        remember(&t, S("k"), str_c(name), S("v"));
    }
    EXPECT_INT(recall(&t, a, S("k"), S("call 0")).n, 1);
    remember(&t, S("k"), S("call 10"), S("v"));
    EXPECT_INT(recall(&t, a, S("k"), S("call 0")).n, 1);
    EXPECT_INT(recall(&t, a, S("k"), S("call 1")).n, 0);
    EXPECT(t.bytes <= t.limit_bytes);
    thoughts_set_limits(&t, 0, 1000);
    EXPECT_INT(t.bytes, 0);
    remember(&t, S("k"), S("call 0"), S("v"));
    EXPECT_INT(recall(&t, a, S("k"), S("call 0")).n, 0);
    end();
}

TEST(what_is_too_old_is_forgotten)
{
    begin(1 << 20);
    remember(&t, S("k"), S("call 0"), S("v"));
    remember(&t, S("k"), S("call 1"), S("v"));
    t.oldest->used_ms -= t.keep_ms + 1;
    EXPECT_INT(recall(&t, a, S("k"), S("call 0")).n, 0);
    EXPECT_INT(recall(&t, a, S("k"), S("call 1")).n, 1);
    end();
}

TEST(the_last_user_takes_everything_along)
{
    thoughts_begin(&t);
    begin(1 << 20);
    remember(&t, S("k"), S("call 0"), S("v"));
    thoughts_end(&t);
    EXPECT_INT(recall(&t, a, S("k"), S("call 0")).n, 1);
    end();
}
