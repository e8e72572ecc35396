/* test_dns.c - lookups shared, remembered, refreshed, failed and cancelled. */
#include "net/dns.c"

#include "tests/unit/net/name_server.h"

struct asker {
    struct dns_query *query;
    unsigned answers;
    size_t count;
    char first[ADDRESS_TEXT_ROOM];
    char error[128];
    struct asker *cancels;
};

static void
on_answer(void *arg, const struct dns_answer *answer)
{
    struct asker *a = arg;

    a->answers++;
    a->count = answer->count;
    a->error[0] = a->first[0] = '\0';
    if (answer->error != NULL)
        str_copy_c(a->error, sizeof(a->error), str_c(answer->error));
    if (answer->count != 0)
        address_text(&answer->list[0], a->first);
    if (a->cancels != NULL)
        dns_cancel(a->cancels->query);
}

static void
ask(struct loop *l, struct asker *a, const char *host)
{
    *a = (struct asker){ .cancels = a->cancels };
    a->query = dns_resolve(l, str_c(host), on_answer, a);
}

static void
ask_and_wait(struct loop *l, struct asker *a, const char *host)
{
    ask(l, a, host);
    RUN_UNTIL(l, a->answers == 1);
}

static struct dns_name *
name_in(struct loop *l, const char *host)
{
    struct dns_name *n = map_get(dns_of(l)->names, str_c(host));

    EXPECT(n != NULL);
    return n;
}

/* Its TTL is over, for all loops. */
static void
expire(struct loop *l, const char *host)
{
    struct dns_name *n = name_in(l, host);

    n->known.fresh_until_ms = clock_now_ms() - 1;
    n->ask_again_ms = 0;
    shared_put(host, &n->known);
}

static void
close_both(struct name_server *s, struct loop *l)
{
    name_server_close(s);
    loop_destroy(l);
    pthread_mutex_lock(&shared_lock);
    if (shared != NULL)
        shared_forget_all();
    pthread_mutex_unlock(&shared_lock);
}

TEST(literals_and_localhost_are_answered_from_the_loop_without_a_lookup)
{
    struct loop *l = loop_create();
    struct asker a[5] = { { .answers = 0 } };
    static const char *const hosts[] = { "127.0.0.1", "::1", "localhost", "LocalHost.",
        "app.localhost" };

    for (int i = 0; i < 5; i++)
        ask(l, &a[i], hosts[i]);
    EXPECT_INT(a[0].answers, 0);
    RUN_UNTIL(l, a[0].answers + a[1].answers + a[2].answers + a[3].answers + a[4].answers == 5);
    EXPECT_STR(str_c(a[0].first), "127.0.0.1");
    EXPECT_STR(str_c(a[1].first), "::1");
    for (int i = 2; i < 5; i++) {
        EXPECT_INT(a[i].count, 2);
        EXPECT_STR(str_c(a[i].first), "127.0.0.1");
    }
    EXPECT_INT(dns_stats(l).lookups, 0);
    loop_destroy(l);
}

TEST(queries_for_one_name_share_a_lookup_and_its_answer_serves_until_the_ttl_is_over)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker a[3] = { { .answers = 0 } }, later = { .answers = 0 };

    name_server_open(&s, l);
    struct zone *z = zone_of(&s, "one.test");
    z->v4[0] = "192.0.2.1";
    z->ttl_s = 300;
    for (int i = 0; i < 3; i++)
        ask(l, &a[i], "one.test");
    RUN_UNTIL(l, a[0].answers + a[1].answers + a[2].answers == 3);
    EXPECT_STR(str_c(a[2].first), "192.0.2.1");
    ask_and_wait(l, &later, "one.test");
    EXPECT_INT(z->asked, 2);    /* one question for each family */
    EXPECT_INT(dns_stats(l).lookups, 1);
    uint64_t left_ms = name_in(l, "one.test")->known.fresh_until_ms - clock_now_ms();
    EXPECT(left_ms > 200 * 1000 && left_ms <= 300 * 1000);

    z->v4[0] = "192.0.2.2";
    expire(l, "one.test");
    ask_and_wait(l, &later, "one.test");
    EXPECT_STR(str_c(later.first), "192.0.2.2");
    EXPECT_INT(z->asked, 4);
    close_both(&s, l);
}

