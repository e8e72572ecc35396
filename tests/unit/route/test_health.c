/* test_health.c - circuit breakers: when they open, who may pass, and what closes them. */
#include "route/health.c"

#include "tests/test.h"

static struct health_table *t;
static struct health *target, *other, *key, *spare_key;
static uint64_t now;

static void
begin(void)
{
    t = health_table_hold(S("acme"));
    target = health_target(t, S("large"));
    other = health_target(t, S("small"));
    key = health_key(t, S("sk-1"));
    spare_key = health_key(t, S("sk-2"));
    now = 1000000;
    clock_seed_for_tests(1);
}

static void
end(void)
{
    health_table_drop(t);
    EXPECT_INT(registry_count(&tables), 0);
}

static bool
enter(struct health_pass *p)
{
    struct health_refusal r;

    return health_enter(t, target, key, false, now, p, &r);
}

static void
leave_asked(struct health_pass *p, enum err outcome, int64_t retry_after_ms)
{
    const struct health_verdict v = { .outcome = outcome, .retry_after_ms = retry_after_ms };

    health_leave(p, &v, now);
}

static void
leave(struct health_pass *p, enum err outcome)
{
    leave_asked(p, outcome, 0);
}

/* An attempt at `h` with `k`. False: it was refused. */
static bool
attempt_at(struct health *h, struct health *k, enum err outcome)
{
    struct health_refusal r;
    struct health_pass p;

    if (!health_enter(t, h, k, true, now, &p, &r))
        return false;
    leave(&p, outcome);
    return true;
}

static bool
attempt(enum err outcome)
{
    return attempt_at(target, key, outcome);
}

static void
open_target(void)
{
    while (attempt(ERR_UPSTREAM_ERROR))
        ;
    EXPECT_INT(health_look(target, now).state, HEALTH_OPEN);
}

static enum health_state
state_of(const struct health *h)
{
    return health_look(h, now).state;
}

TEST(five_failures_on_end_open_a_breaker_that_knows_no_success)
{
    begin();
    for (int i = 0; i < 4; i++)
        EXPECT(attempt(ERR_UPSTREAM_ERROR) && state_of(target) == HEALTH_CLOSED);
    EXPECT(attempt(ERR_UPSTREAM_OVERLOADED));
    struct health_view v = health_look(target, now);
    EXPECT_INT(v.state, HEALTH_OPEN);
    EXPECT_INT(v.why, ERR_UPSTREAM_OVERLOADED);
    EXPECT_INT(v.since_ms, now);
    EXPECT(v.until_ms >= now + 4000 && v.until_ms <= now + 6000);
    EXPECT(v.ok == 0 && v.failed == 5);
    EXPECT(!attempt(OK));
    end();
}

TEST(a_refusal_says_why_and_until_when)
{
    struct health_refusal r;
    struct health_pass p;

    begin();
    open_target();
    EXPECT(!health_enter(t, target, key, false, now, &p, &r));
    EXPECT(p.table == NULL);
    EXPECT_INT(r.why, ERR_UPSTREAM_ERROR);
    EXPECT_INT(r.until_ms, health_look(target, now).until_ms);
    end();
}

TEST(a_success_ends_a_run_of_failures)
{
    begin();
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 4; i++)
            EXPECT(attempt(ERR_UPSTREAM_TIMEOUT));
        for (int i = 0; i < 6; i++)
            EXPECT(attempt(OK));
        now += 1000;
    }
    EXPECT_INT(state_of(target), HEALTH_CLOSED);
    end();
}

TEST(one_model_of_a_provider_fails_and_its_sibling_is_untouched)
{
    begin();
    open_target();
    EXPECT(attempt_at(other, key, OK));
    EXPECT_INT(state_of(other), HEALTH_CLOSED);
    EXPECT_INT(state_of(health_provider(t)), HEALTH_CLOSED);
    EXPECT_INT(state_of(key), HEALTH_CLOSED);
    end();
}

TEST(a_provider_that_cannot_be_reached_opens_for_all_its_models)
{
    begin();
    for (int i = 0; i < 5; i++)
        EXPECT(attempt(ERR_UPSTREAM_CONNECT));
    EXPECT_INT(state_of(health_provider(t)), HEALTH_OPEN);
    EXPECT_INT(state_of(target), HEALTH_CLOSED);
    EXPECT(!attempt_at(other, spare_key, OK));
    end();
}

