/* test_scope.c - limits hold in every window, for however many threads, and all scopes give or none. */
#include "policy/scope.c"

#include <pthread.h>
#include <stdio.h>

#include "tests/test.h"

#define SECOND NS_PER_S
#define MINUTE (60 * SECOND)
#define NOW (UINT64_C(1000000) * SECOND)

static struct scopes *
with(const char *scope, uint64_t rpm, uint64_t tpm)
{
    struct scopes *s = scopes_create();
    struct scope_entry e = { .id = S("one"), .scope = str_c(scope) };

    e.rates[RATE_REQUESTS_MINUTE] = rpm;
    e.rates[RATE_TOKENS_MINUTE] = tpm;
    EXPECT(scopes_set(s, &e));
    return s;
}

static struct scope *
key(struct scopes *s, const char *id)
{
    return scope_hold(s, SCOPE_KEY, str_c(id), S(""));
}

static bool
ask(struct scope *sc, uint64_t requests, uint64_t tokens, uint64_t now_ns)
{
    const struct scope_need need = { .requests = requests, .tokens = tokens };
    struct scope_refusal why;

    return scopes_take(&sc, 1, &need, now_ns, &why);
}

TEST(no_window_has_more_than_the_limit_and_a_burst)
{
    static const uint64_t limits[] = { 1, 7, 60, 600, 12345 };
    enum { MOST = 100000 };
    uint64_t *times = check_alloc(calloc(MOST, sizeof(*times)));

    clock_seed_for_tests(7);
    for (size_t l = 0; l < ARRAY_LEN(limits); l++) {
        struct scopes *s = with("key:*", limits[l], 0);
        struct scope *sc = key(s, "a");
        uint64_t burst = MAX(limits[l] / 6, 1), now = NOW;
        size_t n = 0, first = 0;

        for (size_t i = 0; i < MOST && n < MOST; i++) {
            now += clock_random_u64() % (2 * MINUTE / (limits[l] + 1));
            if (clock_random_u64() % 500 == 0)
                now += clock_random_u64() % (2 * MINUTE);
            if (!ask(sc, 1, 0, now))
                continue;
            times[n++] = now;
            while (times[first] + MINUTE < now)
                first++;
            EXPECT(n - first <= limits[l] + burst);
        }
        EXPECT(n > 100);
        scope_drop(sc);
        scopes_destroy(s);
    }
    free(times);
}

TEST(who_asks_all_the_time_gets_the_limit_and_not_less)
{
    struct scopes *s = with("key:*", 7, 0);
    struct scope *sc = key(s, "a");
    unsigned got = 0;

    for (uint64_t t = 0; t < 60 * MINUTE; t += SECOND / 1000)
        got += ask(sc, 1, 0, NOW + t);
    EXPECT_INT(got, 420);
    scope_drop(sc);
    scopes_destroy(s);
}

/* --- threads --- */

struct asking {
    struct scope *scope;
    uint64_t got;
    uint64_t now_ns;
};

static void *
ask_much(void *arg)
{
    struct asking *a = arg;

    for (unsigned i = 0; i < 20000; i++)
        a->got += ask(a->scope, 1, 0, a->now_ns);
    return NULL;
}

