/* siphash.h - SipHash-2-4 with 128 bits: a keyed hash that costs a tenth of SHA-256 for short
 * texts.
 *
 * Whoever does not know the key can neither compute a hash nor find two texts with the same one,
 * nor learn anything from how long it takes to compare hashes. It has no use for texts whose hash
 * is shown or kept: use SHA-256.
 */
#pragma once

#include "base/base.h"

#define SIPHASH_BYTES 16

struct siphash_key {
    uint64_t word[2];
};

/* A random key. */
struct siphash_key siphash_key_make(void);

void siphash(const struct siphash_key *key, struct str text, uint8_t out[SIPHASH_BYTES]);
