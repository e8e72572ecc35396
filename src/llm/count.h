/* count.h - the tokens of a request as a model's tokenizer counts them. */
#pragma once

#include "llm/request.h"
#include "tokens/tokens.h"

/* The input tokens of an expanded request: its texts to the token if tokens_exact(family), and what its
 * template adds as OpenAI describes it; media as llm_part_media_tokens() estimates them. In time O(n). */
int64_t llm_request_count_tokens(const struct llm_request *r, enum tokens_family family);
