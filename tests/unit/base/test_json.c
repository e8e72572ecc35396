/* test_json.c - the parser takes all of RFC 8259 and nothing else, within its limits. */
#include "base/json.c"
#include "tests/test.h"

#include <stdlib.h>

/* A parse of `text` from memory of exactly its size, so that a read beyond it shows. */
static bool
accepts(struct str text, struct json_error *ret_error)
{
    struct arena *a = arena_create(1 << 24);
    char *exact = malloc(MAX(text.n, 1));

    if (text.n != 0)
        memcpy(exact, text.p, text.n);
    bool ok = json_parse(a, str_make(exact, text.n), NULL, ret_error) != NULL;
    free(exact);
    arena_destroy(a);
    return ok;
}

static const struct str good[] = {
    S_INIT("{}"),
    S_INIT("[]"),
    S_INIT("null"),
    S_INIT("true"),
    S_INIT("false"),
    S_INIT("\"\""),
    S_INIT("0"),
    S_INIT("-0"),
    S_INIT(" \t\r\n 1 \t\r\n "),
    S_INIT("[ ]"),
    S_INIT("{ }"),
    S_INIT("[\n]\n"),
    S_INIT("[1]"),
    S_INIT("[1 , 2]"),
    S_INIT("[[],[[]],{}]"),
    S_INIT("[null,true,false,0,\"\"]"),
    S_INIT("{\"a\":1}"),
    S_INIT("{\"a\" : [ ] , \"b\" : { } }"),
    S_INIT("{\"\":0}"),
    S_INIT("{\"a\":{\"a\":{\"a\":1}}}"),
    S_INIT("[{\"a\":1},{\"a\":2}]"),
    S_INIT("{\"a\\u0000b\":1,\"a\":2}"),
    S_INIT("{\"A\":1,\"a\":2}"),
    S_INIT("1234567890"),
    S_INIT("-1"),
    S_INIT("1.5"),
    S_INIT("-1.50"),
    S_INIT("0.0"),
    S_INIT("1e5"),
    S_INIT("1E5"),
    S_INIT("1e+5"),
    S_INIT("1e-5"),
    S_INIT("0e0"),
    S_INIT("1.25e00007"),
    S_INIT("1e999"),
    S_INIT("-1e-99999999999999999999"),
    S_INIT("123456789012345678901234567890123456789012345678901234567890"),
    S_INIT("\"a\""),
    S_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    S_INIT("\"\\u0041\\u00e9\\uABCD\\uabcd\""),
    S_INIT("\"\\u0000\""),
    S_INIT("\"\\ud83d\\ude00\""),
    S_INIT("\"\\ud83d\""),
    S_INIT("\"\\ude00\\ud83d\""),
    S_INIT("\"\\ud83dx\\ude00\""),
    S_INIT("\"\x7f\""),
    S_INIT("\"\xc2\x80\""),
    S_INIT("\"\xdf\xbf\""),
    S_INIT("\"\xe0\xa0\x80\""),
    S_INIT("\"\xed\x9f\xbf\""),
    S_INIT("\"\xee\x80\x80\""),
    S_INIT("\"\xef\xbf\xbf\""),
    S_INIT("\"\xf0\x90\x80\x80\""),
    S_INIT("\"\xf4\x8f\xbf\xbf\""),
    S_INIT("\"\xe2\x80\xa8\xe2\x80\xa9\""),
    S_INIT("\"plain text, then \xc3\xa9 and more plain text, long enough for words\""),
    S_INIT("[\"//\",\"/* */\",\"#\"]"),
    S_INIT("                                    1                                    "),
};

TEST(every_good_text_is_taken)
{
    struct json_error e;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!accepts(good[i], &e)) {
            print_error("refused: " STR_FMT ": %s at %zu\n", STR_ARG(good[i]), e.what, e.offset);
            fail();
        }
    }
}

struct bad {
    struct str text;
    size_t offset;    /* where it must be noticed */
};
#define BAD(text, offset)                                                                          \
    {                                                                                              \
        S_INIT(text), (offset)                                                                     \
    }

