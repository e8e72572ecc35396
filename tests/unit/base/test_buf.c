/* test_buf.c - a buffer keeps its bytes in order and its limit always. */
#include "base/buf.c"
#include "tests/test.h"

TEST(an_unused_buffer_is_empty_and_holds_no_memory)
{
    struct buf b;

    buf_init(&b, 100);
    EXPECT_INT(buf_len(&b), 0);
    EXPECT_STR(buf_str(&b), "");
    EXPECT(b.p == NULL);
    buf_fini(&b);
}

TEST(appended_bytes_are_read_in_order)
{
    struct buf b;

    buf_init(&b, 1000);
    buf_add(&b, S("one "));
    buf_add_c(&b, '2');
    buf_add(&b, S(""));
    buf_add(&b, str_c(NULL));
    buf_printf(&b, " %s %d", "three", 4);
    EXPECT_STR(buf_str(&b), "one 2 three 4");
    buf_consume(&b, 4);
    EXPECT_STR(buf_str(&b), "2 three 4");
    buf_fini(&b);
}

TEST(the_smallest_and_largest_integers_are_written)
{
    struct buf b;

    buf_init(&b, 1000);
    buf_add_u64(&b, 0);
    buf_add_c(&b, ' ');
    buf_add_u64(&b, UINT64_MAX);
    buf_add_c(&b, ' ');
    buf_add_i64(&b, -1);
    buf_add_c(&b, ' ');
    buf_add_i64(&b, INT64_MIN);
    buf_add_c(&b, ' ');
    buf_add_i64(&b, INT64_MAX);
    EXPECT_STR(buf_str(&b), "0 18446744073709551615 -1 -9223372036854775808 9223372036854775807");
    buf_fini(&b);
}

TEST(an_append_past_the_limit_is_refused_and_remembered)
{
    struct buf b;

    buf_init(&b, 4);
    buf_add(&b, S("abc"));
    EXPECT(!b.overflow);
    buf_add(&b, S("de"));
    EXPECT(b.overflow);
    buf_add_c(&b, 'd');
    EXPECT_STR(buf_str(&b), "abc");
    EXPECT(buf_reserve(&b, 0) == NULL);
    buf_fini(&b);
    EXPECT(!b.overflow);
    buf_add(&b, S("abcd"));
    EXPECT_STR(buf_str(&b), "abcd");
    buf_fini(&b);
}

TEST(a_printed_text_may_fill_the_limit_exactly)
{
    struct buf b;

    buf_init(&b, 300);
    buf_printf(&b, "%0299d", 7);
    EXPECT_INT(buf_len(&b), 299);
    buf_printf(&b, "%s", "x");
    EXPECT(!b.overflow);
    EXPECT_INT(buf_len(&b), 300);
    EXPECT(buf_str(&b).p[299] == 'x');
    buf_printf(&b, "%s", "x");
    EXPECT(b.overflow);
    EXPECT_INT(buf_len(&b), 300);
    buf_fini(&b);
}

TEST(truncating_after_an_overflow_makes_it_usable_again)
{
    struct buf b;

    buf_init(&b, 8);
    buf_add(&b, S("head"));
    buf_add(&b, S("tail"));
    buf_add(&b, S("!"));
    EXPECT(b.overflow);
    buf_truncate(&b, 4);
    EXPECT(!b.overflow);
    buf_add(&b, S("er"));
    EXPECT_STR(buf_str(&b), "header");
    buf_fini(&b);
}

TEST(the_limit_counts_unread_bytes_only)
{
    struct buf b;

    buf_init(&b, 10);
    for (int i = 0; i < 1000; i++) {
        buf_add(&b, S("01234567"));
        EXPECT(!b.overflow);
        EXPECT_STR(buf_str(&b), "01234567");
        buf_consume(&b, 5);
        EXPECT_STR(buf_str(&b), "567");
        buf_consume(&b, 3);
    }
    EXPECT(b.cap <= 10);
    buf_fini(&b);
}

TEST(a_buffer_that_is_never_quite_empty_does_not_grow)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    buf_add(&b, S("start"));
    for (unsigned i = 0; i < 100000; i++) {
        buf_add_c(&b, (char)('a' + i % 26));
        EXPECT(i < 5 || *buf_str(&b).p == (char)('a' + (i - 5) % 26));
        buf_consume(&b, 1);
    }
    EXPECT_INT(buf_len(&b), 5);
    EXPECT(b.cap <= CAP_MIN);
    buf_fini(&b);
}

