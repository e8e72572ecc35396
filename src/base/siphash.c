/* siphash.c - after Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). */
#include "base/siphash.h"

#include "base/clock.h"

enum { ROUNDS = 2, LAST_ROUNDS = 4 };

struct state {
    uint64_t a, b, c, d;
};

struct siphash_key
siphash_key_make(void)
{
    struct siphash_key key;

    clock_random_bytes(&key, sizeof(key));
    return key;
}

static inline uint64_t
rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

static inline void
mix(struct state *s, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        s->a += s->b;
        s->c += s->d;
        s->b = rotate(s->b, 13) ^ s->a;
        s->d = rotate(s->d, 16) ^ s->c;
        s->a = rotate(s->a, 32);
        s->c += s->b;
        s->a += s->d;
        s->b = rotate(s->b, 17) ^ s->c;
        s->d = rotate(s->d, 21) ^ s->a;
        s->c = rotate(s->c, 32);
    }
}

/* Numbers are little-endian. */
static inline uint64_t
little_endian(uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline void
absorb(struct state *s, uint64_t word)
{
    s->d ^= word;
    mix(s, ROUNDS);
    s->a ^= word;
}

void
siphash(const struct siphash_key *key, struct str text, uint8_t out[SIPHASH_BYTES])
{
    struct state s = {
        key->word[0] ^ UINT64_C(0x736f6d6570736575),
        key->word[1] ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
        key->word[0] ^ UINT64_C(0x6c7967656e657261),
        key->word[1] ^ UINT64_C(0x7465646279746573),
    };
    const char *p = text.p;
    size_t left = text.n;

    for (; left >= 8; left -= 8, p += 8) {
        uint64_t word;

        memcpy(&word, p, sizeof(word));
        absorb(&s, little_endian(word));
    }
    uint64_t last = (uint64_t)text.n << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)(unsigned char)p[i] << (8 * i);
    absorb(&s, last);

    s.c ^= 0xee;
    mix(&s, LAST_ROUNDS);
    uint64_t low = little_endian(s.a ^ s.b ^ s.c ^ s.d);
    s.b ^= 0xdd;
    mix(&s, LAST_ROUNDS);
    uint64_t high = little_endian(s.a ^ s.b ^ s.c ^ s.d);

    memcpy(out, &low, sizeof(low));
    memcpy(out + sizeof(low), &high, sizeof(high));
}
