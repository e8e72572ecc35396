/* budget.c - periods, and what was spent in them.
 *
 * When a period is over, its cell stays as it is for those that reserved in it, and the other one
 * becomes current, under a lock. A request that comes just then, and still sees the old one, reserves
 * in the period that has just ended.
 */
#include "policy/budget.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TRICKLE_MS 60000u    /* THROTTLE: one passes in this time */
#define BEGUN 1u             /* added to a begin, so that 0 is a cell that was never used */

const char *
budget_period_name(enum budget_period period)
{
    static const char *const names[BUDGET_PERIODS] = { "day", "week", "month", "total" };

    return names[period];
}

enum budget_period
budget_period_named(struct str word)
{
    for (unsigned p = 0; p < BUDGET_PERIODS; p++)
        if (str_eq(word, str_c(budget_period_name((enum budget_period)p))))
            return (enum budget_period)p;
    return BUDGET_MONTH;
}

enum budget_then
budget_then_named(struct str word)
{
    return str_eq(word, S("throttle")) ? BUDGET_THROTTLE
           : str_eq(word, S("alias"))  ? BUDGET_ALIAS
                                       : BUDGET_REFUSE;
}

void
budget_alert_add(uint8_t alerts[BUDGET_ALERTS], unsigned percent)
{
    unsigned at = BUDGET_ALERTS - 1;

    if (percent == 0 || percent > 100 || alerts[at] != 0)
        return;
    for (; at > 0 && (alerts[at - 1] == 0 || alerts[at - 1] > percent); at--)
        alerts[at] = alerts[at - 1];
    alerts[at] = (uint8_t)percent;
}

/* --- terms --- */

static bool
same_terms(const struct budget_terms *a, const struct budget_terms *b)
{
    return a->nanousd == b->nanousd && a->period == b->period && a->zone == b->zone &&
           memcmp(a->alerts, b->alerts, sizeof(a->alerts)) == 0 && a->then == b->then &&
           str_eq(a->alias, b->alias) && a->strict == b->strict &&
           a->request_nanousd == b->request_nanousd && a->session_nanousd == b->session_nanousd;
}

const struct budget_terms *
budget_terms_keep(const struct budget_terms *terms)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct kept {
        struct budget_terms terms;
        struct kept *next;
    } * buckets[256];
    uint64_t hash = (uint64_t)terms->nanousd * UINT64_C(0x9e3779b97f4a7c15) + terms->period;
    struct kept **bucket = &buckets[hash >> 56], *k;

    (void)pthread_mutex_lock(&lock);
    for (k = *bucket; k != NULL && !same_terms(&k->terms, terms); k = k->next)
        ;
    if (k == NULL) {
        k = check_alloc(malloc(sizeof(*k)));
        k->terms = *terms;
        k->terms.alias = str_c(str_dup_c(terms->alias));
        k->next = *bucket;
        *bucket = k;
    }
    (void)pthread_mutex_unlock(&lock);
    return &k->terms;
}

/* --- periods --- */

static void
period_of(const struct budget_terms *t, uint64_t wall_ms, uint64_t *ret_begins, uint64_t *ret_ends)
{
    static const enum zone_period periods[] = { ZONE_DAY, ZONE_WEEK, ZONE_MONTH };
    const struct zone *zone = t->zone != NULL ? t->zone : zone_find(S(""));
    int64_t begins_s, ends_s;

    *ret_begins = 0;
    *ret_ends = UINT64_MAX;
    if (t->period == BUDGET_TOTAL)
        return;
    zone_period(zone, periods[t->period], (int64_t)(wall_ms / 1000), &begins_s, &ends_s);
    *ret_begins = (uint64_t)MAX(begins_s, 0) * 1000;
    *ret_ends = (uint64_t)MAX(ends_s, 0) * 1000;
}

uint64_t
budget_period_begins(const struct budget_terms *t, uint64_t wall_ms)
{
    uint64_t begins, ends;

    period_of(t, wall_ms, &begins, &ends);
    return begins;
}

/* The clock may be set back: a period that has not begun is left, too. */
static bool
is_current(struct budget *b, const struct budget_cell *cell, uint64_t wall_ms)
{
    uint64_t began = atomic_load_explicit(&cell->began_ms, memory_order_acquire);

    return began != 0 && wall_ms + BEGUN >= began &&
           wall_ms < atomic_load_explicit(&b->ends_ms, memory_order_acquire);
}

