/* constraint.c - which targets cannot take a request. */
#include "route/constraint.h"

#include <math.h>
#include <stdlib.h>

#include "catalog/model.h"
#include "route/slug.h"
#include "route/target.h"

#define NANOUSD_PER_USD 1e9

/* Tokens of ours per token of a model at most: an estimate from above may be this much too large. */
#define ESTIMATE_OVER 2

enum exclusion
constraint_kind(const struct target *t, enum llm_op op, const struct wire *from)
{
    const struct wire *wire = target_wire(t, from);

    if (op == OP_RELAY && wire != from)
        return EXCLUDED_WIRE;
    return (wire->provider->ops & OP_BIT(op)) != 0 ? EXCLUDED_NOT : EXCLUDED_OPERATION;
}

enum exclusion
constraint_caller(const struct target *t, const struct ask *ask)
{
    const struct conf_strs *list = ask->providers;
    bool allowed = list == NULL || list->count == 0;

    for (size_t i = 0; !allowed && i < list->count; i++)
        allowed = str_eq(list->list[i].v, t->provider->id);
    return allowed ? constraint_kind(t, ask->op, ask->wire) : EXCLUDED_KEY;
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
    return op == OP_EMBED    ? facts->mode != MODE_EMBEDDING
           : op == OP_RERANK ? facts->mode != MODE_RERANK
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
    enum model_ability lacks = unknown_ability(t, ask);
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
            lacks < ABILITIES ? names[lacks] : "one of them");
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

/* --- demands --- */

static bool
read_usd(struct str text, double *ret)
{
    char *end;

    *ret = strtod(text.p, &end);    /* the text ends with a NUL */
    return end == text.p + text.n && isfinite(*ret);
}

const struct demands *
constraint_demands(
    struct arena *a, const struct conf_alias *ca, bool priced, struct conf_problems *problems)
{
    const struct conf_require *c = &ca->require;
    struct demands *d = arena_new(a, struct demands);
    struct str keeps = c->retention.v;
    uint64_t days = 0;
    double usd = 0;

    *d = (struct demands){
        .regions = &c->regions, .no_training = c->training.v.n != 0, .priced = priced
    };
    if (d->no_training && !str_eq(c->training.v, S("false")))
        conf_problem(problems, c->training.mark,
            "models." STR_FMT ".require.training: write false, or leave it out",
            STR_ARG(ca->name.v));
    if (keeps.n != 0 && !str_eq(keeps, S("none")) &&
        (!str_ends(keeps, S("d")) || !str_u64(str_make(keeps.p, keeps.n - 1), &days) || days == 0 ||
            days > 36500))
        conf_problem(problems, c->retention.mark,
            "models." STR_FMT ".require.retention: write none, or days such as 30d",
            STR_ARG(ca->name.v));
    d->short_retention = keeps.n != 0;
    d->keeps_most_days = (unsigned)days;
    if (c->max_usd.v.n != 0 && read_usd(c->max_usd.v, &usd))
        d->most_nanousd = (int64_t)(usd * NANOUSD_PER_USD);
    if (c->max_usd.v.n != 0 && d->most_nanousd <= 0)
        conf_problem(problems, c->max_usd.mark,
            "models." STR_FMT ".require.max_usd: write dollars above zero", STR_ARG(ca->name.v));
    return d->regions->count != 0 || d->no_training || d->short_retention || d->most_nanousd != 0 ||
                   d->priced
               ? d
               : NULL;
}

unsigned
constraint_demands_look(const struct demands *d)
{
    return d != NULL && d->most_nanousd != 0 ? LOOK_COST : 0;
}

static struct str
region_of(const struct target *t)
{
    return t->facts != NULL && t->facts->region != NULL ? str_c(t->facts->region)
                                                        : t->provider->region;
}

static bool
is_in_region(const struct demands *d, const struct target *t)
{
    struct str region = region_of(t);

    for (size_t i = 0; i < d->regions->count; i++)
        if (str_eq(d->regions->list[i].v, region))
            return true;
    return d->regions->count == 0;
}

static bool
keeps_too_long(const struct demands *d, const struct data_policy *data)
{
    return data->keeps != NO &&
           (data->keeps != YES || data->keeps_days == 0 || data->keeps_days > d->keeps_most_days);
}

