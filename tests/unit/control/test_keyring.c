/* test_keyring.c - rows of the store become what the directory has. */
#include "control/keyring.c"

#include "tests/test.h"

static const uint8_t digest_a[KEY_DIGEST_BYTES] = { 0xa1, 0xff },
                     digest_b[KEY_DIGEST_BYTES] = { 0xb2 };

#define HEX_A "a1ff000000000000000000000000000000000000000000000000000000000000"
#define HEX_B "b200000000000000000000000000000000000000000000000000000000000000"

struct world {
    struct resources *resources;
    struct directory *directory;
    struct directory_reader *reader;
    struct resource_value values[RESOURCE_FIELDS];
};

static void
begin(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->resources = resources_create();
    w->directory = directory_create();
    w->reader = directory_reader(w->directory);
    keyring_watch(w->resources, w->directory);
}

static void
end(struct world *w)
{
    resources_destroy(w->resources);
    directory_destroy(w->directory);
}

static void
text(struct world *w, enum resource_field field, const char *s)
{
    w->values[field] = (struct resource_value){ .set = true, .text = str_c(s) };
}

static void
number(struct world *w, enum resource_field field, int64_t n)
{
    w->values[field] = (struct resource_value){ .set = n != 0, .number = n };
}

static void
tell(struct world *w, enum resource_kind kind, const char *id)
{
    const struct resource_row row = {
        .kind = kind, .id = str_c(id), .values = w->values + resource_kind(kind)->first
    };

    resources_tell(w->resources, &row);
    resources_settle(w->resources);
}

static void
tell_gone(struct world *w, enum resource_kind kind, const char *id)
{
    const struct resource_row row = { .kind = kind, .id = str_c(id), .deleted = true };

    resources_tell(w->resources, &row);
    resources_settle(w->resources);
}

static bool
has(struct world *w, const uint8_t *digest, struct directory_key *ret)
{
    uint64_t stamp;

    return directory_find(w->reader, digest, ret, &stamp);
}

TEST(a_key_of_the_store_is_found_with_what_its_row_says)
{
    struct world w;
    struct directory_key k;

    begin(&w);
    uint64_t generation = directory_generation(w.directory);
    text(&w, FIELD_keys_name, "ci");
    text(&w, FIELD_keys_digest, HEX_A);
    text(&w, FIELD_keys_team, "team_1");
    text(&w, FIELD_keys_user, "user_1");
    text(&w, FIELD_keys_models, "[\"fast\"]");
    text(&w, FIELD_keys_providers, "[\"openai\"]");
    text(&w, FIELD_keys_addresses, "[\"10.0.0.0/8\"]");
    text(&w, FIELD_keys_tags, "{\"a\":\"b\"}");
    text(&w, FIELD_keys_role, "auditor");    /* of a key that is for models: no role */
    text(&w, FIELD_keys_priority, "high");
    number(&w, FIELD_keys_expires_at, 12345);
    number(&w, FIELD_keys_concurrent, 4);
    tell(&w, RESOURCE_keys, "key_1");
    EXPECT(directory_generation(w.directory) != generation);
    EXPECT(has(&w, digest_a, &k));
    EXPECT_STR(k.id, "key_1");
    EXPECT_STR(k.name, "ci");
    EXPECT_STR(k.user, "user_1");
    EXPECT_STR(k.terms.team, "team_1");
    EXPECT_STR(k.terms.models, "[\"fast\"]");
    EXPECT_STR(k.terms.providers, "[\"openai\"]");
    EXPECT_STR(k.terms.addresses, "[\"10.0.0.0/8\"]");
    EXPECT_STR(k.terms.tags, "{\"a\":\"b\"}");
    EXPECT_STR(k.terms.role, "");
    EXPECT_INT(k.terms.priority, PRIORITY_HIGH);
    EXPECT_INT(k.terms.concurrent, 4);
    EXPECT_INT(k.expires_ms, 12345);
    text(&w, FIELD_keys_kind, "admin");
    tell(&w, RESOURCE_keys, "key_1");
    EXPECT(has(&w, digest_a, &k));
    EXPECT_STR(k.terms.role, "auditor");
    end(&w);
}

