/* test_directory.c - keys found by their digests, while others are changed. */
#include "policy/directory.c"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tests/test.h"

#define PEPPER S("0123456789abcdef0123456789abcdef")

/* A digest that only that number has. */
static const uint8_t *
digest(uint64_t n, uint8_t room[KEY_DIGEST_BYTES])
{
    memset(room, 0, KEY_DIGEST_BYTES);
    memcpy(room + 8, &n, sizeof(n));
    n = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    n ^= n >> 29;
    memcpy(room, &n, sizeof(n));
    return room;
}

static bool
put(struct directory *d, const char *id, uint64_t n, const struct directory_terms *terms)
{
    uint8_t room[KEY_DIGEST_BYTES];
    const struct directory_key k = { .id = str_c(id),
        .name = S("name"),
        .digest = digest(n, room),
        .terms = terms != NULL ? *terms : (struct directory_terms){ .priority = PRIORITY_NORMAL } };

    return directory_put_key(d, &k);
}

static bool
has(struct directory_reader *r, uint64_t n, struct directory_key *ret)
{
    uint8_t room[KEY_DIGEST_BYTES];
    uint64_t stamp;

    return directory_find(r, digest(n, room), ret, &stamp);
}

TEST(a_key_is_found_with_all_that_was_said_of_it)
{
    struct directory *d = directory_create();
    struct directory_reader *r = directory_reader(d);
    uint8_t room[KEY_DIGEST_BYTES];
    const struct directory_key k = { .id = S("key_1"),
        .name = S("ci"),
        .user = S("user_1"),
        .digest = digest(1, room),
        .expires_ms = 42,
        .terms = { .org = S("org_1"),
            .team = S("team_1"),
            .project = S("proj_1"),
            .service_account = S("sa_1"),
            .environment = S("production"),
            .models = S("[\"gpt-*\"]"),
            .providers = S("[\"openai\"]"),
            .endpoints = S("[\"messages\"]"),
            .routes = S("[\"files\"]"),
            .addresses = S("[\"10.0.0.0/8\"]"),
            .origins = S("[\"https://a.example\"]"),
            .tags = S("{\"a\":\"b\"}"),
            .role = S("auditor"),
            .concurrent = 7,
            .priority = PRIORITY_LOW } };
    struct directory_key found;
    uint64_t stamp;

    EXPECT(directory_put_key(d, &k));
    directory_enter(r);
    EXPECT(directory_find(r, digest(1, room), &found, &stamp));
    EXPECT_STR(found.id, "key_1");
    EXPECT_STR(found.name, "ci");
    EXPECT_STR(found.user, "user_1");
    EXPECT_INT(found.expires_ms, 42);
    EXPECT_STR(found.terms.org, "org_1");
    EXPECT_STR(found.terms.team, "team_1");
    EXPECT_STR(found.terms.project, "proj_1");
    EXPECT_STR(found.terms.service_account, "sa_1");
    EXPECT_STR(found.terms.environment, "production");
    EXPECT_STR(found.terms.models, "[\"gpt-*\"]");
    EXPECT_STR(found.terms.providers, "[\"openai\"]");
    EXPECT_STR(found.terms.endpoints, "[\"messages\"]");
    EXPECT_STR(found.terms.routes, "[\"files\"]");
    EXPECT_STR(found.terms.addresses, "[\"10.0.0.0/8\"]");
    EXPECT_STR(found.terms.origins, "[\"https://a.example\"]");
    EXPECT_STR(found.terms.tags, "{\"a\":\"b\"}");
    EXPECT_STR(found.terms.role, "auditor");
    EXPECT_INT(found.terms.concurrent, 7);
    EXPECT_INT(found.terms.priority, PRIORITY_LOW);
    EXPECT(!directory_find(r, digest(2, room), &found, &stamp));
    directory_leave(r);
    directory_destroy(d);
}

