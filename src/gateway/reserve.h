/* reserve.h - what a request takes of its caller's limits, once, before anything is sent: requests,
 * tokens, and a place among those under way. It is settled once, with what was used. (What each attempt
 * takes, money too: pay.h.)
 */
#pragma once

#include "gateway/exchange.h"

/* The stage: takes from the caller's scopes. Work of low priority may wait for it. */
enum step reserve_request(struct exchange *x);

/* The exchange has ended; `usage` is what it used. */
void reserve_end(struct exchange *x, const struct llm_usage *usage);
