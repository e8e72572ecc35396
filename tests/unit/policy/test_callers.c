/* test_callers.c - principals of a worker, as keys come, change and go. */
#include "policy/callers.c"

#include <stdlib.h>
#include <zlib.h>

#include "base/clock.h"
#include "tests/test.h"

#define PEPPER S("0123456789abcdef0123456789abcdef")
#define NOW UINT64_C(1800000000000)

static void
put(struct directory *d, struct directory_key k, const char *secret, const char *old)
{
    uint8_t digest[KEY_DIGEST_BYTES], old_digest[KEY_DIGEST_BYTES];

    key_digest(PEPPER, str_c(secret), digest);
    k.digest = digest;
    if (old != NULL) {
        key_digest(PEPPER, str_c(old), old_digest);
        k.old_digest = old_digest;
    }
    EXPECT(directory_put_key(d, &k));
    directory_publish(d);
}

struct world {
    struct directory *d;
    struct callers *c;
};

static struct world
world(void)
{
    struct directory *d = directory_create();

    directory_set_pepper(d, PEPPER);
    return (struct world){ d, callers_create(d) };
}

static void
end(struct world w)
{
    callers_destroy(w.c);
    directory_destroy(w.d);
    EXPECT_INT(registry_count(&in_flight_kind), 0);
}

/* Is the secret taken now? */
static bool
works(struct world w, const char *secret, uint64_t wall_ms)
{
    struct principal *p = callers_find(w.c, str_c(secret), wall_ms);

    principal_drop(p);
    return p != NULL;
}

TEST(a_key_becomes_a_principal_with_all_that_it_belongs_to)
{
    struct world w = world();
    const struct directory_owner org = {
        .id = S("org_1"), .name = S("acme"), .tags = S("{\"floor\":\"3\"}")
    };
    const struct directory_owner team = {
        .id = S("team_1"), .name = S("search"), .org = S("org_1"), .models = S("[\"gpt-*\"]")
    };
    const struct directory_owner project = {
        .id = S("proj_1"), .name = S("ranking"), .team = S("team_1")
    };
    const struct directory_owner user = { .id = S("user_1"), .name = S("ada") };

    directory_put_owner(w.d, &org);
    directory_put_owner(w.d, &team);
    directory_put_owner(w.d, &project);
    directory_put_owner(w.d, &user);
    put(w.d,
        (struct directory_key){ .id = S("key_1"),
            .name = S("ci"),
            .user = S("user_1"),
            .terms = { .project = S("proj_1"),
                .environment = S("production"),
                .models = S("[\"gpt-4\",\"claude\"]"),
                .providers = S("[\"openai\"]"),
                .endpoints = S("[\"messages\"]"),
                .routes = S("[\"files\"]"),
                .addresses = S("[\"10.0.0.0\\/8\",\"unix\"]"),
                .origins = S("[\"https://a.example\"]"),
                .tags = S("{\"cost\":\"42\"}"),
                .concurrent = 3,
                .priority = PRIORITY_LOW } },
        "a-secret-of-the-key", NULL);

    struct principal *p = callers_find(w.c, S("a-secret-of-the-key"), NOW);
    EXPECT(p != NULL);
    EXPECT_STR(p->key_id, "key_1");
    EXPECT_STR(p->name, "ci");
    EXPECT_STR(p->user, "user_1");
    EXPECT_STR(p->user_name, "ada");
    EXPECT_STR(p->project_name, "ranking");
    EXPECT_STR(p->team, "team_1");
    EXPECT_STR(p->team_name, "search");
    EXPECT_STR(p->org, "org_1");
    EXPECT_STR(p->org_name, "acme");
    EXPECT_STR(p->environment, "production");
    EXPECT_STR(p->tags->name, "cost");
    EXPECT_STR(p->tags->value, "42");
    EXPECT_STR(p->tags->next->name, "floor");
    EXPECT(p->tags->next->next == NULL);
    EXPECT(auth_allows_model(p, S("gpt-4")));
    EXPECT(!auth_allows_model(p, S("claude")));    /* not of its team */
    EXPECT(!auth_allows_model(p, S("gpt-5")));     /* not of the key */
    EXPECT(auth_allows_provider(p, S("openai")) && !auth_allows_provider(p, S("mistral")));
    EXPECT(auth_allows_endpoint(p, S("messages"), S("POST"), S("/v1/messages")));
    EXPECT(auth_allows_address(p, S("10.1.1.1")) && !auth_allows_address(p, S("9.1.1.1")));
    EXPECT(auth_allows_address(p, S("unix")));
    EXPECT(!auth_allows_origin(p, S("https://b.example")));
    EXPECT(auth_allows_route(p, S("files"), S("GET"), S("/v1/files")));
    EXPECT(!auth_names_route(
        p, S("files")));    /* which opens the admin API: not by a key of the store */
    EXPECT_INT(p->concurrent, 3);
    EXPECT_INT(p->priority, PRIORITY_LOW);
    EXPECT_INT(strlen(p->hash_hex), AUTH_HASH_HEX_BYTES);
    principal_drop(p);
    end(w);
}

