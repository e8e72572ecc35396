/* schema.c - completes JSON Schemas; additions go directly after an object's opening brace. */
#include "llm/schema.h"

struct copying {
    struct buf *out;
    const char *done;    /* everything before it has been written */
};

/* Copies up to and including the opening brace of `object`, then writes `members` ("\"a\":1") as
 * its first. */
static void
insert_members(struct copying *c, const struct json *object, struct str members)
{
    const char *inside = object->p + 1;

    buf_add(c->out, str_make(c->done, (size_t)(inside - c->done)));
    c->done = inside;
    buf_add(c->out, members);
    if (!json_is_empty(object))
        buf_add_c(c->out, ',');
}

/* Whether a schema describes objects, by its type or because it lists properties. */
static bool
describes_object(const struct json *schema)
{
    const struct json *type = json_get(schema, S("type"));
    struct json_iter it = json_iter(type);

    if (type == NULL)
        return json_get(schema, S("properties")) != NULL;
    if (json_str_is(type, S("object")))
        return true;
    while (json_next(&it))
        if (json_str_is(it.value, S("object")))
            return true;
    return false;
}

enum holds { HOLDS_NONE, HOLDS_SCHEMA, HOLDS_SCHEMAS_BY_NAME };

/* Which keywords contain schemas: directly or in a list, or as the values of an object. */
static enum holds
keyword_holds(const struct json *key)
{
    static const struct {
        struct str keyword;
        enum holds holds;
    } keywords[] = {
        { S_INIT("properties"), HOLDS_SCHEMAS_BY_NAME },
        { S_INIT("patternProperties"), HOLDS_SCHEMAS_BY_NAME },
        { S_INIT("$defs"), HOLDS_SCHEMAS_BY_NAME },
        { S_INIT("definitions"), HOLDS_SCHEMAS_BY_NAME },
        { S_INIT("dependentSchemas"), HOLDS_SCHEMAS_BY_NAME },
        { S_INIT("items"), HOLDS_SCHEMA },
        { S_INIT("prefixItems"), HOLDS_SCHEMA },
        { S_INIT("additionalItems"), HOLDS_SCHEMA },
        { S_INIT("contains"), HOLDS_SCHEMA },
        { S_INIT("anyOf"), HOLDS_SCHEMA },
        { S_INIT("oneOf"), HOLDS_SCHEMA },
        { S_INIT("allOf"), HOLDS_SCHEMA },
        { S_INIT("not"), HOLDS_SCHEMA },
        { S_INIT("if"), HOLDS_SCHEMA },
        { S_INIT("then"), HOLDS_SCHEMA },
        { S_INIT("else"), HOLDS_SCHEMA },
    };

    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (json_str_is(key, keywords[i].keyword))
            return keywords[i].holds;
    return HOLDS_NONE;
}

/* The parser bounds the depth. Inserts in document order. */
static void
close_schema(struct copying *c, const struct json *schema)
{
    struct json_iter it = json_iter(schema);

    if (json_is(schema, JSON_OBJECT) && describes_object(schema) &&
        json_get(schema, S("additionalProperties")) == NULL)
        insert_members(c, schema, S("\"additionalProperties\":false"));
    while (json_next(&it)) {
        enum holds holds = it.key != NULL ? keyword_holds(it.key) : HOLDS_SCHEMA;

        if (holds == HOLDS_SCHEMA) {
            close_schema(c, it.value);
        } else if (holds == HOLDS_SCHEMAS_BY_NAME) {
            struct json_iter named = json_iter(it.value);

            while (json_next(&named))
                close_schema(c, named.value);
        }
    }
}

bool
schema_add(struct buf *out, struct arena *a, struct str schema, unsigned needs)
{
    bool typed = (needs & SCHEMA_TYPED) != 0;

    schema = str_trim(schema);
    if (typed && (schema.n == 0 || str_eq(schema, S("null")))) {
        buf_add(out, S("{\"type\":\"object\",\"properties\":{}}"));
        return true;
    }
    if (needs == SCHEMA_TYPED && str_starts(schema, S("{\"type\":\"object\""))) {
        buf_add(out, schema);    /* as nearly all tools have it */
        return true;
    }

    struct arena_mark mark = arena_mark(a);
    const struct json *doc = json_parse(a, schema, NULL, NULL);
    bool object = json_is(doc, JSON_OBJECT);

    if (object) {
        struct copying c = { .out = out, .done = doc->p };

        if (typed && json_get(doc, S("type")) == NULL)
            insert_members(&c, doc, S("\"type\":\"object\""));
        if ((needs & SCHEMA_CLOSED) != 0)
            close_schema(&c, doc);
        buf_add(out, str_make(c.done, (size_t)(doc->p + doc->n - c.done)));
    }
    arena_rewind(a, mark);
    return object;
}
