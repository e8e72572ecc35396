/* strict.h - requests that a reader of callers' requests accepts and a provider does not.
 *
 * Whatever the gateway translates wrongly must be refused here: a call without its result, a result
 * without its call, an image in a tool's message. Private to provider.c.
 */
#pragma once

#include "mock/provider.h"

bool judge_openai(const struct llm_request *r, struct llm_error *ret);
bool judge_anthropic(const struct llm_request *r, struct llm_error *ret);

/* The parameters of the published APIs; NULL-terminated. */
extern const char *const openai_published[];
extern const char *const anthropic_published[];
