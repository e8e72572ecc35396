/* model.c - models.def as a sorted table, and what an answer costs. */
#include "catalog/model.h"

#include <stdlib.h>

#define MODEL(id_, context_, output_, traits_, in_, cached_, write_, out_, upto_)                  \
    { S_INIT(id_), (context_), (output_), traits_, (in_), (cached_), (write_), (out_), (upto_) },

static const struct model_row rows[] = {
#include "catalog/models.def"
};
#undef MODEL

const struct model_row *
model_row_at(size_t i)
{
    return i < ARRAY_LEN(rows) ? &rows[i] : NULL;
}

static int
row_order(const void *id, const void *row)
{
    return str_cmp(*(const struct str *)id, ((const struct model_row *)row)->id);
}

const struct model_row *
model_row(struct str id)
{
    return bsearch(&id, rows, ARRAY_LEN(rows), sizeof(rows[0]), row_order);
}

/* Adds the price of tokens; false when it is needed and unknown. */
static bool
cost_add(int64_t *sum_per_1k, int64_t tokens, int64_t nanousd_per_1k)
{
    if (tokens <= 0)
        return true;
    if (nanousd_per_1k < 0)
        return false;
    return !__builtin_mul_overflow(tokens, nanousd_per_1k, &tokens) &&
           !__builtin_add_overflow(*sum_per_1k, tokens, sum_per_1k);
}

int64_t
model_cost_nanousd(const struct model_row *row, const struct llm_usage *u)
{
    if (row == NULL || !usage_known(u))
        return COST_UNKNOWN;

    int64_t input = u->input;
    if (row->price_upto_tokens != 0 && input > row->price_upto_tokens)
        return COST_UNKNOWN;

    /* Some hosts report more cached tokens than input tokens (Grok on Azure). */
    int64_t cached = MIN(u->cached, input);
    int64_t written = MIN(u->cache_write, input - cached);
    int64_t fresh = input - cached - written;
    int64_t cached_price = row->cached_nanousd_per_1k;
    int64_t write_price = row->cache_write_nanousd_per_1k;
    int64_t sum = 0;

    /* Without a price of their own these tokens are billed as plain input. */
    if (cached_price < 0)
        cached_price = row->input_nanousd_per_1k;
    if (write_price < 0)
        write_price = row->input_nanousd_per_1k;

    bool known = cost_add(&sum, fresh, row->input_nanousd_per_1k) &&
                 cost_add(&sum, cached, cached_price) && cost_add(&sum, written, write_price) &&
                 cost_add(&sum, u->output, row->output_nanousd_per_1k);
    return known ? (sum + 500) / 1000 : COST_UNKNOWN;
}