COLD static void
begin_period(struct budget *b, const struct budget_terms *t, uint64_t wall_ms)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    uint64_t begins, ends;

    (void)pthread_mutex_lock(&lock);
    unsigned now = atomic_load(&b->current);
    if (!is_current(b, &b->cells[now], wall_ms)) {
        period_of(t, wall_ms, &begins, &ends);
        uint64_t began = atomic_load(&b->cells[now].began_ms);
        unsigned next = began == 0 || began == begins + BEGUN ? now : now ^ 1u;
        struct budget_cell *cell = &b->cells[next];

        if (atomic_load(&cell->began_ms) !=
            begins + BEGUN) {    /* else it goes on: the clock went back */
            atomic_store(&cell->used, 0);
            atomic_store(&cell->spent, 0);
            atomic_store(&cell->alerted, 0);
            atomic_store(&cell->began_ms, begins + BEGUN);
        }
        atomic_store(&b->current, next);
        atomic_store(&b->ends_ms, ends);
    }
    (void)pthread_mutex_unlock(&lock);
}

static struct budget_cell *
current_cell(struct budget *b, const struct budget_terms *t, uint64_t wall_ms)
{
    struct budget_cell *cell = &b->cells[atomic_load_explicit(&b->current, memory_order_acquire)];

    if (LIKELY(is_current(b, cell, wall_ms)))
        return cell;
    begin_period(b, t, wall_ms);
    return &b->cells[atomic_load_explicit(&b->current, memory_order_acquire)];
}

/* --- reserving and settling --- */

