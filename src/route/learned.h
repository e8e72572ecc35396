/* learned.h - how good an answer of a target will probably be, for one request.
 *
 * This is where a router that learns from outcomes is put in: one function of what is known of the model
 * and of the request, which has to be a pure one, for decisions are recorded and made again.
 */
#pragma once

#include "catalog/model.h"
#include "route/ask.h"

/* The predicted share of requests like this one that the model answers well, in percent, more than 0;
 * negative: nothing is known of the model (`row` may be NULL). */
float learned_quality(const struct model_row *row, struct ask *ask);
