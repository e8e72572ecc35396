/* test_budget.c - no more is spent than there is, and periods begin where clocks say. */
#include "policy/budget.c"

#include <stdio.h>

#include "base/clock.h"
#include "tests/test.h"

static void
agree(struct budget *b, struct budget_terms t)
{
    atomic_store(&b->terms, budget_terms_keep(&t));
}

static uint64_t
at(const char *stamp)
{
    int64_t ms = 0;

    EXPECT(clock_timestamp(str_c(stamp), &ms));
    return (uint64_t)ms;
}

TEST(what_is_reserved_and_spent_stays_within)
{
    struct budget b = { .id = 1 };
    struct budget_hold h[3];

    agree(
        &b, (struct budget_terms){ .nanousd = 100, .period = BUDGET_TOTAL, .alerts = { 50, 80 } });
    EXPECT(budget_reserve(&b, 40, false, 5, &h[0]) == BUDGET_RESERVED);
    EXPECT(budget_reserve(&b, 60, false, 5, &h[1]) == BUDGET_RESERVED);
    EXPECT(budget_ask(&b, 1, 5) == BUDGET_BUSY);
    EXPECT(budget_reserve(&b, 1, false, 5, &h[2]) == BUDGET_BUSY);
    EXPECT(h[2].budget == NULL);
    EXPECT_INT(budget_settle(&h[0], 10), 0);
    EXPECT(budget_reserve(&b, 30, false, 5, &h[2]) == BUDGET_RESERVED);
    EXPECT_INT(budget_settle(&h[1], 75), 1u << 0 | 1u << 1);    /* dearer than was reserved */
    EXPECT_INT(budget_settle(&h[1], 75), 0);                    /* once */
    EXPECT_INT(budget_settle(&h[2], 0), 0);
    struct budget_view v = budget_look(&b, 5);
    EXPECT_INT(v.spent, 85);
    EXPECT_INT(v.reserved, 0);
    EXPECT(budget_reserve(&b, 15, false, 5, &h[0]) == BUDGET_RESERVED);
    EXPECT_INT(budget_settle(&h[0], 15), BUDGET_ALERT_USED_UP);
    EXPECT(budget_ask(&b, 1, 5) == BUDGET_USED_UP && budget_ask(&b, 0, 5) == BUDGET_RESERVED);
}

TEST(a_request_may_have_a_ceiling_of_its_own)
{
    struct budget b = { .id = 1 };
    struct budget_hold h;

    agree(&b, (struct budget_terms){ .nanousd = 1000, .request_nanousd = 10 });
    EXPECT(budget_reserve(&b, 11, false, 5, &h) == BUDGET_REQUEST_TOO_DEAR);
    EXPECT(budget_reserve(&b, 10, false, 5, &h) == BUDGET_RESERVED);
    (void)budget_settle(&h, 0);
}

TEST(a_throttled_one_lets_one_a_minute_pass)
{
    struct budget b = { .id = 1 };
    struct budget_hold h;

    agree(&b,
        (struct budget_terms){ .nanousd = 10, .period = BUDGET_TOTAL, .then = BUDGET_THROTTLE });
    EXPECT(budget_reserve(&b, 10, false, 1000000, &h) == BUDGET_RESERVED);
    (void)budget_settle(&h, 10);
    EXPECT(budget_ask(&b, 10, 1000000) == BUDGET_RESERVED);
    EXPECT(budget_reserve(&b, 10, false, 1000000, &h) == BUDGET_RESERVED);
    EXPECT(budget_ask(&b, 10, 1059999) == BUDGET_USED_UP);
    EXPECT(budget_reserve(&b, 10, false, 1059999, &h) == BUDGET_USED_UP);
    EXPECT(budget_reserve(&b, 10, false, 1060000, &h) == BUDGET_RESERVED);
}

TEST(a_new_period_begins_empty_and_what_was_reserved_stays_in_the_old_one)
{
    struct budget b = { .id = 1 };
    struct budget_hold old, now;
    uint64_t before = at("2026-03-31T21:59:59.999Z"), after = at("2026-03-31T22:00:00Z");

    const struct zone *berlin = zone_find(S("Europe/Berlin"));
    EXPECT(berlin != NULL);
    agree(&b, (struct budget_terms){ .nanousd = 100, .period = BUDGET_MONTH, .zone = berlin });
    EXPECT(budget_reserve(&b, 100, false, before, &old) == BUDGET_RESERVED);
    EXPECT(budget_reserve(&b, 1, false, before, &now) == BUDGET_BUSY);
    EXPECT(budget_reserve(&b, 100, false, after, &now) == BUDGET_RESERVED);
    (void)budget_settle(&old, 90);
    struct budget_view v = budget_look(&b, after);
    EXPECT_INT(v.spent, 0);
    EXPECT_INT(v.reserved, 100);
    EXPECT(v.begins_ms == after && v.ends_ms == at("2026-04-30T22:00:00Z"));
    (void)budget_settle(&now, 7);
    EXPECT_INT(budget_look(&b, before).spent, 90);    /* the clock went back */
    EXPECT_INT(budget_look(&b, after).spent, 7);
    budget_raise(&b, 50, at("2026-02-28T23:00:00Z"), after);    /* not of this period */
    EXPECT_INT(budget_look(&b, after).spent, 7);
    budget_raise(&b, 50, after, after + 2);
    EXPECT_INT(budget_look(&b, after).spent, 50);
    budget_raise(&b, 49, after, after + 2);    /* less than is known */
    EXPECT_INT(budget_look(&b, after).spent, 50);
    EXPECT_INT(budget_look(&b, after).reserved, 0);
    EXPECT(budget_reserve(&b, 51, false, after, &now) == BUDGET_USED_UP);
    EXPECT(budget_reserve(&b, 50, false, after, &now) == BUDGET_RESERVED);
    (void)budget_settle(&now, 0);
}

TEST(a_forecast_narrows_as_the_period_goes_by)
{
    struct budget_terms t = { .nanousd = 1000000 };
    struct budget_view v = { .terms = &t, .spent = 100000, .begins_ms = 0, .ends_ms = 1000000 };
    struct budget_forecast early, late;

    EXPECT(!budget_foresee(&v, 1, &early));
    EXPECT(budget_foresee(&v, 100000, &early));
    EXPECT_INT(early.nanousd, 1000000);
    EXPECT(early.low_nanousd >= v.spent && early.high_nanousd > early.nanousd);
    v.spent = 900000;
    EXPECT(budget_foresee(&v, 900000, &late));
    EXPECT_INT(late.nanousd, 1000000);
    EXPECT(late.high_nanousd - late.low_nanousd < (early.high_nanousd - early.low_nanousd) / 4);
}

TEST(equal_terms_are_kept_once)
{
    struct budget_terms a = { .nanousd = 5, .alias = S("x") },
                        b = { .nanousd = 5, .alias = S("x") };

    EXPECT(budget_terms_keep(&a) == budget_terms_keep(&b));
    b.strict = true;
    EXPECT(budget_terms_keep(&a) != budget_terms_keep(&b));
}
