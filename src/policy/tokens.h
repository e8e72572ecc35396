/* tokens.h - who a token stands for.
 *
 * The table of issuers and their rules is part of the snapshot and immutable. What a token stands for is worked
 * out once by each worker, which then remembers it: checking a signature takes as long as several requests.
 */
#pragma once

#include "policy/auth.h"
#include "policy/issuer.h"

struct tokens;

/* Built from the configuration, which must outlive it. Problems go to `problems`. NULL: there are no issuers. */
struct tokens *tokens_create(const struct conf *c, struct conf_problems *problems);
void tokens_destroy(struct tokens *t);    /* NULL is a no-op */

/* The i-th issuer; NULL after the last. `t` may be NULL. */
struct issuer *tokens_issuer(const struct tokens *t, size_t i);

/* What one worker remembers. */
struct token_cache;
struct token_cache *token_cache_create(void) NEVER_NULL;
void token_cache_destroy(struct token_cache *c);    /* NULL is a no-op */

enum token_verdict {
    TOKEN_NONE,    /* it is not a token of these issuers, but perhaps a key */
    TOKEN_GOOD,
    TOKEN_BAD,       /* 401 */
    TOKEN_DENIED,    /* no rule holds: 403 */
    TOKEN_NO_KEY,    /* its issuer has to be asked for its keys */
};

struct token_answer {
    enum token_verdict verdict;
    struct principal *who;    /* of a good one, held for the caller: principal_drop() */
    struct issuer *issuer;    /* of one that has no key */
    char why[200];            /* a sentence's end about "the token", of those that are not good */
};

/* `t` may be NULL. `scratch`: for what is read. On the worker's thread. */
void tokens_identify(const struct tokens *t, struct token_cache *c, struct str credential,
    uint64_t wall_ms, struct arena *scratch, struct token_answer *ret);
