/* gateway.h - drives exchanges through their stages. */
#pragma once

#include "gateway/exchange.h"

/* Runs the stages until one waits or stops. */
void gateway_run(struct exchange *x);

/* The worker's clock has moved on. */
void gateway_tick(struct exchange *x, uint64_t now_us);

/* The caller can take more. */
void gateway_writable(struct exchange *x);
