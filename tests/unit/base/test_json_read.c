/* test_json_read.c - members, texts and numbers come out as they went in. */
#include "base/json_read.c"
#include "tests/test.h"

#include <math.h>

static struct arena *arena;

static const struct json *
parse(const char *text)
{
    arena_destroy(arena);
    arena = arena_create(1 << 20);
    const struct json *j = json_parse(arena, str_c(text), NULL, NULL);
    EXPECT(j != NULL);
    return j;
}

static struct str
text_of(const struct json *j)
{
    return json_str(arena, j);
}

static void
done(void)
{
    arena_destroy(arena);
    arena = NULL;
}

TEST(members_are_found_by_key_and_by_path)
{
    const struct json *j =
        parse("{\"a\":1,\"b\":{\"c\":[1,{\"x\":2}],\"d\":\"text\"},\"e\\u0066\":3}");

    EXPECT_INT(json_i64(json_get(j, S("a")), 0), 1);
    EXPECT_STR(json_raw(json_at(j, "b.d")), "\"text\"");
    EXPECT_INT(json_i64(json_get(j, S("ef")), 0), 3);
    EXPECT(json_get(j, S("c")) == NULL);
    EXPECT(json_get(j, S("A")) == NULL);
    EXPECT(json_get(j, S("")) == NULL);
    EXPECT(json_at(j, "b.c.x") == NULL);
    EXPECT(json_at(j, "x.y.z") == NULL);
    EXPECT(json_at(j, "") == j);
    EXPECT(json_get(NULL, S("a")) == NULL);
    EXPECT(json_at(NULL, "a") == NULL);
    EXPECT(json_get(json_at(j, "b.c"), S("x")) == NULL);
    EXPECT(json_raw(NULL).p == NULL);
    done();
}

TEST(an_object_is_walked_in_order_with_its_keys)
{
    struct json_iter it = json_iter(parse("{\"a\":[1,[2]],\"b\":{},\"c\":3}"));

    EXPECT(json_next(&it));
    EXPECT(json_str_is(it.key, S("a")));
    EXPECT_STR(json_raw(it.value), "[1,[2]]");
    EXPECT(json_next(&it));
    EXPECT(json_str_is(it.key, S("b")));
    EXPECT_STR(json_raw(it.value), "{}");
    EXPECT(json_next(&it));
    EXPECT(json_str_is(it.key, S("c")));
    EXPECT_STR(json_raw(it.value), "3");
    EXPECT(!json_next(&it));
    EXPECT(!json_next(&it));
    done();
}

TEST(an_array_is_walked_in_order_without_keys)
{
    struct json_iter it = json_iter(parse("[[1,2],\"x\",{\"k\":0},null]"));
    static const char *const raw[] = { "[1,2]", "\"x\"", "{\"k\":0}", "null" };

    for (size_t i = 0; i < ARRAY_LEN(raw); i++) {
        EXPECT(json_next(&it));
        EXPECT(it.key == NULL);
        EXPECT_STR(json_raw(it.value), raw[i]);
    }
    EXPECT(!json_next(&it));
    done();
}

TEST(scalars_and_null_have_no_elements)
{
    struct json_iter it = json_iter(NULL);

    EXPECT(!json_next(&it));
    it = json_iter(parse("\"text\""));
    EXPECT(!json_next(&it));
    it = json_iter(parse("[]"));
    EXPECT(!json_next(&it));
    it = json_iter(parse("{}"));
    EXPECT(!json_next(&it));
    done();
}

TEST(absent_and_null_are_not_present)
{
    const struct json *j = parse("{\"a\":null,\"b\":false}");

    EXPECT(!json_present(json_get(j, S("a"))));
    EXPECT(json_present(json_get(j, S("b"))));
    EXPECT(!json_present(json_get(j, S("c"))));
    done();
}

TEST(a_string_without_escapes_is_a_slice_of_the_document)
{
    static const char text[] = "\"plain \xe2\x82\xac\"";
    const struct json *j = parse(text);
    struct str s = json_str(arena, j);

    EXPECT_STR(s, "plain \xe2\x82\xac");
    EXPECT(s.p == text + 1);
    s = text_of(parse("\"\""));
    EXPECT(s.p != NULL && s.n == 0);
    done();
}

