/* health_counts.c - what breakers count, and what follows from it. */
#include "route/health_priv.h"

COLD void
counts_add_anew(_Atomic uint64_t *bucket, uint64_t seen, uint64_t period, uint64_t one)
{
    uint64_t next;

    do {
        bool same = seen >> PERIOD_SHIFT == period;

        if (same && (seen & one * COUNT_FULL) != 0)
            return;
        next = same ? seen + one : period << PERIOD_SHIFT | one;
    } while (!swap(bucket, &seen, next));
}

/* Adds what the last `buckets` counted, those before `from_ms` left out. */
static void
add_up(
    const struct health *h, size_t buckets, uint64_t from_ms, uint64_t now_ms, struct counted *all)
{
    uint64_t period = now_ms / BUCKET_MS;

    for (size_t i = 0; i < buckets && i <= period && period - i >= from_ms / BUCKET_MS; i++) {
        uint64_t b = LOAD(&h->bucket[(period - i) % SHOWN]);
        uint64_t o = LOAD(&h->other[(period - i) % SHOWN]);

        if (b >> PERIOD_SHIFT == ((period - i) & PERIOD_MASK)) {
            all->begun += b & COUNT_MASK;
            all->ended += b / ONE_ENDED & COUNT_MASK;
            all->failed += b / ONE_FAILED & COUNT_MASK;
        }
        if (o >> PERIOD_SHIFT == ((period - i) & PERIOD_MASK))
            all->other += o & COUNT_MASK;
    }
}

struct counted
counts_sum(const struct health *h, size_t buckets, uint64_t from_ms, uint64_t now_ms)
{
    struct counted all = { .begun = 0 };

    add_up(h, buckets, from_ms, now_ms, &all);
    if (LOAD(&h->name) == KIND_PROVIDER) {
        const struct health_store *store = CONTAINER_OF(h, const struct health_store, provider);
        uint64_t failed = all.failed;

        add_up(&store->shared, buckets, from_ms, now_ms, &all);
        for (size_t i = 0; i < SLOTS; i++) {
            if ((LOAD(&store->slots[i].name) & KIND_MASK) == KIND_TARGET)
                add_up(&store->slots[i], buckets, from_ms, now_ms, &all);
        }
        /* What failed at a target, or because of a key, did not because of the provider. */
        all.other += all.failed - failed;
        all.other -= MIN(failed, all.other);
        all.failed = failed;
    }
    return all;
}

/* --- failures on end --- */

COLD void
run_end(struct health *h, uint64_t run, uint64_t answered_ms)
{
    if (answered_ms >= RUN_FROM(run))
        (void)swap(&h->run, &run, 0);
}

uint64_t
run_lengthen(struct health *h, uint64_t now_ms)
{
    uint64_t run = LOAD(&h->run), next;

    do {
        next = RUN_OF(run) == 0 ? now_ms << 16 | 1 : run + (RUN_OF(run) < 0xffff);
    } while (!swap(&h->run, &run, next));
    return RUN_OF(next);
}

/* Is a failure of this attempt, the last of `run` on end, more than bad luck? Where 30 % of attempts
 * fail at random, a breaker must stay closed, or it would flap. So the busier a target is, the more
 * failures on end it takes (five where all that began failed, sixteen beside 2,000 others).
 * Failures that come sooner than any success could are on end in any case: it takes two for each
 * attempt that is still waited for, too. Or at least half of all fail, and five standard deviations
 * more than 30 %.
 *
 * Where there is nothing else, three answers in ten are better than none: only a target that
 * answers hardly any request is given up: it takes four times the failures. */
bool
counts_fail(const struct health *h, const struct health_pass *p, uint64_t run, uint64_t now_ms)
{
    struct counted c = counts_sum(h, JUDGED, LOAD(&h->since_ms), now_ms);
    uint64_t n = MAX(c.begun, c.failed), least = RUN_LEAST, beside = 0;

    for (uint64_t left = n - c.failed; left != 0; left /= 2)
        least++;
    if (now_ms < p->entered_ms + SOON_MS)
        beside = RUN_LEAST + 2 * (c.begun - MIN(c.ended, c.begun));
    if (p->sole)
        least = 4 * MAX(least, beside);
    else
        least = MAX(least, MIN(beside, (uint64_t)RUN_MOST));
    if (run >= least)
        return true;
    if (p->sole || c.failed < RUN_LEAST || c.failed * 2 < n)
        return false;
    uint64_t above = c.failed * 10 - n * 3;    /* ten times; sd = sqrt(n * 0.3 * 0.7) */
    return above * above >= n * 2500 * 21 / 100;
}

/* --- repetitions --- */

bool
health_take_retry(struct health *target, unsigned percent, uint64_t now_ms)
{
    enum { BUCKETS = 3 };
    struct counted c = counts_sum(target, BUCKETS, 0, now_ms);
    uint64_t window_ms = (BUCKETS - 1) * (uint64_t)BUCKET_MS + now_ms % BUCKET_MS + 1;
    /* A thousandth of a retry each, per second. What began is requests and repetitions. */
    uint64_t millis = RETRIES_PER_S * UINT64_C(1000) +
                      c.begun * percent * 1000000 / ((100 + percent) * window_ms);
    uint64_t each_us = UINT64_C(1000000000) / millis, now_us = now_ms * 1000;
    uint64_t due_us = LOAD(&target->retry_us), next_us;

    do {
        next_us = MAX(due_us, now_us) + each_us;
        if (next_us > now_us + RETRY_CREDIT_US)
            return false;
    } while (!swap(&target->retry_us, &due_us, next_us));
    return true;
}