TEST(a_change_replaces_the_key_and_gives_it_another_stamp)
{
    struct directory *d = directory_create();
    struct directory_reader *r = directory_reader(d);
    const struct directory_terms other = { .team = S("team_2") };
    struct directory_key found;
    uint8_t room[KEY_DIGEST_BYTES];
    uint64_t first, second, generation = directory_generation(d);

    EXPECT(put(d, "key_1", 1, NULL));
    EXPECT(directory_find(r, digest(1, room), &found, &first));
    EXPECT(put(d, "key_1", 1, &other));
    EXPECT(directory_find(r, digest(1, room), &found, &second));
    EXPECT_STR(found.terms.team, "team_2");
    EXPECT(first != second);
    EXPECT_INT(directory_size(d).keys, 1);
    EXPECT_INT(directory_size(d).terms, 1);
    directory_publish(d);
    EXPECT(directory_generation(d) != generation);
    EXPECT_INT(directory_size(d).retired, 0);
    directory_destroy(d);
}

TEST(a_key_that_is_dropped_is_as_one_that_never_was)
{
    struct directory *d = directory_create();
    struct directory_reader *r = directory_reader(d);
    struct directory_key found;

    EXPECT(put(d, "key_1", 1, NULL));
    directory_drop_key(d, S("key_1"));
    directory_drop_key(d, S("key_2"));
    EXPECT(!has(r, 1, &found));
    EXPECT(put(d, "key_2", 1, NULL));    /* its digest is free again */
    EXPECT(has(r, 1, &found));
    EXPECT_STR(found.id, "key_2");
    directory_destroy(d);
}

TEST(two_keys_never_have_the_same_digest)
{
    struct directory *d = directory_create();
    struct directory_reader *r = directory_reader(d);
    uint8_t room[KEY_DIGEST_BYTES], old[KEY_DIGEST_BYTES];
    const struct directory_key k = {
        .id = S("key_2"), .digest = digest(2, room), .old_digest = digest(1, old)
    };
    struct directory_key found;

    EXPECT(put(d, "key_1", 1, NULL));
    EXPECT(!put(d, "key_2", 1, NULL));
    EXPECT(!directory_put_key(d, &k));
    EXPECT(has(r, 1, &found));
    EXPECT_STR(found.id, "key_1");
    EXPECT(!has(r, 2, &found));
    EXPECT_INT(directory_size(d).keys, 1);
    directory_destroy(d);
}

TEST(after_a_rotation_both_secrets_work_and_the_old_one_has_an_end)
{
    struct directory *d = directory_create();
    struct directory_reader *r = directory_reader(d);
    uint8_t room[KEY_DIGEST_BYTES], old[KEY_DIGEST_BYTES];
    struct directory_key k = { .id = S("key_1"),
        .digest = digest(2, room),
        .old_digest = digest(1, old),
        .old_until_ms = 1000 };
    struct directory_key found;

    EXPECT(put(d, "key_1", 1, NULL));
    EXPECT(directory_put_key(d, &k));
    EXPECT(has(r, 2, &found));
    EXPECT_INT(found.expires_ms, 0);
    EXPECT(has(r, 1, &found));
    EXPECT_STR(found.id, "key_1");
    EXPECT_INT(found.expires_ms, 1000);

    k.expires_ms = 500;    /* the whole key ends earlier */
    EXPECT(directory_put_key(d, &k));
    EXPECT(has(r, 1, &found));
    EXPECT_INT(found.expires_ms, 500);

    k.old_digest = digest(2, old);    /* rotated again: the first secret is gone at once */
    k.digest = digest(3, room);
    EXPECT(directory_put_key(d, &k));
    EXPECT(!has(r, 1, &found));
    EXPECT(has(r, 2, &found) && has(r, 3, &found));

    directory_drop_key(d, S("key_1"));
    EXPECT(!has(r, 2, &found) && !has(r, 3, &found));
    directory_publish(d);
    EXPECT_INT(directory_size(d).retired, 0);
    directory_destroy(d);
}

