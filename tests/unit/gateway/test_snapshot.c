/* test_snapshot.c - a snapshot is freed with its last reference. */
#include "gateway/snapshot.c"

#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

static struct snapshot *
make(const char *text, struct conf_problems *problems, struct arena **a)
{
    *a = arena_create(1024 * 1024);
    conf_problems_init(problems, *a);
    return snapshot_build(
        conf_parse(str_c(text), S("t"), problems), S("http://127.0.0.1:1/v1"), problems);
}

TEST(a_snapshots_generation_starts_at_one)
{
    struct conf_problems problems;
    struct arena *a, *b;
    struct snapshot *one = make("providers:\n  openai: {api_key: k}\n", &problems, &a);
    struct snapshot *two = make("providers:\n  openai: {api_key: k}\n", &problems, &b);

    EXPECT(one->generation == 1 && two->generation == 1);
    snapshot_unref(one);
    snapshot_unref(two);
    snapshot_unref(NULL);
    arena_destroy(a);
    arena_destroy(b);
}

TEST(all_configured_secrets_are_collected)
{
    struct conf_problems problems;
    struct arena *a;

    EXPECT(setenv("http_proxy", "http://user:proxy%2dpassword@127.0.0.1:3128", 1) == 0);
    struct snapshot *s = make(
        "auth:\n  keys: [{name: a, key: callers-own-key}]\n"
        "providers:\n"
        "  one: {wire: openai-chat, base_url: http://one.test/v1, api_key: [first-one, other-one],\n"
        "        headers: {x-team: team-secret}}\n"
        "  two: {wire: anthropic-messages, base_url: http://two.test/v1, api_key: second-two}\n",
        &problems, &a);
    EXPECT(unsetenv("http_proxy") == 0);

    EXPECT_INT(problems.count, 0);
    EXPECT(secrets_in(s->secrets, S("callers-own-key")) && secrets_in(s->secrets, S("first-one")));
    EXPECT(secrets_in(s->secrets, S("OTHER-ONE")) && secrets_in(s->secrets, S("second-two")));
    EXPECT(secrets_in(s->secrets, S("team-secret")) && secrets_in(s->secrets, S("proxy-password")));
    EXPECT(!secrets_in(s->secrets, S("one.test two.test openai-chat x-team Authorization")));
    snapshot_unref(s);
    arena_destroy(a);
}

TEST(an_invalid_configuration_reports_all_problems_and_can_be_released)
{
    struct conf_problems problems;
    struct arena *a;
    struct snapshot *s =
        make("auth:\n  keys: [{name: a, key: same-key}, {name: b, key: same-key}]\n"
             "providers:\n  opnai: {api_key: k}\n"
             "models:\n  fast: {targets: [nowhere/m]}\n",
            &problems, &a);

    EXPECT_INT(problems.count, 3);
    snapshot_unref(s);
    arena_destroy(a);
}

TEST(a_workers_references_are_released_once)
{
    struct conf_problems problems;
    struct arena *a;
    struct snapshot *s = make("providers:\n  openai: {api_key: k}\n", &problems, &a);
    struct snapshot_hold *current = snapshot_hold_create(snapshot_ref(s));
    struct snapshot_hold *exchange = snapshot_hold_take(current);

    EXPECT_INT(atomic_load(&s->refs), 2);
    snapshot_hold_drop(current);    /* a reload */
    EXPECT_INT(atomic_load(&s->refs), 2);
    EXPECT_STR(providers_at(exchange->snapshot->providers, 0)->id, "openai");
    snapshot_hold_drop(exchange);
    EXPECT_INT(atomic_load(&s->refs), 1);
    snapshot_hold_drop(NULL);
    snapshot_unref(s);
    arena_destroy(a);
}

/* The file without the '#' of what is commented out; sentences, "# Like this", stay comments. */
static struct str
uncommented(const char *path)
{
    static char text[16 * 1024];
    char line[256];
    size_t n = 0;
    FILE *f = fopen(path, "r");

    EXPECT(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        bool sentence = line[1] == ' ' && line[2] != ' ';
        struct str kept = str_skip(str_c(line), line[0] == '#' && !sentence);

        EXPECT(n + kept.n < sizeof(text));
        memcpy(text + n, kept.p, kept.n);
        n += kept.n;
    }
    (void)fclose(f);
    return str_make(text, n);
}

TEST(the_example_configuration_is_valid)
{
    static const char here[] = "tests/unit/gateway/test_snapshot.c";
    struct conf_problems problems;
    struct arena *a = arena_create(1024 * 1024);
    char path[1024];

    (void)snprintf(path, sizeof(path), "%.*setc/openclaw.yaml",
        (int)(strlen(__FILE__) - strlen(here)), __FILE__);
    EXPECT(setenv("MY_APP_KEY", "k1", 1) == 0 && setenv("OPENAI_API_KEY", "k2", 1) == 0);
    EXPECT(setenv("ANTHROPIC_API_KEY", "k3", 1) == 0);
    conf_problems_init(&problems, a);
    struct snapshot *s =
        snapshot_build(conf_parse(uncommented(path), S("etc"), &problems), S(""), &problems);
    EXPECT(table_alias_at(s->routes, 1) != NULL);
    for (const struct conf_problem *p = problems.first; p != NULL; p = p->next)
        print_error("%u:%u: %.*s\n", p->mark.line, p->mark.column, STR_ARG(p->text));
    EXPECT_INT(problems.count, 0);
    for (size_t i = 0; table_alias_at(s->routes, i) != NULL; i++)
        for (size_t t = 0; t < table_alias_at(s->routes, i)->count; t++)
            /* models that exist */
            EXPECT(table_alias_at(s->routes, i)->targets[t]->facts != NULL);
    snapshot_unref(s);
    arena_destroy(a);
}
