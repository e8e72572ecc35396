/* hash.h - the mixing step of hashes that need not resist whoever knows their seed. */
#pragma once

#include <stdint.h>

#define HASH_WORD UINT64_C(0xa0761d6478bd642f)    /* odd, random, half of its bits set */
#define HASH_LAST UINT64_C(0xe7037ed1a0b428db)

__extension__ typedef unsigned __int128 hash_u128;

/* The halves of the 128-bit product, XORed: every bit of `a` and `b` affects every bit of it. */
static inline uint64_t
hash_mix(uint64_t a, uint64_t b)
{
    hash_u128 product = (hash_u128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}
