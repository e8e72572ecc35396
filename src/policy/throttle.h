/* throttle.h - how often one address may present a wrong key.
 *
 * Callers that guess keys get 429 with Retry-After instead of 401. Valid keys are never throttled:
 * many callers may share an address, and one misconfigured caller must not lock out the others.
 * Each worker has one table of fixed size; an address that was evicted starts over.
 */
#pragma once

#include "base/base.h"

struct throttle;

struct throttle *throttle_create(void) NEVER_NULL;
void throttle_destroy(struct throttle *t);    /* NULL is a no-op */

/* Counts a wrong key from this address ("203.0.113.9", "2001:db8::1"); `per_minute` are allowed, 0:
 * any number. Returns 0, or the number of milliseconds to wait before the next one is allowed. IPv6
 * is counted per /64 network. Unix sockets are never throttled. */
uint64_t throttle_wrong_key(
    struct throttle *t, struct str address, uint64_t per_minute, uint64_t now_us);
