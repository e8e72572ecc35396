/* throttle.h - how often one address may present a wrong key.
 *
 * Who guesses keys is told 429 instead of 401 and to come back later. Right keys never come
 * here: many callers may share an address, and one of them with a mistake must not lock out the
 * others. One table per worker, of a fixed size: an address that was forgotten begins anew.
 */
#pragma once

#include "base/base.h"

struct throttle;

struct throttle *throttle_create(void) NEVER_NULL;
void throttle_destroy(struct throttle *t);    /* NULL is a no-op */

/* One wrong key more from this address ("203.0.113.9", "2001:db8::1"), of which `per_minute` are
 * allowed; 0: any number. Returns 0, or for how many milliseconds there were too many. IPv6 counts
 * by network: a host has 2^64 addresses there. Whoever comes by a unix socket is never
 * throttled. */
uint64_t throttle_wrong_key(
    struct throttle *t, struct str address, uint64_t per_minute, uint64_t now_us);
