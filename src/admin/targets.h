/* targets.h - GET /admin/v1/health and /admin/v1/targets: which provider, key and target is in which
 * state, why, and since when; and what targets are doing. */
#pragma once

#include "gateway/collect.h"

/* Providers with their keys and targets. Answers at once. */
void health_answer(struct gateway *g, struct exchange *x);

/* The targets of all aliases, and all that were asked since the start. Answers, or leaves the
 * exchange waiting. */
void targets_answer(struct collector *c, struct gateway *g, struct exchange *x);
