/* listing.h - a list of all models may have to wait for providers. */
#pragma once

#include "gateway/exchange.h"

/* Must it wait? Briefly, for providers of whose models nothing is known yet; then the exchange is
 * woken. */
bool listing_must_wait(struct exchange *x);
