/* test_json_write.c - what is written reads back as the same. */
#include "base/json_write.c"
#include "tests/test.h"

#include "base/clock.h"

#define EXPECT_WRITTEN(text, expected)                                                             \
    do {                                                                                           \
        struct buf written;                                                                        \
        buf_init(&written, 4096);                                                                  \
        json_add_str(&written, (text));                                                            \
        EXPECT_STR(buf_str(&written), (expected));                                                 \
        buf_fini(&written);                                                                        \
    } while (0)

TEST(plain_text_stays_as_it_is)
{
    EXPECT_WRITTEN(S(""), "\"\"");
    EXPECT_WRITTEN(str_c(NULL), "\"\"");
    EXPECT_WRITTEN(S("hello"), "\"hello\"");
    EXPECT_WRITTEN(S("a/b <c> & 'd' \x7f"), "\"a/b <c> & 'd' \x7f\"");
    EXPECT_WRITTEN(S("caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80"),
        "\"caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80\"");
    EXPECT_WRITTEN(S("\xe2\x80\xa8\xe2\x80\xa9"), "\"\xe2\x80\xa8\xe2\x80\xa9\"");
}

TEST(quotes_backslashes_and_controls_are_escaped)
{
    EXPECT_WRITTEN(S("\"\\\b\f\n\r\t"), "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    EXPECT_WRITTEN(S("\0\x01\x1f"), "\"\\u0000\\u0001\\u001f\"");
    EXPECT_WRITTEN(S("a long line, and then\nanother one, \"quoted\""),
        "\"a long line, and then\\nanother one, \\\"quoted\\\"\"");
}

TEST(one_character_that_needs_an_escape_is_found_wherever_it_is)
{
    char text[40], expected[80];

    for (size_t n = 1; n <= sizeof(text); n++) {
        for (size_t at = 0; at <= n; at++) {    /* at == n: none */
            struct buf b;

            for (size_t i = 0; i < n; i++)
                text[i] = (char)('a' + i % 26);
            if (at < n)
                text[at] = at % 2 != 0 ? '"' : '\\';
            int before = (int)at, after = at < n ? (int)(n - at - 1) : 0;
            (void)snprintf(expected, sizeof(expected), "\"%.*s%s%.*s\"", before, text,
                at == n       ? ""
                : at % 2 != 0 ? "\\\""
                              : "\\\\",
                after, text + n - after);
            buf_init(&b, 200);
            for (int warm = 0; warm < 2; warm++) {    /* without, then with room in the buffer */
                buf_truncate(&b, 0);
                json_add_str(&b, str_make(text, n));
                EXPECT_STR(buf_str(&b), expected);
            }
            buf_fini(&b);
        }
    }
}

