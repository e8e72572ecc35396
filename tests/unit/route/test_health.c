/* test_health.c - circuit breakers: when they open, who may pass, and what closes them. */
#include <pthread.h>

#include "route/health_pass.c"

#include "tests/test.h"

#define THREADS 4

static struct health_table *t;
static struct health *target, *other, *key, *spare_key;
static uint64_t now;
static char table_name[32];    /* of its own for each test */
static unsigned tests;

static void
begin(void)
{
    (void)snprintf(table_name, sizeof(table_name), "acme-%u", tests++);
    t = health_table_hold(str_c(table_name));
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

/* An attempt at `h` with `k`, whatever a slow start admits. False: it was refused. */
static bool
attempt_at(struct health *h, struct health *k, enum err outcome)
{
    bool slow =
        STATE_OF(h->gate) == GATE_RECOVERING || STATE_OF(t->provider->gate) == GATE_RECOVERING;
    struct health_refusal r;
    struct health_pass p;

    if (!health_enter(t, h, k, slow, now, &p, &r))
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

static void
open_provider(void)
{
    while (attempt_at(other, spare_key, ERR_UPSTREAM_CONNECT))
        ;
    EXPECT_INT(health_look(health_provider(t), now).state, HEALTH_OPEN);
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
    leave(&lost, OK);    /* late, but a success: answers that take so long must not keep it open */
    EXPECT_INT(state_of(target), HEALTH_RECOVERING);
    leave(&p, ERR_UPSTREAM_ERROR);
    EXPECT_INT(state_of(target), HEALTH_RECOVERING);
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

TEST(a_key_that_has_worked_is_benched_for_a_shorter_time_after_three_refusals_on_end)
{
    begin();
    for (int i = 0; i < 20; i++)
        EXPECT(attempt(OK) && attempt(ERR_UPSTREAM_AUTH) && attempt(ERR_UPSTREAM_AUTH));
    EXPECT(attempt(ERR_UPSTREAM_RATE_LIMIT));    /* accepted, too */
    now += 2000;
    EXPECT(attempt(ERR_UPSTREAM_AUTH) && attempt(ERR_UPSTREAM_AUTH));
    EXPECT_INT(state_of(key), HEALTH_CLOSED);
    EXPECT(attempt(ERR_UPSTREAM_AUTH) && !attempt(OK));
    uint64_t until_ms = health_look(key, now).until_ms;
    EXPECT(until_ms >= now + 8000 && until_ms <= now + 12000);
    now = until_ms;
    EXPECT(attempt(ERR_UPSTREAM_AUTH));    /* the probe */
    until_ms = health_look(key, now).until_ms;
    EXPECT(until_ms >= now + 16000 && until_ms <= now + 24000);
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
    struct health_table *next = health_table_hold(str_c(table_name));
    EXPECT(health_key(next, S("sk-1")) == key);
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

TEST(a_success_that_was_let_through_closes_the_breaker_and_a_failure_does_not_prolong_it)
{
    struct health_pass p, second;

    begin();
    open_target();
    uint64_t until_ms = health_look(target, now).until_ms;
    EXPECT(health_enter_open(t, target, key, now, &p) && p.open);
    leave(&p, ERR_UPSTREAM_ERROR);
    EXPECT_INT(health_look(target, now).until_ms, until_ms);
    now += OPEN_INTERVAL_MS;
    EXPECT(health_enter_open(t, target, key, now, &p) && p.open);
    now += OPEN_INTERVAL_MS;
    EXPECT(health_enter_open(t, target, key, now, &second) && second.open);
    health_answered(&p, now);
    EXPECT_INT(state_of(target), HEALTH_RECOVERING);
    leave(&p, OK);
    leave(&second, ERR_UPSTREAM_ERROR);    /* of another time */
    EXPECT_INT(state_of(target), HEALTH_RECOVERING);
    end();
}

TEST(a_benched_key_is_asked_at_a_bounded_rate_where_there_is_nothing_else)
{
    struct health_pass p;

    begin();
    EXPECT(attempt_at(target, key, ERR_UPSTREAM_AUTH));
    EXPECT(!enter(&p));
    EXPECT(health_enter_open(t, target, key, now, &p) && p.open);
    leave(&p, ERR_UPSTREAM_AUTH);
    EXPECT(!health_enter_open(t, target, key, now, &p));
    now += 1000;
    EXPECT(health_enter_open(t, target, key, now, &p) && p.open);
    leave(&p, OK);
    EXPECT(enter(&p));
    leave(&p, OK);
    end();
}

TEST(a_limit_or_an_operator_is_not_passed)
{
    struct health_pass p;

    begin();
    EXPECT(enter(&p));
    leave_asked(&p, ERR_UPSTREAM_RATE_LIMIT, 30000);
    EXPECT(!health_enter_open(t, target, key, now, &p));
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
    EXPECT(busy >= 15000 && busy <= 19600);    /* a sixth of what began, and ten a second */
    end();
}

TEST(a_target_keeps_its_latencies_over_a_reload)
{
    begin();
    struct latency *first = health_latency(target, false);
    EXPECT(first != health_latency(target, true) && first != health_latency(other, false));
    struct health_table *next = health_table_hold(str_c(table_name));
    health_table_drop(t);
    t = next;
    EXPECT(health_latency(health_target(t, S("large")), false) == first);
    end();
}

/* Attempts at `per_s`, of which a share fails, for an hour; how often the breaker opened. */
static unsigned
openings(unsigned per_s, double share)
{
    unsigned opened = 0;
    bool was_open = false;

    begin();
    for (uint64_t i = 0; i < (uint64_t)per_s * 3600; i++) {
        now = 1000000 + i * 1000 / per_s;
        bool open = !attempt(clock_random_unit() < share ? ERR_UPSTREAM_ERROR : OK);
        opened += open && !was_open;
        was_open = open;
    }
    end();
    return opened;
}

TEST(thirty_percent_of_random_failures_never_open_a_breaker)
{
    EXPECT_INT(openings(1000, 0.3), 0);
    EXPECT_INT(openings(100, 0.3), 0);
    EXPECT_INT(openings(20, 0.3), 0);
    EXPECT_INT(openings(3, 0.3), 0);
}

TEST(sixty_percent_of_random_failures_open_it_whatever_the_traffic)
{
    EXPECT(openings(1000, 0.6) >= 10);
    EXPECT(openings(100, 0.6) >= 10);
    EXPECT(openings(3, 0.6) >= 10);
}

TEST(a_busy_target_that_dies_opens_after_a_few_failures_more)
{
    int failures = 0;

    begin();
    for (int i = 0; i < 20000; i++, now += i % 10 == 0)
        EXPECT(attempt(OK));
    while (attempt(ERR_UPSTREAM_TIMEOUT))
        failures++;
    EXPECT(failures > 5 && failures <= 20);
    end();
}

TEST(two_hundred_failures_at_once_open_it_once)
{
    static struct health_pass p[200];

    begin();
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        EXPECT(enter(&p[i]));
    now += 100;
    for (size_t i = 0; i < ARRAY_LEN(p); i++)
        leave(&p[i], ERR_UPSTREAM_CONNECT);
    struct health_view v = health_look(health_provider(t), now);
    EXPECT_INT(v.state, HEALTH_OPEN);
    EXPECT(v.until_ms <= now + 6000);
    EXPECT_INT(v.failed, 200);
    end();
}

TEST(failures_from_before_the_recovery_do_not_open_it_again)
{
    struct health_pass old[50];

    begin();
    for (size_t i = 0; i < ARRAY_LEN(old); i++)
        EXPECT(enter(&old[i]));
    open_target();
    now = health_look(target, now).until_ms;
    EXPECT(attempt(OK));
    now += 100;
    for (size_t i = 0; i < ARRAY_LEN(old); i++)
        leave(&old[i], ERR_UPSTREAM_TIMEOUT);
    EXPECT_INT(state_of(target), HEALTH_RECOVERING);
    end();
}

TEST(streams_that_began_before_an_outage_do_not_hide_it)
{
    struct health_pass old[20];

    begin();
    for (size_t i = 0; i < ARRAY_LEN(old); i++) {
        EXPECT(enter(&old[i]));
        health_answered(&old[i], now);
    }
    now += 1000;
    size_t i = 0;
    for (; i < ARRAY_LEN(old) && attempt(ERR_UPSTREAM_ERROR); i++, now += 100)
        leave(&old[i], OK);
    EXPECT(i < 12);
    EXPECT_INT(state_of(target), HEALTH_OPEN);
    end();
}

TEST(a_target_opens_again_for_longer_if_it_closed_a_moment_ago)
{
    begin();
    open_target();
    now = health_look(target, now).until_ms;
    EXPECT(attempt(OK));
    now += 1000;
    open_target();
    EXPECT(health_look(target, now).until_ms >= now + 8000);
    now = health_look(target, now).until_ms;
    EXPECT(attempt(OK));
    now += REMEMBER_MS;
    open_target();
    EXPECT(health_look(target, now).until_ms <= now + 6000);
    end();
}

TEST(a_longer_retry_after_is_respected_up_to_five_minutes)
{
    struct health_pass p;

    begin();
    for (int i = 0; i < 4; i++)
        EXPECT(attempt(ERR_UPSTREAM_OVERLOADED));
    EXPECT(enter(&p));
    leave_asked(&p, ERR_UPSTREAM_OVERLOADED, 30000);
    uint64_t until_ms = health_look(target, now).until_ms;
    EXPECT(until_ms >= now + 30000 && until_ms <= now + 36000);
    now = until_ms;
    EXPECT(enter(&p) && p.probe);
    leave_asked(&p, ERR_UPSTREAM_OVERLOADED, INT64_MAX);
    until_ms = health_look(target, now).until_ms;
    EXPECT(until_ms >= now + 300000 && until_ms <= now + 360000);
    end();
}

TEST(cooldowns_differ_so_that_gateways_do_not_probe_at_once)
{
    uint64_t least_ms = UINT64_MAX, most_ms = 0;

    for (uint64_t seed = 0; seed < 100; seed++) {
        begin();
        clock_seed_for_tests(seed);
        open_target();
        uint64_t ms = health_look(target, now).until_ms - now;
        least_ms = MIN(least_ms, ms);
        most_ms = MAX(most_ms, ms);
        end();
    }
    EXPECT(least_ms >= 4000 && least_ms < 4200 && most_ms > 5800 && most_ms <= 6000);
}

TEST(entering_is_all_or_nothing_and_the_refusal_names_what_stays_open_longest)
{
    struct health_refusal r;
    struct health_pass p;

    begin();
    open_target();
    EXPECT(attempt_at(other, key, ERR_UPSTREAM_AUTH));
    now = health_look(target, now).until_ms;    /* the key stays benched for longer */
    EXPECT(!health_enter(t, target, key, false, now, &p, &r));
    EXPECT_INT(r.why, ERR_UPSTREAM_AUTH);
    EXPECT_INT(r.until_ms, health_look(key, now).until_ms);
    EXPECT(health_enter(t, target, spare_key, false, now, &p, &r));    /* nothing was claimed */
    EXPECT(p.probe);
    leave(&p, OK);
    end();
}

TEST(one_request_may_be_the_probe_of_several_breakers_and_each_gets_its_own_verdict)
{
    struct health_pass p, second;

    begin();
    open_target();
    open_provider();
    now = MAX(health_look(target, now).until_ms, health_look(health_provider(t), now).until_ms);
    EXPECT(enter(&p) && p.probe);
    EXPECT_INT(p.claimed, 1u << PROVIDER | 1u << TARGET);
    EXPECT(!enter(&second));
    leave(&p, ERR_UPSTREAM_ERROR);    /* it can be reached, and fails */
    EXPECT_INT(state_of(health_provider(t)), HEALTH_RECOVERING);
    EXPECT_INT(state_of(target), HEALTH_OPEN);
    end();
}

TEST(a_claim_that_comes_too_late_gives_back_the_others)
{
    struct health_refusal r = { OK, 0 };
    struct health_pass p = { .table = NULL };

    begin();
    open_target();
    open_provider();
    now += 6000;
    p.provider = health_provider(t);
    p.target = target;
    p.gate[PROVIDER] = p.provider->gate;
    p.gate[TARGET] = target->gate ^ 8;    /* what another thread replaced */
    EXPECT(!claim(&p, PROVIDER, now, &r));
    EXPECT_INT(r.until_ms, now + PROBE_WAIT_MS);
    EXPECT(attempt(OK));
    end();
}

TEST(a_forbidden_model_benches_the_key_for_that_model_alone)
{
    struct health_pass p;

    begin();
    EXPECT(attempt(ERR_UPSTREAM_FORBIDDEN));
    EXPECT(!attempt(OK));
    EXPECT(attempt_at(other, key, OK) && attempt_at(target, spare_key, OK));
    EXPECT_INT(key->pairs, 1);
    now += 72000;
    EXPECT(enter(&p) && p.probe);
    leave(&p, OK);
    EXPECT(key->pairs == 0 && enter(&p) && !p.probe);
    leave(&p, OK);
    end();
}

TEST(an_empty_account_benches_the_key_for_minutes_and_a_retired_model_its_target)
{
    begin();
    EXPECT(attempt(ERR_UPSTREAM_QUOTA));
    struct health_view v = health_look(key, now);
    EXPECT(v.state == HEALTH_OPEN && v.until_ms >= now + 240000 && v.until_ms <= now + 360000);
    EXPECT(attempt_at(target, spare_key, ERR_UPSTREAM_NO_MODEL));
    v = health_look(target, now);
    EXPECT(v.state == HEALTH_OPEN && v.until_ms >= now + 48000 && v.until_ms <= now + 72000);
    EXPECT(attempt_at(other, spare_key, OK));
    end();
}

TEST(a_limit_without_an_end_is_taken_to_last_a_second_and_doubled_while_it_does_not)
{
    struct health_refusal r;
    struct health_pass p;
    uint64_t base_ms = 1000;

    begin();
    for (int i = 0; i < 8; i++, base_ms = MIN(base_ms * 2, 60000u)) {
        EXPECT(attempt(ERR_UPSTREAM_RATE_LIMIT));
        EXPECT(!health_enter(t, target, key, true, now, &p, &r));
        EXPECT_INT(r.why, ERR_UPSTREAM_RATE_LIMIT);
        EXPECT(r.until_ms >= now + base_ms * 8 / 10 && r.until_ms <= now + base_ms * 12 / 10);
        now = r.until_ms;
    }
    now += 600000;
    EXPECT(attempt(ERR_UPSTREAM_RATE_LIMIT));
    EXPECT(!health_enter(t, target, key, true, now, &p, &r) && r.until_ms <= now + 1200);
    EXPECT_INT(health_look(target, now).failed, 0);
    end();
}

TEST(of_two_limits_the_longer_one_holds_for_an_hour_at_most)
{
    struct health_refusal r;
    struct health_pass a, b, c;

    begin();
    EXPECT(enter(&a) && enter(&b) && enter(&c));
    leave_asked(&a, ERR_UPSTREAM_RATE_LIMIT, 2000);
    leave_asked(&b, ERR_UPSTREAM_RATE_LIMIT, INT64_MAX);
    leave_asked(&c, ERR_UPSTREAM_RATE_LIMIT, 1000);
    EXPECT(!health_enter(t, target, key, true, now, &a, &r));
    EXPECT(r.until_ms >= now + 3600000 && r.until_ms <= now + 3601000);
    end();
}

TEST(without_a_key_the_target_stands_for_it)
{
    begin();
    EXPECT(attempt_at(target, NULL, ERR_UPSTREAM_RATE_LIMIT));
    EXPECT(!attempt_at(target, NULL, OK) && attempt_at(other, NULL, OK));
    EXPECT(attempt_at(other, NULL, ERR_UPSTREAM_AUTH));
    EXPECT(!attempt_at(other, NULL, OK));
    end();
}

TEST(a_slow_start_admits_a_growing_share_but_all_where_nothing_else_is_left)
{
    struct health_refusal r;
    struct health_pass p;

    begin();
    open_target();
    now = health_look(target, now).until_ms;
    EXPECT(attempt(OK));
    for (uint64_t tenth = 0; tenth < 10; tenth++) {
        int admitted = 0;

        for (int i = 0; i < 2000; i++) {
            if (health_enter(t, target, key, false, now + tenth * RECOVERY_MS / 10, &p, &r)) {
                admitted++;
                leave(&p, ERR_CLIENT_GONE);
            } else {
                EXPECT(r.until_ms > now);
            }
        }
        int expected = 200 * (int)MAX(tenth, 1u);
        EXPECT(admitted > expected - 100 && admitted < expected + 100);
        EXPECT(attempt(ERR_CLIENT_GONE));
    }
    end();
}

TEST(a_target_that_hangs_and_loses_every_race_is_found_out)
{
    const struct health_verdict silent = { .outcome = ERR_OUTRUN, .silent = true };
    const struct health_verdict late = { .outcome = ERR_OUTRUN };
    struct health_pass p;

    begin();
    for (int i = 0; i < 20; i++) {
        EXPECT(enter(&p));
        health_leave(&p, &late, now);
    }
    while (enter(&p))
        health_leave(&p, &silent, now);
    struct health_view v = health_look(target, now);
    EXPECT(v.state == HEALTH_OPEN && v.why == ERR_UPSTREAM_TIMEOUT);
    end();
}

TEST(errors_of_callers_and_of_the_gateway_say_nothing)
{
    begin();
    for (int i = 0; i < 100; i++) {
        EXPECT(attempt(ERR_BAD_REQUEST) && attempt(ERR_CONTENT_FILTER));
        EXPECT(attempt(ERR_CLIENT_GONE) && attempt(ERR_DEADLINE) && attempt(ERR_CONTEXT_LENGTH));
    }
    struct health_view v = health_look(target, now);
    EXPECT(v.state == HEALTH_CLOSED && v.failed == 0 && v.since_ms == 0);
    end();
}

TEST(a_view_counts_the_attempts_of_the_last_minute)
{
    begin();
    for (int i = 0; i < 100; i++, now += 1000)
        EXPECT(attempt(i % 4 == 0 ? ERR_UPSTREAM_ERROR : OK));
    struct health_view v = health_look(target, now);
    EXPECT(v.ok >= 40 && v.ok <= 46 && v.failed >= 13 && v.failed <= 16);
    now += 60000;
    v = health_look(target, now);
    EXPECT(v.ok == 0 && v.failed == 0);
    end();
}

TEST(a_counter_stops_before_it_reaches_its_neighbour)
{
    begin();
    target->bucket[now / BUCKET_MS % SHOWN] =
        (now / BUCKET_MS) << PERIOD_SHIFT | (COUNT_FULL - 1) * ONE_ENDED;
    EXPECT(attempt(OK) && attempt(OK) && attempt(ERR_UPSTREAM_ERROR));
    struct health_view v = health_look(target, now);
    EXPECT(v.ok + v.failed == COUNT_FULL && v.failed == 1);
    end();
}

TEST(attempts_are_counted_at_any_time)
{
    begin();
    for (now = 1; now < 3000ull * BUCKET_MS; now += 61 * BUCKET_MS) {
        EXPECT(attempt(OK) && attempt(ERR_UPSTREAM_ERROR) && attempt(ERR_UPSTREAM_CONNECT));
        struct health_view v = health_look(target, now);
        EXPECT(v.ok == 1 && v.failed == 1 && v.other == 1);
        v = health_look(health_provider(t), now);
        EXPECT(v.ok == 1 && v.failed == 1 && v.other == 1);
        EXPECT(attempt(OK));
    }
    end();
}

TEST(what_fails_because_of_something_else_is_not_counted_as_answered)
{
    static const enum err others[] = { ERR_UPSTREAM_AUTH, ERR_UPSTREAM_RATE_LIMIT,
        ERR_UPSTREAM_QUOTA, ERR_CLIENT_GONE, ERR_BAD_REQUEST, ERR_UPSTREAM_CONNECT };

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        begin();
        EXPECT(attempt(OK) && attempt(others[i]));
        struct health_view v = health_look(target, now);
        EXPECT(v.ok == 1 && v.failed == 0 && v.other == 1);
        v = health_look(health_provider(t), now);
        EXPECT_INT(v.ok, 1);
        EXPECT_INT(v.failed + v.other, 1);
        end();
    }
}

TEST(an_answer_whose_caller_leaves_is_an_answer)
{
    struct health_refusal r;
    struct health_pass pass;

    begin();
    EXPECT(health_enter(t, target, key, false, now, &pass, &r));
    health_answered(&pass, now);
    health_leave(&pass, &(struct health_verdict){ .outcome = ERR_CLIENT_GONE }, now);
    struct health_view v = health_look(target, now);
    EXPECT(v.ok == 1 && v.failed == 0 && v.other == 0);
    end();
}

TEST(names_that_callers_invent_are_forgotten_in_favour_of_those_that_answer)
{
    struct health *first, *real;
    char name[32];

    begin();
    first = health_target_asked(t, S("invented-0"));
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof(name), "invented-%d", i);
        (void)health_target_asked(t, str_c(name));
    }
    EXPECT_INT(t->store->unproven, SLOTS_UNPROVEN);
    EXPECT(first != &t->store->shared && first == health_target_asked(t, S("invented-0")));
    EXPECT(health_has_target(t, S("invented-0")) && !health_has_target(t, S("invented-9999")));

    /* a model that answers is remembered, and one that was configured is from the start */
    real = health_target_asked(t, S("real"));
    EXPECT(real == &t->store->shared);
    health_prove(t, real, S("real"));
    real = health_target_asked(t, S("real"));
    EXPECT(real != &t->store->shared && !real->unproven);
    EXPECT(health_target(t, S("configured")) != &t->store->shared);

    /* what was answered makes room for another that was not */
    health_prove(t, first, S("invented-0"));
    health_prove(t, first, S("invented-0"));
    EXPECT_INT(t->store->unproven, SLOTS_UNPROVEN - 1);
    EXPECT(health_target_asked(t, S("invented-9998")) != &t->store->shared);
    EXPECT(health_target_asked(t, S("invented-9999")) == &t->store->shared);
    (void)health_target(t, S("invented-9998"));
    EXPECT_INT(t->store->unproven, SLOTS_UNPROVEN - 1);
    end();
}

TEST(unproven_names_are_forgotten_with_their_table)
{
    struct health_table *next;
    char name[32];

    begin();
    for (int i = 0; i < SLOTS_UNPROVEN; i++) {
        (void)snprintf(name, sizeof(name), "invented-%d", i);
        (void)health_target_asked(t, str_c(name));
    }
    for (int i = 0; i < SLOTS_KEPT; i++) {
        (void)snprintf(name, sizeof(name), "model-%d", i);
        (void)health_target(t, str_c(name));
    }
    next = health_table_hold(str_c(table_name));
    health_table_drop(t);
    t = next;
    EXPECT_INT(t->store->unproven, 0);
    end();
}

TEST(subjects_beyond_the_room_of_a_table_share_a_breaker_that_never_opens)
{
    struct health *last = NULL;
    char name[32];

    begin();
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof(name), "model-%d", i);
        last = health_target(t, str_c(name));
    }
    EXPECT(last == &t->store->shared && t->store->used == SLOTS_FOR_TARGETS);
    EXPECT(health_target(t, S("large")) == target);
    for (int i = 0; i < 100; i++)
        EXPECT(attempt_at(last, key, ERR_UPSTREAM_ERROR) &&
               attempt_at(last, key, ERR_UPSTREAM_RATE_LIMIT));
    health_switch(last, true, now);
    EXPECT_INT(state_of(last), HEALTH_CLOSED);
    EXPECT(health_latency(last, true) != NULL);
    EXPECT(attempt(ERR_UPSTREAM_RATE_LIMIT) && !attempt(OK));    /* keys have room of their own */
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof(name), "key-%d", i);
        last = health_key(t, str_c(name));
    }
    EXPECT(last == &t->store->shared && t->store->used == SLOTS_USED);
    EXPECT(attempt_at(target, last, ERR_UPSTREAM_AUTH) && attempt_at(target, last, OK));
    EXPECT(attempt_at(other, key, ERR_UPSTREAM_RATE_LIMIT) && attempt_at(other, key, OK));
    end();
}

