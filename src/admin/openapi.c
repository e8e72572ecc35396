/* openapi.c - the admin API as an OpenAPI 3.1 document. */
#include "admin/openapi.h"

#include <stdio.h>

#include "base/json_out.h"
#include "conf/option.h"
#include "control/problem.h"
#include "control/resource_read.h"

static const struct resource_field_row *
field_at(enum resource_kind kind, unsigned i)
{
    return resource_field((enum resource_field)(resource_kind(kind)->first + i));
}

/* --- schemas --- */

static void
write_type(struct json_out *o, const char *type, bool nullable)
{
    out_key(o, "type");
    if (nullable) {
        out_array(o);
        out_text_value(o, str_c(type));
        out_text_value(o, S("null"));
        out_end_array(o);
    } else {
        out_text_value(o, str_c(type));
    }
}

static void
write_choices(struct json_out *o, struct str choices, bool nullable)
{
    struct str word;

    out_key_array(o, "enum");
    while (option_next_choice(&choices, &word))
        out_text_value(o, word);
    if (nullable)
        out_raw_value(o, S("null"));
    out_end_array(o);
}

/* The schema of a field's value. */
static void
write_value(struct json_out *o, const struct resource_field_row *f, bool nullable)
{
    out_object(o);
    switch (f->type) {
    case RESOURCE_TEXT:
    case RESOURCE_REF:
        write_type(o, "string", nullable);
        break;
    case RESOURCE_TEXTS:
        write_type(o, "array", nullable);
        out_const(o, "\"items\":{\"type\":\"string\"}");
        break;
    case RESOURCE_TAGS:
        write_type(o, "object", nullable);
        out_const(o, "\"additionalProperties\":{\"type\":[\"string\",\"null\"]}");
        break;
    case RESOURCE_CHOICE:
        write_type(o, "string", nullable);
        write_choices(o, f->choices, nullable);
        break;
    case RESOURCE_BOOL:
        write_type(o, "boolean", nullable);
        break;
    case RESOURCE_COUNT:
        write_type(o, "integer", nullable);
        out_i64(o, "minimum", f->min);
        out_i64(o, "maximum", f->max);
        break;
    case RESOURCE_MONEY:
        write_type(o, "number", nullable);
        out_const(o, "\"minimum\":0");
        break;
    case RESOURCE_TIME:
        write_type(o, "string", nullable);
        out_const(o, "\"format\":\"date-time\"");
        break;
    }
    out_text(o, "description", f->help);
    out_end(o);
}

/* What a schema is for: an answer, a new one, a change. */
enum use { USE_SHOWN, USE_NEW, USE_CHANGE };

static bool
is_in(const struct resource_field_row *f, enum use use)
{
    if ((f->flags & RESOURCE_HIDDEN) != 0)
        return false;
    if (use == USE_SHOWN)
        return (f->flags & RESOURCE_SECRET) == 0;
    return (f->flags & RESOURCE_MADE) == 0 && (use == USE_NEW || (f->flags & RESOURCE_FIXED) == 0);
}

static void
write_common(struct json_out *o)
{
    out_raw(o, "id", S("{\"type\":\"string\"}"));
    out_raw(o, "object", S("{\"type\":\"string\"}"));
    out_raw(o, "created_at", S("{\"type\":\"string\",\"format\":\"date-time\"}"));
    out_raw(o, "updated_at", S("{\"type\":\"string\",\"format\":\"date-time\"}"));
    out_raw(o, "revision",
        S("{\"type\":\"integer\",\"description\":\"Counts all changes; its ETag.\"}"));
}

static void
write_required(struct json_out *o, enum resource_kind kind, enum use use)
{
    if (use == USE_CHANGE)
        return;
    out_key_array(o, "required");
    if (use == USE_SHOWN)
        out_text_value(o, S("id"));
    for (unsigned i = 0; i < resource_field_count(kind); i++)
        if (is_in(field_at(kind, i), use) && (field_at(kind, i)->flags & RESOURCE_REQUIRED) != 0)
            out_text_value(o, field_at(kind, i)->name);
    out_end_array(o);
}

