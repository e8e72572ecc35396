/* test_siphash.c - the same hashes as an independent implementation, for every length. */
#include "base/siphash.c"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "tests/test.h"

static void
by_libcrypto(const struct siphash_key *key, struct str text, uint8_t out[SIPHASH_BYTES])
{
    size_t size = SIPHASH_BYTES, n = 0;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    uint64_t words[] = { little_endian(key->word[0]), little_endian(key->word[1]) };

    EXPECT(EVP_MAC_init(ctx, (const unsigned char *)words, sizeof(words), params) == 1);
    EXPECT(EVP_MAC_update(ctx, (const unsigned char *)text.p, text.n) == 1);
    EXPECT(EVP_MAC_final(ctx, out, &n, SIPHASH_BYTES) == 1 && n == SIPHASH_BYTES);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
}

TEST(hashes_are_those_of_libcrypto)
{
    const struct siphash_key keys[] = {
        { { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) } }, siphash_key_make()
    };
    char text[100];

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 37 + 200);
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        for (size_t n = 0; n <= sizeof(text); n++) {
            uint8_t ours[SIPHASH_BYTES], theirs[SIPHASH_BYTES];

            siphash(&keys[k], str_make(text, n), ours);
            by_libcrypto(&keys[k], str_make(text, n), theirs);
            EXPECT(memcmp(ours, theirs, SIPHASH_BYTES) == 0);
        }
    }
}

TEST(each_key_is_another)
{
    struct siphash_key a = siphash_key_make(), b = siphash_key_make();

    EXPECT(memcmp(&a, &b, sizeof(a)) != 0);
}
