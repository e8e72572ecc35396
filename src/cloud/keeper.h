/* keeper.h - fetches the credentials of identities on a loop, and tells those that wait for one.
 *
 * Each worker has a keeper for its requests; that of the first also looks ahead, so that a request
 * hardly ever has to wait. Whichever begins, an identity has one fetch at a time.
 */
#pragma once

#include "cloud/identity.h"
#include "http/client.h"

struct keeper_fetch;

/* Initialised to zero, except for `loop` and `client`. */
struct keeper {
    struct loop *loop;
    struct client *client;
    struct keeper_fetch *first;    /* those under way */
};

/* Fetches if it is due. `wanted`: a request waits; false if it waits in vain, because nothing is being
 * fetched. What needs no network is there at once. Those that wait: waiter_wake_all(). */
bool keeper_look(struct keeper *k, struct identity *id, bool wanted);

/* Cancels all. */
void keeper_stop(struct keeper *k);
