/* schema.c - completes JSON Schemas; additions go directly after an object's opening brace. */
#include "llm/schema.h"

struct copying {
    struct buf *out;
    const struct schema_rules *rules;
    const char *done;    /* everything before it has been written or left out */
    uint32_t cut;
};

static void
copy_to(struct copying *c, const char *end)
{
    buf_add(c->out, str_make(c->done, (size_t)(end - c->done)));
    c->done = end;
}

/* The number of a keyword among those that the target refuses; -1 if it takes the member. */
static int
refused(const struct copying *c, const struct json *key, const struct json *value)
{
    const struct schema_keyword *k = c->rules->refused;

    for (int i = 0; k != NULL && k[i].name.n > 0; i++)
        if (json_str_is(key, k[i].name))
            return k[i].listed.n > 0 || (k[i].zero_or_one && (uint64_t)json_i64(value, -1) <= 1)
                       ? -1
                       : i;
    return -1;
}

/* The keyword for a list with the value in it; empty if the member stays as it is. */
static struct str
listed(const struct copying *c, const struct json *key)
{
    for (const struct schema_keyword *k = c->rules->refused; k != NULL && k->name.n > 0; k++)
        if (k->listed.n > 0 && json_str_is(key, k->name))
            return k->listed;
    return S("");
}

/* Copies up to and including the opening brace of `object`, then writes `members` ("\"a\":1") as
 * its first. */
