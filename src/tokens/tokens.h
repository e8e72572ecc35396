/* tokens.h - how many tokens a text is to the models of a family.
 *
 * For OpenAI's models the count is that of their tokenizers, to the token. Of other families it is an
 * estimate with a known error (docs/tokens.md).
 */
#pragma once

#include "base/base.h"

/* Models that share a tokenizer. */
enum tokens_family {
#define EXACT(id) TOKENS_##id,
#define ESTIMATE(id, base) TOKENS_##id,
#include "tokens/families.def"
#undef EXACT
#undef ESTIMATE
    TOKENS_FAMILIES
};

/* "o200k", "claude", ... */
const char *tokens_name(enum tokens_family family) NEVER_NULL;

/* Are its counts those of the tokenizer? */
bool tokens_exact(enum tokens_family family);

/* The family that the name of a model, or of a family, stands for; TOKENS_other: it says nothing. */
enum tokens_family tokens_family(struct str model);

/* The tokens of a text that stands alone, in time O(n); nothing is allocated. Names of special tokens in
 * it are text. Bytes that are not UTF-8 count as symbols. */
size_t tokens_count(enum tokens_family family, struct str text);
