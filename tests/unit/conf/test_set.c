/* test_set.c - --set goes over the file, with the same checks and messages that name it. */
#include "conf/set.c"

#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

#define LOAD(text, ...)                                                                            \
    load_with(S(text), (const char *const[]){ __VA_ARGS__ },                                       \
        sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

TEST(a_set_goes_over_the_file)
{
    struct loaded l =
        LOAD("server: {workers: 1, keepalive: 9s}\n", "server.workers=7", "timeouts.total=1h");

    EXPECT_STR(problem_lines(&l), "");
    EXPECT_INT(l.conf->server.workers, 7);
    EXPECT_INT(l.conf->server.keepalive_ms, 9000);
    EXPECT_INT(l.conf->timeouts.total_ms, 3600000);
    unload(&l);
}

TEST(the_last_set_wins_and_an_empty_one_means_the_default)
{
    struct loaded l = LOAD(
        "server: {keepalive: 9s}\n", "server.workers=7", "server.workers=8", "server.keepalive=");

    EXPECT_STR(problem_lines(&l), "");
    EXPECT_INT(l.conf->server.workers, 8);
    EXPECT_INT(l.conf->server.keepalive_ms, 15000);
    unload(&l);
}

TEST(lists_and_sections_are_written_as_in_the_file)
{
    struct loaded l =
        LOAD("", "server.listen=[\"127.0.0.1:1\", \"127.0.0.1:2\"]", "models.m={targets: [a/b]}",
            "providers.p.headers={x-a: \"1\"}", "auth.mode=none", "observe.log.path='stdout'");

    EXPECT_STR(problem_lines(&l), "");
    EXPECT_INT(l.conf->server.listen.count, 2);
    EXPECT_STR(l.conf->models[0].targets[0].model.v, "a/b");
    EXPECT_STR(l.conf->providers[0].fields[0].value.v, "1");
    EXPECT_STR(l.conf->observe.log_path.v, "stdout");
    unload(&l);
}

TEST(a_plain_value_may_hold_any_sign)
{
    struct loaded l = LOAD("", "providers.p.api_key=a=b:c#d", "providers.p.base_url=http://h:1/v1");

    EXPECT_STR(problem_lines(&l), "");
    EXPECT_STR(l.conf->providers[0].api_keys.list[0].v, "a=b:c#d");
    EXPECT_STR(l.conf->providers[0].base_url.v, "http://h:1/v1");
    unload(&l);
}

TEST(names_with_dots_stand_in_quotes)
{
    struct loaded l =
        LOAD("models:\n  gpt-4.1: {targets: [a/b]}\n", "models.\"gpt-4.1\".targets=[c/d, e/f]");

    EXPECT_STR(problem_lines(&l), "");
    EXPECT_INT(l.conf->model_count, 1);
    EXPECT_INT(l.conf->models[0].target_count, 2);
    unload(&l);
}

TEST(a_set_does_not_change_what_an_alias_shares)
{
    struct loaded l = LOAD("providers:\n  p: &x {timeouts: {connect: 1s}}\n  q: *x\n",
        "providers.p.timeouts.connect=2s");

    EXPECT_STR(problem_lines(&l), "");
    EXPECT_INT(l.conf->providers[0].timeouts.connect_ms, 2000);
    EXPECT_INT(l.conf->providers[1].timeouts.connect_ms, 1000);
    unload(&l);
}

TEST(a_wrong_set_is_named)
{
    static const struct {
        const char *set;
        const char *problem;
    } cases[] = {
        { "server.workers=many",
            "--set server.workers: 'server.workers' is not a whole number; write auto or a whole number from 1 to 256\n" },
        { "server.lisen=x",
            "--set server.lisen: 'server.lisen' is unknown; did you mean 'listen'?\n" },
        { "sever.listen=x", "--set sever.listen: 'sever' is unknown; did you mean 'server'?\n" },
        { "alerts=[]",
            "--set alerts: 'alerts' is not supported in this version (alerts); remove it\n" },
        { "server.workers.x=1",
            "--set server.workers.x: part of this path is not a section; write the path of a setting, "
            "or the whole list as [a, b]\n" },
        { "server.listen=[a",
            "--set server.listen: this is not valid YAML: flow sequence without a closing bracket; "
            "check the indentation, the quotes and the brackets\n" },
        { "server={workers: 0}",
            "--set server: 'server.workers' is too small; write auto or a whole number from 1 to 256\n" },
        { "models.m.strategy=priority",
            "--set models.m.strategy: 'models.m' lacks 'targets'; write targets: [openai/gpt-4o-mini]\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct loaded l = LOAD("server: {workers: 1}\n", cases[i].set);

        EXPECT_STR(problem_lines(&l), cases[i].problem);
        unload(&l);
    }
}

TEST(what_is_no_setting_at_all_is_refused_and_not_shown)
{
    static const char *const sets[] = { "", "=", "=x", "canary", ".=x", "a.=x", ".a=x", "a..b=x",
        "\"a=x", "\"\"=x", "\"a\"b=x", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=x" };

    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        struct loaded l = LOAD("", sets[i]);
        struct str lines = problem_lines(&l);

        EXPECT_INT(l.problems.count, 1);
        EXPECT(str_find(lines,
                   S("is not a setting; write --set key.path=value, like --set server.workers=2")) <
               lines.n);
        EXPECT(str_find(lines, S("canary")) == lines.n);
        unload(&l);
    }
}
