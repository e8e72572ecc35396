/* vocab.h - a vocabulary of byte-pair encoding: from the bytes of a token to its rank.
 *
 * tools/vocab.py makes the tables at build time. Tokens lie by length, and those of one length by
 * bucket, so that a search reads two places in memory: where the bucket begins, and its two tokens or so.
 */
#pragma once

#include "base/base.h"

#define VOCAB_TOKEN_BYTES 128    /* longest token */
#define VOCAB_NO_RANK UINT32_MAX

struct vocab {
    const char *bytes;         /* of all tokens; some more can be read after the last one */
    const uint32_t *ranks;     /* of each token */
    const uint32_t *starts;    /* of each bucket: its first token; and one more */
    struct {
        uint32_t bytes;      /* where the tokens of that length begin in `bytes` */
        uint32_t token;      /* the first of them in `ranks` */
        uint32_t start;      /* their first bucket in `starts` */
        uint32_t buckets;    /* 0: there are none */
    } lengths[VOCAB_TOKEN_BYTES + 1];
};

extern const struct vocab vocab_cl100k;
extern const struct vocab vocab_o200k;

/* The rank of the token that consists of these bytes, or VOCAB_NO_RANK. */
uint32_t vocab_rank(const struct vocab *v, const char *p, size_t n);
