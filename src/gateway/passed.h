/* passed.h - requests that are only passed through: the model that they name. */
#pragma once

#include "gateway/exchange.h"

/* Reads the head of such a request: the model it names, if it names one. */
enum step passed_read(struct exchange *x);
