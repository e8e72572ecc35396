/* test_cross.c - who may call when the file does not say it. */
#include "conf/cross.c"

#include <stdio.h>
#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

static int
mode_of(struct str text)
{
    struct loaded l = load(text);
    int mode = l.problems.count == 0 ? (int)l.conf->auth.mode : -1;

    unload(&l);
    return mode;
}

TEST(without_keys_local_addresses_serve_everybody)
{
    EXPECT_INT(mode_of(S("server: {listen: \"127.0.0.1:80\"}")), AUTH_NONE);
    EXPECT_INT(mode_of(S("server: {listen: \"127.9.9.9:80\"}")), AUTH_NONE);
    EXPECT_INT(mode_of(S("server: {listen: \"[::1]:80\"}")), AUTH_NONE);
    EXPECT_INT(mode_of(S("server: {listen: \"localhost:80\"}")), AUTH_NONE);
    EXPECT_INT(mode_of(S("server: {listen: \"unix:/run/x.sock\"}")), AUTH_NONE);
}

TEST(without_keys_public_addresses_are_refused)
{
    EXPECT_INT(mode_of(S("server: {listen: \"0.0.0.0:80\"}")), -1);
    EXPECT_INT(mode_of(S("server: {listen: \"[::]:80\"}")), -1);
    EXPECT_INT(mode_of(S("server: {listen: \":80\"}")), -1);
    EXPECT_INT(mode_of(S("server: {listen: \"127.example:80\"}")), -1);
    EXPECT_INT(mode_of(S("server: {listen: [\"127.0.0.1:80\", \"10.0.0.1:80\"]}")), -1);
}

TEST(keys_that_are_listed_are_asked_for)
{
    EXPECT_INT(mode_of(S("auth: {keys: [{name: a, key: b}]}")), AUTH_KEYS);
    EXPECT_INT(
        mode_of(S("server: {listen: \":80\"}\nauth: {keys: [{name: a, key: b}]}")), AUTH_KEYS);
}

TEST(what_the_file_says_about_keys_holds)
{
    EXPECT_INT(mode_of(S("server: {listen: \":80\"}\nauth: {mode: none}")), AUTH_NONE);
    EXPECT_INT(mode_of(S("auth: {mode: none, keys: [{name: a, key: b}]}")), AUTH_NONE);
    EXPECT_INT(mode_of(S("auth: {mode: keys, keys: [{name: a, key: b}]}")), AUTH_KEYS);
}

TEST(a_refused_configuration_is_closed_and_not_open)
{
    struct loaded l = load(S("server: {listen: \":80\"}"));

    EXPECT(l.problems.count == 1);
    EXPECT_INT(l.conf->auth.mode, AUTH_KEYS);
    unload(&l);
}

