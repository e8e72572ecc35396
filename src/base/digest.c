/* digest.c - hashes from libcrypto; hexadecimal and base64. */
#include "base/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

#define HMAC_BLOCK_BYTES 64    /* SHA-256's */

/* Fetching an algorithm costs more than hashing a short text, so it is done once. */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;

static void
fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    CHECK(sha256 != NULL);
}

void
digest_sha256(struct str data, uint8_t out[DIGEST_SHA256_BYTES])
{
    CHECK(pthread_once(&fetched, fetch) == 0);
    CHECK(EVP_Digest(data.p, data.n, out, NULL, sha256, NULL) == 1);
}

void
digest_sha256_pieces(const struct str *pieces, size_t count, uint8_t out[DIGEST_SHA256_BYTES])
{
    EVP_MD_CTX *ctx = check_alloc(EVP_MD_CTX_new());

    CHECK(pthread_once(&fetched, fetch) == 0);
    CHECK(EVP_DigestInit_ex(ctx, sha256, NULL) == 1);
    for (size_t i = 0; i < count; i++)
        CHECK(EVP_DigestUpdate(ctx, pieces[i].p, pieces[i].n) == 1);
    CHECK(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
    EVP_MD_CTX_free(ctx);
}

void
digest_hmac_sha256(struct str key, struct str data, uint8_t out[DIGEST_SHA256_BYTES])
{
    uint8_t hashed[DIGEST_SHA256_BYTES], inner[HMAC_BLOCK_BYTES], outer[HMAC_BLOCK_BYTES];

    if (key.n > HMAC_BLOCK_BYTES) {
        digest_sha256(key, hashed);
        key = str_make((const char *)hashed, sizeof(hashed));
    }
    for (size_t i = 0; i < HMAC_BLOCK_BYTES; i++) {
        uint8_t byte = i < key.n ? (uint8_t)key.p[i] : 0;

        inner[i] = byte ^ 0x36;
        outer[i] = byte ^ 0x5c;
    }
    const struct str first[] = { str_make((const char *)inner, sizeof(inner)), data };
    digest_sha256_pieces(first, ARRAY_LEN(first), hashed);
    const struct str second[] = { str_make((const char *)outer, sizeof(outer)),
        str_make((const char *)hashed, sizeof(hashed)) };
    digest_sha256_pieces(second, ARRAY_LEN(second), out);
}

/* The digits of four bytes at once: the bytes are spread, then each half becomes a character. */
static inline void
hex_of_four(const uint8_t *data, char *out)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), low = UINT64_C(0x000f000f000f000f);
    uint64_t v = (uint64_t)data[0] | (uint64_t)data[1] << 16 | (uint64_t)data[2] << 32 |
                 (uint64_t)data[3] << 48;

    v = (v >> 4 & low) | (v & low) << 8;
    uint64_t letters = (v + ones * 6) >> 4 & ones;
    v += ones * '0' + letters * ('a' - '0' - 10);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(out, &v, sizeof(v));
}

void
digest_hex(const uint8_t *data, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (; n >= 4; n -= 4, data += 4, out += 8)
        hex_of_four(data, out);
    for (; n != 0; n--, data++) {
        *out++ = digits[*data >> 4];
        *out++ = digits[*data & 0xf];
    }
    *out = '\0';
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
digest_base64(struct str data, char *out)
{
    const uint8_t *in = (const uint8_t *)data.p;
    char *start = out;
    size_t left = data.n;

    for (; left >= 3; left -= 3, in += 3) {
        uint32_t v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];

        *out++ = alphabet[v >> 18];
        *out++ = alphabet[v >> 12 & 0x3f];
        *out++ = alphabet[v >> 6 & 0x3f];
        *out++ = alphabet[v & 0x3f];
    }
    if (left != 0) {
        uint32_t v = (uint32_t)in[0] << 16 | (left == 2 ? (uint32_t)in[1] << 8 : 0);

        *out++ = alphabet[v >> 18];
        *out++ = alphabet[v >> 12 & 0x3f];
        *out++ = left == 2 ? alphabet[v >> 6 & 0x3f] : '=';
        *out++ = '=';
    }
    return (size_t)(out - start);
}

/* The value of a base64 character, or -1. */
static inline int
base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes `chars` characters (2 to 4) of one group into `chars - 1` bytes. False when a character
 * is not base64, or when unused bits are set. */
static bool
decode_group(const char *p, unsigned chars, uint8_t *out)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < 4; i++) {
        int value = i < chars ? base64_value(p[i]) : 0;

        if (value < 0)
            return false;
        v = v << 6 | (uint32_t)value;
    }
    for (unsigned i = 0; i < 3; i++) {
        uint8_t byte = (uint8_t)(v >> (16 - 8 * i));

        if (i < chars - 1)
            out[i] = byte;
        else if (byte != 0)
            return false;
    }
    return true;
}

bool
digest_base64_decode(struct str text, uint8_t *out, size_t *ret_n)
{
    const uint8_t *start = out;

    if (text.n % 4 != 0)
        return false;
    for (size_t i = 0; i < text.n; i += 4) {
        const char *p = text.p + i;
        unsigned chars = 4;

        if (i + 4 == text.n && p[3] == '=')
            chars = p[2] == '=' ? 2 : 3;
        if (!decode_group(p, chars, out))
            return false;
        out += chars - 1;
    }
    *ret_n = (size_t)(out - start);
    return true;
}

size_t
digest_base64url(struct str data, char *out)
{
    size_t n = digest_base64(data, out);

    while (n != 0 && out[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    return n;
}

bool
digest_base64url_decode(struct str text, uint8_t *out, size_t *ret_n)
{
    const uint8_t *start = out;

    if (text.n % 4 == 1)
        return false;
    for (size_t i = 0; i < text.n; i += 4) {
        unsigned chars = (unsigned)MIN(text.n - i, (size_t)4);
        char group[4];

        for (unsigned k = 0; k < chars; k++) {
            char c = text.p[i + k];

            group[k] = c == '-' ? '+' : c == '_' ? '/' : c == '+' || c == '/' ? '=' : c;
        }
        if (!decode_group(group, chars, out))
            return false;
        out += chars - 1;
    }
    *ret_n = (size_t)(out - start);
    return true;
}