TEST(every_escape_stands_for_its_byte)
{
    const struct json *j = parse("\"a\\\"b\\\\c\\/d\\be\\ff\\ng\\rh\\ti\\u0041\\u00e9\\u20AC\"");

    EXPECT_STR(json_str(arena, j), "a\"b\\c/d\be\ff\ng\rh\tiA\xc3\xa9\xe2\x82\xac");
    j = parse("\"\\u0000x\"");
    EXPECT(str_eq(json_str(arena, j), S("\0x")));
    done();
}

TEST(surrogates_in_pairs_make_one_character)
{
    EXPECT_STR(text_of(parse("\"\\ud83d\\ude00\"")), "\xf0\x9f\x98\x80");
    EXPECT_STR(text_of(parse("\"\\uD800\\uDC00\"")), "\xf0\x90\x80\x80");
    EXPECT_STR(text_of(parse("\"\\uDBFF\\uDFFF!\"")), "\xf4\x8f\xbf\xbf!");
    done();
}

TEST(a_lone_surrogate_is_kept_in_wtf8)
{
    EXPECT_STR(text_of(parse("\"\\ud83d\"")), "\xed\xa0\xbd");
    EXPECT_STR(text_of(parse("\"\\udfff\"")), "\xed\xbf\xbf");
    EXPECT_STR(text_of(parse("\"\\ud83dx\"")), "\xed\xa0\xbdx");
    EXPECT_STR(text_of(parse("\"\\ud83d\\n\"")), "\xed\xa0\xbd\n");
    EXPECT_STR(text_of(parse("\"\\ud83d\\u0041\"")), "\xed\xa0\xbd"
                                                     "A");
    EXPECT_STR(text_of(parse("\"\\ude00\\ud83d\"")), "\xed\xb8\x80\xed\xa0\xbd");
    EXPECT_STR(text_of(parse("\"\\ud83d\\ud83d\\ude00\"")), "\xed\xa0\xbd\xf0\x9f\x98\x80");
    done();
}

TEST(what_is_no_string_has_no_text)
{
    const struct json *j = parse("[1,null,{}]");

    EXPECT(json_str(arena, j).p == NULL);
    EXPECT(json_str(arena, j + 1).p == NULL);
    EXPECT(json_str(arena, NULL).p == NULL);
    EXPECT(!json_str_is(j + 2, S("null")));
    EXPECT(!json_str_is(NULL, S("")));
    done();
}

TEST(a_text_that_the_arena_cannot_hold_is_no_slice)
{
    const struct json *j = parse("\"\\n\"");

    (void)arena_fail_after_for_tests(1);
    EXPECT(json_str(arena, j).p == NULL);
    (void)arena_fail_after_for_tests(2);    /* giving the rest back may fail without harm */
    EXPECT_STR(json_str(arena, j), "\n");
    (void)arena_fail_after_for_tests(0);
    done();
}

TEST(comparing_a_string_sees_through_escapes)
{
    EXPECT(json_str_is(parse("\"abc\""), S("abc")));
    EXPECT(!json_str_is(parse("\"abc\""), S("ab")));
    EXPECT(!json_str_is(parse("\"abc\""), S("abcd")));
    EXPECT(json_str_is(parse("\"\\u0061bc\""), S("abc")));
    EXPECT(!json_str_is(parse("\"\\u0061bc\""), S("ab")));
    EXPECT(!json_str_is(parse("\"\\u0061bc\""), S("abcd")));
    EXPECT(!json_str_is(parse("\"\\u0061bc\""), S("\\u0061bc")));
    EXPECT(json_str_is(parse("\"\\ud83d\\ude00\\u00e9\""), S("\xf0\x9f\x98\x80\xc3\xa9")));
    EXPECT(json_str_is(parse("\"\""), S("")));
    done();
}