TEST(after_the_cooldown_one_probe_at_a_time_decides)
{
    struct health_pass p, second;

    begin();
    open_target();
    now = health_look(target, now).until_ms - 1;
    EXPECT(!enter(&p));
    now++;
    EXPECT_INT(state_of(target), HEALTH_HALF_OPEN);
    EXPECT(enter(&p) && p.probe);
    EXPECT(!enter(&second));
    EXPECT_INT(state_of(target), HEALTH_HALF_OPEN);
    leave(&p, OK);
    EXPECT_INT(state_of(target), HEALTH_RECOVERING);
    now += RECOVERY_MS;
    EXPECT_INT(state_of(target), HEALTH_CLOSED);
    EXPECT(enter(&p) && !p.probe);
    leave(&p, OK);
    EXPECT_INT(target->gate, 0);
    end();
}

TEST(each_probe_that_fails_doubles_the_cooldown_up_to_a_minute)
{
    static const uint64_t base_ms[] = { 5000, 10000, 20000, 40000, 60000, 60000, 60000 };

    begin();
    open_target();
    for (size_t i = 0; i < ARRAY_LEN(base_ms); i++) {
        uint64_t ms = health_look(target, now).until_ms - now;
        EXPECT(ms >= base_ms[i] * 8 / 10 && ms <= base_ms[i] * 12 / 10);
        now += ms;
        EXPECT(attempt(ERR_UPSTREAM_ERROR));
        EXPECT_INT(state_of(target), HEALTH_OPEN);
    }
    end();
}

TEST(a_probe_that_was_abandoned_leaves_its_place_to_the_next_request)
{
    static const enum err abandoned[] = { ERR_CLIENT_GONE, ERR_OUTRUN, ERR_UPSTREAM_STALE,
        ERR_UNSUPPORTED, ERR_UPSTREAM_CONNECT, ERR_UPSTREAM_RATE_LIMIT };
    struct health_pass p;

    for (size_t i = 0; i < ARRAY_LEN(abandoned); i++) {
        begin();
        open_target();
        now = health_look(target, now).until_ms;
        EXPECT(enter(&p) && p.probe);
        leave(&p, abandoned[i]);
        EXPECT_INT(state_of(target), HEALTH_HALF_OPEN);
        now += 3000;
        EXPECT(enter(&p) && p.probe);
        leave(&p, OK);
        EXPECT_INT(state_of(target), HEALTH_RECOVERING);
        end();
    }
}

TEST(a_probe_that_never_ends_is_replaced_and_its_end_means_nothing)
{
    struct health_pass lost, p;

    begin();
    open_target();
    now = health_look(target, now).until_ms;
    EXPECT(enter(&lost) && lost.probe);
    now += PROBE_MS - 1;
    EXPECT(!enter(&p));
    now++;
    EXPECT(enter(&p) && p.probe);
    leave(&lost, OK);
    EXPECT_INT(state_of(target), HEALTH_HALF_OPEN);
    leave(&p, ERR_UPSTREAM_ERROR);
    EXPECT_INT(state_of(target), HEALTH_OPEN);
    end();
}

TEST(a_revoked_key_takes_down_itself_alone_and_at_once)
{
    begin();
    EXPECT(attempt(ERR_UPSTREAM_AUTH));
    struct health_view v = health_look(key, now);
    EXPECT_INT(v.state, HEALTH_OPEN);
    EXPECT_INT(v.why, ERR_UPSTREAM_AUTH);
    EXPECT(v.until_ms >= now + 48000 && v.until_ms <= now + 72000);
    EXPECT(!attempt(OK) && !attempt_at(other, key, OK));
    EXPECT(attempt_at(target, spare_key, OK));
    now = v.until_ms;
    EXPECT(attempt(OK));
    EXPECT_INT(state_of(key), HEALTH_CLOSED);
    end();
}

TEST(a_limit_parks_a_key_with_a_model_until_it_ends)
{
    struct health_pass p;

    begin();
    EXPECT(enter(&p));
    leave_asked(&p, ERR_UPSTREAM_RATE_LIMIT, 30000);
    EXPECT(!attempt(OK));
    EXPECT(attempt_at(other, key, OK) && attempt_at(target, spare_key, OK));
    now += 29999;
    EXPECT(!attempt(OK));
    now += 1 + 1000;
    EXPECT(enter(&p) && !p.probe);
    leave(&p, OK);
    EXPECT_INT(key->pairs, 0);
    end();
}

TEST(a_reload_keeps_the_state_and_a_replaced_key_starts_closed)
{
    begin();
    EXPECT(attempt(ERR_UPSTREAM_AUTH));
    struct health_table *next = health_table_hold(S("acme"));
    EXPECT(next == t && health_key(next, S("sk-1")) == key);
    EXPECT_INT(state_of(health_key(next, S("sk-3"))), HEALTH_CLOSED);
    EXPECT_INT(state_of(key), HEALTH_OPEN);
    health_table_drop(next);
    end();
}

