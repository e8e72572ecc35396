/* concurrency.c - Gradient2, over windows of samples. */
#include "route/concurrency.h"

#define WINDOW_SAMPLES 10
#define WINDOW_US 1000000u
#define CUT_EVERY_US 1000000u
#define CUT_TO 0.7
#define GROWS_BY 4.0    /* requests that may wait at the provider */
#define SMOOTHING 0.2
#define TOLERANCE 1.5    /* first tokens take longer for long prompts, too */
#define LEAST_GRADIENT 0.5
#define WARM_UP_WINDOWS 10

/* How fast the usual time follows what is measured. While the limit is in use a rise is probably a
 * queue at the target, and must not become usual. (A window of 600 samples, as in Gradient2, is two
 * seconds of a busy target: in the simulation the limit then rose without end.) */
#define FALLS_IN_US 1e7
#define RISES_IN_US 6e7
#define RISES_IN_USE_IN_US 3.6e9
#define STEP_MOST_US 1e7

static double
limit_of(const struct concurrency *c)
{
    uint32_t milli = atomic_load_explicit(&c->limit_milli, memory_order_relaxed);

    return milli != 0 ? milli / 1000.0 : CONCURRENCY_START;
}

static void
set_limit(struct concurrency *c, double limit)
{
    uint32_t milli = (uint32_t)(MIN(MAX(limit, 1.0), (double)CONCURRENCY_MOST) * 1000);

    atomic_store_explicit(&c->limit_milli, milli, memory_order_relaxed);
}

unsigned
concurrency_limit(const struct concurrency *c)
{
    return (unsigned)limit_of(c);
}

bool
concurrency_enter(struct concurrency *c)
{
    uint32_t before = atomic_fetch_add_explicit(&c->in_flight, 1, memory_order_relaxed);

    if (before < concurrency_limit(c))
        return true;
    concurrency_leave(c);
    return false;
}

void
concurrency_leave(struct concurrency *c)
{
    (void)atomic_fetch_sub_explicit(&c->in_flight, 1, memory_order_relaxed);
}

static void
learn(struct concurrency *c, double recent_us, double passed_us, bool in_use)
{
    double in_us = recent_us < c->usual_us ? FALLS_IN_US
                   : in_use                ? RISES_IN_USE_IN_US
                                           : RISES_IN_US;
    double weight = MIN(passed_us, STEP_MOST_US) / in_us;

    if (c->windows < WARM_UP_WINDOWS)
        weight = 1.0 / ++c->windows;
    c->usual_us += (recent_us - c->usual_us) * MIN(weight, 1.0);
}

static void
adjust(struct concurrency *c, uint64_t now_us)
{
    uint64_t sum_us = atomic_exchange_explicit(&c->sum_us, 0, memory_order_relaxed);
    uint32_t samples = atomic_exchange_explicit(&c->samples, 0, memory_order_relaxed);
    uint32_t used = atomic_load_explicit(&c->in_flight, memory_order_relaxed);
    uint64_t since_us = atomic_exchange_explicit(&c->since_us, now_us, memory_order_relaxed);
    double limit = limit_of(c);
    bool in_use = used * 2 >= limit;

    if (samples == 0 || sum_us == 0)
        return;
    double recent_us = (double)sum_us / samples;
    learn(c, recent_us, (double)(now_us - MIN(since_us, now_us)), in_use);
    double gradient = MIN(MAX(TOLERANCE * c->usual_us / recent_us, LEAST_GRADIENT), 1.0);
    double next = limit * gradient + GROWS_BY;
    if (next > limit && !in_use)
        return;
    set_limit(c, limit + (next - limit) * SMOOTHING);
}

void
concurrency_answered(struct concurrency *c, uint64_t us, uint64_t now_us)
{
    (void)atomic_fetch_add_explicit(&c->sum_us, MAX(us, 1), memory_order_relaxed);
    uint32_t samples = 1 + atomic_fetch_add_explicit(&c->samples, 1, memory_order_relaxed);
    uint64_t since_us = atomic_load_explicit(&c->since_us, memory_order_relaxed);

    if (samples < WINDOW_SAMPLES && now_us < since_us + WINDOW_US)
        return;
    if (atomic_exchange_explicit(&c->changing, true, memory_order_acquire))
        return;
    adjust(c, now_us);
    atomic_store_explicit(&c->changing, false, memory_order_release);
}

void
concurrency_refused(struct concurrency *c, uint64_t now_us)
{
    uint64_t cut_us = atomic_load_explicit(&c->cut_us, memory_order_relaxed);
    uint32_t used = atomic_load_explicit(&c->in_flight, memory_order_relaxed);

    if (cut_us != 0 && now_us < cut_us + CUT_EVERY_US)
        return;    /* they were sent together, and refused together */
    if (!atomic_compare_exchange_strong(&c->cut_us, &cut_us, now_us))
        return;
    double limit = limit_of(c);
    /* Less than that was too much already, if the limit was never reached. */
    set_limit(c, MIN(limit, MAX(used, limit / 2)) * CUT_TO);
}
