/* test_texts.c - the generated texts agree with the table of settings: the page in docs, the schema,
 * and the starter file, which is a good configuration as it is and with everything switched on. */
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "conf/conf.h"
#include "conf/option.h"
#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

/* --- the reference page --- */

/* The root of the tree, seen from the place that the compiler was told. */
static void
read_page(struct buf *out)
{
    static const char here[] = "tests/unit/conf/test_texts.c";
    struct str root = str_c(__FILE__);
    char path[4096];

    EXPECT(str_ends(root, S("tests/unit/conf/test_texts.c")));
    snprintf(path, sizeof(path), "%.*sdocs/configuration.md", (int)(root.n - strlen(here)), root.p);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        print_error("%s: cannot be opened; run the test from the build folder\n", path);
    EXPECT(f != NULL);
    buf_commit(out, fread(buf_reserve(out, 1024 * 1024), 1, 1024 * 1024, f));
    fclose(f);
}

TEST(the_page_in_docs_is_up_to_date)
{
    struct buf page;

    buf_init(&page, 1024 * 1024);
    read_page(&page);
    if (!str_eq(buf_str(&page), str_c(conf_reference)))
        print_error("run: openclaw config reference > docs/configuration.md\n");
    EXPECT(str_eq(buf_str(&page), str_c(conf_reference)));
    buf_fini(&page);
}

/* Whether a name that one section refuses is a setting of another. */
static bool
is_setting_elsewhere(struct str key)
{
    const struct option *o;

    for (size_t i = 0; (o = option_at(i)) != NULL; i++)
        if (o->type != OPTION_LATER && str_eq(o->key, key))
            return true;
    return false;
}

TEST(the_page_has_a_row_for_every_setting)
{
    struct str page = str_c(conf_reference);
    const struct option *o;

    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        char row[64];

        snprintf(row, sizeof(row), "\n| `" STR_FMT "` | ", STR_ARG(o->key));
        EXPECT((str_find(page, str_c(row)) < page.n) ==
               (o->type != OPTION_LATER || is_setting_elsewhere(o->key)));
    }
}

/* --- the schema --- */

struct schema {
    struct arena *arena;
    const struct json *root;
};

static struct schema
schema_load(void)
{
    struct schema s = { .arena = arena_create(16 * 1024 * 1024) };

    s.root = json_parse(s.arena, str_c(conf_schema), NULL, NULL);
    EXPECT(s.root != NULL);
    return s;
}

static void
schema_unload(struct schema *s)
{
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

static const struct json *
first(const struct json *list)
{
    struct json_iter it = json_iter(list);

    EXPECT(json_next(&it));
    return it.value;
}

/* A list of exactly two texts. */
#define EXPECT_WORDS(list, one, two)                                                               \
    do {                                                                                           \
        struct json_iter it = json_iter(list);                                                     \
        EXPECT_INT(json_count(list), 2);                                                           \
        EXPECT(json_next(&it) && json_str_is(it.value, S(one)));                                   \
        EXPECT(json_next(&it) && json_str_is(it.value, S(two)));                                   \
    } while (0)

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
    EXPECT_WORDS(json_get(first(json_get(mode, S("anyOf"))), S("enum")), "none", "keys");
    schema_unload(&s);
}

TEST(what_is_required_is_said_and_inherited_timeouts_have_no_default)
{
    struct schema s = schema_load();
    const struct json *provider =
        json_get(property(s.root, "providers"), S("additionalProperties"));
    const struct json *key = json_get(property(property(s.root, "auth"), "keys"), S("items"));

    EXPECT_WORDS(json_get(key, S("required")), "name", "key");
    EXPECT(json_get(property(property(provider, "timeouts"), "connect"), S("default")) == NULL);
    EXPECT(json_get(property(property(s.root, "timeouts"), "connect"), S("default")) != NULL);
    schema_unload(&s);
}

/* --- the starter file --- */

TEST(the_starter_file_is_good_and_changes_nothing)
{
    struct loaded l = load(str_c(conf_starter)), empty = load(S(""));
    EXPECT_STR(problem_lines(&l), "");
    EXPECT_INT(l.conf->server.limit_body_bytes, empty.conf->server.limit_body_bytes);
    EXPECT_INT(l.conf->provider_count, 0);
    unload(&l);
    unload(&empty);
}

/* Takes the # away from a setting's line; a file that it names becomes one that exists. */
static void
switch_on(struct buf *out, struct str line)
{
    size_t at = str_chr(line, '#');
    bool setting = at + 1 < line.n && line.p[at + 1] != ' ';

    if (setting) {
        struct str rest = str_skip(line, at + 1);
        size_t path = str_find(rest, S("/etc/openclaw/"));

        buf_add(out, str_make(line.p, at));
        buf_add(out, str_make(rest.p, path));
        buf_add(out, path < rest.n ? S("/etc/passwd") : S(""));
    } else {
        buf_add(out, line);
    }
    buf_add_c(out, '\n');
}

TEST(the_starter_file_with_everything_switched_on_is_good)
{
    static const char *const names[] = { "OPENAI_API_KEY", "KEY_A", "KEY_B", "LAB_API_KEY",
        "OPENCLAW_CI_KEY", "BEDROCK_SECRET_KEY", "BEDROCK_SESSION_TOKEN", "AZURE_CLIENT_SECRET",
        "OPENCLAW_PEPPER", "VAULT_TOKEN", "VAULT_SECRET_ID" };
    struct buf all;
    struct str line;

    buf_init(&all, 1024 * 1024);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        EXPECT(setenv(names[i], "sk-test-0123456789", 1) == 0);
    for (struct str text = str_c(conf_starter); text.n != 0;) {
        (void)str_cut(text, '\n', &line, &text);
        switch_on(&all, line);
    }

    struct loaded l = load(buf_str(&all));
    EXPECT_STR(problem_lines(&l), "");
    EXPECT_INT(l.conf->provider_count, 3);
    EXPECT_INT(l.conf->model_count, 1);
    EXPECT_INT(l.conf->models[0].target_count, 1);
    EXPECT_INT(l.conf->auth.key_count, 1);
    EXPECT_INT(l.conf->providers[2].timeouts.first_token_ms, 20000);
    unload(&l);
    buf_fini(&all);
}

TEST(the_starter_file_names_every_setting)
{
    struct str file = str_c(conf_starter);
    const struct option *o;

    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        char want[64];

        snprintf(want, sizeof(want), STR_FMT ":", STR_ARG(o->key));
        EXPECT((str_find(file, str_c(want)) < file.n) ==
               (o->type != OPTION_LATER || is_setting_elsewhere(o->key)));
    }
}

TEST(no_line_of_the_starter_file_is_wider_than_100_columns)
{
    struct str line;

    for (struct str text = str_c(conf_starter); text.n != 0;) {
        (void)str_cut(text, '\n', &line, &text);
        EXPECT(line.n <= 100 && !str_ends(line, S(" ")));
    }
}
