/* schema.c - walks the schema once and writes the value on the way. */
#include "mock/schema.h"

#include <math.h>
#include <stdio.h>

enum {
    EXAMPLE_BYTES_MAX = 256 * 1024,
    DEPTH_MAX = 32,       /* bounds schemas that refer to themselves */
    DEPTH_THRIFTY = 5,    /* from here on only required members are written */
    ITEMS_MAX = 100,
    STEPS_MAX = 20000,    /* circular references write no text, but take time */
};

struct walk {
    struct buf out;
    const struct json *root;
    unsigned seed;
    unsigned depth;
    unsigned steps;
};

static void write_value(struct walk *w, const struct json *schema);

/* One step of a JSON pointer: "~1" is '/', "~0" is '~'. */
static const struct json *
pointer_step(const struct json *at, struct str token)
{
    char room[256];
    size_t n = 0;

    for (size_t i = 0; i < token.n && n < sizeof(room); i++) {
        char c = token.p[i];
        if (c == '~' && i + 1 < token.n) {
            i++;
            c = token.p[i] == '1' ? '/' : '~';
        }
        room[n++] = c;
    }
    if (json_is(at, JSON_OBJECT))
        return json_get(at, str_make(room, n));

    uint64_t index;
    struct json_iter it = json_iter(at);
    if (json_is(at, JSON_ARRAY) && str_u64(str_make(room, n), &index))
        while (json_next(&it))
            if (index-- == 0)
                return it.value;
    return NULL;
}

/* "#/$defs/Address" inside the document. Other references are not fetched. */
static const struct json *
resolve(const struct walk *w, const struct json *ref)
{
    struct str path = { ref->p + 1, ref->n - 2 };
    const struct json *at = w->root;
    struct str token;

    if (!json_is(ref, JSON_STRING) || path.n == 0 || path.p[0] != '#')
        return NULL;
    path = str_skip(path, 2);
    while (path.n > 0 && at != NULL) {
        str_cut(path, '/', &token, &path);
        at = pointer_step(at, token);
    }
    return at;
}

static const struct json *
element(const struct json *array, uint32_t index)
{
    struct json_iter it = json_iter(array);

    while (json_next(&it))
        if (index-- == 0)
            return it.value;
    return NULL;
}

static bool
is_null_schema(const struct json *schema)
{
    return json_str_is(json_get(schema, S("type")), S("null"));
}

/* One of several: the first that is not null, or null near the depth limit. */
static const struct json *
choose_variant(const struct walk *w, const struct json *variants)
{
    const struct json *plain = NULL;
    struct json_iter it = json_iter(variants);

    while (json_next(&it)) {
        bool null = is_null_schema(it.value);
        if (null && w->depth > DEPTH_THRIFTY)
            return it.value;
        if (!null && plain == NULL)
            plain = it.value;
    }
    return plain != NULL ? plain : element(variants, 0);
}

static bool
is_required(const struct json *schema, const struct json *key)
{
    struct json_iter it = json_iter(json_get(schema, S("required")));

    while (json_next(&it))
        if (str_eq(json_raw(it.value), json_raw(key)))
            return true;
    return false;
}

/* The members of one object schema; *first: no comma is needed yet. */
static void
write_members(struct walk *w, const struct json *schema, bool *first)
{
    struct json_iter it = json_iter(json_get(schema, S("properties")));
    struct json_iter parts = json_iter(json_get(schema, S("allOf")));

    while (json_next(&it)) {
        if (w->depth > DEPTH_THRIFTY && !is_required(schema, it.key))
            continue;
        if (!*first)
            buf_add_c(&w->out, ',');
        *first = false;
        buf_add(&w->out, json_raw(it.key));
        buf_add_c(&w->out, ':');
        write_value(w, it.value);
    }
    while (json_next(&parts)) {
        const struct json *ref = json_get(parts.value, S("$ref"));
        if (w->depth >= DEPTH_MAX || w->steps++ >= STEPS_MAX)
            return;
        w->depth++;
        write_members(w, ref != NULL ? resolve(w, ref) : parts.value, first);
        w->depth--;
    }
}

static void
write_object(struct walk *w, const struct json *schema)
{
    bool first = true;

    buf_add_c(&w->out, '{');
    write_members(w, schema, &first);
    buf_add_c(&w->out, '}');
}

static void
write_array(struct walk *w, const struct json *schema)
{
    struct json_iter prefix = json_iter(json_get(schema, S("prefixItems")));
    const struct json *items = json_get(schema, S("items"));
    int64_t least = json_i64(json_get(schema, S("minItems")), w->depth > DEPTH_THRIFTY ? 0 : 1);
    int64_t most = json_i64(json_get(schema, S("maxItems")), ITEMS_MAX);
    unsigned seed = w->seed;
    int64_t n = 0;

    buf_add_c(&w->out, '[');
    while (n < most && json_next(&prefix)) {
        if (n++ > 0)
            buf_add_c(&w->out, ',');
        write_value(w, prefix.value);
    }
    for (; n < MIN(MIN(least, most), ITEMS_MAX) && !json_is(items, JSON_FALSE); n++) {
        if (n > 0)
            buf_add_c(&w->out, ',');
        w->seed = seed + (unsigned)n;    /* elements may have to be unique */
        write_value(w, items);
    }
    w->seed = seed;
    buf_add_c(&w->out, ']');
}

