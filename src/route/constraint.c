/* constraint.c - which targets cannot take a request. */
#include "route/constraint.h"

#include "catalog/model.h"
#include "route/slug.h"
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

/* --- what the caller demands --- */

static enum exclusion
judge_price(const struct target *t, const struct wishes *w)
{
    const struct {
        enum price_unit unit;
        int64_t most;
        bool optional;    /* a model without such a price does not bill it */
    } limits[] = {
        { PRICE_input, w->max_prompt_nanousd_per_1k, false },
        { PRICE_output, w->max_completion_nanousd_per_1k, false },
        { PRICE_per_request, w->max_request_nanousd * 1000, true },
        { PRICE_per_input_image, w->max_image_nanousd * 1000, true },
        { PRICE_per_audio_second, w->max_audio_nanousd * 1000, true },
    };
    const struct price_sheet *sheet = t->facts != NULL ? t->facts->price : NULL;

    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        int64_t price = sheet != NULL ? price_of(&sheet->list, limits[i].unit) : PRICE_UNKNOWN;

        if (limits[i].most < 0)
            continue;
        if (sheet == NULL || sheet->plan || (price < 0 && !limits[i].optional))
            return EXCLUDED_UNPRICED;
        if (price > limits[i].most)
            return EXCLUDED_PRICE;
    }
    return EXCLUDED_NOT;
}

/* What the request uses and the model is not known to take; ABILITIES: nothing. That a parameter
 * cannot be written in the provider's protocol is found when it is written. */
static enum model_ability
unknown_ability(const struct target *t, struct ask *ask)
{
    if (!ask_know(ask, ASK_NEEDS))
        return ABILITIES;
    for (unsigned n = 0; n < NEED_COUNT; n++)
        if ((ask->needs.bits & 1u << n) != 0 && abilities[n].ability != ABILITIES &&
            model_can(t->facts, abilities[n].ability) != YES)
            return abilities[n].ability;
    return ABILITIES;
}

static bool
is_any_quantization(const struct llm_word *list)
{
    while (list != NULL && !str_eq(list->text, S("unknown")))
        list = list->next;
    return list != NULL;
}

static enum exclusion
judge_wishes(const struct target *t, struct ask *ask)
{
    const struct wishes *w = ask->wishes;
    const struct provider *p = t->provider;

    if (slug_in(p, w->ignore))
        return EXCLUDED_PROVIDER;
    if (t->wire.traits.takes_routing == YES)
        return EXCLUDED_NOT;
    if (w->only != NULL && !slug_in(p, w->only))
        return EXCLUDED_PROVIDER;
    if ((w->no_collection && p->data.training != NO) || (w->zdr && p->data.keeps != NO))
        return EXCLUDED_DATA;
    if (w->distillable)
        return EXCLUDED_LICENSE;
    if (w->quantizations != NULL && !is_any_quantization(w->quantizations))
        return EXCLUDED_QUANTIZATION;
    if (w->require_parameters == YES && unknown_ability(t, ask) != ABILITIES)
        return EXCLUDED_PARAMETER;
    return judge_price(t, w);
}

static struct str
wishes_text(const struct target *t, enum exclusion why, struct ask *ask, struct arena *a)
{
    static const char *const names[] = {
#define ABILITY(name, what) #name,
#include "catalog/abilities.def"
#undef ABILITY
    };
    const struct provider *p = t->provider;
    bool known = ask->wishes != NULL && ask->wishes->zdr ? p->data.keeps != UNSAID
                                                         : p->data.training != UNSAID;

    switch (why) {
    case EXCLUDED_PROVIDER:
        return arena_printf(
            a, "the request excludes the provider " STR_FMT " (provider)", STR_ARG(p->id));
    case EXCLUDED_DATA:
        return known ? S("it keeps prompts or trains on them, which the request does not allow")
                     : S("it is not known what it does with prompts, which the request demands to "
                         "know (provider.data_collection, zdr)");
    case EXCLUDED_LICENSE:
        return S("it is not known whether its answers may be distilled");
    case EXCLUDED_QUANTIZATION:
        return S("its quantization is not known, and the request demands one");
    case EXCLUDED_PARAMETER:
        return arena_printf(a,
            "the request requires all its parameters, and it is not known to have %s",
            names[MIN(unknown_ability(t, ask), ABILITIES - 1)]);
    case EXCLUDED_PRICE:
        return S("it costs more than the request allows (provider.max_price)");
    case EXCLUDED_UNPRICED:
        return S("its price is not known, and the request has a limit (provider.max_price)");
    default:
        return S("");
    }
}

enum exclusion
constraint_judge(
    const struct target *t, struct ask *ask, const struct look *look UNUSED, bool *ret_late)
{
    const struct model_row *facts = t->facts;

    *ret_late = false;
    if (ask->wishes != NULL) {
        enum exclusion unwished = judge_wishes(t, ask);

        if (unwished != EXCLUDED_NOT)
            return unwished;
    }
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
    case EXCLUDED_PROVIDER:
    case EXCLUDED_DATA:
    case EXCLUDED_LICENSE:
    case EXCLUDED_QUANTIZATION:
    case EXCLUDED_PARAMETER:
    case EXCLUDED_PRICE:
    case EXCLUDED_UNPRICED:
        return wishes_text(t, why, ask, a);
    case EXCLUDED_NOT:
    case EXCLUSION_COUNT:
        break;
    }
    CHECK_UNREACHABLE();
}