TEST(owners_are_found_by_their_ids)
{
    struct directory *d = directory_create();
    struct directory_reader *r = directory_reader(d);
    const struct directory_owner team = { .id = S("team_1"),
        .name = S("search"),
        .org = S("org_1"),
        .models = S("[\"fast\"]"),
        .disabled = true };
    struct directory_owner found = { .disabled = false };
    uint64_t generation = directory_owners_generation(d);

    directory_put_owner(d, &team);
    EXPECT(directory_find_owner(r, S("team_1"), &found));
    EXPECT_STR(found.name, "search");
    EXPECT_STR(found.org, "org_1");
    EXPECT_STR(found.models, "[\"fast\"]");
    EXPECT(found.disabled);
    EXPECT(directory_owners_generation(d) != generation);
    EXPECT(!directory_find_owner(r, S("team_2"), &found));
    EXPECT(!directory_find_owner(r, S(""), &found));
    directory_drop_owner(d, S("team_1"));
    EXPECT(!directory_find_owner(r, S("team_1"), &found));
    directory_destroy(d);
}

TEST(what_a_reader_is_looking_at_is_not_freed_until_it_stops)
{
    struct directory *d = directory_create();
    struct directory_reader *r = directory_reader(d), *other = directory_reader(d);
    struct directory_key found;

    EXPECT(put(d, "key_1", 1, NULL));
    directory_enter(r);
    EXPECT(has(r, 1, &found));
    directory_drop_key(d, S("key_1"));
    directory_publish(d);
    EXPECT(directory_size(d).retired != 0);
    EXPECT_STR(found.id, "key_1");
    directory_enter(other);    /* it began later, and cannot see it */
    directory_leave(r);
    directory_publish(d);
    EXPECT_INT(directory_size(d).retired, 0);
    directory_leave(other);
    directory_destroy(d);
}

TEST(many_changes_in_any_order_leave_what_a_plain_list_has)
{
    enum { KEYS = 300, STEPS = 60000 };
    static uint64_t secret[KEYS];    /* 0: there is no such key */
    struct directory *d = directory_create();
    struct directory_reader *r = directory_reader(d);
    struct directory_key found;
    uint64_t next = 1;
    char id[24];

    memset(secret, 0, sizeof(secret));
    clock_seed_for_tests(7);
    for (int step = 0; step < STEPS; step++) {
        size_t i = clock_random_u64() % KEYS;

        snprintf(id, sizeof(id), "key_%zu", i);
        if (secret[i] != 0 && clock_random_u64() % 3 == 0) {
            directory_drop_key(d, str_c(id));
            EXPECT(!has(r, secret[i], &found));
            secret[i] = 0;
        } else {
            if (secret[i] == 0 || clock_random_u64() % 2 == 0)
                secret[i] = next++;
            EXPECT(put(d, id, secret[i], NULL));
        }
        if (step % 97 == 0)
            directory_publish(d);
    }
    size_t count = 0;
    for (size_t i = 0; i < KEYS; i++) {
        count += secret[i] != 0;
        EXPECT(secret[i] == 0 || has(r, secret[i], &found));
    }
    for (uint64_t n = 1; n < next; n++) {
        bool live = false;

        for (size_t i = 0; i < KEYS; i++)
            live = live || secret[i] == n;
        EXPECT(has(r, n, &found) == live);
    }
    directory_publish(d);
    EXPECT_INT(directory_size(d).keys, count);
    EXPECT_INT(directory_size(d).retired, 0);
    EXPECT(directory_size(d).bytes < 400u * 1024);    /* tables do not grow with the changes */
    directory_destroy(d);
}

/* --- with other threads --- */

enum { STABLE = 64 };

struct looker {
    pthread_t thread;
    struct directory *directory;
    _Atomic bool *stop;
    uint64_t looks, missed, wrong;
};

static void *
look(void *arg)
{
    struct looker *l = arg;
    struct directory_reader *r = directory_reader(l->directory);
    struct directory_key found;

    while (!atomic_load(l->stop)) {
        for (uint64_t n = 0; n < STABLE; n++) {
            directory_enter(r);
            if (!has(r, n, &found))
                l->missed++;
            else if (!str_starts(found.id, S("stable_")) || !str_eq(found.name, S("name")) ||
                     !str_starts(found.terms.team, S("team_")))
                l->wrong++;
            l->looks++;
            (void)has(r, 1000 + n, &found);    /* one that comes and goes */
            directory_leave(r);
        }
    }
    return NULL;
}