TEST(invalid_utf8_becomes_replacement_characters)
{
    EXPECT_WRITTEN(S("a\x80z"), "\"a\xef\xbf\xbdz\"");
    EXPECT_WRITTEN(S("\xff\xfe"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    EXPECT_WRITTEN(S("\xc0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    EXPECT_WRITTEN(S("\xe2\x82"), "\"\xef\xbf\xbd\"");
    EXPECT_WRITTEN(S("\xf0\x9f\x98!"), "\"\xef\xbf\xbd!\"");
    EXPECT_WRITTEN(S("\xf4\x90\x80\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    EXPECT_WRITTEN(S("\xe2\x82\""), "\"\xef\xbf\xbd\\\"\"");
}

TEST(a_surrogate_in_wtf8_becomes_its_escape_again)
{
    EXPECT_WRITTEN(S("\xed\xa0\x80"), "\"\\ud800\"");
    EXPECT_WRITTEN(S("\xed\xbf\xbf"), "\"\\udfff\"");
    EXPECT_WRITTEN(S("x\xed\xa0\xbdy"), "\"x\\ud83dy\"");
    EXPECT_WRITTEN(S("\xed\x9f\xbf"), "\"\xed\x9f\xbf\"");
    EXPECT_WRITTEN(S("\xed\xa0"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(two_halves_of_a_pair_from_two_pieces_meet_again)
{
    struct arena *a = arena_create(4096);
    struct buf b;

    buf_init(&b, 100);
    buf_add_c(&b, '"');
    json_add_escaped(&b, S("\xed\xa0\xbd"));
    json_add_escaped(&b, S("\xed\xb8\x80"));
    buf_add_c(&b, '"');
    EXPECT_STR(json_str(a, json_parse(a, buf_str(&b), NULL, NULL)), "\xf0\x9f\x98\x80");
    buf_fini(&b);
    arena_destroy(a);
}

TEST(a_full_buffer_overflows_and_nothing_worse)
{
    for (size_t limit = 0; limit < 40; limit++) {
        struct buf b;

        buf_init(&b, limit);
        json_add_str(&b, S("\n\x01 text \xff \xed\xa0\x80 \"end\" of it all"));
        EXPECT(b.overflow);
        EXPECT(buf_len(&b) <= limit);
        buf_fini(&b);
    }
}

TEST(random_bytes_are_always_written_as_json_that_reads_back)
{
    clock_seed_for_tests(11);
    for (int i = 0; i < 20000; i++) {
        struct arena *a = arena_create(1 << 16);
        struct buf once;
        struct buf twice;
        char bytes[64];
        size_t n = clock_random_u64() % sizeof(bytes);

        for (size_t k = 0; k < n; k++) {
            uint64_t r = clock_random_u64();
            static const char nasty[] = "\"\\\n\xed\xa0\x80\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9";
            bytes[k] = (r & 1) != 0 ? nasty[(r >> 8) % (sizeof(nasty) - 1)] : (char)(r >> 8);
        }
        buf_init(&once, 4096);
        buf_init(&twice, 4096);
        json_add_str(&once, str_make(bytes, n));
        const struct json *j = json_parse(a, buf_str(&once), NULL, NULL);
        EXPECT(json_is(j, JSON_STRING));
        json_add_str(&twice, json_str(a, j));
        const struct json *again = json_parse(a, buf_str(&twice), NULL, NULL);
        EXPECT(str_eq(json_str(a, j), json_str(a, again)));
        buf_fini(&once);
        buf_fini(&twice);
        arena_destroy(a);
    }
}

/* Writes a value again from its nodes. */
static void
write_again(struct buf *b, struct arena *a, const struct json *j)
{
    struct json_iter it = json_iter(j);
    bool first = true;

    if (json_is(j, JSON_STRING)) {
        json_add_str(b, json_str(a, j));
        return;
    }
    if (!json_is(j, JSON_ARRAY) && !it.object) {
        buf_add(b, json_raw(j));
        return;
    }
    buf_add_c(b, it.object ? '{' : '[');
    while (json_next(&it)) {
        if (!first)
            buf_add_c(b, ',');
        first = false;
        if (it.key != NULL) {
            json_add_str(b, json_str(a, it.key));
            buf_add_c(b, ':');
        }
        write_again(b, a, it.value);
    }
    buf_add_c(b, it.object ? '}' : ']');
}

/* A random value in the form that the writer gives. */
static void
add_random(struct buf *b, unsigned depth)
{
    static const char *const scalars[] = { "null", "true", "false", "0", "-1.5e+3", "\"\"", "\"x\"",
        "\"\\n\\\"\\u0001\"", "\"\xf0\x9f\x98\x80\"", "\"\\ud83d\"", "12345678901234567890" };
    uint64_t r = clock_random_u64();
    uint64_t members = (r >> 8) % 6;

    if (depth == 0 || r % 4 < 2) {
        buf_add(b, str_c(scalars[(r >> 16) % ARRAY_LEN(scalars)]));
        return;
    }
    bool object = r % 4 == 2;
    buf_add_c(b, object ? '{' : '[');
    for (uint64_t i = 0; i < members; i++) {
        if (i != 0)
            buf_add_c(b, ',');
        if (object)
            buf_printf(b, "\"k%s%u\":", i % 2 != 0 ? "\\n" : "", (unsigned)i);
        add_random(b, depth - 1);
    }
    buf_add_c(b, object ? '}' : ']');
}

TEST(writing_what_was_read_keeps_the_text)
{
    clock_seed_for_tests(5);
    for (int i = 0; i < 3000; i++) {
        struct arena *a = arena_create(1 << 24);
        struct buf text;
        struct buf again;

        buf_init(&text, 1 << 22);
        buf_init(&again, 1 << 22);
        add_random(&text, 6);
        const struct json *j = json_parse(a, buf_str(&text), NULL, NULL);
        EXPECT(j != NULL);
        write_again(&again, a, j);
        EXPECT(str_eq(buf_str(&text), buf_str(&again)));
        EXPECT(str_eq(buf_str(&text), json_raw(j)));
        buf_fini(&text);
        buf_fini(&again);
        arena_destroy(a);
    }
}

#define EXPECT_DOUBLE(value, expected)                                                             \
    do {                                                                                           \
        struct buf written;                                                                        \
        buf_init(&written, 4096);                                                                  \
        json_add_f64(&written, (value));                                                           \
        EXPECT_STR(buf_str(&written), (expected));                                                 \
        buf_fini(&written);                                                                        \
    } while (0)

TEST(doubles_are_written_as_short_as_they_can_be)
{
    EXPECT_DOUBLE(0.0, "0");
    EXPECT_DOUBLE(-0.0, "-0");
    EXPECT_DOUBLE(0.7, "0.7");
    EXPECT_DOUBLE(1.0, "1");
    EXPECT_DOUBLE(-2.5, "-2.5");
    EXPECT_DOUBLE(100.0, "100");
    EXPECT_DOUBLE(-1234567890123.0, "-1234567890123");
    EXPECT_DOUBLE(1e15, "1e+15");
    EXPECT_DOUBLE(0.1 + 0.2, "0.30000000000000004");
    EXPECT_DOUBLE(1e300, "1e+300");
    EXPECT_DOUBLE(5e-324, "5e-324");
}

TEST(what_is_no_number_is_written_as_null)
{
    EXPECT_DOUBLE((double)NAN, "null");
    EXPECT_DOUBLE((double)INFINITY, "null");
    EXPECT_DOUBLE((double)-INFINITY, "null");
}

TEST(random_doubles_come_back_as_themselves)
{
    struct arena *a = arena_create(1 << 20);

    clock_seed_for_tests(3);
    for (int i = 0; i < 20000; i++) {
        struct arena_mark mark = arena_mark(a);
        uint64_t bits = clock_random_u64();
        double d = 0;
        struct buf b;

        memcpy(&d, &bits, sizeof(d));
        if (!isfinite(d))
            continue;
        if (i % 2 == 0)
            d = (double)(int64_t)(bits >> 40) / 1000;
        buf_init(&b, 100);
        json_add_f64(&b, d);
        double back = json_f64(json_parse(a, buf_str(&b), NULL, NULL), 7);
        EXPECT(memcmp(&d, &back, sizeof(d)) == 0);
        buf_fini(&b);
        arena_rewind(a, mark);
    }
    arena_destroy(a);
}