static const struct bad bad[] = {
    /* nothing, too much, something else */
    BAD("", 0),
    BAD(" ", 1),
    BAD("\n\n", 2),
    BAD("\xef\xbb\xbf{}", 0),
    BAD("{} {}", 3),
    BAD("1 2", 2),
    BAD("[]x", 2),
    BAD("[]\0", 2),
    BAD("null,", 4),
    BAD("x", 0),
    BAD("'a'", 0),
    BAD("\0", 0),
    BAD("\xff", 0),
    BAD("\xc2\xa0"
        "1",
        0),
    BAD("\f1", 0),
    BAD("1\v", 1),
    BAD("/* */ 1", 0),
    BAD("1 // one", 2),
    BAD("# x\n1", 0),
    /* words */
    BAD("nul", 0),
    BAD("nulL", 0),
    BAD("True", 0),
    BAD("truee", 4),
    BAD("fals", 0),
    BAD("NaN", 0),
    BAD("Infinity", 0),
    BAD("undefined", 0),
    /* numbers */
    BAD("-", 1),
    BAD("+1", 0),
    BAD("01", 1),
    BAD("-01", 2),
    BAD("00", 1),
    BAD("1.", 2),
    BAD("1.e5", 2),
    BAD(".5", 0),
    BAD("-.5", 1),
    BAD("1e", 2),
    BAD("1e+", 3),
    BAD("1e-x", 3),
    BAD("1e5.5", 3),
    BAD("1.5.5", 3),
    BAD("0x10", 1),
    BAD("1_000", 1),
    BAD("1a", 1),
    BAD("--1", 1),
    BAD("-Infinity", 1),
    BAD("1 .5", 2),
    BAD("\xef\xbc\x91", 0),
    /* strings */
    BAD("\"", 1),
    BAD("\"a", 2),
    BAD("\"a long string that has no end and no quote", 43),
    BAD("\"\\", 2),
    BAD("\"\\\"", 3),
    BAD("\"\\x41\"", 1),
    BAD("\"\\'\"", 1),
    BAD("\"\\U0041\"", 1),
    BAD("\"\\\0\"", 1),
    BAD("\"\\\n\"", 1),
    BAD("\"\\u\"", 1),
    BAD("\"\\u00\"", 1),
    BAD("\"\\u004g\"", 1),
    BAD("\"\\u+041\"", 1),
    BAD("\"\\u00", 5),
    BAD("\"\n\"", 1),
    BAD("\"\t\"", 1),
    BAD("\"\0\"", 1),
    BAD("\"\x1f\"", 1),
    BAD("\"sixteen plain by\x01 bytes before it\"", 17),
    /* UTF-8 */
    BAD("\"\x80\"", 1),
    BAD("\"\xbf\"", 1),
    BAD("\"\xc0\x80\"", 1),
    BAD("\"\xc1\xbf\"", 1),
    BAD("\"\xc2\"", 1),
    BAD("\"\xc2", 1),
    BAD("\"\xc3\xa9\xc3\"", 3),
    BAD("\"\xe0\x9f\xbf\"", 1),
    BAD("\"\xe2\x82\"", 1),
    BAD("\"\xe2\x82", 1),
    BAD("\"\xed\xa0\x80\"", 1),
    BAD("\"\xed\xbf\xbf\"", 1),
    BAD("\"\xf0\x8f\xbf\xbf\"", 1),
    BAD("\"\xf0\x9f\x98\"", 1),
    BAD("\"\xf4\x90\x80\x80\"", 1),
    BAD("\"\xf5\x80\x80\x80\"", 1),
    BAD("\"\xf8\x88\x80\x80\x80\"", 1),
    BAD("\"\xff\"", 1),
    BAD("\"plain text and then \xe2\x28\xa1\"", 21),
    BAD("{\"\xff\":1}", 2),
    /* arrays */
    BAD("[", 1),
    BAD("[1", 2),
    BAD("[1,", 3),
    BAD("[1,]", 3),
    BAD("[,1]", 1),
    BAD("[1,,2]", 3),
    BAD("[1 2]", 3),
    BAD("[1}", 2),
    BAD("[1:2]", 2),
    BAD("]", 0),
    BAD("[]]", 2),
    BAD("[\"a\" \"b\"]", 5),
    BAD("[[]", 3),
    /* objects */
    BAD("{", 1),
    BAD("{\"a\"", 4),
    BAD("{\"a\":", 5),
    BAD("{\"a\":1", 6),
    BAD("{\"a\":1,", 7),
    BAD("{\"a\":1,}", 7),
    BAD("{,}", 1),
    BAD("{\"a\" 1}", 5),
    BAD("{\"a\"::1}", 5),
    BAD("{\"a\":}", 5),
    BAD("{\"a\",1}", 4),
    BAD("{a:1}", 1),
    BAD("{'a':1}", 1),
    BAD("{1:1}", 1),
    BAD("{null:1}", 1),
    BAD("{[]:1}", 1),
    BAD("{\"a\":1 \"b\":2}", 7),
    BAD("{\"a\":1]", 6),
    BAD("}", 0),
    BAD("{\"a\":1}}", 7),
    /* the same key twice */
    BAD("{\"a\":1,\"a\":1}", 7),
    BAD("{\"a\":1,\"b\":{\"a\":1},\"a\":2}", 19),
    BAD("{\"\":1,\"\":2}", 6),
    BAD("{\"a\":1,\"\\u0061\":2}", 7),
    BAD("{\"\\u0061\":1,\"a\":2}", 12),
    BAD("{\"axb\":1,\"ayb\":2,\"axb\":3}", 17),    /* alike in length, first and last byte */
    BAD("{\"axb\":1,\"ayb\":2,\"a\\u0079b\":3}", 17),
    BAD("{\"\":1,\"ayb\":2,\"\":3}", 14),
    BAD("{\"\\n\":1,\"\\u000a\":2}", 8),
    BAD("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", 18),
};