TEST(routes_of_a_key_that_no_request_can_match_are_problems)
{
    static const struct {
        const char *routes;
        size_t problems;
    } rows[] = {
        { "[files, models, \"/v1/files*\", \"*\", \"GET /v1/files\", \"DELETE  /v1/*\"]", 0 },
        { "[\"GET *\", \"PATCH /x\", \"PUT /x\", \"HEAD /x\", \"POST /x\"]", 0 },
        { "[\"FETCH /v1/files\"]", 1 },
        { "[\"get /v1/files\"]", 1 },
        { "[\"GET files\"]", 1 },
        { "[\"GET v1/files\", \"v1/files\", \"GET \", \"/v1/files GET\"]", 4 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char file[256];

        snprintf(file, sizeof(file),
            "auth: {keys: [{name: a, key: a-long-enough-key, routes: %s}]}", rows[i].routes);
        struct loaded l = load(str_c(file));
        EXPECT_INT(l.problems.count, rows[i].problems);
        unload(&l);
    }
}

/* How many problems two listen addresses have, or a listen and an admin address. */
static size_t
listen_problems(bool admin, const char *a, const char *b)
{
    char file[256];

    if (admin)
        snprintf(file, sizeof(file),
            "server: {listen: \"%s\", admin_listen: \"%s\"}\nauth: {mode: none}", a, b);
    else
        snprintf(
            file, sizeof(file), "server: {listen: [\"%s\", \"%s\"]}\nauth: {mode: none}", a, b);
    struct loaded l = load(str_c(file));
    size_t count = l.problems.count;

    unload(&l);
    return count;
}

TEST(a_fault_says_of_which_kind_it_is)
{
    struct loaded l =
        load(S("chaos: {faults: [{kind: reset}, {target: a, share: 5}, {kind: odd}]}"));

    EXPECT_INT(l.problems.count, 2);
    EXPECT_INT(l.conf->chaos.faults[0].kind, CHAOS_RESET);
    EXPECT_INT(l.conf->chaos.faults[0].share_percent, 100);
    unload(&l);
}

TEST(addresses_that_include_each_other_are_refused_the_others_work)
{
    static const struct {
        const char *a, *b;
        size_t problems;
    } cases[] = {
        { ":80", "127.0.0.1:80", 1 },
        { "[::1]:80", ":80", 1 },
        { ":80", "0.0.0.0:80", 1 },
        { ":80", "[::]:80", 1 },
        { "0.0.0.0:80", "10.0.0.1:80", 1 },
        { "localhost:80", "127.0.0.1:80", 1 },
        { "[::]:80", "[2001:db8::1]:80", 1 },
        { "unix:/run/a", "unix:/run/a", 1 },
        { "[::]:80", "0.0.0.0:80", 0 },
        { "[::]:80", "127.0.0.1:80", 0 },
        { ":80", "127.0.0.1:81", 0 },
        { "127.0.0.1:80", "[::1]:80", 0 },
        { "unix:/run/a", "unix:/run/b", 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        EXPECT_INT(listen_problems(false, cases[i].a, cases[i].b), cases[i].problems);
        EXPECT_INT(listen_problems(true, cases[i].a, cases[i].b), cases[i].problems);
    }
}

TEST(an_ipv6_wildcard_leaves_ipv4_alone_only_when_another_listener_takes_it)
{
    struct loaded l =
        load(S("server: {listen: [\"[::]:80\", \"[::]:81\"], admin_listen: \"127.0.0.1:81\"}\n"
               "auth: {mode: none}"));

    EXPECT(!conf_listens_v6_only(&l.conf->server, S("[::]:80")));
    EXPECT(conf_listens_v6_only(&l.conf->server, S("[::]:81")));
    EXPECT(!conf_listens_v6_only(&l.conf->server, S("127.0.0.1:81")));
    unload(&l);
}

TEST(port_0_may_be_there_many_times)
{
    EXPECT_INT(
        mode_of(S(
            "server: {listen: [\"127.0.0.1:0\", \"127.0.0.1:0\"], admin_listen: \"127.0.0.1:0\"}")),
        AUTH_NONE);
}

TEST(defaults_for_callers_do_not_hold_where_no_key_is_needed_what_is_set_does)
{
    struct loaded keys = load(S("auth: {keys: [{name: a, key: b}]}"));
    struct loaded none = load(S("server: {listen: \"127.0.0.1:80\"}"));
    struct loaded set =
        load(S("server: {limits: {streams_per_key: 7, connections_per_address: 8}}"));

    EXPECT_INT(keys.conf->server.limit_streams_per_key, CONF_STREAMS_PER_KEY);
    EXPECT_INT(keys.conf->server.limit_connections_per_address, CONF_CONNECTIONS_PER_ADDRESS);
    EXPECT_INT(none.conf->server.limit_streams_per_key, 0);
    EXPECT_INT(none.conf->server.limit_connections_per_address, 0);
    EXPECT_INT(set.conf->server.limit_streams_per_key, 7);
    EXPECT_INT(set.conf->server.limit_connections_per_address, 8);
    unload(&keys);
    unload(&none);
    unload(&set);
}

/* How many problems a reload from `now` to `next` has while `open` is open. */
static size_t
reload_problems(struct str now, const char *open, struct str next)
{
    struct conf_str address = { .v = str_c(open) };
    const struct conf_strs addresses = { .list = &address, .count = 1 };
    struct loaded a = load(now), b = load(next);

    EXPECT(a.problems.count == 0);
    EXPECT(b.problems.count == 0);
    conf_check_reload(a.conf, &addresses, b.conf, &b.problems);
    size_t count = b.problems.count;
    unload(&a);
    unload(&b);
    return count;
}

#define PUBLIC "server: {listen: \":80\"}\n"
#define LOCAL "server: {listen: \"127.0.0.1:80\"}\n"
#define KEYS "auth: {keys: [{name: a, key: b}]}\n"
#define OPEN_TO_ALL "auth: {mode: none}\n"

TEST(a_reload_serves_nobody_without_a_key_at_an_address_that_the_file_forgot)
{
    EXPECT_INT(reload_problems(S(PUBLIC KEYS), ":80", S(LOCAL OPEN_TO_ALL)), 1);
    EXPECT_INT(reload_problems(S(PUBLIC KEYS), ":80", S(LOCAL "models: {}\n")), 1);
    EXPECT_INT(reload_problems(S(PUBLIC OPEN_TO_ALL), ":80", S(LOCAL OPEN_TO_ALL)), 1);
    EXPECT_INT(reload_problems(S(PUBLIC KEYS), ":80", S(LOCAL KEYS)), 0);
    EXPECT_INT(reload_problems(S(PUBLIC KEYS), ":80", S(PUBLIC OPEN_TO_ALL)), 0);
    EXPECT_INT(reload_problems(S(LOCAL KEYS), "127.0.0.1:80", S(LOCAL OPEN_TO_ALL)), 0);
}

TEST(a_file_that_lost_what_made_it_a_configuration_is_no_reload)
{
    const char *l = "127.0.0.1:80";

    EXPECT_INT(reload_problems(S(LOCAL KEYS), l, S("")), 1);
    EXPECT_INT(reload_problems(S(LOCAL KEYS), l, S("# nothing")), 1);
    EXPECT_INT(reload_problems(S(LOCAL), l, S("{}")), 1);
    EXPECT_INT(reload_problems(S(LOCAL "models: {}"), l, S(LOCAL)), 1);
    EXPECT_INT(reload_problems(S(LOCAL KEYS "models: {}"), l, S(LOCAL "models: {}")), 1);
    EXPECT_INT(reload_problems(S(""), l, S("")), 0);
    EXPECT_INT(reload_problems(S(LOCAL), l, S("server: {workers: 1}")), 0);
    EXPECT_INT(reload_problems(S(LOCAL KEYS), l, S(OPEN_TO_ALL)), 0);
}