static const char *const suffixes[] = {
    [USE_SHOWN] = "", [USE_NEW] = "_new", [USE_CHANGE] = "_change"
};

static void
write_schema(struct json_out *o, enum resource_kind kind, enum use use)
{
    out_comma(o);
    buf_printf(o->b, "\"" STR_FMT "%s\":", STR_ARG(resource_kind(kind)->table), suffixes[use]);
    o->comma = false;
    out_object(o);
    out_const(o, "\"type\":\"object\"");
    out_text(o, "description", resource_kind(kind)->help);
    write_required(o, kind, use);
    if (use != USE_SHOWN)
        out_const(o, "\"additionalProperties\":false");
    out_key_object(o, "properties");
    if (use == USE_SHOWN)
        write_common(o);
    for (unsigned i = 0; i < resource_field_count(kind); i++) {
        const struct resource_field_row *f = field_at(kind, i);

        if (!is_in(f, use))
            continue;
        out_key_str(o, f->name);
        write_value(o, f, use == USE_CHANGE || (f->flags & RESOURCE_REQUIRED) == 0);
    }
    if (kind == RESOURCE_keys && use == USE_SHOWN)
        out_raw(o, "key",
            S("{\"type\":\"string\",\"description\":\"The key itself: only in the answer that made "
              "it.\"}"));
    out_end(o);
    out_end(o);
}

static void
write_components(struct json_out *o)
{
    out_key_object(o, "components");
    out_key_object(o, "schemas");
    for (unsigned k = 0; k < RESOURCE_KINDS; k++)
        for (unsigned use = USE_SHOWN; use <= USE_CHANGE; use++)
            write_schema(o, (enum resource_kind)k, (enum use)use);
    out_raw(o, "problem",
        S("{\"type\":\"object\",\"description\":\"What was refused, and why (RFC 9457).\",\"required\":["
          "\"type\",\"title\",\"status\",\"detail\"],\"properties\":{\"type\":{\"type\":\"string\",\"format\":"
          "\"uri\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":"
          "\"string\"},\"request_id\":{\"type\":\"string\"},\"errors\":{\"type\":\"array\",\"items\":{\"type\":"
          "\"object\",\"required\":[\"pointer\",\"detail\"],\"properties\":{\"pointer\":{\"type\":\"string\","
          "\"description\":\"A JSON pointer to a member of the body, or ?NAME for a parameter.\"},"
          "\"detail\":{\"type\":\"string\"}}}}}}"));
    out_end(o);
    out_raw(o, "responses",
        S("{\"problem\":{\"description\":\"It was refused.\",\"content\":{\"" PROBLEM_TYPE
          "\":{\"schema\":{\"$ref\":\"#/components/schemas/problem\"}}}}}"));
    out_raw(o, "securitySchemes",
        S("{\"key\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":\"A key of the kind admin. None is "
          "needed at the local socket.\"}}"));
    out_raw(o, "parameters",
        S("{\"one\":{\"name\":\"one\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\"},"
          "\"description\":\"An id, or a name.\"},\"if_match\":{\"name\":\"If-Match\",\"in\":\"header\","
          "\"schema\":{\"type\":\"string\"},\"description\":\"The ETag of what is to be changed: 412 if it "
          "has changed since.\"},\"idempotency_key\":{\"name\":\"Idempotency-Key\",\"in\":\"header\","
          "\"schema\":{\"type\":\"string\",\"maxLength\":255},\"description\":\"The same key with the same "
          "request within a day: it is done once.\"}}"));
    out_end(o);
}

/* --- paths --- */

static void
write_answer(struct json_out *o, int status, const char *what, struct str schema)
{
    out_key_object(o, "responses");
    out_comma(o);
    buf_printf(o->b, "\"%d\":{\"description\":\"%s\"", status, what);
    if (schema.n != 0)
        buf_printf(
            o->b, ",\"content\":{\"application/json\":{\"schema\":" STR_FMT "}}", STR_ARG(schema));
    buf_add_c(o->b, '}');
    out_raw(o, "default", S("{\"$ref\":\"#/components/responses/problem\"}"));
    out_end(o);
}