TEST(every_bad_text_is_refused_at_the_right_place)
{
    struct json_error e;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        bool accepted = accepts(bad[i].text, &e);

        if (accepted || e.offset != bad[i].offset || e.limit || e.what == NULL) {
            print_error("text %zu: " STR_FMT ": accepted %d, \"%s\" at %zu, not %zu\n", i,
                STR_ARG(bad[i].text), accepted, accepted ? "" : e.what, accepted ? 0 : e.offset,
                bad[i].offset);
            fail();
        }
    }
}

TEST(every_beginning_of_a_good_text_is_refused)
{
    static const struct str whole =
        S_INIT("{\"a\":[1.5e+3,true,null,{\"b\":\"x\\u00e9\\n\xe2\x82\xac\"}],\"c\":{},"
               "\"d\":[[]],\"e\":false}");

    for (size_t n = 0; n < whole.n; n++)
        EXPECT(!accepts(str_make(whole.p, n), NULL));
    EXPECT(accepts(whole, NULL));
}

TEST(the_error_says_what_was_expected)
{
    struct json_error e;

    EXPECT(!accepts(S("{\"a\":1 2}"), &e));
    EXPECT_STR(str_c(e.what), "expected ',' or '}'");
    EXPECT(!accepts(S("[1 2]"), &e));
    EXPECT_STR(str_c(e.what), "expected ',' or ']'");
    EXPECT(!accepts(S("{\"a\" 2}"), &e));
    EXPECT_STR(str_c(e.what), "expected ':'");
    EXPECT(!accepts(S("{\"a\":1,\"a\":2}"), &e));
    EXPECT_STR(str_c(e.what), "a duplicate key");
}

TEST(a_special_byte_is_found_at_every_place_in_a_long_string)
{
    char text[100];

    for (size_t at = 1; at < 90; at++) {
        for (size_t k = 0; k < 3; k++) {
            struct json_error e;

            memset(text, 'x', sizeof(text));
            text[0] = '"';
            text[99] = '"';
            text[at] = "\n\x80\xff"[k];
            EXPECT(!accepts(str_make(text, sizeof(text)), &e));
            EXPECT_INT(e.offset, at);
        }
    }
}

TEST(the_scan_of_eight_bytes_agrees_with_the_scan_of_one)
{
    clock_seed_for_tests(7);
    for (int i = 0; i < 20000; i++) {
        char bytes[48];

        for (size_t k = 0; k < sizeof(bytes); k++) {
            uint64_t r = clock_random_u64();
            bytes[k] = (r & 31) == 0 ? (char)(r >> 8) : (char)(' ' + (r >> 8) % 95);
        }
        size_t n = clock_random_u64() % (sizeof(bytes) + 1);
        const char *slow = bytes;
        while (slow != bytes + n && json_is_plain(*slow))
            slow++;
        EXPECT(json_skip_plain(bytes, bytes + n) == slow);
    }
}

TEST(nodes_lie_in_document_order_with_their_slices)
{
    struct arena *a = arena_create(1 << 16);
    const struct json *j =
        json_parse(a, S(" {\"a\" : [1, \"x\\n\", {}] ,\"b\":null} "), NULL, NULL);

    EXPECT(json_is(j, JSON_OBJECT));
    EXPECT_INT(json_count(j), 2);
    EXPECT_INT(j->span, 8);
    EXPECT_STR(json_raw(j), "{\"a\" : [1, \"x\\n\", {}] ,\"b\":null}");
    EXPECT_STR(json_raw(j + 1), "\"a\"");
    EXPECT(j[2].type == JSON_ARRAY && json_count(&j[2]) == 3 && j[2].span == 4);
    EXPECT_STR(json_raw(j + 2), "[1, \"x\\n\", {}]");
    EXPECT(j[3].type == JSON_NUMBER && j[3].span == 1);
    EXPECT(j[4].type == JSON_STRING && j[4].escaped);
    EXPECT_STR(json_raw(j + 4), "\"x\\n\"");
    EXPECT(j[5].type == JSON_OBJECT && json_count(&j[5]) == 0 && j[5].span == 1);
    EXPECT_STR(json_raw(j + 6), "\"b\"");
    EXPECT(j[7].type == JSON_NULL);
    EXPECT_STR(json_raw(j + 7), "null");
    arena_destroy(a);
}