TEST(keys_that_stay_are_found_at_every_moment_while_others_change)
{
    struct directory *d = directory_create();
    _Atomic bool stop = false;
    struct looker lookers[3];
    struct directory_terms terms = { .team = S("team_0") };
    char id[24], team[24];

    for (uint64_t n = 0; n < STABLE; n++) {
        snprintf(id, sizeof(id), "stable_%d", (int)n);
        EXPECT(put(d, id, n, &terms));
    }
    for (size_t i = 0; i < ARRAY_LEN(lookers); i++) {
        lookers[i] = (struct looker){ .directory = d, .stop = &stop };
        EXPECT(pthread_create(&lookers[i].thread, NULL, look, &lookers[i]) == 0);
    }
    for (int step = 0; step < 40000; step++) {
        snprintf(id, sizeof(id), "other_%d", step % 700);
        if (step % 3 == 0)
            directory_drop_key(d, str_c(id));
        else
            EXPECT(put(d, id, 1000 + (uint64_t)(step % 700), NULL));
        snprintf(id, sizeof(id), "stable_%d", step % STABLE);
        snprintf(team, sizeof(team), "team_%d", step % 1000);
        terms.team = str_c(team);
        EXPECT(put(d, id, (uint64_t)(step % STABLE), &terms));
        if (step % 10 == 0)
            directory_publish(d);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < ARRAY_LEN(lookers); i++) {
        EXPECT(pthread_join(lookers[i].thread, NULL) == 0);
        EXPECT(lookers[i].looks != 0);
        EXPECT_INT(lookers[i].missed, 0);
        EXPECT_INT(lookers[i].wrong, 0);
    }
    directory_publish(d);
    EXPECT_INT(directory_size(d).retired, 0);
    directory_destroy(d);
}

/* --- many --- */

/* OPENCLAW_TEST_KEYS=1000000 prints what a million take. */
TEST(what_a_key_takes_is_bounded)
{
    const char *wish = getenv("OPENCLAW_TEST_KEYS");
    uint64_t count = wish != NULL ? strtoull(wish, NULL, 10) : 20000;
    struct directory *d = directory_create();
    char id[40], user[40], team[40], name[40];
    uint8_t room[KEY_DIGEST_BYTES];
    struct mallinfo2 before = mallinfo2();
    uint64_t began_us = clock_now_us();

    for (uint64_t n = 0; n < count; n++) {
        struct directory_key k = { .digest = digest(n, room) };

        snprintf(id, sizeof(id), "key_%016llx", (unsigned long long)n);
        snprintf(user, sizeof(user), "user_%016llx", (unsigned long long)n / 2);
        snprintf(team, sizeof(team), "team_%016llx", (unsigned long long)n % 1000);
        snprintf(name, sizeof(name), "key of %llu", (unsigned long long)n);
        k.id = str_c(id);
        k.user = str_c(user);
        k.name = str_c(name);
        k.terms.team = str_c(team);
        k.terms.org = S("org_0000000000000001");
        k.terms.models = S("[\"gpt-*\",\"claude-*\"]");
        EXPECT(directory_put_key(d, &k));
    }
    directory_publish(d);
    uint64_t us = clock_now_us() - began_us;
    struct mallinfo2 after = mallinfo2();
    size_t bytes = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;

    if (wish != NULL)
        printf("%llu keys: %.2f s, %zu MB, %zu bytes a key\n", (unsigned long long)count,
            (double)us / 1e6, bytes / 1000000, bytes / (size_t)count);
    EXPECT_INT(directory_size(d).keys, count);
    EXPECT_INT(directory_size(d).terms, MIN(count, 1000));
    EXPECT(directory_size(d).bytes < count * 200);
    directory_destroy(d);
}
