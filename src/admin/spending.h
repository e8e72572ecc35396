/* spending.h - how limits and budgets stand. */
#pragma once

#include "gateway/exchange.h"

/* Answers GET /admin/v1/spending. */
void spending_answer(struct gateway *g, struct exchange *x);
