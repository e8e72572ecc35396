/* test_dns.c - lookups shared, remembered, forgotten and cancelled. */
#include "net/dns.c"

#include "tests/unit/net/fixture.h"

struct asker {
    struct dns_query *query;
    unsigned answers;
    size_t count;
    char first[ADDRESS_TEXT_ROOM];
    bool has_error;
    struct asker *cancels;
};

static void
on_answer(void *arg, const struct dns_answer *answer)
{
    struct asker *a = arg;

    a->answers++;
    a->count = answer->count;
    a->has_error = answer->error != NULL;
    if (answer->count != 0)
        address_text(&answer->list[0], a->first);
    if (a->cancels != NULL)
        dns_cancel(a->cancels->query);
}

static void
ask(struct loop *l, struct asker *a, const char *host)
{
    a->query = dns_resolve(l, str_c(host), on_answer, a);
}

TEST(literals_are_answered_from_the_loop_without_a_lookup)
{
    struct loop *l = loop_create();
    struct asker a = { .answers = 0 }, b = { .answers = 0 };

    ask(l, &a, "127.0.0.1");
    ask(l, &b, "::1");
    EXPECT(a.answers == 0 && l->lookups == NULL);
    RUN_UNTIL(l, a.answers == 1 && b.answers == 1);
    EXPECT_STR(str_c(a.first), "127.0.0.1");
    EXPECT_STR(str_c(b.first), "::1");
    loop_destroy(l);
}

TEST(askers_of_one_name_share_a_lookup_and_the_next_finds_it_remembered)
{
    struct loop *l = loop_create();
    struct asker a[3] = { { .answers = 0 } }, later = { .answers = 0 };

    for (int i = 0; i < 3; i++)
        ask(l, &a[i], "localhost");
    EXPECT(l->lookups != NULL && l->lookups->next == NULL);
    RUN_UNTIL(l, a[0].answers + a[1].answers + a[2].answers == 3);
    EXPECT(a[0].count >= 1 && !a[0].has_error);
    EXPECT(l->lookups == NULL);
    ask(l, &later, "localhost");
    EXPECT(l->lookups == NULL);
    RUN_UNTIL(l, later.answers == 1);
    EXPECT_INT(later.count, a[0].count);
    loop_destroy(l);
}

TEST(a_cancelled_query_hears_nothing)
{
    struct loop *l = loop_create();
    struct asker a = { .answers = 0 }, b = { .answers = 0 }, c = { .answers = 0 };

    ask(l, &a, "LOCALHOST");
    ask(l, &b, "LOCALHOST");
    ask(l, &c, "127.0.0.1");
    dns_cancel(a.query);
    dns_cancel(c.query);
    dns_cancel(NULL);
    RUN_UNTIL(l, b.answers == 1);
    EXPECT(a.answers == 0 && c.answers == 0);
    loop_destroy(l);
}

TEST(an_asker_may_cancel_the_other_when_it_gets_its_answer)
{
    struct loop *l = loop_create();
    struct asker a = { .answers = 0 }, b = { .answers = 0 };
    struct dns_answer answer = { .count = 1 };

    EXPECT(address_parse(S("192.0.2.7"), 0, &answer.list[0]));
    struct dns_lookup *k = check_alloc(calloc(1, sizeof(*k)));
    k->loop = l;
    k->answer = answer;
    strcpy(k->host, "shared.test");
    l->lookups = k;
    ask(l, &a, "shared.test");
    ask(l, &b, "shared.test");
    a.cancels = &b;
    b.cancels = &a;
    lookup_done(k);
    EXPECT_INT(a.answers + b.answers, 1);
    EXPECT(l->lookups == NULL);
    loop_destroy(l);
}

TEST(all_askers_gone_does_not_stop_the_lookup_from_ending_well)
{
    struct loop *l = loop_create();
    struct asker a = { .answers = 0 };

    ask(l, &a, "LocalHost");
    dns_cancel(a.query);
    loop_destroy(l);
    EXPECT_INT(a.answers, 0);
}

TEST(answers_are_remembered_for_a_while_and_failures_for_less)
{
    struct dns_answer good = { .count = 1 }, bad = { .count = 0, .error = "no such name" }, got;

    EXPECT(address_parse(S("192.0.2.7"), 0, &good.list[0]));
    clock_set_for_tests(1000000000, 0);
    cache_put("good.test", &good, KEEP_ANSWER_MS);
    cache_put("bad.test", &bad, KEEP_FAILURE_MS);
    EXPECT(cache_get("good.test", &got) && got.count == 1);
    EXPECT(cache_get("bad.test", &got) && got.count == 0);
    EXPECT(!cache_get("other.test", &got));
    clock_set_for_tests(1000000000 + 5001000, 0);
    EXPECT(cache_get("good.test", &got));
    EXPECT(!cache_get("bad.test", &got));
    clock_set_for_tests(1000000000 + 30001000, 0);
    EXPECT(!cache_get("good.test", &got));
    clock_set_for_tests(0, 0);
}

TEST(a_name_that_cannot_be_one_is_a_failure)
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
    EXPECT(a.has_error && b.has_error && c.has_error);
    EXPECT(a.count + b.count + c.count == 0);
    loop_destroy(l);
}

TEST(families_take_turns_beginning_with_the_preferred_one)
{
    struct address a[12];
    struct addrinfo list[12];
    struct dns_answer answer = { .count = 0 };
    char room[ADDRESS_TEXT_ROOM];

    for (int i = 0; i < 12; i++) {
        snprintf(room, sizeof(room), i < 3 ? "2001:db8::%d" : "192.0.2.%d", i);
        EXPECT(address_parse(str_c(room), 0, &a[i]));
        list[i] =
            (struct addrinfo){ .ai_addr = &a[i].any, .ai_next = i < 11 ? &list[i + 1] : NULL };
    }
    take_addresses(list, &answer);
    EXPECT_INT(answer.count, DNS_ADDRESSES_MAX);
    EXPECT_STR(address_text(&answer.list[0], room), "2001:db8::");
    EXPECT_STR(address_text(&answer.list[1], room), "192.0.2.3");
    EXPECT_STR(address_text(&answer.list[4], room), "2001:db8::2");
    EXPECT_STR(address_text(&answer.list[5], room), "192.0.2.5");
    EXPECT_STR(address_text(&answer.list[7], room), "192.0.2.7");
}
