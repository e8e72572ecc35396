/* show.h - what operators see of circuit breakers. */
#pragma once

#include "base/json_out.h"
#include "catalog/providers.h"
#include "route/health.h"

/* "closed", "recovering", "half_open", "open", "off". */
const char *health_state_name(enum health_state state) NEVER_NULL;

/* The breakers of a provider; to be dropped with health_table_drop(). */
struct health_table *health_table_of(const struct provider *p) NEVER_NULL;

/* Appends members: "state", "why" (a code of err.def, or null), "since" and "since_ms" (ago; null:
 * ever), "retry_in_ms" (of an open one; else null), and the attempts of the last minute: "ok",
 * "failed" (because of it) and "other" (for another reason, or nobody's). */
void health_write(struct json_out *o, const struct health_view *v, uint64_t now_ms);
