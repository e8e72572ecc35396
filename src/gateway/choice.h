/* choice.h - the stage that chooses: from the model's name to the plan, the targets in the order in
 * which they are tried. */
#pragma once

#include "gateway/exchange.h"

/* Takes a suffix off the model's name that wishes for something, and notes the wish. */
void choice_cut_suffix(
    const struct snapshot *s, struct arena *a, struct str *model, struct wishes **wishes);

/* What is known of a request before anything looks into its body; in `a`. Its ids are to be filled
 * in. */
struct ask *choice_ask(struct arena *a, const struct llm_request *request,
    const struct http_fields *fields, const struct principal *who) NEVER_NULL;

/* Notes which models and providers `who`, that asks, may use. It outlives the ask. */
void choice_limit(struct ask *ask, const struct principal *who);

/* Fills x->plan. STEP_WAIT: a helper thread is looking at a large request; call it again. STEP_STOP:
 * the request was answered, with the reason why nothing can serve it. Uses the snapshot that the
 * exchange started with. */
enum step choice_make(struct exchange *x);

/* Fills it anew, as if that model had been asked for, whatever rules say of who gets it; what they set, and
 * what the caller demands, holds. */
enum step choice_instead(struct exchange *x, struct str model);
