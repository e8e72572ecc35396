/* test_arena.c - memory of an exchange: aligned, limited, given back in one go. */
#include "base/arena.c"
#include "tests/test.h"

static bool
is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0)
            return false;
    }
    return true;
}

TEST(a_new_arena_is_one_page)
{
    struct arena *a = arena_create(1000);

    EXPECT(arena_held_bytes(a) <= 4096);
    arena_destroy(a);
    arena_destroy(NULL);
}

TEST(small_allocations_are_zeroed_and_aligned)
{
    struct arena *a = arena_create(0);

    for (size_t i = 1; i < 2000; i++) {
        size_t align = (size_t)1 << (i % 7);
        char *p = arena_alloc(a, i % 97, align);

        EXPECT((uintptr_t)p % align == 0);
        EXPECT(is_zero(p, i % 97));
        memset(p, 0xff, i % 97);
    }
    arena_destroy(a);
}

TEST(an_allocation_may_be_larger_than_a_chunk)
{
    struct arena *a = arena_create(0);
    char *p = arena_alloc(a, 300000, 64);

    EXPECT(is_zero(p, 300000));
    EXPECT((uintptr_t)p % 64 == 0);
    EXPECT(arena_held_bytes(a) > 300000);
    arena_destroy(a);
}

TEST(memory_that_was_used_before_is_zeroed_again)
{
    struct arena *a = arena_create(0);
    struct arena_mark mark = arena_mark(a);
    char *p = arena_alloc(a, 100, 8);

    memset(p, 0xff, 100);
    arena_rewind(a, mark);
    EXPECT(is_zero(arena_alloc(a, 100, 8), 100));
    arena_destroy(a);
}

TEST(the_limit_applies_to_arena_try)
{
    struct arena *a = arena_create(10000);

    EXPECT(arena_try(a, 10001) == NULL);
    EXPECT(arena_try(a, 6000) != NULL);
    EXPECT(arena_try(a, 4001) == NULL);
    EXPECT(arena_try(a, 4000) != NULL);
    EXPECT(arena_try(a, 1) == NULL);
    EXPECT(arena_alloc(a, 100, 8) != NULL);
    EXPECT(arena_try(a, SIZE_MAX) == NULL);
    arena_destroy(a);
}

TEST(an_absurdly_large_size_is_refused_even_without_a_limit)
{
    struct arena *a = arena_create(SIZE_MAX);

    EXPECT(arena_try(a, SIZE_MAX) == NULL);
    EXPECT(arena_try(a, SIZE_MAX - 16) == NULL);
    void *p = arena_try(a, 10);
    EXPECT(p != NULL);
    EXPECT(arena_grow(a, p, 10, SIZE_MAX - 100) == NULL);
    arena_destroy(a);
}

TEST(a_large_block_leaves_the_chunk_in_use_open)
{
    struct arena *a = arena_create(1 << 20);
    char *before = arena_alloc(a, 16, 16);

    EXPECT(arena_try(a, 100000) != NULL);
    char *after = arena_alloc(a, 16, 16);
    EXPECT(after - before >= 16 && after - before <= 64);
    arena_destroy(a);
}

TEST(the_newest_block_grows_in_place)
{
    struct arena *a = arena_create(1 << 20);
    char *p = arena_try(a, 100);

    memset(p, 'a', 100);
    char *q = arena_grow(a, p, 100, 1000);
    EXPECT(q == p);
    memset(q + 100, 'b', 900);
    EXPECT(q[99] == 'a' && q[100] == 'b');
    arena_destroy(a);
}

TEST(growing_keeps_the_contents_from_nothing_to_a_megabyte)
{
    struct arena *a = arena_create(4 << 20);
    unsigned char *p = NULL;
    size_t size = 0;

    for (size_t next = 8; next <= 1 << 20; next *= 2) {
        p = arena_grow(a, p, size, next);
        EXPECT(p != NULL && (uintptr_t)p % alignof(max_align_t) == 0);
        for (size_t i = 0; i < size; i++)
            EXPECT(p[i] == (unsigned char)(i * 7));
        for (size_t i = size; i < next; i++)
            p[i] = (unsigned char)(i * 7);
        size = next;
    }
    EXPECT(arena_held_bytes(a) < (1 << 20) + 16384);
    arena_destroy(a);
}