TEST(a_key_and_a_model_of_the_same_name_are_two_subjects)
{
    begin();
    EXPECT(health_key(t, S("large")) != target && health_key(t, S("large")) != key);
    EXPECT(health_target(t, S("")) != health_key(t, S("")));
    EXPECT(health_target(t, S("large")) == target);
    end();
}

TEST(providers_have_tables_of_their_own)
{
    begin();
    struct health_table *more = health_table_hold(S("acme2"));
    open_target();
    EXPECT_INT(state_of(health_target(more, S("large"))), HEALTH_CLOSED);
    health_table_drop(more);
    health_table_drop(NULL);
    end();
}

TEST(keys_that_are_replaced_by_a_thousand_reloads_do_not_fill_the_table)
{
    char name[32];

    begin();
    open_target();
    EXPECT(attempt_at(other, spare_key, ERR_UPSTREAM_AUTH));
    for (int i = 0; i < 1000; i++) {
        struct health_table *next = health_table_hold(str_c(table_name));
        struct health_refusal r;
        struct health_pass p;

        EXPECT(
            health_target(next, S("large")) == target && health_target(next, S("small")) == other);
        EXPECT(health_key(next, S("sk-2")) == spare_key);
        (void)snprintf(name, sizeof(name), "sk-new-%d", i);
        struct health *fresh = health_key(next, str_c(name));
        EXPECT(health_look(fresh, now).since_ms == 0 && fresh != &next->store->shared);
        EXPECT(health_enter(next, other, fresh, false, now, &p, &r));
        leave(&p, i % 2 == 0 ? ERR_UPSTREAM_RATE_LIMIT : ERR_UPSTREAM_AUTH);
        health_table_drop(t);
        t = next;
    }
    EXPECT(t->store->used <= SLOTS_KEPT + 4);
    EXPECT_INT(state_of(target), HEALTH_OPEN);
    EXPECT_INT(state_of(spare_key), HEALTH_OPEN);
    end();
}

