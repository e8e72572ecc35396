/* test_params.c - YAML values as JSON, typed as YAML 1.2 types them. */
#include "conf/params.c"

#include "tests/test.h"

static const char *
convert(struct arena *a, const char *yaml, struct str *ret)
{
    struct conf_problems problems;
    const struct yaml *at;

    conf_problems_init(&problems, a);
    struct yaml *y = yaml_parse(a, str_c(yaml), &problems);
    if (y == NULL)
        print_error("%s\n%s\n", yaml, problems.first->text.p);
    EXPECT(y != NULL && problems.count == 0);
    return params_text(a, y, ret, &at);
}

TEST(values_are_typed_as_yaml_types_them)
{
    static const struct {
        const char *yaml;
        const char *json;
    } cases[] = {
        { "{}", "{}" },
        { "{a: [], b: {}}", "{\"a\":[],\"b\":{}}" },
        { "[true, True, false, FALSE, null, ~, ]", "[true,true,false,false,null,null]" },
        { "[yes, no, on, off, y, n]", "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\"]" },
        { "[0, -0, 7, +7, -7, 007, 123456789012345678901234567890]",
            "[0,0,7,7,-7,7,123456789012345678901234567890]" },
        { "[0x1F, 0o17, 0xffffffffffffffff]", "[31,15,18446744073709551615]" },
        { "[0.2, .5, 1., -1e3, 1E-2, +.5e+1]", "[0.2,0.5,1,-1000,0.01,5]" },
        { "[0x, 0xg, 0o8, 1e, 1e+, ., +, 1.2.3, 1_000, .inf, .nan, 1e999, 12:30]",
            "[\"0x\",\"0xg\",\"0o8\",\"1e\",\"1e+\",\".\",\"+\",\"1.2.3\",\"1_000\",\".inf\",\".nan\",\"1e999\",\"12:30\"]" },
        { "[\"1\", 'true', \"null\", \"\"]", "[\"1\",\"true\",\"null\",\"\"]" },
        { "{\"k\\\"\\n\": \"v\\\"\\n\\u00e9\"}", "{\"k\\\"\\n\":\"v\\\"\\n\xc3\xa9\"}" },
        { "a: |\n  two\n  lines\n", "{\"a\":\"two\\nlines\\n\"}" },
        { "{a: \"${OC_NUM}\", b: $$x}", "{\"a\":\"12\",\"b\":\"$x\"}" },
        { "a: ${OC_NUM}\n", "{\"a\":12}" },
        { "a: &x {b: 1}\nc: *x\n", "{\"a\":{\"b\":1},\"c\":{\"b\":1}}" },
    };
    struct arena *a = arena_create(1024 * 1024);
    struct str json;

    EXPECT(setenv("OC_NUM", "12", 1) == 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        EXPECT(convert(a, cases[i].yaml, &json) == NULL);
        EXPECT_STR(json, cases[i].json);
        EXPECT(json_parse(a, json, NULL, NULL) != NULL);
    }
    arena_destroy(a);
}

TEST(too_much_is_refused)
{
    struct arena *a = arena_create(1024 * 1024);
    struct buf b;
    struct str json;

    buf_init(&b, 256 * 1024);
    buf_add(&b, S("["));
    for (int i = 0; i < 20000; i++)
        buf_add(&b, S("abc,"));
    buf_add(&b, S("]\0"));
    EXPECT_STR(str_c(convert(a, buf_str(&b).p, &json)), "is longer than 64KB; write less");
    buf_fini(&b);
    arena_destroy(a);
}
