/* rules.h - GET /admin/v1/rules: how often each rule applied, and which of them fail. */
#pragma once

#include "gateway/collect.h"

/* The rules in force, with what they have done since they are. Answers, or leaves the exchange
 * waiting. */
void rules_answer(struct collector *c, struct gateway *g, struct exchange *x);
