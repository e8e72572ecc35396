/* chaos.h - faults on purpose, for game days: an attempt is treated as if its provider had failed.
 *
 * Off unless the configuration lists faults (chaos.faults). A fault takes the place of the call to
 * the provider, or stands between the call and the attempt that gets its answer, so that all that
 * follows a real failure follows. The answers that it affects say so: x-openclaw-chaos.
 */
#pragma once

#include "gateway/attempt.h"

/* Rolls the dice for an attempt: its fault, of the attempt's snapshot; NULL: none. */
const struct conf_fault *chaos_pick(const struct attempt *a);

/* For an attempt that is RUNNING without a call: makes the call, or does not, as the fault says.
 * `events` are called accordingly, from the loop, like those of a call. */
void chaos_begin(
    struct attempt *a, const struct conf_fault *fault, const struct client_events *events);

/* Logs a warning for each fault: at the start and after a reload. */
void chaos_warn(const struct conf *c);
