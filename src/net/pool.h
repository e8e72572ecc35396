/* pool.h - idle connections of one worker, kept for the next request to the same origin.
 *
 * Newest first (warm TCP windows, and the tail can age out). A connection that the peer closes or
 * writes to while idle is dropped. Bounded per origin and in all.
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

/* An idle connection, or NULL: then dial. *ret_born_ms (loop time) must be given back to
 * pool_put(). */
struct sock *pool_take(struct pool *p, const struct origin *o, uint64_t *ret_born_ms);

/* Gives back a connection on which a request was sent whole and its answer read to the end: the
 * caller knows the protocol. What the socket itself knows is looked at here: one that is broken or
 * ending, has bytes still to send, or bytes (or the end) still to be read, is closed. */
void pool_put(struct pool *p, const struct origin *o, struct sock *s, uint64_t born_ms);

unsigned pool_idle_count(const struct pool *p);
