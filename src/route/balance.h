/* balance.h - strategies that go by what was measured of targets, and by what is known of their models.
 * Each gives every member a score: strategies.def says by what. */
#pragma once

#include "route/standing.h"

void strategy_least_busy(const struct alias *al, struct standing *list, size_t n, struct ask *ask);
void strategy_latency(const struct alias *al, struct standing *list, size_t n, struct ask *ask);
void strategy_throughput(const struct alias *al, struct standing *list, size_t n, struct ask *ask);
void strategy_score(const struct alias *al, struct standing *list, size_t n, struct ask *ask);
void strategy_learned(const struct alias *al, struct standing *list, size_t n, struct ask *ask);
