/* test_schema.c - schemas are completed and otherwise left alone. */
#include "llm/schema.c"
#include "tests/test.h"

static struct buf out;

static struct str
closed(const char *schema)
{
    struct arena *a = arena_create(1024 * 1024);

    buf_init(&out, 1024 * 1024);
    bool done = schema_add(&out, a, str_c(schema), &(struct schema_rules){ .closed = true }, NULL);
    arena_destroy(a);
    return done ? buf_str(&out) : S("refused");
}

static struct str
for_tool(const char *schema)
{
    struct arena *a = arena_create(1024 * 1024);

    buf_init(&out, 1024 * 1024);
    bool done = schema_add(&out, a, str_c(schema), &(struct schema_rules){ .typed = true }, NULL);
    arena_destroy(a);
    return done ? buf_str(&out) : S("refused");
}

#define EXPECT_CLOSED(schema, expected)                                                            \
    do {                                                                                           \
        EXPECT_STR(closed(schema), expected);                                                      \
        buf_fini(&out);                                                                            \
    } while (0)

#define EXPECT_TOOL(schema, expected)                                                              \
    do {                                                                                           \
        EXPECT_STR(for_tool(schema), expected);                                                    \
        buf_fini(&out);                                                                            \
    } while (0)

#define CLOSED "\"additionalProperties\":false"

TEST(an_open_object_is_closed_and_the_rest_stays_as_it_was)
{
    EXPECT_CLOSED("{ \"type\" : \"object\", \"x\":1.50 }",
        "{" CLOSED ", \"type\" : \"object\", \"x\":1.50 }");
    EXPECT_CLOSED("{\"properties\":{}}", "{" CLOSED ",\"properties\":{}}");
    EXPECT_CLOSED(
        "{\"type\":[\"null\",\"object\"]}", "{" CLOSED ",\"type\":[\"null\",\"object\"]}");
}

TEST(an_object_that_says_it_is_open_is_closed_all_the_same)
{
    EXPECT_CLOSED("{\"type\":\"object\",\"additionalProperties\":true,\"x\":1}",
        "{\"type\":\"object\"," CLOSED ",\"x\":1}");
    EXPECT_CLOSED("{\"type\":\"object\",\"additionalProperties\" : {\"type\":\"object\"}}",
        "{\"type\":\"object\",\"additionalProperties\" : false}");
}

TEST(a_schema_that_is_closed_or_no_object_stays)
{
    EXPECT_CLOSED("{\"type\":\"object\"," CLOSED "}", "{\"type\":\"object\"," CLOSED "}");
    EXPECT_CLOSED("{\"type\":\"string\"}", "{\"type\":\"string\"}");
    EXPECT_CLOSED("{}", "{}");
}

TEST(objects_inside_are_closed_wherever_a_schema_may_stand)
{
    EXPECT_CLOSED(
        "{\"$defs\":{\"a\":{\"type\":\"object\"}},\"anyOf\":[{\"type\":\"object\"},{\"items\":"
        "{\"properties\":{}}}]}",
        "{\"$defs\":{\"a\":{" CLOSED ",\"type\":\"object\"}},\"anyOf\":[{" CLOSED
        ",\"type\":\"object\"},{\"items\":{" CLOSED ",\"properties\":{}}}]}");
}

TEST(what_only_looks_like_a_schema_is_left_alone)
{
    /* A property named "type" or "properties", and values that are not schemas. */
    EXPECT_CLOSED("{\"type\":\"object\",\"properties\":{\"properties\":{\"type\":\"string\"},"
                  "\"type\":{\"enum\":[{\"type\":\"object\"}],\"default\":{\"type\":\"object\"}}}}",
        "{" CLOSED ",\"type\":\"object\",\"properties\":{\"properties\":{\"type\":\"string\"},"
        "\"type\":{\"enum\":[{\"type\":\"object\"}],\"default\":{\"type\":\"object\"}}}}");
}

TEST(what_is_no_object_is_refused)
{
    EXPECT_CLOSED("true", "refused");
    EXPECT_CLOSED("[]", "refused");
    EXPECT_CLOSED("{", "refused");
    EXPECT_TOOL("[]", "refused");
    EXPECT_TOOL("{\"a\"", "refused");
}

TEST(a_tool_without_parameters_takes_none)
{
    EXPECT_TOOL("", "{\"type\":\"object\",\"properties\":{}}");
    EXPECT_TOOL(" null", "{\"type\":\"object\",\"properties\":{}}");
}

