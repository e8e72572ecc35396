/* caller_schema.c - reads schemas in OpenAPI's form as JSON Schemas.
 *
 * The older place for schemas takes messages of a protobuf: types are upper-case words or numbers,
 * "nullable" stands beside the type, and counts are strings. Other protocols want JSON Schema.
 */
#include "wires/gemini/gemini.h"

static const struct str types[] = { S_INIT(""), S_INIT("string"), S_INIT("number"),
    S_INIT("integer"), S_INIT("boolean"), S_INIT("array"), S_INIT("object"), S_INIT("null") };

static struct str
type_word(const struct json *type)
{
    if (json_is(type, JSON_NUMBER)) {
        int64_t n = json_i64(type, 0);

        return n > 0 && n < (int64_t)ARRAY_LEN(types) ? types[n] : S("");
    }
    for (size_t i = 1; i < ARRAY_LEN(types) && json_is(type, JSON_STRING); i++)
        if (str_ieq(str_make(type->p + 1, type->n - 2), types[i]))
            return types[i];
    return S("");
}

static void add_schema(struct json_out *o, const struct json *schema);

/* The type; of a nullable schema the list with "null". Other words are kept. */
static void
add_type(struct json_out *o, const struct json *type, bool nullable)
{
    struct str word = type_word(type);

    out_key(o, "type");
    if (word.n == 0) {
        out_raw_value(o, json_raw(type));
    } else if (nullable) {
        out_array(o);
        out_text_value(o, word);
        out_text_value(o, S("null"));
        out_end_array(o);
    } else {
        out_text_value(o, word);
    }
}

static void
add_list(struct json_out *o, const struct json *list)
{
    struct json_iter it = json_iter(list);

    out_array(o);
    while (json_next(&it))
        add_schema(o, it.value);
    out_end_array(o);
}

static void
add_named(struct json_out *o, const struct json *named)
{
    struct json_iter it = json_iter(named);

    out_object(o);
    while (json_next(&it)) {
        out_comma(o);
        buf_add(o->b, json_raw(it.key));
        buf_add_c(o->b, ':');
        o->comma = false;
        add_schema(o, it.value);
    }
    out_end(o);
}

static bool
is_count(const struct json *key)
{
    static const struct str counts[] = { S_INIT("minItems"), S_INIT("maxItems"),
        S_INIT("minLength"), S_INIT("maxLength"), S_INIT("minProperties"),
        S_INIT("maxProperties") };

    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        if (json_str_is(key, counts[i]))
            return true;
    return false;
}

static void
add_member(struct json_out *o, const struct json *key, const struct json *value, bool nullable)
{
    /* formats of numbers are those of OpenAPI, and "enum" is one of strings */
    if (json_str_is(key, S("propertyOrdering")) || json_str_is(key, S("property_ordering")) ||
        json_str_is(key, S("nullable")) ||
        (json_str_is(key, S("format")) && json_str_is(value, S("enum"))))
        return;
    if (json_str_is(key, S("type")) && value->type != JSON_ARRAY) {
        add_type(o, value, nullable);
        return;
    }
    if (json_str_is(key, S("anyOf")) || json_str_is(key, S("any_of"))) {
        out_key(o, "anyOf");
        add_list(o, value);
        return;
    }
    out_comma(o);
    buf_add(o->b, json_raw(key));
    buf_add_c(o->b, ':');
    o->comma = false;
    if (json_str_is(key, S("properties")) && json_is(value, JSON_OBJECT))
        add_named(o, value);
    else if (json_str_is(key, S("items")))
        add_schema(o, value);
    else if (is_count(key) && gemini_count(value) >= 0)
        out_i64_value(o, gemini_count(value));
    else
        out_raw_value(o, json_raw(value));
}

/* The parser bounds the depth. */
static void
add_schema(struct json_out *o, const struct json *schema)
{
    struct json_iter it = json_iter(schema);
    bool nullable = json_bool(json_get(schema, S("nullable")), false);

    if (!json_is(schema, JSON_OBJECT)) {
        out_raw_value(o, json_raw(schema));
        return;
    }
    out_object(o);
    while (json_next(&it))
        add_member(o, it.key, it.value, nullable);
    out_end(o);
}

struct str
gemini_json_schema(struct arena *a, const struct json *schema)
{
    struct buf b;
    struct json_out o = json_out(&b);

    buf_init(&b, SIZE_MAX);
    add_schema(&o, schema);

    struct str text = b.overflow ? S("") : arena_str(a, buf_str(&b));

    buf_fini(&b);
    return text;
}
