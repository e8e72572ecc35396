/* overrides.h - parameters that the configuration sets or lowers in a request, whatever its caller says.
 *
 * A target has its own (models.<name>.targets[].params), in the words of its protocol. Rules have others
 * before a target is known: the rows of llm/params.def and max_tokens, by their OpenAI names, become what
 * the target's protocol calls them. The target's own count more than those of rules, the first rule's more
 * than those of later ones; caps come last, and the lowest counts.
 */
#pragma once

#include "llm/wire.h"
#include "route/rules.h"

struct overrides {
    struct str params;                  /* the target's own: JSON object text, or empty */
    const struct rule *const *rules;    /* those that apply */
    size_t rule_count;
    const struct wire *wire;    /* the target's */
    const struct wire_target *target;
    enum llm_op op;
};

/* Adds the edits that set them in `body`, whose document is `doc`. ERR_CONFIG: there are more than can
 * be made. */
enum err overrides_edit(const struct overrides *o, struct arena *a, const struct json *doc,
    struct str body, struct wire_edits *edits) MUST_CHECK;

/* Is there anything to set? */
bool overrides_any(const struct overrides *o);
