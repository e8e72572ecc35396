/* rs256.c - the key is read and used by libcrypto. */
#include "sign/rs256.h"

#include <openssl/decoder.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/digest.h"

/* The alphabet of URLs, without padding. */
static void
add_base64url(struct buf *out, struct str data)
{
    size_t room = 4 * ((data.n + 2) / 3);
    char *p = buf_reserve(out, room + 1);

    if (p == NULL)
        return;
    buf_commit(out, digest_base64url(data, p));
}

static EVP_PKEY *
read_key(struct str pem)
{
    EVP_PKEY *key = NULL;
    const unsigned char *at = (const unsigned char *)pem.p;
    size_t left = pem.n;
    OSSL_DECODER_CTX *decoder =
        OSSL_DECODER_CTX_new_for_pkey(&key, "PEM", NULL, "RSA", EVP_PKEY_KEYPAIR, NULL, NULL);

    if (decoder == NULL || left == 0 || OSSL_DECODER_from_data(decoder, &at, &left) != 1)
        key = NULL;
    OSSL_DECODER_CTX_free(decoder);
    return key;
}

/* Appends a dot and the signature of what is in `out` from `begin` on. */
static bool
add_signature(struct buf *out, size_t begin, EVP_PKEY *key)
{
    struct str text = str_skip(buf_str(out), begin);
    EVP_MD_CTX *ctx = check_alloc(EVP_MD_CTX_new());
    size_t n = 0;
    unsigned char *signature = NULL;
    bool ok = EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
              EVP_DigestSign(ctx, NULL, &n, (const unsigned char *)text.p, text.n) == 1;

    if (ok) {
        signature = check_alloc(malloc(n));
        ok = EVP_DigestSign(ctx, signature, &n, (const unsigned char *)text.p, text.n) == 1;
    }
    if (ok) {
        buf_add_c(out, '.');
        add_base64url(out, str_make((const char *)signature, n));
    }
    free(signature);
    EVP_MD_CTX_free(ctx);
    return ok;
}

bool
rs256_token(struct buf *out, struct str header, struct str claims, struct str pem, struct why why)
{
    size_t begin = buf_len(out);
    EVP_PKEY *key = read_key(pem);

    if (key == NULL)
        return why_say(why, "its private key is not an RSA key in PEM");
    add_base64url(out, header);
    buf_add_c(out, '.');
    add_base64url(out, claims);
    bool ok = !out->overflow && add_signature(out, begin, key) && !out->overflow;
    EVP_PKEY_free(key);
    return ok || why_say(why, "its private key cannot sign");
}
