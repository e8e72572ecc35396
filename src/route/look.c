/* look.c - takes looks at targets: reads what is shared, once, so that all strategies see the same. */
#include "route/look.h"

#include "catalog/model.h"
#include "route/learned.h"
#include "route/target.h"
#include "route/warmth.h"

#define BYTES_PER_TOKEN 4    /* roughly, of English */

/* Tokens of the prompt: as found out already, or else by the size of its body. */
static int64_t
prompt_tokens(const struct ask *ask)
{
    if ((ask->known & ASK_NEEDS) != 0)
        return ask->needs.input_tokens;
    return ask->request != NULL ? (int64_t)(ask->request->body.n / BYTES_PER_TOKEN) : 0;
}

/* What of the prompt is in the target's cache. */
static int64_t
warm_tokens(const struct target *t, struct ask *ask)
{
    if (!ask_know(ask, ASK_NEEDS))
        return 0;
    const struct needs *needs = &ask->needs;
    int64_t all = warmth_tokens(t->health, needs->conversation, ask->now_us);
    int64_t beginning = warmth_tokens(t->health, needs->prefix, ask->now_us);

    return MIN(MAX(all, beginning), needs->input_tokens);
}

/* What the request costs if its answer is as long as the target's usually are; 0: not known. */
static int64_t
expected_cost(const struct target *t, struct ask *ask, int64_t warm, int64_t usual_tokens)
{
    if (!ask_know(ask, ASK_NEEDS))
        return COST_UNKNOWN;
    const struct needs *needs = &ask->needs;
    struct price_guess guess = { .input = needs->input_tokens,
        .cached = warm,
        .output = usual_tokens,
        .when.wall_s = (int64_t)(ask->wall_ms / 1000) };

    if (guess.output == 0)
        guess.output = USUAL_OUTPUT_TOKENS;
    if (needs->output_tokens != 0)
        guess.output = MIN(needs->output_tokens, guess.output);
    return model_expect_nanousd(t->facts, &guess);
}

static void
look_at_speed(struct look *l, const struct target *t, const struct ask *ask)
{
    const struct load *load = health_load(t->health);
    int64_t tokens = prompt_tokens(ask);
    uint64_t age_ms;

    l->first_token_us = load_first_token_us(
        load, !ask->stream, tokens - MIN(l->warm_tokens, tokens), ask->now_us, &age_ms);
    l->stale = age_ms > LOAD_STALE_MS;
    l->tokens_per_s = (float)load_tokens_per_s(load);
}

/* It is used up when it is for each of the provider's keys. */
static void
look_at_headroom(struct look *l, const struct target *t, const struct ask *ask)
{
    const struct load *load = health_load(t->health);
    size_t keys = t->provider->credential_count;
    uint64_t first_ms = UINT64_MAX;

    if (LIKELY(!load_knows_limits(load)))
        return;
    for (size_t k = 0; k < MAX(keys, 1); k++) {
        const struct health *key = keys != 0 ? t->breakers->keys[k] : NULL;
        uint64_t until_ms;

        if (!load_is_exhausted(
                load, health_key_name(key), prompt_tokens(ask), ask->now_us, &until_ms))
            return;
        first_ms = MIN(first_ms, until_ms);
    }
    l->exhausted = true;
    l->exhausted_until_ms = first_ms;
}

static const struct look *
recorded(const struct target *t, const struct ask *ask)
{
    struct str id = t->provider->id, model = t->wire.model;

    for (size_t i = 0; i < ask->book_count; i++) {
        struct str name = ask->book[i].target;

        if (name.n == id.n + 1 + model.n && name.p[id.n] == '/' && str_starts(name, id) &&
            str_ends(name, model))
            return &ask->book[i].look;
    }
    return NULL;
}

/* What a recorded decision saw, and what follows from the catalog. */
static void
look_back(struct look *l, const struct target *t, struct ask *ask, unsigned what)
{
    static const struct look nothing = { .cost_nanousd = COST_UNKNOWN, .quality = -1 };
    const struct look *seen = recorded(t, ask);
    unsigned lacks;

    *l = seen != NULL ? *seen : nothing;
    lacks = what & ~l->taken;
    l->taken = what;
    if ((lacks & LOOK_COST) != 0)
        l->cost_nanousd = expected_cost(t, ask, l->warm_tokens, 0);
    if ((lacks & LOOK_QUALITY) != 0)
        l->quality = learned_quality(t->facts, ask);
    if (ask->missing == NULL && (lacks & (LOOK_LOAD | LOOK_SPEED | LOOK_WARMTH)) != 0)
        ask->missing = (lacks & LOOK_LOAD) != 0    ? "how busy a target was"
                       : (lacks & LOOK_SPEED) != 0 ? "how fast a target was"
                                                   : "what was in a target's prompt cache";
}

void
look_take(struct look *l, const struct target *t, struct ask *ask, unsigned what)
{
    if (UNLIKELY(ask->book != NULL)) {
        look_back(l, t, ask, what);
        return;
    }
    *l = (struct look){ .taken = what, .cost_nanousd = COST_UNKNOWN, .quality = -1 };
    if ((what & LOOK_HEALTH) != 0)
        l->state = health_look(t->health, ask->now_us / 1000).state;
    if ((what & (LOOK_WARMTH | LOOK_COST)) != 0)
        l->warm_tokens = warm_tokens(t, ask);
    if ((what & LOOK_COST) != 0)
        l->cost_nanousd =
            expected_cost(t, ask, l->warm_tokens, load_output_tokens(health_load(t->health)));
    if ((what & LOOK_LOAD) != 0)
        l->busy = health_busy(t->health);
    if ((what & LOOK_SPEED) != 0)
        look_at_speed(l, t, ask);
    if ((what & LOOK_HEADROOM) != 0)
        look_at_headroom(l, t, ask);
    if ((what & LOOK_QUALITY) != 0)
        l->quality = learned_quality(t->facts, ask);
}