TEST(ttls_are_kept_between_a_second_and_an_hour)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker a = { .answers = 0 };

    name_server_open(&s, l);
    zone_of(&s, "zero.test")->v4[0] = "192.0.2.1";
    zone_of(&s, "week.test")->v4[0] = "192.0.2.1";
    zone_of(&s, "week.test")->ttl_s = 604800;
    ask_and_wait(l, &a, "zero.test");
    EXPECT(name_in(l, "zero.test")->known.fresh_until_ms <= clock_now_ms() + TTL_MIN_MS);
    ask_and_wait(l, &a, "week.test");
    EXPECT(name_in(l, "week.test")->known.fresh_until_ms <= clock_now_ms() + TTL_MAX_MS);
    EXPECT(name_in(l, "week.test")->known.fresh_until_ms > clock_now_ms() + TTL_MAX_MS / 2);
    close_both(&s, l);
}

TEST(names_without_an_answer_do_not_block_others)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker hung[8] = { { .answers = 0 } }, a = { .answers = 0 };
    char names[8][32];

    name_server_open(&s, l);
    for (int i = 0; i < 8; i++) {
        snprintf(names[i], sizeof(names[i]), "hung%d.test", i);
        zone_of(&s, names[i])->hangs = true;
        ask(l, &hung[i], names[i]);
    }
    zone_of(&s, "good.test")->v4[0] = "192.0.2.1";
    ask_and_wait(l, &a, "good.test");
    EXPECT_INT(a.count, 1);
    for (int i = 0; i < 8; i++) {
        EXPECT_INT(hung[i].answers, 0);
        dns_cancel(hung[i].query);
    }
    close_both(&s, l);
}

TEST(a_lost_packet_is_sent_again)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker a = { .answers = 0 };

    name_server_open(&s, l);
    zone_of(&s, "lossy.test")->v4[0] = "192.0.2.1";
    zone_of(&s, "lossy.test")->drops = 2;
    ask_and_wait(l, &a, "lossy.test");
    EXPECT_STR(str_c(a.first), "192.0.2.1");
    close_both(&s, l);
}

TEST(a_family_without_an_answer_does_not_delay_the_other)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker a = { .answers = 0 };

    name_server_open(&s, l);
    zone_of(&s, "half.test")->v4[0] = "192.0.2.1";
    zone_of(&s, "half.test")->v6_hangs = true;
    zone_of(&s, "half.test")->ttl_s = 60;
    ask_and_wait(l, &a, "half.test");
    EXPECT_STR(str_c(a.first), "192.0.2.1");
    EXPECT(name_in(l, "half.test")->lookup != NULL);    /* it goes on */
    ask_and_wait(l, &a, "half.test");
    close_both(&s, l);
}

TEST(no_such_name_and_no_answer_are_distinguished_and_cached_briefly)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker a = { .answers = 0 };

    name_server_open(&s, l);
    zone_of(&s, "broken.test")->rcode = 2;
    zone_of(&s, "empty.test")->ttl_s = 60;
    ask_and_wait(l, &a, "nobody.test");
    EXPECT_STR(str_c(a.error), "no such name");
    EXPECT(name_in(l, "nobody.test")->known.fresh_until_ms > clock_now_ms() + FAILURE_MS);
    EXPECT(name_in(l, "nobody.test")->known.fresh_until_ms <= clock_now_ms() + NEGATIVE_MS);
    ask_and_wait(l, &a, "empty.test");
    EXPECT_STR(str_c(a.error), "the name has no address");
    ask_and_wait(l, &a, "broken.test");
    EXPECT(str_starts(str_c(a.error), S("the name server failed")));
    EXPECT(name_in(l, "broken.test")->known.fresh_until_ms <= clock_now_ms() + FAILURE_MS);
    EXPECT_INT(dns_stats(l).failures, 3);
    close_both(&s, l);
}

TEST(an_old_answer_serves_when_the_name_server_fails_is_gone_or_slow_but_not_when_it_says_no)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker a = { .answers = 0 };

    name_server_open(&s, l);
    struct zone *z = zone_of(&s, "once.test");
    z->v4[0] = "192.0.2.1";
    z->ttl_s = 60;
    ask_and_wait(l, &a, "once.test");

    expire(l, "once.test");
    z->rcode = 2;
    ask_and_wait(l, &a, "once.test");
    EXPECT_STR(str_c(a.first), "192.0.2.1");
    EXPECT_INT(dns_stats(l).stale, 1);
    unsigned asked = z->asked;
    ask_and_wait(l, &a, "once.test");    /* and is not asked again for each caller */
    EXPECT_STR(str_c(a.first), "192.0.2.1");
    EXPECT_INT(z->asked, asked);

    expire(l, "once.test");
    z->rcode = 0;
    z->hangs = true;
    ask_and_wait(l, &a, "once.test");
    EXPECT_STR(str_c(a.first), "192.0.2.1");
    EXPECT(name_in(l, "once.test")->lookup != NULL);
    RUN_UNTIL(l, name_in(l, "once.test")->lookup == NULL);

    expire(l, "once.test");
    z->hangs = false;
    z->rcode = 3;
    ask_and_wait(l, &a, "once.test");
    EXPECT_STR(str_c(a.error), "no such name");
    close_both(&s, l);
}

