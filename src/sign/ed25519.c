/* ed25519.c - libcrypto signs and verifies. */
#include "sign/ed25519.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct ed25519 {
    EVP_PKEY *key;
};

static EVP_PKEY *
read_key(const char *path)
{
    EVP_PKEY *key = NULL;
    FILE *f = fopen(path, "re");
    OSSL_DECODER_CTX *decoder =
        OSSL_DECODER_CTX_new_for_pkey(&key, "PEM", NULL, "ED25519", EVP_PKEY_KEYPAIR, NULL, NULL);

    if (f == NULL || decoder == NULL || OSSL_DECODER_from_fp(decoder, f) != 1)
        key = NULL;
    OSSL_DECODER_CTX_free(decoder);
    if (f != NULL)
        (void)fclose(f);
    return key;
}

static bool
write_key(EVP_PKEY *key, FILE *f)
{
    OSSL_ENCODER_CTX *encoder =
        OSSL_ENCODER_CTX_new_for_pkey(key, EVP_PKEY_KEYPAIR, "PEM", "PrivateKeyInfo", NULL);
    bool ok = encoder != NULL && OSSL_ENCODER_to_fp(encoder, f) == 1;

    OSSL_ENCODER_CTX_free(encoder);
    return ok;
}

/* Never over a file that is there: two processes may start at once. */
static bool
make_key(const char *path, struct why why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (f == NULL) {
        int e = errno;

        if (fd >= 0)
            (void)close(fd);
        return (fd < 0 && e == EEXIST) ||
               why_say(why, "the file %s cannot be made: %s", path, strerror(e));
    }
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    bool ok = key != NULL && write_key(key, f);

    EVP_PKEY_free(key);
    ok = fclose(f) == 0 && ok;
    if (!ok)
        (void)unlink(path);
    return ok || why_say(why, "the file %s cannot be written", path);
}

struct ed25519 *
ed25519_open(const char *path, struct why why)
{
    EVP_PKEY *key = NULL;

    if (access(path, F_OK) != 0 && !make_key(path, why))
        return NULL;
    for (unsigned i = 0; i < 50 && (key = read_key(path)) == NULL; i++)
        (void)usleep(20000);    /* another process may still be writing it */
    if (key == NULL) {
        (void)why_say(why, "the file %s has no Ed25519 key", path);
        return NULL;
    }
    struct ed25519 *k = check_alloc(calloc(1, sizeof(*k)));

    k->key = key;
    return k;
}

void
ed25519_close(struct ed25519 *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->key);
    free(key);
}

void
ed25519_public(const struct ed25519 *key, uint8_t out[ED25519_KEY_BYTES])
{
    size_t n = ED25519_KEY_BYTES;

    CHECK(EVP_PKEY_get_raw_public_key(key->key, out, &n) == 1 && n == ED25519_KEY_BYTES);
}

void
ed25519_sign(const struct ed25519 *key, struct str text, uint8_t out[ED25519_SIGNATURE_BYTES])
{
    EVP_MD_CTX *ctx = check_alloc(EVP_MD_CTX_new());
    size_t n = ED25519_SIGNATURE_BYTES;

    CHECK(EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, key->key, NULL) == 1 &&
          EVP_DigestSign(ctx, out, &n, (const unsigned char *)text.p, text.n) == 1);
    EVP_MD_CTX_free(ctx);
}

bool
ed25519_verify(const uint8_t public_key[ED25519_KEY_BYTES], struct str text,
    const uint8_t signature[ED25519_SIGNATURE_BYTES])
{
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, public_key, ED25519_KEY_BYTES);
    EVP_MD_CTX *ctx = check_alloc(EVP_MD_CTX_new());
    bool ok = key != NULL && EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
              EVP_DigestVerify(ctx, signature, ED25519_SIGNATURE_BYTES,
                  (const unsigned char *)text.p, text.n) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}
