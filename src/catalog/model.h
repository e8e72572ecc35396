/* model.h - what we know about models: limits, traits, prices.
 *
 * Money is in nano-dollars. An unknown price is -1 and makes the cost unknown; it is
 * never treated as zero.
 */
#pragma once

#include "llm/traits.h"
#include "llm/usage.h"

#define MODEL_BYTES 256    /* longest name of a model that a caller may ask for */

struct model_row {
    struct str id;             /* "openai/gpt-4o-mini" */
    int64_t context_tokens;    /* 0: unknown */
    int64_t output_tokens;
    struct traits traits;
    int64_t input_nanousd_per_1k;
    int64_t cached_nanousd_per_1k;
    int64_t cache_write_nanousd_per_1k;
    int64_t output_nanousd_per_1k;
    int64_t price_upto_tokens;    /* the prices apply up to this many input tokens; 0: always */
};

/* The row of "provider/model", or NULL. */
const struct model_row *model_row(struct str id);
const struct model_row *model_row_at(size_t i);

#define COST_UNKNOWN (-1)

/* What the usage costs in nano-dollars, rounded to the nearest, or COST_UNKNOWN. `row` may be
 * NULL. */
int64_t model_cost_nanousd(const struct model_row *row, const struct llm_usage *u);
