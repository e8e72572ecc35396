/* price.h - what answers cost, and what a request will probably cost.
 *
 * Money is in nano-dollars, as integers. Prices are nano-dollars per 1,000 units (prices.def), which
 * holds every published price exactly. A price that is not known makes the cost unknown; it is never
 * taken for zero.
 *
 * How a request is billed:
 *   - Each token once: input that was neither read from nor written to a prompt cache, cached input,
 *     what was written for five minutes or an hour, audio; output that is neither reasoning nor audio,
 *     and those. Without a price of their own reasoning is billed as output, the rest as plain input
 *     or output.
 *   - Where the provider says how many tokens it bills, those are billed, and nothing of the input is
 *     cheaper or dearer for having been cached.
 *   - A long-context tier applies to the whole request once its input, cached or not, is above the
 *     tier's threshold.
 *   - A time window's prices replace the usual ones while it is open, by the provider's clock (UTC).
 *   - A tier, window or service tier that gives input and output only changes the others in the same
 *     proportion, as providers that document it do: cached and written tokens as input, reasoning as
 *     output.
 *   - A ranking whose provider says how many searches it bills costs those.
 *   - The sum is exact; it is rounded once, to the nearest nano-dollar, half of one up.
 */
#pragma once

#include "llm/usage.h"

enum price_unit {
#define PRICE(name, per, what) PRICE_##name,
#include "catalog/prices.def"
#undef PRICE
    PRICES
};

#define PRICE_UNKNOWN INT64_C(-1)
#define COST_UNKNOWN INT64_C(-1)

/* Some prices: those whose bit is set, in the order of the table. */
struct price_list {
    const int64_t *nanousd_per_1k;
    uint32_t known;    /* 1 << enum price_unit */
};

struct price_tier {
    int64_t above_tokens;    /* it applies to requests with more input tokens than this */
    struct price_list list;
};

/* A part of some days of the week, in UTC. */
struct price_span {
    uint8_t days;                 /* 1 << day, Monday is 0 */
    uint16_t from_min, to_min;    /* of the day; `to_min` is not part of it */
};

struct price_window {
    struct str name;
    bool outside;    /* open whenever none of the spans is */
    const struct price_span *spans;
    size_t span_count;
    struct price_list list;
};

/* All prices of a model at one provider, from some time on. */
struct price_sheet {
    struct price_list list;
    const struct price_tier *tiers;    /* ascending */
    size_t tier_count;
    const struct price_window *windows;    /* the first open one counts */
    size_t window_count;
    /* Listed at zero because it is a trial, or paid by a plan: what a request costs is not known. */
    bool plan;
    int64_t since_s;                    /* wall clock; 0: as long as it is known */
    const struct price_sheet *older;    /* what held before that; NULL: not known */
};

/* What else decides the price. */
struct price_when {
    int64_t wall_s;
    enum llm_service service;
};

/* A price of the list, or PRICE_UNKNOWN. */
int64_t price_of(const struct price_list *list, enum price_unit unit);

/* The sheet that held at that time: this one or an older one; NULL when there is none. */
const struct price_sheet *price_sheet_at(const struct price_sheet *sheet, int64_t wall_s);

/* What the usage costs in nano-dollars, or COST_UNKNOWN: a price that it needs is not known, or the
 * counts are absurd. `sheet` may be NULL. */
int64_t price_cost(
    const struct price_sheet *sheet, const struct llm_usage *told, const struct price_when *when);

/* A request before it is sent; counts are tokens. */
struct price_guess {
    int64_t input;      /* all of it */
    int64_t cached;     /* of input: probably still in the target's prompt cache */
    int64_t written;    /* of input: will be written to it, for five minutes */
    int64_t output;     /* that is expected */
    struct price_when when;
};

/* What it will probably cost in nano-dollars, or COST_UNKNOWN. */
int64_t price_expect(const struct price_sheet *sheet, const struct price_guess *guess);
