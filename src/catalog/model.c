/* model.c - look-up in the built-in table of models. */
#include "catalog/model.h"

#include <stdlib.h>

const struct model_row *
model_row_at(size_t i)
{
    return i < model_table_count ? &model_table[i] : NULL;
}

/* FNV-1a, as tools/models.py has it. */
static uint32_t
hash(struct str id)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < id.n; i++)
        h = (h ^ (unsigned char)id.p[i]) * 16777619u;
    return h;
}

const struct model_row *
model_row(struct str id)
{
    for (uint32_t slot = hash(id);; slot++) {
        size_t number = model_slots[slot & model_slots_mask];

        if (number == 0)
            return NULL;
        if (number > model_table_count) {
            const struct model_alias *alias = &model_aliases[number - model_table_count - 1];

            if (str_eq(alias->id, id))
                return alias->row;
        } else if (str_eq(model_table[number - 1].id, id)) {
            return &model_table[number - 1];
        }
    }
}

static int
base_order(const void *id, const void *base)
{
    return str_cmp(*(const struct str *)id, ((const struct model_base *)base)->id);
}

const struct model_base *
model_base(struct str id)
{
    return bsearch(&id, model_bases, model_base_count, sizeof(model_bases[0]), base_order);
}

enum llm_tri
model_can(const struct model_row *row, enum model_ability ability)
{
    uint32_t bit = 1u << ability;

    if (row == NULL)
        return UNSAID;
    return (row->can & bit) != 0 ? YES : (row->cannot & bit) != 0 ? NO : UNSAID;
}

enum tokens_family
model_tokenizer(const struct model_row *row, struct str name)
{
    enum tokens_family family = TOKENS_other;

    if (row != NULL && row->tokenizer != 0)
        return row->tokenizer - 1;
    if (row != NULL && row->base != NULL)
        family = tokens_family(row->base->id);
    if (row != NULL && family == TOKENS_other)
        family = tokens_family(row->id);
    return family == TOKENS_other ? tokens_family(name) : family;
}

bool
model_is_priced(const struct model_row *row)
{
    return row != NULL && row->price != NULL && !row->price->plan && row->price->list.known != 0;
}

int
model_quality_permille(const struct model_row *row)
{
    return row != NULL && row->base != NULL ? row->base->quality_permille : 0;
}

int64_t
model_cost_nanousd(
    const struct model_row *row, const struct llm_usage *u, const struct price_when *when)
{
    return row != NULL ? price_cost(row->price, u, when) : COST_UNKNOWN;
}

int64_t
model_expect_nanousd(const struct model_row *row, const struct price_guess *guess)
{
    return row != NULL ? price_expect(row->price, guess) : COST_UNKNOWN;
}
