/* pool.h - idle connections of one worker, kept for the next request to the same origin.
 *
 * Newest first (warm TCP windows, and the tail can age out). A connection that the peer closes or
 * writes to while idle is dropped. Bounded per origin and in all.
 *
 * A request on a connection that the server is about to close may be lost without a sign whether
 * it was processed. So connections are not reused near the server's idle timeout: the one it
 * announces (Keep-Alive: timeout=N), or the rest after which it was last seen to close one.
 */
#pragma once

#include "net/dial.h"

struct pool;

struct pool_limits {
    unsigned idle_per_origin;
    unsigned idle_total;
    uint64_t idle_ms;    /* longest rest */
    uint64_t age_ms;     /* longest life since it was dialled */
};

struct pool *pool_create(struct loop *l, struct pool_limits limits) NEVER_NULL;
void pool_destroy(struct pool *p);

/* The history of a connection. */
struct pool_lease {
    uint64_t born_ms;      /* loop time; goes back to pool_put() */
    uint64_t rested_ms;    /* for how long it was idle */
};

/* An idle connection, or NULL: then dial. */
struct sock *pool_take(struct pool *p, const struct origin *o, struct pool_lease *ret);

/* Gives back a connection on which a request was sent whole and its answer read to the end: the
 * caller knows the protocol. What the socket itself knows is looked at here: one that is broken or
 * ending, has bytes still to send, or bytes (or the end) still to be read, is closed. `idle_ms`:
 * the idle timeout that the server announced; POOL_NOT_SAID. */
#define POOL_NOT_SAID UINT64_MAX
void pool_put(
    struct pool *p, const struct origin *o, struct sock *s, uint64_t born_ms, uint64_t idle_ms);

/* The server closed a connection to the origin of that key, which had been idle for so long. */
void pool_learn_idle(struct pool *p, struct str pool_key, uint64_t rested_ms);

/* For how long a connection to the origin may be idle and still be used; 0: no limit. */
uint64_t pool_idle_ms(const struct pool *p, struct str pool_key);

/* Closes all idle connections: for want of descriptors. False when there are none. */
bool pool_make_room(struct pool *p);

unsigned pool_idle_count(const struct pool *p);
