/* shadow.h - sends copies of some requests to another target, for comparison.
 *
 * The caller never sees a copy's answer, and nothing waits for it. A copy begins after the request
 * was sent to its own target; there are at most SHADOWS_MOST of them at a time in a worker, of
 * small requests only, and none while memory is short: one that has no place is dropped, and
 * counted. What they may cost in a day is limited (route/judging.h). Each has a line of its own in the
 * access log.
 */
#pragma once

struct exchange;
struct shadow;

#define SHADOWS_MOST 64

/* Where copies of the request go: as a rule says, or else its alias; NULL: there are none. */
const struct shadow *shadow_for(const struct exchange *x);

/* The exchange's request, which has a shadow, was sent: perhaps a copy of it is, too. */
void shadow_begin(struct exchange *x);