/* "{"$ref": ...}" of a kind's schema, in `room`. */
static struct str
ref_of(enum resource_kind kind, enum use use, char *room, size_t size)
{
    int n = snprintf(room, size, "{\"$ref\":\"#/components/schemas/" STR_FMT "%s\"}",
        STR_ARG(resource_kind(kind)->table), suffixes[use]);

    CHECK(n > 0 && (size_t)n < size);
    return str_make(room, (size_t)n);
}

static void
begin_operation(struct json_out *o, const char *method, enum resource_kind kind, const char *verb,
    const char *summary)
{
    out_key_str(o, str_c(method));
    out_object(o);
    out_key(o, "operationId");
    out_string(o);
    buf_printf(o->b, "%s_" STR_FMT, verb, STR_ARG(resource_kind(kind)->table));
    out_end_string(o);
    out_text(o, "summary", str_c(summary));
    out_key_array(o, "tags");
    out_text_value(o, resource_kind(kind)->path);
    out_end_array(o);
}

static void
write_body(struct json_out *o, struct str type, struct str schema, bool required)
{
    out_key_object(o, "requestBody");
    out_bool(o, "required", required);
    out_key_object(o, "content");
    out_key_str(o, type);
    out_object(o);
    out_raw(o, "schema", schema);
    out_end(o);
    out_end(o);
    out_end(o);
}

static void
write_list(struct json_out *o, enum resource_kind kind)
{
    char ref[128], schema[512];

    begin_operation(
        o, "get", kind, "list", "A page of them, in the order in which they were made.");
    out_key_array(o, "parameters");
    out_raw_value(
        o, S("{\"name\":\"limit\",\"in\":\"query\",\"schema\":{\"type\":\"integer\",\"minimum\":1,"
             "\"maximum\":1000,\"default\":100}}"));
    out_raw_value(o,
        S("{\"name\":\"cursor\",\"in\":\"query\",\"schema\":{\"type\":\"string\"},\"description\":"
          "\"The next_cursor of the page before.\"}"));
    for (unsigned i = 0; i < resource_field_count(kind); i++) {
        const struct resource_field_row *f = field_at(kind, i);

        if ((f->flags & RESOURCE_FILTER) == 0)
            continue;
        out_object(o);
        out_text(o, "name", f->name);
        out_const(o, "\"in\":\"query\",\"schema\":{\"type\":\"string\"}");
        out_text(o, "description", f->help);
        out_end(o);
    }
    out_end_array(o);
    (void)snprintf(schema, sizeof(schema),
        "{\"type\":\"object\",\"required\":[\"data\",\"has_more\",\"next_cursor\"],\"properties\":{\"object\":{"
        "\"const\":\"list\"},\"data\":{\"type\":\"array\",\"items\":" STR_FMT
        "},\"has_more\":{\"type\":\"boolean\"},"
        "\"next_cursor\":{\"type\":[\"string\",\"null\"]}}}",
        STR_ARG(ref_of(kind, USE_SHOWN, ref, sizeof(ref))));
    write_answer(o, 200, "A page.", str_c(schema));
    out_end(o);
}

