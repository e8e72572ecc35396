/* tokens.h - how many tokens a text is to the models of a family. */
#pragma once

#include "base/base.h"

enum tokens_family { TOKENS_O200K, TOKENS_CL100K, TOKENS_FAMILIES };

/* "o200k", ... */
const char *tokens_name(enum tokens_family family) NEVER_NULL;

/* The tokens of a text that stands alone, in time O(n); nothing is allocated. Names of special tokens in it are
 * text. Bytes that are not UTF-8 count as symbols. */
size_t tokens_count(enum tokens_family family, struct str text);