/* Fills `b` with a shape in which `n` things lie inside each other or beside each other. */
static struct str
repeat(struct buf *b, const char *each, size_t n, const char *after)
{
    for (size_t i = 0; i < n; i++)
        buf_add(b, str_c(each));
    buf_add(b, str_c(after));
    return buf_str(b);
}

TEST(depth_is_limited_and_the_error_is_a_limit)
{
    struct json_error e;
    struct buf b;

    buf_init(&b, 1 << 20);
    EXPECT(!accepts(repeat(&b, "[", 100000, ""), &e));
    EXPECT(e.limit);
    EXPECT_INT(e.offset, JSON_DEPTH_DEFAULT);
    buf_truncate(&b, 0);
    (void)repeat(&b, "[", JSON_DEPTH_DEFAULT, "");
    EXPECT(accepts(repeat(&b, "]", JSON_DEPTH_DEFAULT, ""), NULL));
    buf_truncate(&b, 0);
    (void)repeat(&b, "{\"a\":", JSON_DEPTH_DEFAULT + 1, "1");
    EXPECT(!accepts(repeat(&b, "}", JSON_DEPTH_DEFAULT + 1, ""), &e));
    EXPECT(e.limit);
    buf_fini(&b);
}

TEST(a_caller_may_allow_more_depth)
{
    struct arena *a = arena_create(1 << 20);
    struct json_limits limits = { .depth = 5000, .values = 10000 };
    struct buf b;

    buf_init(&b, 1 << 20);
    (void)repeat(&b, "[", 5000, "");
    const struct json *j = json_parse(a, repeat(&b, "]", 5000, ""), &limits, NULL);
    EXPECT(j != NULL);
    EXPECT_INT(j->span, 5000);
    EXPECT_INT(j[4998].span, 2);
    buf_fini(&b);
    arena_destroy(a);
}

TEST(the_number_of_values_is_limited)
{
    struct arena *a = arena_create(1 << 20);
    struct json_limits limits = { .depth = 4, .values = 5 };
    struct json_error e;

    EXPECT(json_parse(a, S("[1,2,3,4]"), &limits, &e) != NULL);
    EXPECT(json_parse(a, S("[1,2,3,4,5]"), &limits, &e) == NULL);
    EXPECT(e.limit);
    EXPECT_INT(e.offset, 9);
    EXPECT(json_parse(a, S("{\"a\":1,\"b\":2}"), &limits, &e) != NULL);
    EXPECT(json_parse(a, S("{\"a\":1,\"b\":2,\"c\":3}"), &limits, &e) == NULL);
    limits = (struct json_limits){ .depth = 0, .values = 1 };
    EXPECT(json_parse(a, S("1"), &limits, &e) != NULL);
    EXPECT(json_parse(a, S("[]"), &limits, &e) == NULL);
    arena_destroy(a);
}

TEST(memory_is_limited_by_the_arena)
{
    struct arena *a = arena_create(100 * sizeof(struct json));
    struct json_error e;
    struct buf b;

    buf_init(&b, 1 << 20);
    buf_add_c(&b, '[');
    EXPECT(json_parse(a, repeat(&b, "1,", 1000, "1]"), NULL, &e) == NULL);
    EXPECT(e.limit);
    buf_fini(&b);
    arena_destroy(a);
}

/* An object of `n` members whose keys come from `format`. */
static void
add_object(struct buf *b, const char *format, unsigned n)
{
    char key[64];

    buf_add_c(b, '{');
    for (unsigned i = 0; i < n; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(key, sizeof(key), format, i);
#pragma GCC diagnostic pop
        buf_printf(b, "%s\"%s\":%u", i != 0 ? "," : "", key, i);
    }
    buf_add_c(b, '}');
}