TEST(an_old_answer_does_not_serve_for_ever)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker a = { .answers = 0 };

    name_server_open(&s, l);
    zone_of(&s, "old.test")->v4[0] = "192.0.2.1";
    ask_and_wait(l, &a, "old.test");
    name_in(l, "old.test")->known.stale_until_ms = clock_now_ms() - 1;
    expire(l, "old.test");
    zone_of(&s, "old.test")->rcode = 2;
    ask_and_wait(l, &a, "old.test");
    EXPECT_INT(a.count, 0);
    close_both(&s, l);
}

TEST(what_one_loop_learned_serves_another_whose_name_server_is_gone)
{
    struct loop *l = loop_create(), *other = loop_create();
    struct name_server s;
    struct asker a = { .answers = 0 };

    name_server_open(&s, l);
    zone_of(&s, "known.test")->v4[0] = "192.0.2.1";
    zone_of(&s, "known.test")->ttl_s = 60;
    ask_and_wait(l, &a, "known.test");
    dns_use_servers(other, &(struct str){ "127.0.0.1:1", 11 }, 1);
    ask_and_wait(other, &a, "known.test");
    EXPECT_STR(str_c(a.first), "192.0.2.1");
    EXPECT_INT(dns_stats(other).lookups, 0);

    expire(l, "known.test");
    name_in(other, "known.test")->known = name_in(l, "known.test")->known;
    ask_and_wait(other, &a, "known.test");
    EXPECT_STR(str_c(a.first), "192.0.2.1");
    EXPECT_INT(dns_stats(other).stale, 1);
    loop_destroy(other);
    close_both(&s, l);
}

TEST(all_of_twenty_addresses_are_returned_and_the_families_alternate)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct dns_answer answer;
    struct asker a = { .answers = 0 };
    char addresses[20][32], room[ADDRESS_TEXT_ROOM];

    name_server_open(&s, l);
    struct zone *z = zone_of(&s, "many.test");
    for (int i = 0; i < 20; i++) {
        snprintf(addresses[i], sizeof(addresses[i]), i < 3 ? "2001:db8::%d" : "192.0.2.%d", i + 1);
        *(i < 3 ? &z->v6[i] : &z->v4[i - 3]) = addresses[i];
    }
    ask_and_wait(l, &a, "many.test");
    EXPECT_INT(a.count, 20);
    answer = name_in(l, "many.test")->known.answer;
    int first = answer.list[0].any.sa_family;    /* AF_INET where there is no way to the other */
    EXPECT(answer.list[1].any.sa_family != first);
    EXPECT_INT(answer.list[2].any.sa_family, first);
    EXPECT(answer.list[5].any.sa_family != answer.list[4].any.sa_family);
    EXPECT_STR(address_text(&answer.list[19], room), "192.0.2.20");
    close_both(&s, l);
}

TEST(a_name_with_open_connections_is_looked_up_again_and_a_changed_address_is_noticed)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker a = { .answers = 0 };
    struct address before, after;

    EXPECT(address_parse(S("192.0.2.1"), 443, &before));
    EXPECT(address_parse(S("192.0.2.2"), 443, &after));
    name_server_open(&s, l);
    struct zone *z = zone_of(&s, "moves.test");
    z->v4[0] = "192.0.2.1";
    z->ttl_s = 1;
    ask_and_wait(l, &a, "moves.test");
    struct dns_name *n = dns_name_hold(l, S("moves.test"));
    EXPECT(dns_name_hold(l, S("192.0.2.1")) == NULL);
    unsigned version = dns_name_version(n);
    RUN_UNTIL(l, z->asked >= 4);    /* by itself */
    EXPECT_INT(dns_name_version(n), version);
    EXPECT(dns_name_has(n, &before));

    z->v4[0] = "192.0.2.2";
    RUN_UNTIL(l, dns_name_version(n) != version);
    EXPECT(!dns_name_has(n, &before) && dns_name_has(n, &after));
    version = dns_name_version(n);
    z->v4[1] = "192.0.2.3";    /* one more takes nothing away */
    RUN_UNTIL(l, n->known.answer.count == 2);
    EXPECT_INT(dns_name_version(n), version);
    z->rcode = 2;    /* nor does a failure */
    RUN_UNTIL(l, dns_stats(l).failures >= 1);
    EXPECT_INT(dns_name_version(n), version);
    EXPECT(dns_name_has(n, &after));
    dns_name_drop(n);
    close_both(&s, l);
}