TEST(what_another_holder_uses_is_not_forgotten)
{
    char name[32];

    begin();
    struct health_table *old = health_table_hold(str_c(table_name));
    struct health *kept = health_key(old, S("sk-old"));
    EXPECT(attempt_at(target, kept, ERR_UPSTREAM_AUTH));
    for (int i = 0; i < 200; i++) {
        struct health_table *next = health_table_hold(str_c(table_name));

        (void)snprintf(name, sizeof(name), "sk-new-%d", i);
        (void)health_key(next, str_c(name));
        health_table_drop(next);
    }
    EXPECT(health_key(old, S("sk-old")) == kept);
    EXPECT_INT(state_of(kept), HEALTH_OPEN);
    health_table_drop(old);
    end();
}

/* Threads. */

static pthread_barrier_t barrier;
static _Atomic unsigned probes;    /* or mistakes */

static void *
probe_many(void *arg)
{
    struct health_refusal r;
    struct health_pass p;

    (void)arg;
    for (uint64_t round = 0; round < 500; round++) {
        uint64_t at = 10000000 + round * 100000;

        (void)pthread_barrier_wait(&barrier);
        bool in = health_enter(t, target, key, false, at, &p, &r);
        if (in)
            probes++;
        (void)pthread_barrier_wait(&barrier);
        if (in)
            leave(&p, ERR_UPSTREAM_ERROR);
    }
    return NULL;
}