TEST(threads_get_what_one_thread_would)
{
    enum { THREADS = 8 };
    struct scopes *s = with("key:*", 6000, 0);
    struct asking a[THREADS];
    pthread_t threads[THREADS];

    for (unsigned round = 0; round < 4; round++) {
        uint64_t got = 0;

        for (unsigned i = 0; i < THREADS; i++) {
            a[i] = (struct asking){ key(s, "a"), 0, NOW + round * 3 * SECOND };
            EXPECT_INT(pthread_create(&threads[i], NULL, ask_much, &a[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            EXPECT_INT(pthread_join(threads[i], NULL), 0);
            got += a[i].got;
            scope_drop(a[i].scope);
        }
        EXPECT_INT(got, round == 0 ? 1000 : 300);
    }
    scopes_destroy(s);
}

static void *
hold_much(void *arg)
{
    struct scopes *s = arg;
    char id[16];

    for (unsigned i = 0; i < 20000; i++) {
        (void)snprintf(id, sizeof(id), "k%u", i % 5000);
        struct scope *sc = key(s, id);
        if (sc == NULL || !str_eq(sc->id, str_c(id)))
            return arg;
        (void)ask(sc, 1, 0, NOW);
        scope_drop(sc);
    }
    return NULL;
}

TEST(threads_that_see_a_scope_first_share_one)
{
    enum { THREADS = 4 };
    struct scopes *s = with("key:*", 60000, 0);
    pthread_t threads[THREADS];
    void *wrong;

    for (unsigned i = 0; i < THREADS; i++)
        EXPECT_INT(pthread_create(&threads[i], NULL, hold_much, s), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        EXPECT_INT(pthread_join(threads[i], &wrong), 0);
        EXPECT(wrong == NULL);
    }
    struct scope *sc = key(s, "k17");
    EXPECT_INT(atomic_load(&sc->rates[0].due_ns) - NOW, 4 * THREADS * SECOND / 1000);
    scope_drop(sc);
    scopes_destroy(s);
}

/* --- tokens --- */

TEST(tokens_that_were_not_used_are_given_back_and_more_are_owed)
{
    struct scopes *s = with("key:*", 0, 60000);
    struct scope *sc = key(s, "a");
    const struct scope_need need = { .tokens = 10000 };
    struct scope_refusal why;

    EXPECT(scopes_take(&sc, 1, &need, NOW, &why));
    EXPECT(!scopes_take(&sc, 1, &need, NOW, &why));
    EXPECT_INT(why.wait_ns, 10 * SECOND);
    scopes_settle(&sc, 1, &need, 100, NOW);
    EXPECT(ask(sc, 0, 9900, NOW));
    EXPECT(!ask(sc, 0, 1, NOW));
    EXPECT(ask(sc, 0, 10000, NOW + 10 * SECOND));
    scopes_settle(&sc, 1, &need, 70000, NOW + 10 * SECOND);
    EXPECT(!ask(sc, 0, 1, NOW + 69 * SECOND));
    EXPECT(ask(sc, 0, 1, NOW + 71 * SECOND));
    scope_drop(sc);
    scopes_destroy(s);
}

TEST(what_is_larger_than_a_burst_waits_until_nothing_is_owed)
{
    struct scopes *s = with("key:*", 0, 60000);
    struct scope *sc = key(s, "a");
    const struct scope_need large = { .tokens = 40000 }, huge = { .tokens = 60001 };
    struct scope_refusal why;

    EXPECT(scopes_take(&sc, 1, &large, NOW, &why));
    EXPECT(!scopes_take(&sc, 1, &large, NOW, &why));
    EXPECT_INT(why.wait_ns, 40 * SECOND);
    EXPECT(scopes_take(&sc, 1, &large, NOW + 40 * SECOND, &why));
    EXPECT(!scopes_take(&sc, 1, &huge, NOW + 1000 * SECOND, &why));
    EXPECT(why.wait_ns == GCRA_NEVER);
    scope_drop(sc);
    scopes_destroy(s);
}

/* --- several scopes --- */

TEST(all_scopes_give_or_none)
{
    struct scopes *s = scopes_create();
    struct scope_entry team = { .id = S("t"), .scope = S("team:x") };
    struct scope_entry own = { .id = S("k"), .scope = S("key:*"), .concurrent = 2 };
    struct scope_refusal why;

    team.rates[RATE_REQUESTS_DAY] = 3;
    team.burst = 3;
    own.rates[RATE_REQUESTS_MINUTE] = 600;
    EXPECT(scopes_set(s, &team) && scopes_set(s, &own));
    struct scope *list[] = { key(s, "a"), NULL, scope_hold(s, SCOPE_TEAM, S("x"), S("")) };
    const struct scope_need need = { .requests = 1, .concurrent = true };

    EXPECT(list[0] != NULL && list[2] != NULL);
    EXPECT(scope_hold(s, SCOPE_TEAM, S("y"), S("")) == NULL);
    EXPECT(scope_hold(s, SCOPE_USER, S("u"), S("")) == NULL);
    EXPECT(scopes_take(list, 3, &need, NOW, &why) && scopes_take(list, 3, &need, NOW, &why));
    EXPECT(!scopes_take(list, 3, &need, NOW, &why));
    EXPECT(why.scope == list[0] && why.why == REFUSED_CONCURRENT && why.limit == 2);
    scopes_settle(list, 3, &need, 0, NOW);
    EXPECT(scopes_take(list, 3, &need, NOW, &why));
    scopes_settle(list, 3, &need, 0, NOW);
    uint64_t before = atomic_load(&list[0]->rates[0].due_ns);
    EXPECT(!scopes_take(list, 3, &need, NOW, &why));
    EXPECT(why.scope == list[2] && why.rate == RATE_REQUESTS_DAY);
    EXPECT_INT(atomic_load(&list[0]->rates[0].due_ns), before);
    EXPECT_INT(atomic_load(&list[0]->concurrent), 1);
    scopes_settle(list, 3, &need, 0, NOW);
    scope_drop(list[0]);
    scope_drop(list[2]);
    scopes_destroy(s);
}

TEST(background_work_leaves_half_of_the_burst)
{
    struct scopes *s = with("all", 600, 0);
    struct scope *sc = scope_hold(s, SCOPE_ALL, S(""), S(""));
    const struct scope_need low = { .requests = 1, .background = true };
    struct scope_refusal why;
    unsigned n = 0;

    while (scopes_take(&sc, 1, &low, NOW, &why))
        n++;
    EXPECT_INT(n, 50);
    EXPECT_INT(why.wait_ns, SECOND / 10);
    for (n = 0; ask(sc, 1, 0, NOW); n++)
        ;
    EXPECT_INT(n, 50);
    scope_drop(sc);
    scopes_destroy(s);
}

/* --- entries --- */

TEST(an_entry_that_names_a_scope_goes_before_a_pattern)
{
    struct scopes *s = with("key:*", 60, 6000);
    struct scope_entry named = { .id = S("two"), .scope = S("key:ci") };

    named.rates[RATE_REQUESTS_MINUTE] = 1200;
    EXPECT(scopes_set(s, &named));
    struct scope *ci = scope_hold(s, SCOPE_KEY, S("key_1"), S("ci")), *other = key(s, "key_2");
    EXPECT_INT(atomic_load(&ci->rates[RATE_REQUESTS_MINUTE].limit), 1200);
    EXPECT_INT(atomic_load(&ci->rates[RATE_TOKENS_MINUTE].limit), 6000);
    EXPECT_INT(atomic_load(&other->rates[RATE_REQUESTS_MINUTE].limit), 60);
    EXPECT(ask(ci, 200, 0, NOW) && !ask(ci, 1, 0, NOW));
    scope_drop(ci);

    scopes_set_all(s, S(""), &named, 1);    /* the pattern is gone; what was used is not */
    ci = scope_hold(s, SCOPE_KEY, S("key_1"), S("ci"));
    EXPECT(key(s, "key_2") == NULL);
    EXPECT(!ask(ci, 1, 0, NOW));
    EXPECT_INT(atomic_load(&ci->rates[RATE_TOKENS_MINUTE].limit), 0);
    scope_drop(ci);
    scope_drop(other);
    scopes_unset(s, S("two"));
    EXPECT_INT(scopes_kinds(s), 0);
    scopes_destroy(s);
}

TEST(what_is_no_scope_is_refused)
{
    enum scope_kind kind;
    struct str pattern;

    EXPECT(scope_parse(S("all"), &kind, &pattern) && kind == SCOPE_ALL);
    EXPECT(scope_parse(S("tag:env=prod"), &kind, &pattern) && kind == SCOPE_TAG);
    EXPECT(str_eq(pattern, S("env=prod")));
    EXPECT(!scope_parse(S("key"), &kind, &pattern) && !scope_parse(S("key:"), &kind, &pattern));
    EXPECT(!scope_parse(S("purse:x"), &kind, &pattern) && !scope_parse(S(""), &kind, &pattern));
}

TEST(a_scope_that_says_nothing_any_more_gives_its_place_to_another)
{
    struct scopes *s = with("address:*", 600, 0);
    char id[32];

    clock_set_for_tests(1000000, 1000000);
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(id, sizeof(id), "10.%u", i);
        struct scope *sc = scope_hold(s, SCOPE_ADDRESS, str_c(id), S(""));
        EXPECT(ask(sc, 1, 0, clock_now_us() * 1000));
        scope_drop(sc);
        clock_set_for_tests(clock_now_us() + 1000, 1000000);
    }
    EXPECT(atomic_load(&s->segments[2]) == NULL);
    clock_set_for_tests(0, 0);
    scopes_destroy(s);
}

TEST(callers_cannot_make_up_more_than_there_is_room_for)
{
    struct scopes *s = scopes_create();
    struct scope_entry e = { .id = S("one"), .scope = S("session:*") };
    struct scope *last = NULL;
    char id[32];

    e.rates[RATE_REQUESTS_DAY] = 10;
    EXPECT(scopes_set(s, &e));
    clock_set_for_tests(1000000, 1000000);
    for (unsigned i = 0; i < 200000; i++) {
        (void)snprintf(id, sizeof(id), "s%u", i);
        last = scope_hold(s, SCOPE_SESSION, str_c(id), S(""));
        (void)ask(last, 1, 0, clock_now_us() * 1000);
        scope_drop(last);
    }
    EXPECT(atomic_load(&s->segments[CALLERS_SEGMENTS]) == NULL);
    EXPECT(last == &s->overflow[SCOPE_SESSION]);
    EXPECT(!ask(last, 1, 0, clock_now_us() * 1000));    /* they share one limit */
    e.id = S("two");
    e.scope = S("key:*");
    EXPECT(scopes_set(s, &e));
    struct scope *k = key(s, "k");    /* and take nothing from others */
    EXPECT(k != NULL && k != &s->overflow[SCOPE_KEY] && ask(k, 1, 0, clock_now_us() * 1000));
    scope_drop(k);
    clock_set_for_tests(0, 0);
    scopes_destroy(s);
}

/* --- budgets --- */

TEST(budgets_belong_to_scopes_and_outlive_a_reload)
{
    struct scopes *s = scopes_create();
    struct scope_entry e = {
        .id = S("b"), .scope = S("team:*"), .budget = { .nanousd = 1000, .period = BUDGET_TOTAL }
    };
    struct budget_hold h;

    EXPECT(scopes_set(s, &e));
    struct scope *x = scope_hold(s, SCOPE_TEAM, S("x"), S(""));
    struct scope *y = scope_hold(s, SCOPE_TEAM, S("y"), S(""));
    struct budget *b = atomic_load(&x->budgets[0]);
    EXPECT(budget_reserve(b, 700, false, 1, &h) == BUDGET_RESERVED);
    EXPECT_INT(budget_settle(&h, 600), 0);
    EXPECT(atomic_load(&y->budgets[0]) != b);
    e.budget.nanousd = 800;
    scopes_set_all(s, S("b"), &e, 1);
    scope_drop(scope_hold(s, SCOPE_TEAM, S("x"), S("")));
    EXPECT(atomic_load(&x->budgets[0]) == b);
    EXPECT(budget_reserve(b, 201, false, 1, &h) == BUDGET_USED_UP);
    EXPECT(budget_reserve(b, 200, false, 1, &h) == BUDGET_RESERVED);
    EXPECT_INT(budget_settle(&h, 200), BUDGET_ALERT_USED_UP);
    struct scope_period periods[4];
    EXPECT_INT(scopes_periods(s, 1, periods, 4), 1);
    EXPECT(periods[0].kind == SCOPE_TEAM && periods[0].begins_ms == 0);
    scopes_raise(s, SCOPE_TEAM, S("y"), S(""), 500, 0);
    scopes_raise(s, SCOPE_TEAM, S("y"), S(""), 500, 86400000);    /* another period */
    EXPECT_INT(budget_look(atomic_load(&y->budgets[0]), 1).spent, 500);
    scope_drop(x);
    scope_drop(y);
    scopes_destroy(s);
}
