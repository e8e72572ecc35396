/* plan.c - judges the candidates of a request. */
#include "route/plan.h"

void
plan_begin(struct plan *plan, struct arena *a, size_t count)
{
    CHECK(count <= PLAN_CANDIDATES);
    *plan = (struct plan){ .list = arena_array(a, struct candidate, count), .count = count };
}

enum exclusion
target_exclusion(const struct target *t, enum llm_op op, const struct wire *from)
{
    const struct wire *wire = t->provider->wire;

    if (op == OP_RELAY && wire != from)
        return EXCLUDED_WIRE;
    return (wire->provider->ops & OP_BIT(op)) != 0 ? EXCLUDED_NOT : EXCLUDED_OPERATION;
}

struct str
target_exclusion_text(const struct target *t, enum exclusion why, enum llm_op op,
    const struct wire *from, struct arena *a)
{
    const struct provider *p = t->provider;

    switch (why) {
    case EXCLUDED_NOT:
        break;
    case EXCLUDED_WIRE:
        return arena_printf(a,
            "this route needs a provider with the protocol " STR_FMT "; " STR_FMT " uses " STR_FMT,
            STR_ARG(from->name), STR_ARG(p->id), STR_ARG(p->wire->name));
    case EXCLUDED_OPERATION:
        return arena_printf(a, "the provider " STR_FMT " has no %s", STR_ARG(p->id),
            op == OP_EMBED ? "embeddings" : "such operation");
    }
    CHECK_UNREACHABLE();
}

void
plan_judge(struct plan *plan, enum llm_op op, const struct wire *from)
{
    for (size_t i = 0; i < plan->count; i++)
        plan->list[i].excluded = target_exclusion(plan->list[i].target, op, from);
}

bool
plan_has(const struct plan *plan, size_t first)
{
    for (size_t i = first; i < plan->count; i++)
        if (plan->list[i].excluded == EXCLUDED_NOT)
            return true;
    return false;
}
