/* claude.c - decides what is asked of Claude. */
#include "llm/claude.h"

#include "llm/effort.h"

/* Where a number is required: every model accepts this one. */
enum { MAX_TOKENS_DEFAULT = 4096 };

/* Whether the model is to continue its own words. */
static bool
ends_in_prefill(const struct turns *turns)
{
    return turns->last != NULL && turns->last->side == TURN_ASSISTANT;
}

/* The closest effort that every model with this parameter accepts. */
static struct str
effort_for_provider(struct str word)
{
    return str_eq(word, S("minimal")) ? S("low") : str_eq(word, S("xhigh")) ? S("max") : word;
}

/* A limit set by the caller is kept, and the budget shrinks so that a quarter is left for the
 * answer; a default limit grows instead. */
static void
fit_budget(struct request_out *w, struct claude_thinking *t)
{
    if (w->r->max_tokens <= 0 && w->t->traits.max_output <= 0)
        t->max_tokens = t->budget + MAX_TOKENS_DEFAULT;
    t->budget = MIN(t->budget, MAX(t->max_tokens - t->max_tokens / 4, CLAUDE_BUDGET_MIN));
    if (t->budget < t->max_tokens)
        return;
    t->mode = THINKING_UNSAID;
    write_drop(w, PARAM_effort);
}

static void
think(struct request_out *w, const struct turns *turns, bool forced, int64_t budget,
    struct claude_thinking *t)
{
    bool adaptive = w->t->traits.thinking == THINKS_ADAPTIVE;

    if (adaptive)
        t->effort = effort_for_provider(w->r->effort.n > 0 ? w->r->effort : effort_word(budget));
    if (forced || ends_in_prefill(turns) || turns->unsigned_loop) {
        if (!adaptive)
            write_drop(w, PARAM_effort);
        return;
    }
    t->mode = adaptive ? THINKING_ADAPTIVE : THINKING_BUDGET;
    t->budget = MAX(budget, CLAUDE_BUDGET_MIN);
    if (!adaptive)
        fit_budget(w, t);
}

struct claude_thinking
claude_decide(struct request_out *w, const struct turns *turns, bool forced)
{
    const struct llm_request *r = w->r;
    int64_t limit = w->t->traits.max_output;
    int64_t budget = r->reasoning == NO ? 0 : r->reasoning_budget > 0 ? r->reasoning_budget : -1;
    struct claude_thinking t = {
        .max_tokens = r->max_tokens > 0 ? r->max_tokens
                      : limit > 0       ? limit
                                        : MAX_TOKENS_DEFAULT,
    };

    if (limit > 0)
        t.max_tokens = MIN(t.max_tokens, limit);
    if (budget < 0 && r->effort.n > 0) {
        budget = effort_budget(r->effort);
        if (budget < 0)
            write_drop(w, PARAM_effort);
    }
    if (budget > 0)
        think(w, turns, forced, MIN(budget, INT32_MAX), &t);
    else if (budget == 0 &&
             w->t->traits.thinking == THINKS_ADAPTIVE)    /* other models think only on request */
        t.mode = THINKING_OFF;
    return t;
}

void
claude_write_thinking(struct json_out *o, const struct claude_thinking *t)
{
    static const struct str types[] = {
        [THINKING_OFF] = S_INIT("disabled"),
        [THINKING_BUDGET] = S_INIT("enabled"),
        [THINKING_ADAPTIVE] = S_INIT("adaptive"),
    };

    if (t->mode == THINKING_UNSAID)
        return;
    out_key_object(o, "thinking");
    out_text(o, "type", types[t->mode]);
    if (t->mode == THINKING_BUDGET)
        out_i64(o, "budget_tokens", t->budget);
    out_end(o);
}

struct params_rules
claude_sampling(const struct request_out *w, const struct claude_thinking *t)
{
    const struct llm_request *r = w->r;
    bool thinks = t->mode == THINKING_BUDGET || t->mode == THINKING_ADAPTIVE;
    struct params_rules rules = { .fixed_sampling = w->t->traits.sampling_fixed == YES };

    if (thinks && json_f64(r->temperature, 1) < 1)
        rules.refused |= PARAM_BIT(temperature);
    if (thinks)
        rules.refused |= PARAM_BIT(top_k);
    if ((r->temperature != NULL && (rules.refused & PARAM_BIT(temperature)) == 0) ||
        (thinks && json_f64(r->top_p, 1) < 0.95))
        rules.refused |= PARAM_BIT(top_p);
    return rules;
}

const struct schema_keyword *
claude_refused_keywords(const struct wire_target *t)
{
    static const struct schema_keyword refused[] = {
        { .name = S_INIT("minimum") },
        { .name = S_INIT("maximum") },
        { .name = S_INIT("exclusiveMinimum") },
        { .name = S_INIT("exclusiveMaximum") },
        { .name = S_INIT("multipleOf") },
        { .name = S_INIT("minLength") },
        { .name = S_INIT("maxLength") },
        { .name = S_INIT("minItems"), .zero_or_one = true },
        { .name = S_INIT("maxItems") },
        { .name = S_INIT("") },
    };

    return t->traits.schema_limits == YES ? NULL : refused;
}
