/* gateway.h - drives exchanges through their stages. */
#pragma once

#include "gateway/exchange.h"

/* Runs the stages until one waits or stops. */
void gateway_run(struct exchange *x);

/* The name of the stage that it is in: for operators. */
const char *gateway_stage(const struct exchange *x);

/* The caller can take more. */
void gateway_writable(struct exchange *x);