TEST(a_principal_lives_until_its_last_exchange_ended_whatever_becomes_of_the_key)
{
    struct world w = world();

    put(w.d, (struct directory_key){ .id = S("key_1"), .name = S("one") }, "secret-1", NULL);
    struct principal *p = callers_find(w.c, S("secret-1"), NOW);
    struct principal *again = callers_find(w.c, S("secret-1"), NOW);
    EXPECT(p == again);
    directory_drop_key(w.d, S("key_1"));
    directory_publish(w.d);
    EXPECT(callers_find(w.c, S("secret-1"), NOW) == NULL);
    EXPECT(callers_tick(w.c, NOW));
    EXPECT_STR(p->name, "one");
    EXPECT(!callers_allow(w.c, p, NOW));
    principal_drop(p);
    EXPECT_STR(again->name, "one");
    EXPECT_INT(registry_count(&in_flight_kind), 1);
    principal_drop(again);
    EXPECT_INT(registry_count(&in_flight_kind), 0);
    end(w);
}

TEST(a_change_of_the_key_or_of_its_team_is_seen_by_the_next_request)
{
    struct world w = world();
    struct directory_owner team = { .id = S("team_1"), .name = S("search") };
    const struct directory_key k = { .id = S("key_1"), .terms = { .team = S("team_1") } };

    directory_put_owner(w.d, &team);
    put(w.d, k, "secret-1", NULL);
    EXPECT(works(w, "secret-1", NOW));
    team.disabled = true;
    directory_put_owner(w.d, &team);
    directory_publish(w.d);
    EXPECT(!works(w, "secret-1", NOW));
    team.disabled = false;
    team.models = S("[\"a\"]");
    directory_put_owner(w.d, &team);
    directory_publish(w.d);
    struct principal *p = callers_find(w.c, S("secret-1"), NOW);
    EXPECT(!auth_allows_model(p, S("b")));
    EXPECT(callers_allow(w.c, p, NOW));
    put(w.d, (struct directory_key){ .id = S("key_1"), .name = S("renamed") }, "secret-1", NULL);
    EXPECT(callers_allow(w.c, p, NOW));    /* another key's change does not end a session */
    struct principal *now = callers_find(w.c, S("secret-1"), NOW);
    EXPECT(now != p);
    EXPECT_STR(now->name, "renamed");
    EXPECT(auth_allows_model(now, S("b")));
    principal_drop(p);
    principal_drop(now);
    put(w.d, k, "secret-1", NULL);
    EXPECT(works(w, "secret-1", NOW));
    directory_drop_owner(w.d, S("team_1"));    /* and with it whatever limits it had */
    directory_publish(w.d);
    EXPECT(!works(w, "secret-1", NOW));
    end(w);
}

TEST(what_did_not_change_stays_the_same_principal)
{
    struct world w = world();

    put(w.d, (struct directory_key){ .id = S("key_1") }, "secret-1", NULL);
    struct principal *p = callers_find(w.c, S("secret-1"), NOW);
    put(w.d, (struct directory_key){ .id = S("key_2") }, "secret-2", NULL);
    struct principal *now = callers_find(w.c, S("secret-1"), NOW);
    EXPECT(p == now);
    principal_drop(p);
    principal_drop(now);
    end(w);
}