TEST(the_first_token_of_a_probe_closes_the_breaker_and_its_end_may_still_count)
{
    struct health_pass p;

    begin();
    open_target();
    now = health_look(target, now).until_ms;
    EXPECT(enter(&p) && p.probe);
    health_answered(&p, now);
    EXPECT_INT(state_of(target), HEALTH_RECOVERING);
    EXPECT(!p.probe);
    now += 60000;
    leave(&p, ERR_UPSTREAM_STALLED);
    EXPECT_INT(state_of(target), HEALTH_CLOSED);
    EXPECT_INT(health_look(target, now).failed, 1);
    leave(&p, ERR_UPSTREAM_STALLED);
    EXPECT_INT(health_look(target, now).failed, 1);
    end();
}

TEST(where_nothing_else_is_left_one_request_a_second_passes_an_open_breaker)
{
    struct health_pass p;
    int passed = 0;

    begin();
    for (int i = 0; i < 5; i++)
        EXPECT(attempt(ERR_UPSTREAM_CONNECT));
    for (int i = 0; i < 3000; i++, now++) {
        if (health_enter_open(t, target, key, now, &p)) {
            EXPECT(p.open && !p.probe);
            leave(&p, ERR_UPSTREAM_CONNECT);
            passed++;
        }
    }
    EXPECT_INT(passed, 3);
    uint64_t until_ms = health_look(health_provider(t), now).until_ms;
    EXPECT(until_ms > now);
    EXPECT(health_enter_open(t, target, key, now, &p));
    leave(&p, OK);
    EXPECT_INT(state_of(health_provider(t)), HEALTH_RECOVERING);
    EXPECT(attempt(OK));
    end();
}

TEST(a_limit_a_benched_key_or_an_operator_is_not_passed)
{
    struct health_pass p;

    begin();
    EXPECT(enter(&p));
    leave_asked(&p, ERR_UPSTREAM_RATE_LIMIT, 30000);
    EXPECT(!health_enter_open(t, target, key, now, &p));
    EXPECT(attempt_at(target, spare_key, ERR_UPSTREAM_AUTH));
    EXPECT(!health_enter_open(t, target, spare_key, now, &p));
    EXPECT(attempt_at(target, NULL, ERR_UPSTREAM_RATE_LIMIT));
    EXPECT(!health_enter_open(t, target, NULL, now, &p));
    health_switch(other, true, now);
    EXPECT(!health_enter_open(t, other, NULL, now, &p));
    end();
}

TEST(an_operator_switches_a_breaker_off_and_on)
{
    struct health_refusal r;
    struct health_pass p;

    begin();
    EXPECT(enter(&p));
    health_switch(target, true, now);
    EXPECT_INT(state_of(target), HEALTH_OFF);
    EXPECT(!health_enter(t, target, key, true, now + 86400000, &p, &r));
    EXPECT(r.until_ms == UINT64_MAX);
    for (int i = 0; i < 20; i++)
        EXPECT(attempt_at(other, key, ERR_UPSTREAM_ERROR) || i >= 5);
    health_switch(target, false, now);
    health_switch(target, false, now);
    health_switch(other, false, now);
    EXPECT_INT(state_of(target), HEALTH_CLOSED);
    EXPECT_INT(state_of(other), HEALTH_CLOSED);
    EXPECT(attempt(OK) && attempt_at(other, key, OK));
    end();
}

TEST(retries_are_ten_a_second_and_a_share_of_the_requests)
{
    unsigned idle = 0, busy = 0;

    begin();
    for (int i = 0; i < 100000; i++)
        idle += health_take_retry(target, 20, now + (uint64_t)i);
    EXPECT(idle >= 1000 && idle <= 1101);                        /* 100 s, and 10 s of credit */
    for (uint64_t until = now + 100000; now < until; now++) {    /* 1000 requests a second */
        EXPECT(attempt_at(other, key, OK));
        busy += health_take_retry(other, 20, now);
    }
    EXPECT(busy >= 18000 && busy <= 23100);
    end();
}

TEST(a_target_keeps_its_latencies_over_a_reload)
{
    begin();
    struct latency *first = health_latency(target, false);
    EXPECT(first != health_latency(target, true) && first != health_latency(other, false));
    struct health_table *next = health_table_hold(S("acme"));
    health_table_drop(t);
    t = next;
    EXPECT(health_latency(health_target(t, S("large")), false) == first);
    end();
}
