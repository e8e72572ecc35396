/* exchanges.h - GET /admin/v1/exchanges: the requests under way, oldest first. */
#pragma once

#include "gateway/collect.h"

/* Answers, or leaves the exchange waiting. `workers` of them are asked. Query: limit=N. No
 * conversation and no secret is shown. */
void exchanges_answer(struct collector *c, unsigned workers, struct exchange *x);