TEST(a_cancelled_query_is_not_called_back)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker a = { .answers = 0 }, b = { .answers = 0 }, c = { .answers = 0 };

    name_server_open(&s, l);
    zone_of(&s, "one.test")->v4[0] = "192.0.2.1";
    ask(l, &a, "one.test");
    ask(l, &b, "one.test");
    ask(l, &c, "127.0.0.1");
    dns_cancel(a.query);
    dns_cancel(c.query);
    dns_cancel(NULL);
    RUN_UNTIL(l, b.answers == 1);
    EXPECT(a.answers == 0 && c.answers == 0);
    close_both(&s, l);
}

TEST(a_query_may_cancel_another_when_it_gets_its_answer)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker a = { .answers = 0 }, b = { .answers = 0 };

    name_server_open(&s, l);
    zone_of(&s, "shared.test")->v4[0] = "192.0.2.1";
    a.cancels = &b;
    b.cancels = &a;
    ask(l, &a, "shared.test");
    ask(l, &b, "shared.test");
    RUN_UNTIL(l, a.answers + b.answers == 1);
    RUN_UNTIL(l, name_in(l, "shared.test")->lookup == NULL);
    EXPECT_INT(a.answers + b.answers, 1);
    close_both(&s, l);
}

TEST(a_loop_ends_with_lookups_under_way)
{
    struct loop *l = loop_create();
    struct name_server s;
    struct asker a = { .answers = 0 }, b = { .answers = 0 };

    name_server_open(&s, l);
    zone_of(&s, "hung.test")->hangs = true;
    ask(l, &a, "hung.test");
    dns_cancel(a.query);
    ask(l, &a, "hung.test");
    RUN_UNTIL(l, zone_of(&s, "hung.test")->asked >= 1);
    dns_use_servers(l, &(struct str){ "127.0.0.1:1", 11 },
        1);    /* the channel with the question is on its way out */
    ask(l, &b, "nobody.test");
    close_both(&s, l);
    EXPECT_INT(a.answers, 0);
}

TEST(an_invalid_name_is_a_failure)
{
    struct loop *l = loop_create();
    struct asker a = { .answers = 0 }, b = { .answers = 0 }, c = { .answers = 0 };
    char name[400];

    memset(name, 'x', sizeof(name));
    name[399] = '\0';
    ask(l, &a, "");
    ask(l, &b, name);
    c.query = dns_resolve(l, str_make("a\0b", 3), on_answer, &c);
    RUN_UNTIL(l, a.answers == 1 && b.answers == 1 && c.answers == 1);
    EXPECT(a.error[0] != '\0' && b.error[0] != '\0' && c.error[0] != '\0');
    EXPECT(a.count + b.count + c.count == 0);
    loop_destroy(l);
}

TEST(name_servers_may_be_written_with_and_without_port)
{
    static const struct str servers[] = { { "192.0.2.53", 10 }, { "192.0.2.53:5353", 15 },
        { "2001:db8::53", 12 }, { "[2001:db8::53]:5353", 19 } };
    struct loop *l = loop_create();

    dns_use_servers(l, servers, ARRAY_LEN(servers));
    EXPECT_STR(str_c(dns_of(l)->servers),
        "192.0.2.53:53,192.0.2.53:5353,[2001:db8::53]:53,[2001:db8::53]:5353");
    EXPECT(channel_of(dns_of(l)) != NULL);
    loop_destroy(l);
}

TEST(names_are_forgotten_when_there_are_too_many)
{
    struct loop *l = loop_create();
    struct dns_answer answer = { .count = 1 };
    struct asker a = { .answers = 0 };
    char name[32];

    EXPECT(address_parse(S("192.0.2.7"), 0, &answer.list[0]));
    for (int i = 0; i < NAMES_MAX + 10; i++) {
        snprintf(name, sizeof(name), "name%d.test", i);
        dns_set_for_tests(str_c(name), &answer);
        ask_and_wait(l, &a, name);
    }
    EXPECT(map_count(dns_of(l)->names) <= NAMES_MAX && map_count(shared) <= NAMES_MAX);
    loop_destroy(l);
}
