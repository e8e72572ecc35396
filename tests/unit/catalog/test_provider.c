/* test_provider.c - the table of providers is sound, and keys are found in the environment. */
#include "catalog/provider.c"

#include "catalog/clouds.h"

#include "conf/form.h"
#include "tests/test.h"

TEST(every_row_has_an_id_of_its_own_a_wire_a_host_and_a_place_for_the_key)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct provider_row *r = &rows[i];

        EXPECT(provider_row(r->id) == r);
        EXPECT(provider_row_at(i) == r);
        EXPECT(r->name.n != 0);
        EXPECT(r->wire != NULL && r->wire->provider != NULL);
        EXPECT(r->host != NULL);
        EXPECT(r->key.n != 0 || r->host->key.n != 0 || r->wire->provider->key.n != 0);
    }
    EXPECT(provider_row_at(ARRAY_LEN(rows)) == NULL);
    EXPECT(provider_row(S("nobody")) == NULL);
    EXPECT(provider_row(S("")) == NULL);
}

TEST(every_row_could_have_been_written_in_the_configuration)
{
    struct arena *a = arena_create(64 * 1024);
    const struct cloud_place place = { .region = S("europe-west4"), .project = S("p") };
    const char *missing;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str url = clouds_fill(a, rows[i].base_url, &place, &missing);

        EXPECT(form_problem(a, FORM_ID, rows[i].id) == NULL);
        EXPECT(rows[i].base_url.n == 0 || form_problem(a, FORM_URL, url) == NULL);
        if (rows[i].key.n != 0) {
            struct str name, prefix;

            EXPECT(str_cut(rows[i].key, ':', &name, &prefix) && str_ends(prefix, S(" ")));
            EXPECT(form_problem(a, FORM_FIELD_NAME, name) == NULL);
        }
    }
    arena_destroy(a);
}

static bool
has_switch(const struct provider_row *row, struct str variable)
{
    struct str left = row->env, name;
    bool shared;

    while (provider_env_next(&left, &name, &shared))
        if (!shared && str_eq(name, variable))
            return true;
    return false;
}

TEST(no_two_rows_are_switched_on_by_the_same_variable)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str left = rows[i].env, name;
        bool shared;

        while (provider_env_next(&left, &name, &shared)) {
            EXPECT(name.n != 0 && name.n < 64);
            for (size_t k = i + 1; k < ARRAY_LEN(rows); k++)
                EXPECT(shared || !has_switch(&rows[k], name));
        }
    }
}

TEST(a_shared_variable_gives_a_key_and_switches_nothing_on)
{
    static const struct provider_row row = { .env = S_INIT("OPENCLAW_TEST_A ~OPENCLAW_TEST_B") };
    struct str name = S("");

    unsetenv("OPENCLAW_TEST_A");
    setenv("OPENCLAW_TEST_B", "second", 1);
    EXPECT_STR(provider_env_key(&row, &name), "second");
    EXPECT_STR(name, "OPENCLAW_TEST_B");
    EXPECT(!provider_env_is_on(&row));
    setenv("OPENCLAW_TEST_A", "first", 1);
    EXPECT(provider_env_is_on(&row));
    unsetenv("OPENCLAW_TEST_A");
    unsetenv("OPENCLAW_TEST_B");
}

TEST(the_first_variable_that_is_set_and_not_empty_holds_the_key)
{
    static const struct provider_row row = { .env = S_INIT("OPENCLAW_TEST_A OPENCLAW_TEST_B") };
    struct str name = S("");

    unsetenv("OPENCLAW_TEST_A");
    unsetenv("OPENCLAW_TEST_B");
    EXPECT_STR(provider_env_key(&row, NULL), "");
    setenv("OPENCLAW_TEST_B", "second", 1);
    EXPECT_STR(provider_env_key(&row, &name), "second");
    EXPECT_STR(name, "OPENCLAW_TEST_B");
    setenv("OPENCLAW_TEST_A", "", 1);
    EXPECT_STR(provider_env_key(&row, NULL), "second");
    setenv("OPENCLAW_TEST_A", "first", 1);
    EXPECT_STR(provider_env_key(&row, &name), "first");
    EXPECT_STR(name, "OPENCLAW_TEST_A");
    unsetenv("OPENCLAW_TEST_A");
    unsetenv("OPENCLAW_TEST_B");
}

TEST(a_row_without_variables_has_no_key)
{
    static const struct provider_row row = { .env = S_INIT("") };

    EXPECT_STR(provider_env_key(&row, NULL), "");
}