TEST(integers_are_exact_truncated_or_clamped)
{
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {
        { "0", 0 },
        { "-0", 0 },
        { "42", 42 },
        { "-42", -42 },
        { "9007199254740993", 9007199254740993 },
        { "9223372036854775807", INT64_MAX },
        { "9223372036854775808", INT64_MAX },
        { "-9223372036854775808", INT64_MIN },
        { "-9223372036854775809", INT64_MIN },
        { "99999999999999999999999", INT64_MAX },
        { "1.9", 1 },
        { "-1.9", -1 },
        { "0.999", 0 },
        { "1e3", 1000 },
        { "1.5e3", 1500 },
        { "1.2345e2", 123 },
        { "123456e-3", 123 },
        { "5e-1", 0 },
        { "1e18", 1000000000000000000 },
        { "1e19", INT64_MAX },
        { "-1e19", INT64_MIN },
        { "1e999999999999999999999", INT64_MAX },
        { "1e-999999999999999999999", 0 },
        { "0e999999999999999999999", 0 },
        { "0.000000000000000000000001e24", 1 },
        { "100000000000000000000000e-23", 1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        EXPECT_INT(json_i64(parse(cases[i].text), 7), cases[i].value);
    EXPECT_INT(json_i64(parse("\"1\""), 7), 7);
    EXPECT_INT(json_i64(NULL, 7), 7);
    done();
}

TEST(doubles_are_those_that_strtod_reads)
{
    static const char *const texts[] = { "0", "-0", "0.1", "0.7", "-1.5", "3.14159265358979",
        "1e22", "1e23", "1e-22", "1e-23", "123456789012345678", "9007199254740993",
        "9007199254740992e3", "2.2250738585072011e-308", "4.9e-324", "2e-324",
        "1.7976931348623157e308", "1e308", "0.000001e-10", "8.5e+1",
        "179769313486231580793728971405301e276", "0.30000000000000004",
        "1.00000000000000011102230246251565404236316680908203125" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        double expected = strtod(texts[i], NULL);
        double got = json_f64(parse(texts[i]), 7);

        EXPECT(memcmp(&expected, &got, sizeof(got)) == 0);
    }
    EXPECT(isinf(json_f64(parse("1e999"), 7)));
    EXPECT(isinf(json_f64(parse("-1e999"), 7)));
    EXPECT(json_f64(parse("1e-999"), 7) == 0);
    EXPECT(json_f64(parse("null"), 7) == 7);
    EXPECT(json_f64(NULL, 7) == 7);
    done();
}

TEST(a_number_of_any_length_is_rounded_right)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    /* Half-way between 1 and its neighbour, and a digit far behind that decides. */
    buf_add(&b, S("1.00000000000000011102230246251565404236316680908203125"));
    for (int i = 0; i < 5000; i++)
        buf_add_c(&b, '0');
    buf_add_c(&b, '\0');
    EXPECT(json_f64(parse(buf_str(&b).p), 7) == 1.0);
    buf_truncate(&b, buf_len(&b) - 1);
    buf_add(&b, S("1\0"));
    EXPECT(json_f64(parse(buf_str(&b).p), 7) == nextafter(1.0, 2.0));

    buf_truncate(&b, 0);
    buf_add(&b, S("0."));
    for (int i = 0; i < 5000; i++)
        buf_add_c(&b, '0');
    buf_add(&b, S("25e5001\0"));
    EXPECT(json_f64(parse(buf_str(&b).p), 7) == 2.5);
    EXPECT_INT(json_i64(parse(buf_str(&b).p), 7), 2);

    buf_truncate(&b, 0);
    buf_add_c(&b, '5');
    for (int i = 0; i < 5000; i++)
        buf_add_c(&b, '0');
    buf_add(&b, S("e-5000\0"));
    EXPECT(json_f64(parse(buf_str(&b).p), 7) == 5.0);
    buf_fini(&b);
    done();
}

TEST(booleans_fall_back_for_anything_else)
{
    EXPECT(json_bool(parse("true"), false));
    EXPECT(!json_bool(parse("false"), true));
    EXPECT(json_bool(parse("0"), true));
    EXPECT(!json_bool(parse("\"true\""), false));
    EXPECT(json_bool(NULL, true));
    done();
}
