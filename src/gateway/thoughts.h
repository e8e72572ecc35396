/* thoughts.h - remembers what proves the reasoning of answers (llm/proofs.h), for callers who cannot.
 *
 * When an answer's reasoning goes through another protocol, its proofs are kept for a while, and put
 * back into the history of the same key's next request. All workers share one memory, which is
 * bounded: what was not asked for longest goes first.
 */
#pragma once

#include <pthread.h>

#include "base/siphash.h"
#include "gateway/filters.h"
#include "llm/proofs.h"

struct thought;
struct map;

/* In struct gateway, all zeros before its first user. */
struct thoughts {
    pthread_mutex_t lock;    /* guards the rest */
    struct siphash_key key;
    unsigned users;
    size_t limit_bytes;    /* 0: nothing is remembered */
    uint64_t keep_ms;
    size_t bytes;
    struct map *named;
    struct thought *newest, *oldest;
};

/* Each worker uses it as long as it lives; after the last nothing is left. */
void thoughts_begin(struct thoughts *t);
void thoughts_end(struct thoughts *t);
void thoughts_set_limits(struct thoughts *t, size_t bytes, uint64_t keep_ms);

/* Keeps the proofs of the answers that pass the chain, for `owner`, who is asking: it must live as
 * long as `a`. Any thread may read the answer. */
void thoughts_watch(struct thoughts *t, struct arena *a, struct str owner, struct filters *chain);

/* Puts what is remembered into the request's history. */
void thoughts_restore(struct thoughts *t, struct str owner, struct llm_request *r);