static void
write_kind(struct json_out *o, enum resource_kind kind)
{
    static const struct str if_match =
        S_INIT("[{\"$ref\":\"#/components/parameters/if_match\"},{\"$ref\":"
               "\"#/components/parameters/idempotency_key\"}]");
    char shown[128], other[128];
    struct str ref = ref_of(kind, USE_SHOWN, shown, sizeof(shown));

    out_comma(o);
    buf_printf(o->b, "\"/admin/v1/" STR_FMT "\":", STR_ARG(resource_kind(kind)->path));
    o->comma = false;
    out_object(o);
    write_list(o, kind);
    begin_operation(o, "post", kind, "create", "Makes one.");
    out_raw(o, "parameters", S("[{\"$ref\":\"#/components/parameters/idempotency_key\"}]"));
    write_body(o, S("application/json"), ref_of(kind, USE_NEW, other, sizeof(other)), true);
    write_answer(o, 201, "It was made.", ref);
    out_end(o);
    out_end(o);

    out_comma(o);
    buf_printf(o->b, "\"/admin/v1/" STR_FMT "/{one}\":", STR_ARG(resource_kind(kind)->path));
    o->comma = false;
    out_object(o);
    out_raw(o, "parameters", S("[{\"$ref\":\"#/components/parameters/one\"}]"));
    begin_operation(o, "get", kind, "show", "One of them.");
    write_answer(o, 200, "It; its ETag is a field of the answer.", ref);
    out_end(o);
    begin_operation(o, "patch", kind, "change",
        "Changes one: members that are given replace, null takes away (RFC 7386).");
    out_raw(o, "parameters", if_match);
    write_body(
        o, S("application/merge-patch+json"), ref_of(kind, USE_CHANGE, other, sizeof(other)), true);
    write_answer(o, 200, "As it is now.", ref);
    out_end(o);
    begin_operation(o, "delete", kind, "delete", "Deletes one that nothing refers to.");
    out_raw(o, "parameters", if_match);
    write_answer(o, 204, "It is gone.", S(""));
    out_end(o);
    out_end(o);
}

static void
write_key_action(struct json_out *o, const char *name, const char *summary, struct str body)
{
    char ref[128];

    out_comma(o);
    buf_printf(o->b, "\"/admin/v1/keys/{one}/%s\":", name);
    o->comma = false;
    out_object(o);
    out_raw(o, "parameters", S("[{\"$ref\":\"#/components/parameters/one\"}]"));
    begin_operation(o, "post", RESOURCE_keys, name, summary);
    if (body.n != 0)
        write_body(o, S("application/json"), body, false);
    write_answer(o, 200, "As it is now.", ref_of(RESOURCE_keys, USE_SHOWN, ref, sizeof(ref)));
    out_end(o);
    out_end(o);
}

static void
write_route(
    struct json_out *o, const char *method, struct str path, struct str rest, struct str help)
{
    out_comma(o);
    buf_printf(o->b, "\"/admin/v1/" STR_FMT, STR_ARG(path));
    if (rest.n != 0)
        buf_printf(o->b, "{" STR_FMT "}", STR_ARG(rest));
    buf_add(o->b, S("\":"));
    o->comma = false;
    out_object(o);
    out_key_str(o, str_eq(str_c(method), S("GET")) ? S("get") : S("post"));
    out_object(o);
    out_text(o, "summary", help);
    out_const(o, "\"tags\":[\"gateway\"]");
    if (rest.n != 0) {
        out_key_array(o, "parameters");
        out_object(o);
        out_text(o, "name", rest);
        out_const(o, "\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\"}");
        out_end(o);
        out_end_array(o);
    }
    write_answer(o, 200, "A document.", S("{\"type\":\"object\"}"));
    out_end(o);
    out_end(o);
}

void
openapi_write(struct buf *b)
{
    struct json_out o = json_out(b);

    out_object(&o);
    out_const(&o, "\"openapi\":\"3.1.0\"");
    out_const(&o, "\"info\":{\"title\":\"OpenClaw admin API\",\"version\":\"" OPENCLAW_VERSION
                  "\",\"license\":{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}}");
    out_const(&o, "\"security\":[{\"key\":[]}]");
    out_key_object(&o, "paths");
    for (unsigned k = 0; k < RESOURCE_KINDS; k++)
        write_kind(&o, (enum resource_kind)k);
    write_key_action(&o, "rotate", "Gives it a new secret; the old one works on for a while.",
        S("{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"overlap\":{\"type\":\"string\","
          "\"default\":\"24h\",\"description\":\"How long the old secret works on: 24h, 0s.\"}}}"));
    write_key_action(&o, "revoke", "It works nowhere any more.", S(""));
#define ROUTE(method, path, rest, subject, verb, function, help)                                   \
    write_route(&o, method, S(path), S(rest), S(help));
#include "admin/routes.def"
    out_end(&o);
    write_components(&o);
    out_end(&o);
    buf_add_c(b, '\n');
}