static void
run_threads(void *(*run)(void *))
{
    pthread_t threads[THREADS];

    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)i) == 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(pthread_barrier_destroy(&barrier) == 0);
}

TEST(of_threads_that_ask_at_once_one_gets_the_probe)
{
    begin();
    open_target();
    open_provider();    /* both are half-open when the threads begin */
    probes = 0;
    run_threads(probe_many);
    EXPECT_INT(probes, 500);
    end();
}

static void *
hammer(void *arg)
{
    static const enum err outcomes[] = { OK, OK, OK, OK, OK, OK, OK, OK, ERR_UPSTREAM_ERROR,
        ERR_UPSTREAM_CONNECT, ERR_UPSTREAM_AUTH, ERR_UPSTREAM_RATE_LIMIT, ERR_CLIENT_GONE,
        ERR_UPSTREAM_QUOTA, ERR_UPSTREAM_NO_MODEL };
    uint64_t at = 10000000;

    clock_seed_for_tests((uintptr_t)arg);
    for (int i = 0; i < 20000; i++, at += 500) {
        uint64_t random = clock_random_u64();
        struct health_table *table = i % 64 == 0 ? health_table_hold(str_c(table_name)) : NULL;
        char name[] = { 'm', (char)('a' + random % 8), '\0' };
        struct health *h = health_target(t, str_c(name));
        struct health *k = (random & 64) != 0 ? key : spare_key;
        struct health_refusal r;
        struct health_pass p;
        const struct health_verdict v = {
            .outcome = outcomes[(random >> 8) % ARRAY_LEN(outcomes)],
            .retry_after_ms = (int64_t)(random >> 32) % 5000,
        };

        if (health_enter(t, h, k, false, at, &p, &r) || health_enter_open(t, h, k, at, &p)) {
            health_answered(&p, at);
            health_leave(&p, &v, at + random % 100);
        }
        latency_note(health_latency(h, false), random % 1000, false);
        if (health_take_retry(h, 20, at))
            (void)health_look(h, at);
        health_table_drop(table);
    }
    return NULL;
}