TEST(an_older_block_moves_when_it_grows)
{
    struct arena *a = arena_create(1 << 20);
    char *p = arena_try(a, 8);
    char *big = arena_try(a, 50000);
    char *other = arena_try(a, 60000);

    memcpy(p, "12345678", 8);
    memcpy(big, "abcdefgh", 8);
    memset(other, 'o', 60000);
    char *moved = arena_grow(a, p, 8, 64);
    EXPECT(memcmp(moved, "12345678", 8) == 0);
    char *moved_big = arena_grow(a, big, 50000, 70000);
    EXPECT(moved_big != big && memcmp(moved_big, "abcdefgh", 8) == 0);
    memset(moved_big, 'm', 70000);
    EXPECT(other[0] == 'o' && other[59999] == 'o');
    arena_destroy(a);
}

TEST(growing_past_the_limit_leaves_the_block_unharmed)
{
    struct arena *a = arena_create(5000);
    char *p = arena_try(a, 4000);

    memset(p, 'z', 4000);
    EXPECT(arena_grow(a, p, 4000, 5001) == NULL);
    EXPECT(p[0] == 'z' && p[3999] == 'z');
    EXPECT(arena_grow(a, p, 4000, 5000) != NULL);
    arena_destroy(a);
}

TEST(shrinking_makes_room_available_again)
{
    struct arena *a = arena_create(5000);
    char *p = arena_try(a, 5000);

    EXPECT(arena_try(a, 1000) == NULL);
    EXPECT(arena_grow(a, p, 5000, 3000) != NULL);
    EXPECT(arena_try(a, 1000) != NULL);
    arena_destroy(a);
}

TEST(a_copy_is_complete_and_nul_terminated)
{
    struct arena *a = arena_create(1000);
    struct str s = arena_str(a, S("hello"));

    EXPECT_STR(s, "hello");
    EXPECT(s.p[5] == '\0');
    s = arena_str(a, str_c(NULL));
    EXPECT(s.p != NULL && s.n == 0 && s.p[0] == '\0');
    arena_destroy(a);
}

TEST(a_copy_beyond_the_limit_fails)
{
    struct arena *a = arena_create(5);
    struct str s = arena_str(a, S("hello"));

    EXPECT(s.p == NULL && s.n == 0);
    arena_destroy(a);
}

TEST(formatted_text_is_truncated_at_four_kilobytes)
{
    struct arena *a = arena_create(0);
    struct str s = arena_printf(a, "%d-%s", 12, "x");

    EXPECT_STR(s, "12-x");
    EXPECT(s.p[4] == '\0');
    s = arena_printf(a, "%05000d", 1);
    EXPECT_INT(s.n, 4095);
    EXPECT(s.p[4095] == '\0');
    arena_destroy(a);
}

struct order {
    int n;
    int seen[3];
};

static struct order order;

static void
note_cleanup(void *arg)
{
    order.seen[order.n++] = *(int *)arg;
}

TEST(cleanups_run_newest_first)
{
    static int ids[] = { 1, 2, 3 };
    struct arena *a = arena_create(0);

    order = (struct order){ 0 };
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        arena_cleanup(a, note_cleanup, &ids[i]);
    EXPECT_INT(order.n, 0);
    arena_destroy(a);
    EXPECT_INT(order.n, 3);
    EXPECT(order.seen[0] == 3 && order.seen[1] == 2 && order.seen[2] == 1);
}

TEST(a_rewind_releases_chunks_blocks_and_the_limit)
{
    struct arena *a = arena_create(200000);
    char *kept = arena_try(a, 100);

    memset(kept, 'k', 100);
    EXPECT(arena_try(a, 50000) != NULL);
    size_t held = arena_held_bytes(a);
    struct arena_mark mark = arena_mark(a);
    for (int i = 0; i < 100; i++) {
        EXPECT(arena_try(a, 1000) != NULL);
        (void)arena_alloc(a, 700, 8);
    }
    EXPECT(arena_try(a, 40000) != NULL);
    EXPECT(arena_try(a, 40000) == NULL);
    arena_rewind(a, mark);
    EXPECT(arena_held_bytes(a) <= held + SPARE_MAX);
    EXPECT(arena_try(a, 149900) != NULL);
    EXPECT(kept[0] == 'k' && kept[99] == 'k');
    arena_destroy(a);
}

TEST(marks_may_be_nested)
{
    struct arena *a = arena_create(1 << 20);
    struct arena_mark outer = arena_mark(a);
    char *kept = arena_try(a, 3000);
    memset(kept, 'k', 3000);
    struct arena_mark inner = arena_mark(a);

    EXPECT(arena_try(a, 3000) != NULL);
    EXPECT(arena_try(a, 30000) != NULL);
    arena_rewind(a, inner);
    EXPECT(kept[2999] == 'k');
    arena_rewind(a, outer);
    EXPECT(arena_held_bytes(a) <= 4096);
    arena_destroy(a);
}

