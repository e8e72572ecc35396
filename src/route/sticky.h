/* sticky.h - the strategy that sends what belongs together to the same target, whose prompt cache then has
 * most of each request.
 *
 * Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016) over rendezvous hashes
 * (Thaler and Ravishankar, 1998): every member has a place in each key's order, in proportion to the weights;
 * when one leaves, only its keys move; one that has a quarter more requests under way than its share comes
 * after those that have not. All replicas of the gateway choose the same.
 *
 * A request whose prompt a target holds in its cache goes there, wherever its key points now; it moves only if
 * that target has too much to do, and reading the prompt again elsewhere costs less time than waiting there.
 */
#pragma once

#include "route/standing.h"

void strategy_sticky(const struct alias *al, struct standing *list, size_t n, struct ask *ask);

/* The hash of a name that is the same in all processes. */
uint64_t sticky_hash(struct str name);