TEST(nothing_is_stuck_after_threads_that_open_close_and_probe_all_breakers)
{
    begin();
    run_threads(hammer);
    for (size_t i = 0; i < SLOTS; i++)
        EXPECT(STATE_OF(t->store->slots[i].gate) != GATE_PROBED);
    now = 100000000;
    for (char c = 'a'; c < 'i'; c++) {
        char name[] = { 'm', c, '\0' };

        EXPECT(attempt_at(health_target(t, str_c(name)), key, OK));
        EXPECT(attempt_at(health_target(t, str_c(name)), spare_key, OK));
    }
    EXPECT(key->pairs == 0 && spare_key->pairs == 0);
    for (size_t i = 0; i < SLOTS; i++) {
        for (size_t j = 0; j < i; j++)
            EXPECT(
                t->store->slots[i].name == 0 || t->store->slots[i].name != t->store->slots[j].name);
    }
    end();
}

TEST(a_sole_target_is_given_up_only_when_it_answers_hardly_anything)
{
    struct health_refusal r;
    struct health_pass p;
    unsigned failures = 0;

    begin();
    for (int i = 0; i < 100000; i++, now += 10) {
        EXPECT(health_enter(t, target, key, true, now, &p, &r));
        leave(&p, clock_random_unit() < 0.6 ? ERR_UPSTREAM_ERROR : OK);
    }
    EXPECT_INT(state_of(target), HEALTH_CLOSED);
    while (health_enter(t, other, key, true, now, &p, &r)) {
        leave(&p, ERR_UPSTREAM_ERROR);
        failures++;
    }
    EXPECT_INT(failures, 4 * RUN_LEAST);
    end();
}