static void
insert_members(struct copying *c, const struct json *object, struct str members)
{
    struct json_iter it = json_iter(object);
    bool others = false;

    while (!others && json_next(&it))
        others = refused(c, it.key, it.value) < 0;
    copy_to(c, object->p + 1);
    buf_add(c->out, members);
    if (others)
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

/* What changes in one schema object, beside the members that are left out. */
struct changes {
    bool closed;        /* additionalProperties becomes false */
    bool any_of;        /* oneOf becomes anyOf */
    struct buf lost;    /* the keywords that are left out, escaped: {minimum: 0, maximum: 150} */
};

/* Decides, and inserts what has no member to change. */
static void
begin_schema(struct copying *c, const struct json *schema, struct changes *here)
{
    const struct json *open = json_get(schema, S("additionalProperties"));
    struct json_iter it = json_iter(schema);
    struct buf members;
    bool lost = false;

    here->closed = c->rules->closed && describes_object(schema);
    here->any_of = c->rules->any_of && json_get(schema, S("anyOf")) == NULL;
    buf_init(&here->lost, SIZE_MAX);
    while (c->rules->refused != NULL && json_next(&it)) {
        int row = refused(c, it.key, it.value);

        if (row < 0 || c->rules->refused[row].annotates)
            continue;
        buf_add(&here->lost, lost ? S(", ") : S("{"));
        buf_add(&here->lost, str_make(it.key->p + 1, it.key->n - 2));
        buf_add(&here->lost, S(": "));
        json_add_escaped(&here->lost, json_raw(it.value));
        lost = true;
    }
    if (lost)
        buf_add_c(&here->lost, '}');

    buf_init(&members, SIZE_MAX);
    if (here->closed && open == NULL)
        buf_add(&members, S("\"additionalProperties\":false"));
    if (lost && json_get(schema, S("description")) == NULL) {
        buf_add(&members, buf_len(&members) > 0 ? S(",") : S(""));
        buf_add(&members, S("\"description\":\""));
        buf_add(&members, buf_str(&here->lost));
        buf_add_c(&members, '"');
    }
    if (buf_len(&members) > 0)
        insert_members(c, schema, buf_str(&members));
    buf_fini(&members);
}

static void
change_member(
    struct copying *c, const struct changes *here, const struct json *key, const struct json *value)
{
    struct str list = listed(c, key);

    if (list.n > 0) {
        copy_to(c, key->p);
        json_add_str(c->out, list);
        buf_add(c->out, S(":["));
        c->done = value->p;
        copy_to(c, value->p + value->n);
        buf_add_c(c->out, ']');
        return;
    }
    if (here->closed && json_str_is(key, S("additionalProperties"))) {
        if (!json_is(value, JSON_FALSE))
            c->cut |= SCHEMA_CLOSED;
        copy_to(c, value->p);
        buf_add(c->out, S("false"));
        c->done = value->p + value->n;
    } else if (here->any_of && json_str_is(key, S("oneOf"))) {
        copy_to(c, key->p);
        buf_add(c->out, S("\"anyOf\""));
        c->done = key->p + key->n;
    } else if (buf_len(&here->lost) > 0 && json_str_is(key, S("description")) &&
               json_is(value, JSON_STRING)) {
        copy_to(c, value->p + value->n - 1);
        buf_add(c->out, value->n > 2 ? S("\\n\\n") : S(""));
        buf_add(c->out, buf_str(&here->lost));
    }
}

/* The parser bounds the depth. Changes in document order. */
static void
copy_schema(struct copying *c, const struct json *schema)
{
    struct json_iter it = json_iter(schema);
    const struct json *kept = NULL;    /* the last member that stays */
    const char *cut = NULL;            /* members are left out from here ... */
    const char *cut_end = NULL;        /* ... to here */
    struct changes here = { .closed = false };

    if (json_is(schema, JSON_OBJECT))
        begin_schema(c, schema, &here);
    while (json_next(&it)) {
        enum holds holds = it.key != NULL ? keyword_holds(it.key) : HOLDS_SCHEMA;
        int row = it.key != NULL ? refused(c, it.key, it.value) : -1;
        const char *start = it.key != NULL ? it.key->p : it.value->p;

        if (row >= 0) {    /* with the comma before it, or after it if it is the first */
            c->cut |= c->rules->refused[row].annotates ? 0 : 1u << row;
            cut = cut != NULL ? cut : kept != NULL ? kept->p + kept->n : start;
            cut_end = it.value->p + it.value->n;
            continue;
        }
        if (cut != NULL) {
            copy_to(c, cut);
            c->done = kept != NULL ? cut_end : start;
            cut = NULL;
        }
        kept = it.value;
        if (it.key != NULL)
            change_member(c, &here, it.key, it.value);
        if (holds == HOLDS_SCHEMA) {
            copy_schema(c, it.value);
        } else if (holds == HOLDS_SCHEMAS_BY_NAME) {
            struct json_iter named = json_iter(it.value);

            while (json_next(&named))
                copy_schema(c, named.value);
        }
    }
    if (cut != NULL) {
        copy_to(c, cut);
        c->done = cut_end;
    }
    buf_fini(&here.lost);
}

bool
schema_add(struct buf *out, struct arena *a, struct str schema, const struct schema_rules *rules,
    uint32_t *ret_cut)
{
    schema = str_trim(schema);
    if (rules->typed && (schema.n == 0 || str_eq(schema, S("null")))) {
        buf_add(out, S("{\"type\":\"object\",\"properties\":{}}"));
        return true;
    }
    if (!rules->closed && !rules->any_of && rules->refused == NULL &&
        str_starts(schema, S("{\"type\":\"object\""))) {
        buf_add(out, schema);    /* as nearly all tools have it */
        return true;
    }

    struct arena_mark mark = arena_mark(a);
    const struct json *doc = json_parse(a, schema, NULL, NULL);
    bool object = json_is(doc, JSON_OBJECT);

    if (object) {
        struct copying c = { .out = out, .rules = rules, .done = doc->p };

        if (rules->typed && json_get(doc, S("type")) == NULL)
            insert_members(&c, doc, S("\"type\":\"object\""));
        if (rules->closed || rules->any_of || rules->refused != NULL)
            copy_schema(&c, doc);
        copy_to(&c, doc->p + doc->n);
        if (ret_cut != NULL)
            *ret_cut |= c.cut;
    }
    arena_rewind(a, mark);
    return object;
}
