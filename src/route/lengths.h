/* lengths.h - how long a target's answers are: what nearly none of them exceeds.
 *
 * A histogram with four buckets for each doubling, whose counts are halved when there are many, so that
 * what was long ago counts less. Shared by all threads; zeros know nothing.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

#define LENGTHS_BUCKETS 96u    /* up to 2^24 tokens */

struct lengths {
    _Atomic uint32_t count;
    _Atomic uint16_t buckets[LENGTHS_BUCKETS];
};

/* A whole answer had so many tokens. */
void lengths_note(struct lengths *l, int64_t tokens);

/* Tokens that so many permille of the answers do not exceed; 0: too few were seen. */
int64_t lengths_quantile(const struct lengths *l, unsigned permille);