TEST(quick_failures_do_not_count_for_much_while_their_siblings_are_waited_for)
{
    static struct health_pass p[100];

    begin();
    for (size_t i = 0; i < 50; i++)
        EXPECT(enter(&p[i]));
    now += 10;
    for (size_t i = 0; i < 15; i++)    /* three in ten, and the first to end */
        leave(&p[i], ERR_UPSTREAM_ERROR);
    EXPECT_INT(state_of(target), HEALTH_CLOSED);
    now += 2000;
    for (size_t i = 15; i < 50; i++)
        leave(&p[i], OK);
    for (size_t i = 0; i < 100; i++)
        EXPECT(enter(&p[i]));
    now += 10;
    size_t i = 0;
    for (; i < 100 && state_of(target) == HEALTH_CLOSED; i++)
        leave(&p[i], ERR_UPSTREAM_ERROR);
    EXPECT(i <= RUN_MOST);
    end();
}

static void *
rotate_keys(void *arg)
{
    uint64_t at = 10000000;
    char name[32];

    clock_seed_for_tests((uintptr_t)arg);
    for (int i = 0; i < 2000; i++, at += 100) {
        struct health_table *mine = health_table_hold(str_c(table_name));
        struct health *h = health_target(mine, S("large"));
        const struct health_verdict v = { .outcome = ERR_UPSTREAM_RATE_LIMIT };
        struct health_refusal r;
        struct health_pass p;

        (void)snprintf(name, sizeof(name), "sk-%d", i);
        struct health *k = health_key(mine, str_c(name));
        for (int n = 0; n < 3; n++) {
            if (health_enter(mine, h, k, false, at, &p, &r))
                health_leave(&p, &v, at);
            if (health_key(mine, str_c(name)) != k || health_target(mine, S("large")) != target)
                probes++;
        }
        health_table_drop(mine);
    }
    return NULL;
}