static bool
take(struct budget_cell *cell, int64_t nanousd, int64_t most)
{
    int64_t used = atomic_load_explicit(&cell->used, memory_order_relaxed), sum;

    do {
        if (__builtin_add_overflow(used, nanousd, &sum) || sum > most)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(
        &cell->used, &used, sum, memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* May one pass though nothing is left? */
static bool
trickles(struct budget *b, uint64_t wall_ms)
{
    uint64_t due_ms = atomic_load_explicit(&b->trickle_ms, memory_order_relaxed);

    return (wall_ms >= due_ms || due_ms - wall_ms > TRICKLE_MS) &&
           atomic_compare_exchange_strong_explicit(&b->trickle_ms, &due_ms, wall_ms + TRICKLE_MS,
               memory_order_relaxed, memory_order_relaxed);
}

/* Why it cannot be taken. */
static enum budget_verdict
why_not(const struct budget_cell *cell, const struct budget_terms *t, int64_t nanousd)
{
    int64_t spent = atomic_load_explicit(&cell->spent, memory_order_relaxed), sum;

    return __builtin_add_overflow(spent, nanousd, &sum) || sum > t->nanousd ? BUDGET_USED_UP
                                                                            : BUDGET_BUSY;
}

enum budget_verdict
budget_ask(struct budget *b, int64_t nanousd, uint64_t wall_ms)
{
    const struct budget_terms *t = atomic_load_explicit(&b->terms, memory_order_acquire);
    int64_t sum;

    if (t == NULL)
        return BUDGET_RESERVED;
    if (t->request_nanousd != 0 && nanousd > t->request_nanousd)
        return BUDGET_REQUEST_TOO_DEAR;
    const struct budget_cell *cell = current_cell(b, t, wall_ms);
    int64_t used = atomic_load_explicit(&cell->used, memory_order_relaxed);
    if (!__builtin_add_overflow(used, nanousd, &sum) && sum <= t->nanousd)
        return BUDGET_RESERVED;
    uint64_t due_ms = atomic_load_explicit(&b->trickle_ms, memory_order_relaxed);
    if (t->then == BUDGET_THROTTLE && (wall_ms >= due_ms || due_ms - wall_ms > TRICKLE_MS))
        return BUDGET_RESERVED;
    return why_not(cell, t, nanousd);
}

enum budget_verdict
budget_reserve(
    struct budget *b, int64_t nanousd, bool force, uint64_t wall_ms, struct budget_hold *ret)
{
    const struct budget_terms *t = atomic_load_explicit(&b->terms, memory_order_acquire);

    *ret = (struct budget_hold){ .budget = NULL };
    if (t == NULL)
        return BUDGET_RESERVED;
    if (t->request_nanousd != 0 && nanousd > t->request_nanousd && !force)
        return BUDGET_REQUEST_TOO_DEAR;
    struct budget_cell *cell = current_cell(b, t, wall_ms);
    bool ok = take(cell, nanousd, force ? INT64_MAX : t->nanousd);
    if (!ok && t->then == BUDGET_THROTTLE && trickles(b, wall_ms))
        ok = take(cell, nanousd, INT64_MAX);
    if (!ok)
        return why_not(cell, t, nanousd);
    *ret = (struct budget_hold){ .budget = b,
        .began_ms = atomic_load_explicit(&cell->began_ms, memory_order_relaxed),
        .nanousd = nanousd };
    return BUDGET_RESERVED;
}

/* Which alerts the sum has passed, that were not raised in this period. */
static unsigned
new_alerts(const struct budget_terms *t, struct budget_cell *cell, int64_t spent)
{
    unsigned passed = spent >= t->nanousd ? BUDGET_ALERT_USED_UP : 0;

    for (unsigned i = 0; i < BUDGET_ALERTS && t->alerts[i] != 0; i++)
        if ((double)spent * 100 >= (double)t->nanousd * t->alerts[i])
            passed |= 1u << i;
    if (LIKELY((passed & ~atomic_load_explicit(&cell->alerted, memory_order_relaxed)) == 0))
        return 0;
    return passed & ~atomic_fetch_or_explicit(&cell->alerted, passed, memory_order_relaxed);
}

unsigned
budget_settle(struct budget_hold *h, int64_t spent_nanousd)
{
    struct budget *b = h->budget;

    if (b == NULL)
        return 0;
    h->budget = NULL;
    struct budget_cell *cell = &b->cells[0];
    if (atomic_load_explicit(&cell->began_ms, memory_order_acquire) != h->began_ms)
        cell = &b->cells[1];
    if (atomic_load_explicit(&cell->began_ms, memory_order_acquire) != h->began_ms)
        return 0;    /* two periods ago */
    (void)atomic_fetch_add_explicit(&cell->used, spent_nanousd - h->nanousd, memory_order_relaxed);
    int64_t spent = spent_nanousd +
                    atomic_fetch_add_explicit(&cell->spent, spent_nanousd, memory_order_relaxed);
    const struct budget_terms *t = atomic_load_explicit(&b->terms, memory_order_acquire);
    return t != NULL ? new_alerts(t, cell, spent) : 0;
}

void
budget_raise(struct budget *b, int64_t spent_nanousd, uint64_t begins_ms, uint64_t wall_ms)
{
    const struct budget_terms *t = atomic_load_explicit(&b->terms, memory_order_acquire);

    if (t == NULL)
        return;
    struct budget_cell *cell = current_cell(b, t, wall_ms);
    int64_t known = atomic_load(&cell->spent);

    if (atomic_load(&cell->began_ms) != begins_ms + BEGUN)
        return;
    while (
        known < spent_nanousd && !atomic_compare_exchange_weak(&cell->spent, &known, spent_nanousd))
        continue;
    if (known >= spent_nanousd)
        return;
    (void)atomic_fetch_add(&cell->used, spent_nanousd - known);
    (void)new_alerts(t, cell, spent_nanousd);
}

/* --- views --- */

struct budget_view
budget_look(struct budget *b, uint64_t wall_ms)
{
    const struct budget_terms *t = atomic_load_explicit(&b->terms, memory_order_acquire);
    struct budget_view v = { .terms = t, .ends_ms = UINT64_MAX };

    if (t == NULL)
        return v;
    const struct budget_cell *cell = current_cell(b, t, wall_ms);
    v.spent = atomic_load_explicit(&cell->spent, memory_order_relaxed);
    v.reserved = MAX(atomic_load_explicit(&cell->used, memory_order_relaxed) - v.spent, 0);
    v.begins_ms = atomic_load_explicit(&cell->began_ms, memory_order_relaxed) - BEGUN;
    v.ends_ms = atomic_load_explicit(&b->ends_ms, memory_order_relaxed);
    return v;
}

/* Spending is taken as if it came in ten equal parts at random times of the period so far: a Poisson
 * count, whose deviation is its root. */
#define PARTS 10.0
#define SHARE_LEAST 0.02    /* of the period; before that nothing is known */

bool
budget_foresee(const struct budget_view *v, uint64_t wall_ms, struct budget_forecast *ret)
{
    if (v->terms == NULL || v->ends_ms == UINT64_MAX || wall_ms <= v->begins_ms || v->spent <= 0)
        return false;
    double share = MIN((double)(wall_ms - v->begins_ms) / (double)(v->ends_ms - v->begins_ms), 1);
    if (share < SHARE_LEAST)
        return false;
    double spent = (double)v->spent, rest = spent / share * (1 - share);
    double margin = 1.96 * rest / sqrt(PARTS * share);
    ret->nanousd = (int64_t)(spent + rest);
    ret->low_nanousd = (int64_t)(spent + MAX(rest - margin, 0));
    ret->high_nanousd = (int64_t)(spent + rest + margin);
    return true;
}
