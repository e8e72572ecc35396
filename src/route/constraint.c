/* constraint.c - which targets cannot take a request. */
#include "route/constraint.h"

#include "catalog/model.h"
#include "route/target.h"

/* Tokens of ours per token of a model at most: an estimate from above may be this much too large. */
#define ESTIMATE_OVER 2

enum exclusion
constraint_kind(const struct target *t, enum llm_op op, const struct wire *from)
{
    const struct wire *wire = t->provider->wire;

    if (op == OP_RELAY && wire != from)
        return EXCLUDED_WIRE;
    return (wire->provider->ops & OP_BIT(op)) != 0 ? EXCLUDED_NOT : EXCLUDED_OPERATION;
}

/* Does the prompt fit? What is near the limit is tried last: the estimate is from above. */
static enum exclusion
judge_size(const struct model_row *facts, const struct needs *needs, bool *ret_late)
{
    if (facts->context_tokens != 0 && needs->input_tokens > facts->context_tokens) {
        if (needs->input_tokens / ESTIMATE_OVER > facts->context_tokens)
            return EXCLUDED_CONTEXT;
        *ret_late = true;
    }
    if (facts->output_tokens != 0 && needs->output_tokens > facts->output_tokens)
        *ret_late = true;    /* it is sent what it can do, if nothing else is left */
    return EXCLUDED_NOT;
}

/* What each need takes. Where the model is known to lack one that is not `hard`, the request is
 * written without it. */
static const struct {
    enum model_ability ability;
    bool hard;
} abilities[NEED_COUNT] = {
    [NEED_TOOLS] = { CAN_tools, true },
    [NEED_IMAGES] = { CAN_images, true },
    [NEED_AUDIO] = { CAN_audio, true },
    [NEED_FILES] = { CAN_files, true },
    [NEED_VIDEO] = { CAN_video, true },
    [NEED_SCHEMA] = { CAN_json_schema, true },
    [NEED_REASONING] = { CAN_reasoning, false },
    [NEED_LOGPROBS] = { CAN_logprobs, false },
    [NEED_EMBEDDINGS] = { ABILITIES, false },    /* the model's mode says it */
};

/* The first need that the model is known not to meet; NEED_COUNT: there is none. */
static enum need
lacking(const struct model_row *facts, const struct needs *needs, bool hard)
{
    for (unsigned n = 0; n < NEED_COUNT; n++)
        if ((needs->bits & 1u << n) != 0 && abilities[n].hard == hard &&
            abilities[n].ability != ABILITIES && model_can(facts, abilities[n].ability) == NO)
            return (enum need)n;
    return NEED_COUNT;
}

static bool
is_other_mode(const struct model_row *facts, enum llm_op op)
{
    if (facts->mode == MODE_UNSAID)
        return false;
    return op == OP_EMBED ? facts->mode != MODE_EMBEDDING
                          : facts->mode != MODE_CHAT && facts->mode != MODE_REALTIME;
}

enum exclusion
constraint_judge(
    const struct target *t, struct ask *ask, const struct look *look UNUSED, bool *ret_late)
{
    const struct model_row *facts = t->facts;

    *ret_late = false;
    if (ask->op == OP_RELAY || facts == NULL)
        return EXCLUDED_NOT;
    if (is_other_mode(facts, ask->op))
        return EXCLUDED_MODE;
    if (!ask_know(ask, ASK_NEEDS))
        return EXCLUDED_NOT;
    if (ask->needs.bits != 0 && lacking(facts, &ask->needs, true) != NEED_COUNT)
        return EXCLUDED_CAPABILITY;
    enum exclusion why = judge_size(facts, &ask->needs, ret_late);
    if (ask->needs.bits != 0 && lacking(facts, &ask->needs, false) != NEED_COUNT)
        *ret_late = true;
    return why;
}

struct str
constraint_kind_text(const struct target *t, enum exclusion why, enum llm_op op,
    const struct wire *from, struct arena *a)
{
    const struct provider *p = t->provider;

    if (why == EXCLUDED_WIRE)
        return arena_printf(a,
            "this route needs a provider with the protocol " STR_FMT "; " STR_FMT " uses " STR_FMT,
            STR_ARG(from->name), STR_ARG(p->id), STR_ARG(p->wire->name));
    return arena_printf(a, "the provider " STR_FMT " has no %s", STR_ARG(p->id),
        op == OP_EMBED ? "embeddings" : "such operation");
}

struct str
constraint_text(const struct target *t, enum exclusion why, struct ask *ask, struct arena *a)
{
    switch (why) {
    case EXCLUDED_WIRE:
    case EXCLUDED_OPERATION:
        return constraint_kind_text(t, why, ask->op, ask->wire, a);
    case EXCLUDED_CONTEXT:
        return arena_printf(a, "the prompt has about %lld tokens, and the model takes up to %lld",
            (long long)ask->needs.input_tokens, (long long)t->facts->context_tokens);
    case EXCLUDED_MODE:
        return str_c(
            ask->op == OP_EMBED ? "the model makes no embeddings" : "the model does not chat");
    case EXCLUDED_CAPABILITY:
        return arena_printf(a, "%s, which the model does not support",
            need_says(lacking(t->facts, &ask->needs, true)));
    case EXCLUDED_NOT:
    case EXCLUSION_COUNT:
        break;
    }
    CHECK_UNREACHABLE();
}