TEST(threads_may_forget_keys_while_others_use_them)
{
    begin();
    probes = 0;
    run_threads(rotate_keys);
    EXPECT_INT(probes, 0);
    EXPECT(t->store->used <= SLOTS_USED);
    EXPECT(health_key(t, S("sk-1")) == key && attempt_at(other, key, OK));
    end();
}

TEST(what_entered_and_has_not_left_is_busy)
{
    struct health_pass passes[3], open;

    begin();
    for (size_t i = 0; i < ARRAY_LEN(passes); i++)
        EXPECT(enter(&passes[i]));
    EXPECT_INT(health_busy(target), 3);
    EXPECT_INT(health_busy(other), 0);
    health_answered(&passes[0], now);
    EXPECT_INT(health_busy(target), 3);
    leave(&passes[0], OK);
    leave(&passes[0], OK);    /* a second time it does nothing */
    leave(&passes[1], ERR_UPSTREAM_ERROR);
    leave(&passes[2], ERR_CLIENT_GONE);
    EXPECT_INT(health_busy(target), 0);
    for (int i = 0; i < 10; i++)
        (void)attempt_at(target, key, ERR_UPSTREAM_ERROR);
    EXPECT(!enter(&passes[0]));
    EXPECT_INT(health_busy(target), 0);
    EXPECT(health_enter_open(t, target, key, now, &open));
    EXPECT_INT(health_busy(target), 1);
    leave(&open, OK);
    EXPECT_INT(health_busy(target), 0);
    end();
}

TEST(a_target_keeps_what_was_learnt_of_it_over_a_reload)
{
    struct health_table *before;
    uint64_t age_ms;

    begin();
    load_note_time(health_load(target), &(struct load_sample){ .us = 70000 }, 1000000);
    load_note_requests(health_load(target), health_key_name(key), 0, 5000, 1000000);
    EXPECT(health_key_name(key) != health_key_name(spare_key));
    EXPECT(health_key_name(NULL) != 0);
    before = t;
    t = health_table_hold(str_c(table_name));
    health_table_drop(before);
    target = health_target(t, S("large"));
    EXPECT_INT(load_first_token_us(health_load(target), false, 0, 1000000, &age_ms), 70000);
    EXPECT(load_is_exhausted(
        health_load(target), health_key_name(health_key(t, S("sk-1"))), 1, 1000000, &age_ms));
    end();
}
