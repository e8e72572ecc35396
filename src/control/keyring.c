/* keyring.c - rows of resources become records of the directory. */
#include "control/keyring.h"

#include <stdlib.h>

#include "base/log.h"
#include "control/steward.h"

/* --- owners --- */

/* What is gone has no values. */
static bool
is_gone(struct directory *d, const struct resource_row *row)
{
    if (row->deleted)
        directory_drop_owner(d, row->id);
    return row->deleted;
}

static void
on_organisation(void *arg, const struct resource_row *row)
{
    if (!is_gone(arg, row))
        directory_put_owner(
            arg, &(struct directory_owner){ .id = row->id,
                     .name = resource_text(row, FIELD_organisations_name),
                     .tags = resource_text(row, FIELD_organisations_tags),
                     .disabled = resource_number(row, FIELD_organisations_disabled) != 0 });
}

static void
on_team(void *arg, const struct resource_row *row)
{
    if (!is_gone(arg, row))
        directory_put_owner(arg, &(struct directory_owner){ .id = row->id,
                                     .name = resource_text(row, FIELD_teams_name),
                                     .org = resource_text(row, FIELD_teams_organisation),
                                     .models = resource_text(row, FIELD_teams_models),
                                     .tags = resource_text(row, FIELD_teams_tags),
                                     .disabled = resource_number(row, FIELD_teams_disabled) != 0 });
}

static void
on_project(void *arg, const struct resource_row *row)
{
    if (!is_gone(arg, row))
        directory_put_owner(
            arg, &(struct directory_owner){ .id = row->id,
                     .name = resource_text(row, FIELD_projects_name),
                     .team = resource_text(row, FIELD_projects_team),
                     .models = resource_text(row, FIELD_projects_models),
                     .tags = resource_text(row, FIELD_projects_tags),
                     .disabled = resource_number(row, FIELD_projects_disabled) != 0 });
}

static void
on_user(void *arg, const struct resource_row *row)
{
    if (!is_gone(arg, row))
        directory_put_owner(arg, &(struct directory_owner){ .id = row->id,
                                     .name = resource_text(row, FIELD_users_name),
                                     .org = resource_text(row, FIELD_users_organisation),
                                     .team = resource_text(row, FIELD_users_team),
                                     .tags = resource_text(row, FIELD_users_tags),
                                     .disabled = resource_number(row, FIELD_users_disabled) != 0 });
}

static void
on_account(void *arg, const struct resource_row *row)
{
    if (!is_gone(arg, row))
        directory_put_owner(
            arg, &(struct directory_owner){ .id = row->id,
                     .name = resource_text(row, FIELD_service_accounts_name),
                     .org = resource_text(row, FIELD_service_accounts_organisation),
                     .team = resource_text(row, FIELD_service_accounts_team),
                     .project = resource_text(row, FIELD_service_accounts_project),
                     .tags = resource_text(row, FIELD_service_accounts_tags),
                     .disabled = resource_number(row, FIELD_service_accounts_disabled) != 0 });
}

/* --- keys --- */

/* Of a lower-case hexadecimal digit; more than 15 for anything else. A million keys have 64 million of them. */
static inline unsigned
hex_digit(char c)
{
    return str_is_digit(c)        ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                  : 16;
}