enum exclusion
constraint_demand(const struct demands *d, const struct target *t, const struct look *look)
{
    if (d == NULL)
        return EXCLUDED_NOT;
    if (!is_in_region(d, t))
        return EXCLUDED_REGION;
    if (d->no_training && t->provider->data.training != NO)
        return EXCLUDED_TRAINING;
    if (d->short_retention && keeps_too_long(d, &t->provider->data))
        return EXCLUDED_RETENTION;
    if (d->priced && !model_is_priced(t->facts))
        return EXCLUDED_UNPRICED;
    if (d->most_nanousd == 0)
        return EXCLUDED_NOT;
    if (look->cost_nanousd == COST_UNKNOWN)
        return EXCLUDED_UNPRICED;
    return look->cost_nanousd > d->most_nanousd ? EXCLUDED_COST : EXCLUDED_NOT;
}

/* Why a demand is not met; empty for what is not a demand. */
static struct str
demand_text(const struct target *t, enum exclusion why, struct arena *a)
{
    const struct data_policy *data = &t->provider->data;
    struct str region = region_of(t);

    switch (why) {
    case EXCLUDED_REGION:
        return region.n == 0
                   ? S("it is not known where it processes requests")
                   : arena_printf(a, "it processes requests in '" STR_FMT "', which is not allowed",
                         STR_ARG(region));
    case EXCLUDED_TRAINING:
        return data->training == YES
                   ? S("models are trained on what it is sent")
                   : S("it is not known whether models are trained on what it is sent");
    case EXCLUDED_RETENTION:
        if (data->keeps != YES)
            return S("it is not known how long it keeps what it is sent");
        return data->keeps_days == 0
                   ? S("it keeps what it is sent")
                   : arena_printf(a, "it keeps what it is sent for %u days", data->keeps_days);
    case EXCLUDED_UNPRICED:
        return S("what it costs is not known");
    case EXCLUDED_COST:
        return S("the request would probably cost more than the alias allows");
    default:
        return S("");
    }
}

/* --- sentences --- */

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
        op == OP_EMBED    ? "embeddings"
        : op == OP_RERANK ? "ranking of documents"
                          : "such operation");
}

struct str
constraint_text(const struct target *t, enum exclusion why, struct ask *ask, struct arena *a)
{
    switch (why) {
    case EXCLUDED_WIRE:
    case EXCLUDED_OPERATION:
        return constraint_kind_text(t, why, ask->op, ask->wire, a);
    case EXCLUDED_KEY:
        return arena_printf(
            a, "this API key may not use the provider " STR_FMT, STR_ARG(t->provider->id));
    case EXCLUDED_CONTEXT:
        return arena_printf(a, "the prompt has about %lld tokens, and the model takes up to %lld",
            (long long)ask->needs.input_tokens, (long long)t->facts->context_tokens);
    case EXCLUDED_MODE:
        return str_c(ask->op == OP_EMBED    ? "the model makes no embeddings"
                     : ask->op == OP_RERANK ? "the model ranks no documents"
                                            : "the model does not chat");
    case EXCLUDED_CAPABILITY:
        return arena_printf(a, "%s, which the model does not support",
            need_says(lacking(t->facts, &ask->needs, true)));
    case EXCLUDED_PROVIDER:
    case EXCLUDED_DATA:
    case EXCLUDED_LICENSE:
    case EXCLUDED_QUANTIZATION:
    case EXCLUDED_PARAMETER:
    case EXCLUDED_PRICE:
        return wishes_text(t, why, ask, a);
    case EXCLUDED_UNPRICED:    /* by the caller's limit, or the alias's */
        return ask->wishes != NULL && judge_price(t, ask->wishes) == EXCLUDED_UNPRICED
                   ? wishes_text(t, why, ask, a)
                   : demand_text(t, why, a);
    case EXCLUDED_REGION:
    case EXCLUDED_TRAINING:
    case EXCLUDED_RETENTION:
    case EXCLUDED_COST:
        return demand_text(t, why, a);
    case EXCLUDED_NOT:
    case EXCLUSION_COUNT:
        break;
    }
    CHECK_UNREACHABLE();
}

const char *
exclusion_code(enum exclusion why)
{
    static const char *const codes[] = {
        [EXCLUDED_NOT] = "",
#define EXCLUSION(id, code, docs) [EXCLUDED_##id] = code,
#include "route/exclusions.def"
#undef EXCLUSION
    };

    return codes[why];
}