TEST(a_key_ends_at_its_time_and_an_old_secret_at_the_end_of_the_overlap)
{
    struct world w = world();

    put(w.d, (struct directory_key){ .id = S("key_1"), .expires_ms = NOW + 1000 }, "secret-1",
        NULL);
    put(w.d, (struct directory_key){ .id = S("key_2"), .old_until_ms = NOW + 500 }, "new-secret",
        "old-secret");
    EXPECT(works(w, "secret-1", NOW + 999) && !works(w, "secret-1", NOW + 1000));
    EXPECT(works(w, "old-secret", NOW + 499) && !works(w, "old-secret", NOW + 500));
    EXPECT(works(w, "new-secret", NOW + 499) && works(w, "new-secret", NOW + 500));
    EXPECT(callers_tick(w.c, NOW + 1000));
    EXPECT(!callers_tick(w.c, NOW + 1001));
    EXPECT_INT(registry_count(&in_flight_kind), 1);
    end(w);
}

TEST(both_secrets_of_a_key_count_together)
{
    struct world w = world();

    put(w.d, (struct directory_key){ .id = S("key_1"), .old_until_ms = NOW + 500 }, "new-secret",
        "old-secret");
    struct principal *a = callers_find(w.c, S("new-secret"), NOW);
    struct principal *b = callers_find(w.c, S("old-secret"), NOW);
    EXPECT(a != b && a->in_flight == b->in_flight);
    EXPECT_STR(str_c(a->hash_hex), b->hash_hex);
    principal_drop(a);
    principal_drop(b);
    end(w);
}

TEST(networks_that_cannot_be_read_open_the_key_to_no_address)
{
    struct world w = world();

    put(w.d,
        (struct directory_key){ .id = S("key_1"), .terms = { .addresses = S("[\"10.0.0.1/8\"]") } },
        "secret-1", NULL);
    struct principal *p = callers_find(w.c, S("secret-1"), NOW);
    EXPECT(!auth_allows_address(p, S("10.0.0.1")));
    principal_drop(p);
    end(w);
}

TEST(more_keys_than_the_table_has_places_all_work)
{
    enum { KEYS = SETS * WAYS + 4000 };
    struct world w = world();
    char id[40], secret[40];
    uint8_t digest[KEY_DIGEST_BYTES];

    for (int i = 0; i < KEYS; i++) {
        snprintf(id, sizeof(id), "key_%d", i);
        snprintf(secret, sizeof(secret), "secret-%d", i);
        key_digest(PEPPER, str_c(secret), digest);
        EXPECT(
            directory_put_key(w.d, &(struct directory_key){ .id = str_c(id), .digest = digest }));
    }
    directory_publish(w.d);
    for (int i = 0; i < KEYS; i++) {
        snprintf(secret, sizeof(secret), "secret-%d", i);
        struct principal *p = callers_find(w.c, str_c(secret), NOW + (uint64_t)i);
        EXPECT(p != NULL);
        snprintf(id, sizeof(id), "key_%d", i);
        EXPECT_STR(p->key_id, id);
        principal_drop(p);
    }
    EXPECT(registry_count(&in_flight_kind) <= SETS * WAYS);
    end(w);
}

struct noted {
    unsigned count;
    uint64_t last_ms;
};

static void
note(void *arg, struct str id, uint64_t wall_ms)
{
    struct noted *n = arg;

    EXPECT_STR(id, "key_1");
    n->count++;
    n->last_ms = wall_ms;
}

TEST(the_last_use_is_reported_once)
{
    struct world w = world();
    struct noted n = { 0, 0 };

    put(w.d, (struct directory_key){ .id = S("key_1") }, "secret-1", NULL);
    EXPECT(works(w, "secret-1", NOW) && works(w, "secret-1", NOW + 5));
    callers_report_used(w.c, note, &n);
    callers_report_used(w.c, note, &n);
    EXPECT_INT(n.count, 1);
    EXPECT_INT(n.last_ms, NOW + 5);
    EXPECT(works(w, "secret-1", NOW + 9));
    directory_drop_key(w.d, S("key_1"));    /* forgotten before it was reported */
    directory_publish(w.d);
    EXPECT(callers_tick(w.c, NOW + 10));
    EXPECT_INT(n.count, 2);
    EXPECT_INT(n.last_ms, NOW + 9);
    end(w);
}

