/* effort.h - reasoning effort: a word on some wires, a token budget on others.
 *
 * There is no standard conversion; this table is our choice, and every wire uses it so that they
 * agree.
 */
#pragma once

#include "base/base.h"

/* Tokens for a word ("none", "minimal", "low", ... "max"): 0 for "none", -1 for a word we do not
 * know. */
int64_t effort_budget(struct str word);

/* The word for a budget: "none" for 0 or less, else "low", "medium", "high" or "xhigh". */
struct str effort_word(int64_t budget_tokens);