TEST(a_long_stream_needs_no_more_memory_than_its_first_event)
{
    struct arena *a = arena_create(1 << 20);
    size_t held = 0;

    for (int i = 0; i < 10000; i++) {
        struct arena_mark mark = arena_mark(a);

        for (int k = 0; k < 10; k++)
            EXPECT(arena_try(a, 700) != NULL);
        arena_rewind(a, mark);
        if (i == 0)
            held = arena_held_bytes(a);
        EXPECT_INT(arena_held_bytes(a), held);
    }
    arena_destroy(a);
}

TEST(each_allocation_can_be_made_to_fail)
{
    struct arena *a = arena_create(1 << 20);

    EXPECT(!arena_fail_after_for_tests(2));
    char *p = arena_try(a, 10);
    EXPECT(p != NULL);
    EXPECT(arena_fail_after_for_tests(1));
    EXPECT(arena_try(a, 10) == NULL);
    EXPECT(arena_try(a, 10) != NULL);

    p = arena_try(a, 3000);
    EXPECT(!arena_fail_after_for_tests(1));
    EXPECT(arena_grow(a, p, 3000, 3001) == NULL);
    EXPECT(arena_grow(a, p, 3000, 3001) != NULL);

    p = arena_try(a, 30000);
    (void)arena_fail_after_for_tests(1);
    EXPECT(arena_grow(a, p, 30000, 60000) == NULL);
    EXPECT(!arena_fail_after_for_tests(0));
    EXPECT(arena_grow(a, p, 30000, 60000) != NULL);
    arena_destroy(a);
}

/* --- counting --- */

TEST(memory_beyond_the_first_page_counts_in_the_quota_until_released)
{
    struct quota q = { .limit = 10000000 };
    struct quota_share share = { .quota = &q };
    struct arena *a = arena_create(SIZE_MAX);

    arena_count_in(a, &share);
    (void)arena_alloc(a, 1000, 8);
    EXPECT_INT(share.held, 0);

    struct arena_mark mark = arena_mark(a);
    char *p = arena_try(a, 100000);
    EXPECT(p != NULL && share.held >= 100000);
    p = arena_grow(a, p, 100000, 300000);
    EXPECT(p != NULL && share.held >= 300000);
    p = arena_grow(a, p, 300000, 200000);
    EXPECT(p != NULL && share.held >= 200000 && share.held < 300000);
    for (int i = 0; i < 1000; i++)
        (void)arena_alloc(a, 100, 8);
    EXPECT_INT(share.held, arena_held_bytes(a) - FIRST_CHUNK);
    arena_rewind(a, mark);
    EXPECT_INT(share.held, arena_held_bytes(a) - FIRST_CHUNK);
    EXPECT(share.held <= SPARE_MAX);
    arena_reset(a);
    EXPECT_INT(share.held, 0);
    EXPECT(arena_try(a, 5000) != NULL && share.held >= 5000);
    arena_destroy(a);
    EXPECT_INT(share.held, 0);
}

TEST(after_exceeding_the_quota_arena_try_always_fails)
{
    struct quota q = { .limit = 100000 };
    struct quota_share share = { .quota = &q };
    struct arena *a = arena_create(SIZE_MAX);

    arena_count_in(a, &share);
    char *p = arena_try(a, 150000);    /* what has begun may use twice the limit */
    EXPECT(p != NULL && !arena_was_refused(a));
    EXPECT(arena_grow(a, p, 150000, 300000) == NULL);
    EXPECT(arena_was_refused(a));
    EXPECT(arena_try(a, 1) == NULL);
    for (int i = 0; i < 1000; i++)    /* ours is never refused */
        (void)arena_alloc(a, 1000, 8);
    EXPECT(share.held > 1000000);
    arena_reset(a);
    EXPECT(!arena_was_refused(a) && arena_try(a, 1) != NULL);
    EXPECT_INT(share.held, 0);
    arena_destroy(a);
    quota_share_trim(&share);
    EXPECT_INT(quota_held(&q), 0);
}

TEST(a_text_grows_by_what_is_appended)
{
    struct arena *a = arena_create(4096);
    struct str text = S("");
    char expected[1000];

    for (size_t i = 0; i < sizeof(expected); i++) {
        expected[i] = (char)('a' + i % 26);
        EXPECT(arena_append(a, &text, str_make(expected + i, 1)));
        if (i % 100 == 0)
            EXPECT(arena_try(a, 8) != NULL);    /* so that it has to move */
    }
    EXPECT(str_eq(text, str_make(expected, sizeof(expected))));
    EXPECT(arena_append(a, &text, S("")));

    struct str before = text;

    while (arena_append(a, &text, S("xxxxxxxxxxxxxxxx")))
        before = text;
    EXPECT(text.p == before.p && text.n == before.n);
    arena_destroy(a);
}
