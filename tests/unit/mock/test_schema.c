/* test_schema.c - made-up values keep to their schemas. */
#include "mock/schema.c"
#include "tests/test.h"

static struct arena *arena;

static struct str
example(const char *schema)
{
    arena_destroy(arena);
    arena = arena_create(4 * 1024 * 1024);
    const struct json *doc = json_parse(arena, str_c(schema), NULL, NULL);

    EXPECT(doc != NULL);
    struct str text = mock_schema_example(arena, doc, 0);
    EXPECT(json_parse(arena, text, NULL, NULL) != NULL);
    return text;
}

TEST(an_object_has_its_properties_in_order)
{
    EXPECT_STR(example("{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},"
                       "\"days\":{\"type\":\"integer\"},\"hot\":{\"type\":\"boolean\"}}}"),
        "{\"city\":\"tide\",\"days\":1,\"hot\":true}");
}

TEST(no_schema_means_an_empty_object)
{
    EXPECT_STR(example("{}"), "{}");
    EXPECT_STR(mock_schema_example(arena, NULL, 0), "{}");
    EXPECT_STR(example("{\"type\":\"object\"}"), "{}");
}

TEST(enums_and_constants_are_taken_as_they_are)
{
    EXPECT_STR(example("{\"enum\":[\"celsius\",\"fahrenheit\"]}"), "\"celsius\"");
    EXPECT_STR(example("{\"const\":{\"a\":[1]}}"), "{\"a\":[1]}");
}

TEST(numbers_stay_within_their_bounds)
{
    EXPECT_STR(example("{\"type\":\"integer\",\"minimum\":10,\"maximum\":12}"), "11");
    EXPECT_STR(
        example("{\"type\":\"integer\",\"exclusiveMinimum\":4,\"exclusiveMaximum\":6}"), "5");
    EXPECT_STR(example("{\"type\":\"integer\",\"minimum\":3,\"multipleOf\":7}"), "7");
    EXPECT_STR(example("{\"type\":\"number\",\"minimum\":0,\"maximum\":1}"), "0.5");
    EXPECT_STR(example("{\"type\":\"integer\",\"maximum\":-3}"), "-4");
}

TEST(strings_keep_to_their_lengths_and_formats)
{
    EXPECT_STR(example("{\"type\":\"string\",\"minLength\":6}"), "\"tideef\"");
    EXPECT_STR(example("{\"type\":\"string\",\"maxLength\":2}"), "\"ti\"");
    EXPECT_STR(example("{\"type\":\"string\",\"format\":\"date\"}"), "\"2026-01-02\"");
}

TEST(arrays_have_as_many_items_as_they_must_and_they_differ)
{
    EXPECT_STR(example("{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":2}"),
        "[\"tide\",\"pier\"]");
    EXPECT_STR(
        example("{\"type\":\"array\",\"maxItems\":0,\"items\":{\"type\":\"string\"}}"), "[]");
}

TEST(references_lead_into_the_same_document)
{
    EXPECT_STR(
        example("{\"type\":\"object\",\"properties\":{\"home\":{\"$ref\":\"#/$defs/Address\"}},"
                "\"$defs\":{\"Address\":{\"type\":\"object\",\"properties\":{\"zip\":{\"const\":1}}"
                "}}}"),
        "{\"home\":{\"zip\":1}}");
}

TEST(of_several_variants_the_first_that_is_not_null_is_taken)
{
    EXPECT_STR(example("{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"integer\"}]}"), "1");
    EXPECT_STR(example("{\"type\":[\"null\",\"integer\"]}"), "1");
}

TEST(a_schema_that_refers_to_itself_comes_to_an_end)
{
    struct str s =
        example("{\"type\":\"object\",\"properties\":{\"next\":{\"anyOf\":[{\"$ref\":\"#\"},"
                "{\"type\":\"null\"}]}},\"required\":[\"next\"]}");

    EXPECT(str_find(s, S("\"next\":null")) < s.n);
    example("{\"allOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}");
    example("{\"$ref\":\"#\"}");
    example("{\"type\":\"object\",\"required\":[\"a\",\"b\",\"c\"],\"properties\":{\"a\":{\"$ref\":"
            "\"#\"},"
            "\"b\":{\"$ref\":\"#\"},\"c\":{\"$ref\":\"#\"}}}");
}