TEST(keys_that_may_not_be_used_are_not_there)
{
    static const enum resource_field ends[] = { FIELD_keys_revoked_at, FIELD_keys_disabled };
    struct world w;
    struct directory_key k;

    begin(&w);
    text(&w, FIELD_keys_digest, HEX_A);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        tell(&w, RESOURCE_keys, "key_1");
        EXPECT(has(&w, digest_a, &k));
        number(&w, ends[i], 1);
        tell(&w, RESOURCE_keys, "key_1");
        EXPECT(!has(&w, digest_a, &k));
        number(&w, ends[i], 0);
    }
    tell(&w, RESOURCE_keys, "key_1");
    tell_gone(&w, RESOURCE_keys, "key_1");
    EXPECT(!has(&w, digest_a, &k));
    static const char *const bad[] = { "", "a1ff", "x1ff" HEX_A, "g" HEX_A };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        text(&w, FIELD_keys_digest, bad[i]);
        tell(&w, RESOURCE_keys, "key_1");
    }
    EXPECT_INT(directory_size(w.directory).keys, 0);
    end(&w);
}

TEST(a_rotated_key_is_found_by_both_secrets)
{
    struct world w;
    struct directory_key k;

    begin(&w);
    text(&w, FIELD_keys_digest, HEX_B);
    text(&w, FIELD_keys_old_digest, HEX_A);
    number(&w, FIELD_keys_old_until, 777);
    tell(&w, RESOURCE_keys, "key_1");
    EXPECT(has(&w, digest_b, &k));
    EXPECT_INT(k.expires_ms, 0);
    EXPECT(has(&w, digest_a, &k));
    EXPECT_INT(k.expires_ms, 777);
    end(&w);
}

TEST(owners_of_all_kinds_are_found)
{
    struct world w;
    struct directory_owner o;

    begin(&w);
    text(&w, FIELD_organisations_name, "acme");
    tell(&w, RESOURCE_organisations, "org_1");
    text(&w, FIELD_teams_name, "search");
    text(&w, FIELD_teams_organisation, "org_1");
    text(&w, FIELD_teams_models, "[\"fast\"]");
    number(&w, FIELD_teams_disabled, 1);
    tell(&w, RESOURCE_teams, "team_1");
    text(&w, FIELD_projects_name, "ranking");
    text(&w, FIELD_projects_team, "team_1");
    tell(&w, RESOURCE_projects, "proj_1");
    text(&w, FIELD_users_name, "ada");
    text(&w, FIELD_users_team, "team_1");
    tell(&w, RESOURCE_users, "user_1");
    text(&w, FIELD_service_accounts_name, "robot");
    text(&w, FIELD_service_accounts_project, "proj_1");
    tell(&w, RESOURCE_service_accounts, "sa_1");
    EXPECT(directory_find_owner(w.reader, S("org_1"), &o));
    EXPECT_STR(o.name, "acme");
    EXPECT(directory_find_owner(w.reader, S("team_1"), &o));
    EXPECT_STR(o.org, "org_1");
    EXPECT_STR(o.models, "[\"fast\"]");
    EXPECT(o.disabled);
    EXPECT(directory_find_owner(w.reader, S("proj_1"), &o));
    EXPECT_STR(o.team, "team_1");
    EXPECT(directory_find_owner(w.reader, S("user_1"), &o));
    EXPECT_STR(o.name, "ada");
    EXPECT(directory_find_owner(w.reader, S("sa_1"), &o));
    EXPECT_STR(o.project, "proj_1");
    tell_gone(&w, RESOURCE_teams, "team_1");
    EXPECT(!directory_find_owner(w.reader, S("team_1"), &o));
    end(&w);
}

TEST(uses_are_collected_up_to_a_limit)
{
    struct keyring_uses *u = keyring_uses_create();

    for (unsigned i = 0; i < KEYRING_USES_MOST + 10; i++)
        keyring_uses_add(u, S("key_0123456789abcdef"), i);
    EXPECT_INT(u->count, KEYRING_USES_MOST);
    EXPECT_STR(str_make(u->list[7].id, u->list[7].id_n), "key_0123456789abcdef");
    EXPECT_INT(u->list[7].wall_ms, 7);
    keyring_uses_write(NULL, u);
    keyring_uses_destroy(NULL);
}
