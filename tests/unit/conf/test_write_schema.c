/* test_write_schema.c - the schema is JSON, closed, and says of each setting what the table
 * says. */
#include "conf/write_schema.c"

#include "tests/test.h"

struct schema {
    struct arena *arena;
    struct buf text;
    const struct json *root;
};

static struct schema
schema_load(void)
{
    struct schema s = { .arena = arena_create(16 * 1024 * 1024) };

    buf_init(&s.text, 1024 * 1024);
    conf_write_schema(&s.text);
    EXPECT(!s.text.overflow);
    s.root = json_parse(s.arena, buf_str(&s.text), NULL, NULL);
    EXPECT(s.root != NULL);
    return s;
}

static void
schema_unload(struct schema *s)
{
    buf_fini(&s->text);
    arena_destroy(s->arena);
}

/* The schema of a property inside a section's schema. */
static const struct json *
property(const struct json *section, const char *key)
{
    return json_get(json_get(section, S("properties")), str_c(key));
}

/* Follows the table and the schema together; every section is closed, every setting described. */
static void
expect_section(const struct json *j, enum section_id id)
{
    const struct json *properties = json_get(j, S("properties"));
    const struct option *o;
    size_t n = 0;

    EXPECT(json_get(j, S("additionalProperties"))->type == JSON_FALSE);
    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        if (o->section != id || o->type == OPTION_LATER)
            continue;
        const struct json *p = json_get(properties, o->key);

        n++;
        EXPECT(p != NULL);
        EXPECT(json_str_is(json_get(p, S("description")), o->help));
        EXPECT((o->flags & OPTION_INHERITS) != 0 ||
               (json_get(p, S("default")) != NULL) == (o->fallback.n != 0));
        if (o->type == OPTION_SECTION && (o->flags & OPTION_INHERITS) == 0)
            expect_section(p, o->within);
        if (o->type == OPTION_MAP)
            expect_section(json_get(p, S("additionalProperties")), o->within);
        if (o->type == OPTION_LIST && section_row(o->within)->short_form.n == 0)
            expect_section(json_get(p, S("items")), o->within);
    }
    EXPECT_INT(json_count(properties), n);
}

TEST(the_schema_follows_the_table)
{
    struct schema s = schema_load();

    EXPECT(json_str_is(
        json_get(s.root, S("$schema")), S("https://json-schema.org/draft/2020-12/schema")));
    expect_section(s.root, SECTION_root);
    schema_unload(&s);
}

TEST(numbers_have_their_bounds_and_choices_their_words)
{
    struct schema s = schema_load();
    const struct json *server = property(s.root, "server");
    const struct json *body = property(property(server, "limits"), "body");
    const struct json *mode = property(property(s.root, "auth"), "mode");

    EXPECT_INT(json_i64(json_get(body, S("maximum")), 0), 2147483648);
    EXPECT(json_str_is(json_get(body, S("default")), S("32MB")));
    EXPECT(json_str_is(json_get(property(server, "workers"), S("default")), S("auto")));
    EXPECT(json_get(property(property(server, "limits"), "requests"), S("default"))->type ==
           JSON_NUMBER);
    EXPECT(str_find(json_raw(mode), S("{\"enum\": [\"none\", \"keys\"]}")) < json_raw(mode).n);
    schema_unload(&s);
}

TEST(what_is_required_is_said_and_inherited_timeouts_have_no_default)
{
    struct schema s = schema_load();
    const struct json *provider =
        json_get(property(s.root, "providers"), S("additionalProperties"));
    const struct json *key = json_get(property(property(s.root, "auth"), "keys"), S("items"));

    EXPECT_STR(json_raw(json_get(key, S("required"))), "[\"name\", \"key\"]");
    EXPECT(json_get(property(property(provider, "timeouts"), "connect"), S("default")) == NULL);
    EXPECT(json_get(property(property(s.root, "timeouts"), "connect"), S("default")) != NULL);
    schema_unload(&s);
}
