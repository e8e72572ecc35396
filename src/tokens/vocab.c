/* vocab.c - searches a vocabulary. bucket() in tools/vocab.py computes the same. */
#include "tokens/vocab.h"

#include <endian.h>

static inline uint64_t
load64(const char *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof(x));
    return le64toh(x);
}

static inline uint32_t
load32(const char *p)
{
    uint32_t x;

    memcpy(&x, p, sizeof(x));
    return le32toh(x);
}

/* The first and the last bytes: all of them, of up to 16. */
struct token_ends {
    uint64_t a, b;
};

static inline struct token_ends
ends_of(const char *p, size_t n)
{
    if (n >= 8)
        return (struct token_ends){ load64(p), load64(p + n - 8) };
    if (n >= 4)
        return (struct token_ends){ load32(p), load32(p + n - 4) };
    return (struct token_ends){ (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 |
                                    (uint64_t)(uint8_t)p[n - 1] << 16,
        0 };
}

static inline uint32_t
bucket_of(struct token_ends w, uint32_t buckets)
{
    uint64_t h = w.a * UINT64_C(0x9E3779B97F4A7C15) ^ w.b * UINT64_C(0xC2B2AE3D27D4EB4F);

    h = (h ^ h >> 32) * UINT64_C(0xD6E8FEB86659FD93);
    return (uint32_t)((h >> 32) * buckets >> 32);
}

uint32_t
vocab_rank(const struct vocab *v, const char *p, size_t n)
{
    if (n == 0 || n > VOCAB_TOKEN_BYTES || v->lengths[n].buckets == 0)
        return VOCAB_NO_RANK;

    struct token_ends w = ends_of(p, n);
    const uint32_t *start = v->starts + v->lengths[n].start + bucket_of(w, v->lengths[n].buckets);
    const char *q = v->bytes + v->lengths[n].bytes + (start[0] - v->lengths[n].token) * n;

    for (uint32_t token = start[0]; token < start[1]; token++, q += n) {
        struct token_ends other = ends_of(q, n);

        if (other.a == w.a && other.b == w.b && (n <= 16 || memcmp(p, q, n) == 0))
            return v->ranks[token];
    }
    return VOCAB_NO_RANK;
}