TEST(a_repeated_key_is_found_in_objects_of_every_size)
{
    for (unsigned n = 1; n < 300; n += n < 70 ? 1 : 37) {
        for (unsigned again = 0; again < n; again += 1 + n / 5) {
            struct json_error e;
            struct buf b;

            buf_init(&b, 1 << 20);
            add_object(&b, "a rather long key %u", n);
            EXPECT(accepts(buf_str(&b), NULL));
            buf_truncate(&b, buf_len(&b) - 1);
            size_t offset = buf_len(&b) + 1;
            buf_printf(&b, ",\"a rather long ke\\u0079 %u\":0}", again);
            EXPECT(!accepts(buf_str(&b), &e));
            EXPECT_INT(e.offset, offset);
            EXPECT(!e.limit);
            buf_fini(&b);
        }
    }
}

TEST(a_hundred_thousand_keys_take_no_quadratic_time)
{
    static const char *const formats[] = {
        "k%u",
        "\\u006b%u",
        "the same thirty-two bytes first, %08u, and the same at the end",
    };

    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        struct buf b;

        buf_init(&b, 1 << 24);
        add_object(&b, formats[i], 100000);
        uint64_t start_ms = clock_now_ms();
        EXPECT(accepts(buf_str(&b), NULL));
        EXPECT(clock_now_ms() - start_ms < 5000);    /* quadratic would be minutes */
        buf_fini(&b);
    }
}

TEST(a_parse_survives_the_failure_of_each_allocation)
{
    struct buf b;
    unsigned n = 1;

    buf_init(&b, 1 << 20);
    (void)repeat(&b, "[", 40, "\"deep\"");
    (void)repeat(&b, "]", 39, ",");
    add_object(&b, "key %u", 400);
    buf_add_c(&b, ']');

    for (bool failed = true; failed; n++) {
        struct arena *a = arena_create(1 << 20);
        struct json_error e = { 0 };

        (void)arena_fail_after_for_tests(n);
        const struct json *j = json_parse(a, buf_str(&b), NULL, &e);
        failed = !arena_fail_after_for_tests(0);
        /* Giving the unused room back may fail without harm. */
        EXPECT(j != NULL || (failed && e.limit));
        EXPECT(j == NULL || j->span == 40 + 1 + 1 + 2 * 400);
        arena_destroy(a);
    }
    EXPECT(n > 8);
    buf_fini(&b);
}

TEST(a_parse_holds_no_more_memory_than_its_nodes_need)
{
    struct arena *a = arena_create(1 << 20);
    struct buf b;

    buf_init(&b, 1 << 20);
    buf_add_c(&b, '[');
    const struct json *j = json_parse(a, repeat(&b, "1,", 9999, "1]"), NULL, NULL);
    EXPECT(j != NULL && json_count(j) == 10000);
    EXPECT(arena_held_bytes(a) < 10001 * sizeof(struct json) + 8192);
    buf_fini(&b);
    arena_destroy(a);
}

TEST(telling_keys_apart_leaves_nothing_in_the_arena)
{
    static const struct json_limits limits = { .depth = 256, .values = 1000000 };
    struct arena *a = arena_create(16 << 20);
    struct buf b;

    /* Large objects, and at the end more depth than the first frames have room for. */
    buf_init(&b, 4 << 20);
    buf_add_c(&b, '[');
    for (int i = 0; i < 20; i++) {
        add_object(&b, "key %u", 1000);
        buf_add_c(&b, ',');
    }
    (void)repeat(&b, "[", 200, "1");
    (void)repeat(&b, "]", 200, "]");

    const struct json *j = json_parse(a, buf_str(&b), &limits, NULL);
    EXPECT(j != NULL);
    EXPECT(arena_held_bytes(a) < 2 * j->span * sizeof(struct json));
    buf_fini(&b);
    arena_destroy(a);
}

TEST(a_list_of_numbers_can_be_one_node)
{
    static const struct json_limits flat = { .depth = 64, .values = 100, .flat = true };
    static const struct {
        const char *text;
        uint32_t span;    /* 0: it is invalid */
    } rows[] = {
        { "[1, -2.5e3 ,0]", 1 },
        { "[[1],[2,3]]", 3 },
        { "{\"a\":[1,2],\"b\":[[]]}", 6 },
        { "[1,\"2\"]", 3 },
        { "[1,[2]]", 3 },
        { "[ ]", 1 },
        { "[1,]", 0 },
        { "[01]", 0 },
        { "[1.]", 0 },
        { "[1 2]", 0 },
        { "[1", 0 },
        { "[1,2}", 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_create(1 << 20);
        const struct json *j = json_parse(a, str_c(rows[i].text), &flat, NULL);

        EXPECT((j != NULL) == (rows[i].span != 0));
        if (j != NULL) {
            EXPECT_INT(j->span, rows[i].span);
            EXPECT_STR(json_raw(j), rows[i].text);
        }
        arena_destroy(a);
    }
}
