/* continued.h - requests that continue a conversation by the id of its last answer, and routes of answers
 * that are kept here. */
#pragma once

#include "gateway/exchange.h"

/* Puts what a request refers to in its place, before it is routed; once for a request, and nothing
 * for other routes. STEP_NEXT: go on, with another body if *ret_changed; else it was answered. */
enum step continued_resolve(struct exchange *x, bool *ret_changed);

/* Asks only the provider that has the conversation, if one has it. */
void continued_pin(struct exchange *x);

/* Answers GET and DELETE of an answer that is kept here. False: it is not. */
bool continued_answer(struct exchange *x);