TEST(unknown_revoked_and_malformed_keys_take_the_same_steps)
{
    char unknown[KEY_FORM_ROOM], revoked[KEY_FORM_ROOM], malformed[KEY_FORM_ROOM];
    struct world w = world();
    size_t before;

    (void)key_form_make(S("key"), unknown);
    (void)key_form_make(S("key"), revoked);
    memcpy(malformed, unknown, sizeof(malformed));
    malformed[10] = malformed[10] == 'a' ? 'b' : 'a';
    EXPECT(key_form_is_ours(str_c(unknown)) && key_form_is_ours(str_c(revoked)));
    EXPECT(!key_form_is_ours(str_c(malformed)));
    put(w.d, (struct directory_key){ .id = S("key_1") }, revoked, NULL);
    EXPECT(works(w, revoked, NOW));
    directory_drop_key(w.d, S("key_1"));
    directory_publish(w.d);
    EXPECT(!works(w, revoked, NOW));    /* which makes the worker forget it */

    /* nothing is remembered, and nothing is found: the directory has the same for all three */
    before = registry_count(&in_flight_kind);
    const char *const keys[] = { unknown, revoked, malformed };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        uint8_t hash[SIPHASH_BYTES], digest[KEY_DIGEST_BYTES];

        EXPECT(!works(w, keys[i], NOW));
        siphash(&w.c->secret, str_c(keys[i]), hash);
        EXPECT(place_of(set_of(w.c, hash), hash) == NULL);
        key_digest(PEPPER, str_c(keys[i]), digest);
        struct directory_key found;
        uint64_t stamp;
        EXPECT(!directory_find(w.c->reader, digest, &found, &stamp));
        EXPECT(!callers_know(w.c, str_c(keys[i])));
    }
    EXPECT_INT(registry_count(&in_flight_kind), before);
    end(w);
}

/* Gives a key of our form its checksum. */
static void
write_fixed_check(char *key)
{
    size_t n = strlen(key) - KEY_CHECK_DIGITS;
    uint32_t sum = (uint32_t)crc32_z(0, (const Bytef *)key, n);

    for (size_t i = KEY_CHECK_DIGITS; i-- > 0; sum /= 62)
        key[n + i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[sum % 62];
}

/* What tools/same_path.py counts the instructions of. */
NOINLINE static unsigned
refuse_many(struct world w, struct str key, unsigned times)
{
    unsigned refused = 0;

    for (unsigned i = 0; i < times; i++)
        refused += callers_find(w.c, key, NOW) == NULL;
    return refused;
}

/* OPENCLAW_TEST_PATH=unknown, revoked or malformed: which kind of key. */
TEST(many_refusals_leave_nothing_behind)
{
    const char *wish = getenv("OPENCLAW_TEST_PATH");
    struct str kind = wish != NULL ? str_c(wish) : S("unknown");
    /* the same in every run, so that runs can be compared */
    char unknown[] = "oc_key_0123456789abcdefghijklAAAAAA", revoked[sizeof(unknown)], id[40],
         secret[40];
    struct world w = world();

    write_fixed_check(unknown);
    memcpy(revoked, unknown, sizeof(revoked));
    revoked[8] = 'x';
    write_fixed_check(revoked);
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "key_%d", i);
        snprintf(secret, sizeof(secret), "secret-%d", i);
        put(w.d, (struct directory_key){ .id = str_c(id) }, secret, NULL);
    }
    put(w.d, (struct directory_key){ .id = S("key_r") }, revoked, NULL);
    EXPECT(works(w, revoked, NOW));
    directory_drop_key(w.d, S("key_r"));
    directory_publish(w.d);
    EXPECT(!works(w, revoked, NOW));
    size_t held = registry_count(&in_flight_kind);
    if (str_eq(kind, S("revoked")))
        memcpy(unknown, revoked, sizeof(unknown));
    else if (str_eq(kind, S("malformed")))
        unknown[10] = '!';
    EXPECT(key_form_is_ours(str_c(unknown)) == !str_eq(kind, S("malformed")));
    EXPECT_INT(refuse_many(w, str_c(unknown), 2000), 2000);
    EXPECT_INT(registry_count(&in_flight_kind), held);
    end(w);
}