TEST(growing_keeps_the_unread_bytes)
{
    struct buf b;
    char big[5000];

    memset(big, 'x', sizeof(big));
    buf_init(&b, 1 << 20);
    buf_add(&b, S("0123456789"));
    buf_consume(&b, 4);
    buf_add(&b, str_make(big, sizeof(big)));
    EXPECT_INT(buf_len(&b), 5006);
    EXPECT(str_starts(buf_str(&b), S("456789xxx")));
    buf_fini(&b);
}

TEST(reserved_room_counts_only_once_committed)
{
    struct buf b;

    buf_init(&b, 100);
    char *room = buf_reserve(&b, 100);
    EXPECT(room != NULL);
    memset(room, 'y', 100);
    EXPECT_INT(buf_len(&b), 0);
    buf_commit(&b, 3);
    EXPECT_STR(buf_str(&b), "yyy");
    EXPECT(buf_reserve(&b, 98) == NULL);
    EXPECT(b.overflow);
    buf_fini(&b);
}

TEST(numbers_around_each_power_of_ten)
{
    struct buf b;
    char expected[64];
    uint64_t power = 1;

    buf_init(&b, 64);
    for (int digits = 1; digits <= 20; digits++) {
        for (uint64_t v = power - 1; v <= power + 1; v++) {
            buf_truncate(&b, 0);
            buf_add_u64(&b, v);
            buf_add_i64(&b, -(int64_t)(v & INT64_MAX));
            (void)snprintf(expected, sizeof(expected), "%llu%lld", (unsigned long long)v,
                -(long long)(v & INT64_MAX));
            EXPECT_STR(buf_str(&b), expected);
        }
        power *= 10;
    }
    buf_fini(&b);
}

TEST(a_number_that_does_not_fit_is_not_written_in_part)
{
    struct buf b;

    buf_init(&b, 5);
    buf_add_u64(&b, 123456);
    EXPECT(b.overflow && buf_len(&b) == 0);
    buf_truncate(&b, 0);
    buf_add_i64(&b, -12345);
    EXPECT(b.overflow && buf_len(&b) == 0);
    buf_truncate(&b, 0);
    buf_add_i64(&b, -1234);
    EXPECT(!b.overflow);
    EXPECT_STR(buf_str(&b), "-1234");
    buf_fini(&b);
}

TEST(reserving_zero_bytes_returns_a_pointer)
{
    struct buf b;

    buf_init(&b, 0);
    EXPECT(buf_reserve(&b, 0) != NULL);
    EXPECT(buf_reserve(&b, 1) == NULL);
    buf_fini(&b);
}

TEST(an_absurdly_large_size_is_an_overflow)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    buf_add(&b, S("x"));
    EXPECT(buf_reserve(&b, SIZE_MAX - 1) == NULL);
    EXPECT(b.overflow);
    EXPECT_STR(buf_str(&b), "x");
    buf_fini(&b);
}

TEST(a_reset_keeps_a_small_allocation_and_drops_a_large_one)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    buf_add(&b, S("small"));
    char *p = b.p;
    buf_reset(&b, 4096);
    EXPECT(b.p == p && buf_len(&b) == 0);
    EXPECT(buf_reserve(&b, 100000) != NULL);
    buf_commit(&b, 100000);
    buf_reset(&b, 4096);
    EXPECT(b.p == NULL && b.cap == 0 && b.limit == 1 << 20);
    buf_fini(&b);
}

TEST(fitting_a_buffer_releases_unused_memory)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    buf_fit(&b);
    EXPECT(buf_len(&b) == 0);
    EXPECT(buf_reserve(&b, 100000) != NULL);
    buf_add(&b, S("kept"));
    buf_fit(&b);
    EXPECT(b.cap == 4);
    EXPECT_STR(buf_str(&b), "kept");
    buf_add(&b, S(" and more"));
    EXPECT_STR(buf_str(&b), "kept and more");
    buf_fini(&b);
}

TEST(a_decimal_is_exact_and_has_no_zeros_at_its_end)
{
    static const struct {
        uint64_t v;
        unsigned places;
        const char *text;
    } rows[] = {
        { 0, 9, "0" },
        { 1, 9, "0.000000001" },
        { 1500, 3, "1.5" },
        { 2000000000, 9, "2" },
        { 1234567890, 9, "1.23456789" },
        { 7, 0, "7" },
        { UINT64_MAX, 18, "18.446744073709551615" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;

        buf_init(&b, 64);
        buf_add_decimal(&b, rows[i].v, rows[i].places);
        EXPECT_STR(buf_str(&b), rows[i].text);
        buf_fini(&b);
    }
}
