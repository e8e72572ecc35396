/* test_snapshot.c - a snapshot lives as long as somebody holds it. */
#include "gateway/snapshot.c"

#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

static struct snapshot *
make(const char *text, struct conf_problems *problems, struct arena **a)
{
    *a = arena_create(1024 * 1024);
    conf_problems_init(problems, *a);
    return snapshot_build(conf_parse(str_c(text), S("t"), problems), 2, S("http://127.0.0.1:1/v1"), problems);
}

TEST(each_snapshot_has_a_number_of_its_own)
{
    struct conf_problems problems;
    struct arena *a, *b;
    struct snapshot *one = make("providers:\n  openai: {api_key: k}\n", &problems, &a);
    struct snapshot *two = make("providers:\n  openai: {api_key: k}\n", &problems, &b);

    EXPECT(two->generation > one->generation);
    snapshot_unref(one);
    snapshot_unref(two);
    snapshot_unref(NULL);
    arena_destroy(a);
    arena_destroy(b);
}

TEST(a_bad_configuration_gives_all_its_problems_and_can_be_let_go)
{
    struct conf_problems problems;
    struct arena *a;
    struct snapshot *s = make("auth:\n  keys: [{name: a, key: same-key}, {name: b, key: same-key}]\n"
                              "providers:\n  opnai: {api_key: k}\n"
                              "models:\n  fast: {targets: [nowhere/m]}\n",
        &problems, &a);

    EXPECT_INT(problems.count, 3);
    snapshot_unref(s);
    arena_destroy(a);
}

TEST(a_workers_hold_counts_without_atomics_and_lets_go_once)
{
    struct conf_problems problems;
    struct arena *a;
    struct snapshot *s = make("providers:\n  openai: {api_key: k}\n", &problems, &a);
    struct snapshot_hold *current = snapshot_hold_create(snapshot_ref(s));
    struct snapshot_hold *exchange = snapshot_hold_take(current);

    EXPECT_INT(atomic_load(&s->refs), 2);
    snapshot_hold_drop(current);    /* a reload */
    EXPECT_INT(atomic_load(&s->refs), 2);
    EXPECT_STR(route_provider_at(exchange->snapshot->routes, 0)->id, "openai");
    snapshot_hold_drop(exchange);
    EXPECT_INT(atomic_load(&s->refs), 1);
    snapshot_hold_drop(NULL);
    snapshot_unref(s);
    arena_destroy(a);
}