static void
write_number(struct walk *w, const struct json *schema, bool whole)
{
    double above = json_f64(json_get(schema, S("exclusiveMinimum")), -INFINITY);
    double below = json_f64(json_get(schema, S("exclusiveMaximum")), INFINITY);
    double least = json_f64(json_get(schema, S("minimum")), -INFINITY);
    double most = json_f64(json_get(schema, S("maximum")), INFINITY);
    double step = json_f64(json_get(schema, S("multipleOf")), 0);
    double grain = step > 0 ? step : whole ? 1 : 0;
    double low = MAX(least, above);
    double high = MIN(most, below);
    double v = whole ? 1 + w->seed : 1.5 + w->seed;

    if (v < low || v > high || v == above || v == below)
        v = isinf(high) ? low + 1 : isinf(low) ? high - 1 : low + (high - low) / 2;
    if (grain > 0) {
        v = floor(v / grain) * grain;
        if (v < least || v <= above)
            v += grain;
    }
    json_add_f64(&w->out, v);
}

static void
write_string(struct walk *w, const struct json *schema)
{
    static const struct {
        const char *format;
        const char *value;
    } formats[] = {
        { "date-time", "2026-01-02T03:04:05Z" },
        { "date", "2026-01-02" },
        { "time", "03:04:05Z" },
        { "duration", "PT5M" },
        { "email", "crab@example.com" },
        { "hostname", "example.com" },
        { "ipv4", "192.0.2.1" },
        { "ipv6", "2001:db8::1" },
        { "uri", "https://example.com/" },
        { "uuid", "6f1c3a52-9d0b-4c1e-8f57-2b6a1d3e4f50" },
    };
    static const char *const words[] = { "tide", "pier", "gull", "rope", "shell", "light" };
    const struct json *format = json_get(schema, S("format"));
    int64_t least = json_i64(json_get(schema, S("minLength")), 0);
    int64_t most = json_i64(json_get(schema, S("maxLength")), INT64_MAX);
    struct str word = str_c(words[w->seed % ARRAY_LEN(words)]);

    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (json_str_is(format, str_c(formats[i].format)))
            word = str_c(formats[i].value);
    if (format == NULL && most >= 0 && (int64_t)word.n > most)
        word.n = (size_t)most;
    buf_add_c(&w->out, '"');
    buf_add(&w->out, word);
    for (int64_t n = (int64_t)word.n; n < least && !w->out.overflow; n++)
        buf_add_c(&w->out, (char)('a' + n % 26));
    buf_add_c(&w->out, '"');
}

/* The type to write: of several, the first that is not null. */
static struct str
type_of(const struct walk *w, const struct json *schema)
{
    const struct json *type = json_get(schema, S("type"));
    struct json_iter it = json_iter(type);
    const struct json *chosen = type;

    if (json_is(type, JSON_ARRAY)) {
        chosen = element(type, 0);
        while (json_next(&it))
            if (json_str_is(it.value, S("null")) == (w->depth > DEPTH_THRIFTY))
                chosen = it.value;
    }
    if (json_is(chosen, JSON_STRING))
        return str_make(chosen->p + 1, chosen->n - 2);
    if (json_get(schema, S("properties")) != NULL || json_get(schema, S("allOf")) != NULL)
        return S("object");
    return json_get(schema, S("items")) != NULL ? S("array") : S("string");
}

static void
write_typed(struct walk *w, const struct json *schema)
{
    struct str type = type_of(w, schema);

    if (str_eq(type, S("object")))
        write_object(w, schema);
    else if (str_eq(type, S("array")))
        write_array(w, schema);
    else if (str_eq(type, S("integer")))
        write_number(w, schema, true);
    else if (str_eq(type, S("number")))
        write_number(w, schema, false);
    else if (str_eq(type, S("boolean")))
        buf_add(&w->out, w->seed % 2 == 0 ? S("true") : S("false"));
    else if (str_eq(type, S("null")))
        buf_add(&w->out, S("null"));
    else
        write_string(w, schema);
}

static void
write_value(struct walk *w, const struct json *schema)
{
    const struct json *fixed = json_get(schema, S("const"));
    const struct json *choices = json_get(schema, S("enum"));
    const struct json *ref = json_get(schema, S("$ref"));
    const struct json *variants = json_get(schema, S("anyOf"));

    if (variants == NULL)
        variants = json_get(schema, S("oneOf"));
    if (w->depth >= DEPTH_MAX || w->steps++ >= STEPS_MAX || w->out.overflow) {
        buf_add(&w->out, S("null"));
        return;
    }
    w->depth++;
    if (fixed != NULL)
        buf_add(&w->out, json_raw(fixed));
    else if (json_is(choices, JSON_ARRAY) && !json_is_empty(choices))
        buf_add(&w->out, json_raw(element(choices, w->seed % json_count(choices))));
    else if (ref != NULL)
        write_value(w, resolve(w, ref));
    else if (json_is(variants, JSON_ARRAY) && !json_is_empty(variants))
        write_value(w, choose_variant(w, variants));
    else
        write_typed(w, schema);
    w->depth--;
}

struct str
mock_schema_example(struct arena *a, const struct json *schema, unsigned seed)
{
    struct walk w = { .root = schema, .seed = seed };
    struct str text = S("{}");

    buf_init(&w.out, EXAMPLE_BYTES_MAX);
    if (json_is(schema, JSON_OBJECT) && !json_is_empty(schema))
        write_value(&w, schema);
    if (!w.out.overflow && buf_len(&w.out) > 0)
        text = buf_str(&w.out);
    text = arena_str(a, text);
    buf_fini(&w.out);
    return text;
}