static bool
read_digest(struct str hex, uint8_t ret[KEY_DIGEST_BYTES])
{
    unsigned all = 0;

    if (hex.n != 2 * KEY_DIGEST_BYTES)
        return false;
    for (size_t i = 0; i < KEY_DIGEST_BYTES; i++) {
        unsigned high = hex_digit(hex.p[2 * i]), low = hex_digit(hex.p[2 * i + 1]);

        all |= high | low;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return all < 16;
}

static struct directory_terms
terms_of(const struct resource_row *row)
{
    bool for_admin = str_eq(resource_text(row, FIELD_keys_kind), S("admin"));

    return (struct directory_terms){
        .org = resource_text(row, FIELD_keys_organisation),
        .team = resource_text(row, FIELD_keys_team),
        .project = resource_text(row, FIELD_keys_project),
        .service_account = resource_text(row, FIELD_keys_service_account),
        .environment = resource_text(row, FIELD_keys_environment),
        .models = resource_text(row, FIELD_keys_models),
        .providers = resource_text(row, FIELD_keys_providers),
        .endpoints = resource_text(row, FIELD_keys_endpoints),
        .routes = resource_text(row, FIELD_keys_routes),
        .addresses = resource_text(row, FIELD_keys_addresses),
        .origins = resource_text(row, FIELD_keys_origins),
        .tags = resource_text(row, FIELD_keys_tags),
        .role = for_admin ? resource_text(row, FIELD_keys_role) : S(""),
        .concurrent = (uint64_t)resource_number(row, FIELD_keys_concurrent),
        .priority = priority_named(resource_text(row, FIELD_keys_priority)),
    };
}

/* A key that may not be used is not in the directory at all. */
static void
on_key(void *arg, const struct resource_row *row)
{
    struct directory *d = arg;
    uint8_t digest[KEY_DIGEST_BYTES], old[KEY_DIGEST_BYTES];

    if (row->deleted || resource_number(row, FIELD_keys_revoked_at) != 0 ||
        resource_number(row, FIELD_keys_disabled) != 0 ||
        !read_digest(resource_text(row, FIELD_keys_digest), digest)) {
        directory_drop_key(d, row->id);
        return;
    }
    bool has_old = read_digest(resource_text(row, FIELD_keys_old_digest), old);
    const struct directory_key k = { .id = row->id,
        .name = resource_text(row, FIELD_keys_name),
        .user = resource_text(row, FIELD_keys_user),
        .terms = terms_of(row),
        .expires_ms = (uint64_t)resource_number(row, FIELD_keys_expires_at),
        .digest = digest,
        .old_digest = has_old ? old : NULL,
        .old_until_ms = (uint64_t)resource_number(row, FIELD_keys_old_until) };
    if (!directory_put_key(d, &k))
        log_error(NULL,
            "the key " STR_FMT
            " has the secret of another one and cannot be used; revoke one of them",
            STR_ARG(row->id));
}

static void
on_settled(void *arg)
{
    directory_publish(arg);
}

void
keyring_watch(struct resources *r, struct directory *d)
{
    static const struct {
        enum resource_kind kind;
        void (*changed)(void *arg, const struct resource_row *row);
    } kinds[] = {
        { RESOURCE_organisations, on_organisation },
        { RESOURCE_teams, on_team },
        { RESOURCE_projects, on_project },
        { RESOURCE_users, on_user },
        { RESOURCE_service_accounts, on_account },
        { RESOURCE_keys, on_key },
    };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        resources_watch(r, (struct resource_watcher){ .kind = kinds[i].kind,
                               .changed = kinds[i].changed,
                               .settled = on_settled,
                               .arg = d });
}

/* --- last uses --- */

struct use {
    char id[RESOURCE_ID_MOST];
    uint8_t id_n;
    uint64_t wall_ms;
};

struct keyring_uses {
    struct use *list;
    size_t count, room;
};

struct keyring_uses *
keyring_uses_create(void)
{
    return check_alloc(calloc(1, sizeof(struct keyring_uses)));
}

void
keyring_uses_destroy(struct keyring_uses *u)
{
    if (u != NULL)
        free(u->list);
    free(u);
}

void
keyring_uses_add(void *uses, struct str key_id, uint64_t wall_ms)
{
    struct keyring_uses *u = uses;

    if (u->count == KEYRING_USES_MOST || key_id.n > RESOURCE_ID_MOST)
        return;
    if (u->count == u->room) {
        u->room = MAX(u->room * 2, 64);
        u->list = check_alloc(realloc(u->list, u->room * sizeof(*u->list)));
    }
    struct use *use = &u->list[u->count++];
    *use = (struct use){ .id_n = (uint8_t)key_id.n, .wall_ms = wall_ms };
    memcpy(use->id, key_id.p, key_id.n);
}

/* The row's revision stays: nothing that anybody decides by has changed. */
static void
write_uses(struct store *s, void *arg)
{
    struct keyring_uses *u = arg;
    struct store_value *rows = check_alloc(calloc(u->count, 2 * sizeof(*rows)));

    for (size_t i = 0; i < u->count; i++) {
        rows[2 * i] = store_i64((int64_t)u->list[i].wall_ms);
        rows[2 * i + 1] = store_text(str_make(u->list[i].id, u->list[i].id_n));
    }
    enum store_result r = store_batch(s,
        "UPDATE keys SET last_used_at = ?1 WHERE id = ?2 AND (last_used_at IS NULL OR last_used_at < ?1)",
        rows, u->count, 2);
    if (r != STORE_OK && r != STORE_AWAY)
        log_warn(NULL, "when keys were used last cannot be written: %s", store_why(s));
    free(rows);
    keyring_uses_destroy(u);
}

static void
drop_uses(void *arg)
{
    keyring_uses_destroy(arg);
}

void
keyring_uses_write(struct steward *s, struct keyring_uses *u)
{
    const struct steward_job job = { .work = write_uses, .drop = drop_uses, .arg = u };

    if (s == NULL || u->count == 0 || !steward_ask(s, &job))
        keyring_uses_destroy(u);
}