TEST(parameters_without_a_type_are_an_object)
{
    EXPECT_TOOL("{}", "{\"type\":\"object\"}");
    EXPECT_TOOL("{ \"properties\":{} }", "{\"type\":\"object\", \"properties\":{} }");
    EXPECT_TOOL("{\"a\":1,\"type\":\"object\"}", "{\"a\":1,\"type\":\"object\"}");
    EXPECT_TOOL("{\"type\":\"object\",\"x\": 1.0}", "{\"type\":\"object\",\"x\": 1.0}");
}

TEST(a_deep_schema_is_walked_and_one_too_deep_is_refused)
{
    char schema[4096] = "";
    char want[8192] = "";

    for (int i = 0; i < 30; i++) {
        strcat(schema, "{\"type\":\"object\",\"items\":");
        strcat(want, "{" CLOSED ",\"type\":\"object\",\"items\":");
    }
    strcat(schema, "{}");
    strcat(want, "{}");
    for (int i = 0; i < 30; i++) {
        strcat(schema, "}");
        strcat(want, "}");
    }
    EXPECT_CLOSED(schema, want);
    memset(schema, '[', 100);
    schema[100] = '\0';
    EXPECT_CLOSED(schema, "refused");
}

TEST(keywords_that_a_target_refuses_are_said_in_descriptions_wherever_they_stand)
{
    static const struct schema_keyword refused[] = { { .name = S_INIT("minimum") },
        { .name = S_INIT("minItems"), .zero_or_one = true }, { .name = S_INIT("maxLength") },
        { .name = S_INIT("") } };
    static const struct {
        const char *schema;
        const char *expected;
        uint32_t cut;
    } rows[] = {
        { "{\"minimum\":1}", "{\"description\":\"{minimum: 1}\"}", 1 },
        { "{ \"minimum\" : 1 }", "{\"description\":\"{minimum: 1}\"  }", 1 },
        { "{\"minimum\":1,\"maxLength\":2,\"title\":\"t\"}",
            "{\"description\":\"{minimum: 1, maxLength: 2}\",\"title\":\"t\"}", 5 },
        { "{\"title\":\"t\", \"minimum\":1 , \"description\":\"\",\"maxLength\":3}",
            "{\"title\":\"t\" , \"description\":\"{minimum: 1, maxLength: 3}\"}", 5 },
        { "{\"minimum\":1,\"description\":\"d\",\"x\":2}",
            "{\"description\":\"d\\n\\n{minimum: 1}\",\"x\":2}", 1 },
        { "{\"description\":7,\"minimum\":\"a\"}", "{\"description\":7}", 1 },
        { "{\"minimum\":\"a\"}", "{\"description\":\"{minimum: \\\"a\\\"}\"}", 1 },
        { "{\"type\":\"object\",\"minimum\":1}",
            "{\"additionalProperties\":false,\"description\":\"{minimum: 1}\",\"type\":\"object\"}",
            1 },
        { "{\"minimum\":1,\"properties\":{\"minimum\":{\"maxLength\":2}}}",
            "{\"additionalProperties\":false,\"description\":\"{minimum: 1}\","
            "\"properties\":{\"minimum\":{\"description\":\"{maxLength: 2}\"}}}",
            5 },
        { "{\"anyOf\":[{\"minItems\":1},{\"minItems\":2,\"items\":{\"minimum\":0}}]}",
            "{\"anyOf\":[{\"minItems\":1},{\"description\":\"{minItems: 2}\","
            "\"items\":{\"description\":\"{minimum: 0}\"}}]}",
            3 },
        { "{\"oneOf\":[{\"minimum\":0},{}]}", "{\"anyOf\":[{\"description\":\"{minimum: 0}\"},{}]}",
            1 },
        { "{\"oneOf\":[{}],\"anyOf\":[{}]}", "{\"oneOf\":[{}],\"anyOf\":[{}]}", 0 },
        { "{\"default\":{\"minimum\":1}}", "{\"default\":{\"minimum\":1}}", 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_create(1 << 20);
        struct schema_rules rules = { .closed = true, .any_of = true, .refused = refused };
        uint32_t cut = 0;

        buf_init(&out, 1 << 20);
        EXPECT(schema_add(&out, a, str_c(rows[i].schema), &rules, &cut));
        EXPECT_STR(buf_str(&out), rows[i].expected);
        EXPECT_INT(cut, rows[i].cut);
        EXPECT(json_parse(a, buf_str(&out), NULL, NULL) != NULL);
        buf_fini(&out);
        arena_destroy(a);
    }
}
