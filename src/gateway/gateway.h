/* gateway.h - drives exchanges through their stages. */
#pragma once

#include "gateway/exchange.h"

/* Runs the stages until one waits or stops. */
void gateway_run(struct exchange *x);

/* The caller can take more. */
void gateway_writable(struct exchange *x);
