/* jwk.c - JSON Web Keys as keys of libcrypto. */
#include "sign/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/json.h"

#define KEYS_MOST 64u    /* of a set */
#define TRIES_MOST 8u    /* keys that are tried for one signature */
#define ARENA_BYTES (1024u * 1024)
#define PARAMETER_BYTES 1024u    /* the longest number of a key: RSA of 8,192 bits */
#define RSA_LEAST_BITS 2048
#define EC_COORDINATE_MOST 48u

enum kty { KTY_RSA, KTY_EC, KTY_OKP };

struct jwk_algorithm {
    struct str name;
    enum kty kty;
    const char *curve;     /* as a JWK names it; NULL: RSA */
    const char *digest;    /* NULL: part of the algorithm */
    bool pss;
    size_t half;    /* bytes of each of the two numbers of an ECDSA signature; 0: another form */
};

static const struct jwk_algorithm algorithms[] = {
    { S_INIT("RS256"), KTY_RSA, NULL, "SHA256", false, 0 },
    { S_INIT("RS384"), KTY_RSA, NULL, "SHA384", false, 0 },
    { S_INIT("RS512"), KTY_RSA, NULL, "SHA512", false, 0 },
    { S_INIT("PS256"), KTY_RSA, NULL, "SHA256", true, 0 },
    { S_INIT("PS384"), KTY_RSA, NULL, "SHA384", true, 0 },
    { S_INIT("PS512"), KTY_RSA, NULL, "SHA512", true, 0 },
    { S_INIT("ES256"), KTY_EC, "P-256", "SHA256", false, 32 },
    { S_INIT("ES384"), KTY_EC, "P-384", "SHA384", false, 48 },
    { S_INIT("EdDSA"), KTY_OKP, "Ed25519", NULL, false, 0 },
};

struct jwk {
    enum kty kty;
    struct str curve;
    struct str kid, alg;    /* empty: not said */
    EVP_PKEY *key;
};

struct jwks {
    _Atomic unsigned holders;
    struct arena *arena;
    size_t count;
    struct jwk keys[KEYS_MOST];
};

const struct jwk_algorithm *
jwk_algorithm_named(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
        if (str_eq(algorithms[i].name, name))
            return &algorithms[i];
    return NULL;
}

/* --- reading --- */

/* A member in base64url. False unless it is there and has `least` to `most` bytes. */
static bool
read_bytes(struct arena *a, const struct json *jwk, const char *name, size_t least, size_t most,
    struct str *ret)
{
    struct str text = json_str(a, json_get(jwk, str_c(name)));

    if (text.n == 0 || text.n > 4 * ((most + 2) / 3))
        return false;
    uint8_t *bytes = arena_alloc(a, 3 * ((text.n + 3) / 4), 1);
    size_t n;

    if (!digest_base64url_decode(text, bytes, &n) || n < least || n > most)
        return false;
    *ret = str_make((const char *)bytes, n);
    return true;
}

/* A key of the parameters, which are released. NULL: libcrypto refuses them. */
static EVP_PKEY *
make_key(const char *type, OSSL_PARAM_BLD *parts)
{
    OSSL_PARAM *params = check_alloc(OSSL_PARAM_BLD_to_param(parts));
    EVP_PKEY_CTX *ctx = check_alloc(EVP_PKEY_CTX_new_from_name(NULL, type, NULL));
    EVP_PKEY *key = NULL;

    if (EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *
read_rsa(struct arena *a, const struct json *jwk)
{
    struct str n, e;

    /* short exponents only: a long one makes each check slow */
    if (!read_bytes(a, jwk, "n", RSA_LEAST_BITS / 8, PARAMETER_BYTES, &n) ||
        !read_bytes(a, jwk, "e", 1, 8, &e))
        return NULL;
    OSSL_PARAM_BLD *parts = check_alloc(OSSL_PARAM_BLD_new());
    BIGNUM *modulus = check_alloc(BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL));
    BIGNUM *exponent = check_alloc(BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL));
    EVP_PKEY *key = NULL;

    if (BN_num_bits(modulus) >= RSA_LEAST_BITS && BN_is_odd(modulus) && BN_is_odd(exponent) &&
        !BN_is_one(exponent) && OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_N, modulus) &&
        OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_E, exponent))
        key = make_key("RSA", parts);
    BN_free(modulus);
    BN_free(exponent);
    OSSL_PARAM_BLD_free(parts);
    return key;
}

/* libcrypto refuses points that are not on the curve. */
static EVP_PKEY *
read_ec(struct arena *a, const struct json *jwk, const char *curve, size_t half)
{
    struct str x, y;
    unsigned char point[1 + 2 * EC_COORDINATE_MOST] = { POINT_CONVERSION_UNCOMPRESSED };

    if (!read_bytes(a, jwk, "x", half, half, &x) || !read_bytes(a, jwk, "y", half, half, &y))
        return NULL;
    memcpy(point + 1, x.p, half);
    memcpy(point + 1 + half, y.p, half);
    OSSL_PARAM_BLD *parts = check_alloc(OSSL_PARAM_BLD_new());
    EVP_PKEY *key = NULL;

    if (OSSL_PARAM_BLD_push_utf8_string(parts, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) &&
        OSSL_PARAM_BLD_push_octet_string(parts, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half))
        key = make_key("EC", parts);
    OSSL_PARAM_BLD_free(parts);
    return key;
}

static EVP_PKEY *
read_okp(struct arena *a, const struct json *jwk)
{
    struct str x;

    if (!read_bytes(a, jwk, "x", 32, 32, &x))
        return NULL;
    return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, (const unsigned char *)x.p, x.n);
}

/* Is it meant for verifying signatures? */
static bool
is_for_signatures(const struct json *jwk)
{
    const struct json *use = json_get(jwk, S("use")), *ops = json_get(jwk, S("key_ops"));
    struct json_iter it = json_iter(ops);

    if (json_present(use) && !json_str_is(use, S("sig")))
        return false;
    if (!json_present(ops))
        return true;
    while (json_next(&it))
        if (json_str_is(it.value, S("verify")))
            return true;
    return false;
}

/* False: it is not for us. */
static bool
read_jwk(struct arena *a, const struct json *jwk, struct jwk *ret)
{
    struct str kty = json_str(a, json_get(jwk, S("kty")));
    struct str curve = json_str(a, json_get(jwk, S("crv")));

    *ret = (struct jwk){ .kid = json_str(a, json_get(jwk, S("kid"))),
        .alg = json_str(a, json_get(jwk, S("alg"))) };
    if (!json_is(jwk, JSON_OBJECT) || !is_for_signatures(jwk))
        return false;
    if (str_eq(kty, S("RSA"))) {
        ret->kty = KTY_RSA;
        ret->key = read_rsa(a, jwk);
        return ret->key != NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
        const struct jwk_algorithm *one = &algorithms[i];

        if (one->curve == NULL || !str_eq(curve, str_c(one->curve)))
            continue;
        if (!str_eq(kty, one->kty == KTY_EC ? S("EC") : S("OKP")))
            return false;
        ret->kty = one->kty;
        ret->curve = curve;
        ret->key = one->kty == KTY_EC ? read_ec(a, jwk, one->curve, one->half) : read_okp(a, jwk);
        return ret->key != NULL;
    }
    return false;
}

struct jwks *
jwks_read(struct str text, struct why why)
{
    struct jwks *set = check_alloc(calloc(1, sizeof(*set)));
    const struct json_limits limits = { .depth = 8, .values = 16384 };
    struct json_error error;

    atomic_init(&set->holders, 1);
    set->arena = arena_create(ARENA_BYTES);
    const struct json *doc = json_parse(set->arena, arena_str(set->arena, text), &limits, &error);
    struct json_iter it = json_iter(json_get(doc, S("keys")));

    if (doc == NULL) {
        (void)why_say(why, "it is not JSON: %s at byte %zu", error.what, error.offset);
        jwks_drop(set);
        return NULL;
    }
    while (set->count < KEYS_MOST && json_next(&it))
        set->count += read_jwk(set->arena, it.value, &set->keys[set->count]);
    if (set->count == 0) {
        (void)why_say(why,
            "it has no key that can be used: RSA of at least %d bits, P-256, P-384 or Ed25519, for "
            "signatures, in \"keys\"",
            RSA_LEAST_BITS);
        jwks_drop(set);
        return NULL;
    }
    return set;
}

struct jwks *
jwks_hold(struct jwks *set)
{
    (void)atomic_fetch_add(&set->holders, 1);
    return set;
}

void
jwks_drop(struct jwks *set)
{
    if (set == NULL || atomic_fetch_sub(&set->holders, 1) != 1)
        return;
    for (size_t i = 0; i < set->count; i++)
        EVP_PKEY_free(set->keys[i].key);
    arena_destroy(set->arena);
    free(set);
}

size_t
jwks_count(const struct jwks *set)
{
    return set->count;
}

/* --- verifying --- */

/* RFC 7518 3.4: the two numbers one after the other, where libcrypto wants DER. Allocated; 0: it is not
 * such a signature. */
static int
ecdsa_der(struct str signature, size_t half, unsigned char **ret)
{
    ECDSA_SIG *numbers;
    int n = 0;

    *ret = NULL;
    if (signature.n != 2 * half)
        return 0;
    const unsigned char *p = (const unsigned char *)signature.p;
    BIGNUM *r = check_alloc(BN_bin2bn(p, (int)half, NULL));
    BIGNUM *s = check_alloc(BN_bin2bn(p + half, (int)half, NULL));

    numbers = check_alloc(ECDSA_SIG_new());
    if (ECDSA_SIG_set0(numbers, r, s) == 1)
        n = i2d_ECDSA_SIG(numbers, ret);
    ECDSA_SIG_free(numbers);
    return n > 0 ? n : 0;
}

static bool
verify(EVP_PKEY *key, const struct jwk_algorithm *how, struct str text, struct str signature)
{
    EVP_MD_CTX *ctx = check_alloc(EVP_MD_CTX_new());
    EVP_PKEY_CTX *padding = NULL;
    unsigned char *der = NULL;
    const unsigned char *sig = (const unsigned char *)signature.p;
    size_t n = signature.n;

    if (how->half != 0) {
        n = (size_t)ecdsa_der(signature, how->half, &der);
        sig = der;
    }
    bool ok =
        n != 0 && EVP_DigestVerifyInit_ex(ctx, &padding, how->digest, NULL, NULL, key, NULL) == 1;
    if (ok && how->pss)
        ok = EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST) == 1;
    ok = ok && EVP_DigestVerify(ctx, sig, n, (const unsigned char *)text.p, text.n) == 1;
    OPENSSL_free(der);
    EVP_MD_CTX_free(ctx);
    return ok;
}

enum jwk_verdict
jwks_verify(const struct jwks *set, const struct jwk_algorithm *algorithm, struct str kid,
    struct str text, struct str signature)
{
    unsigned tried = 0;

    for (size_t i = 0; i < set->count && tried < TRIES_MOST; i++) {
        const struct jwk *k = &set->keys[i];

        if (k->kty != algorithm->kty ||
            (algorithm->curve != NULL && !str_eq(k->curve, str_c(algorithm->curve))) ||
            (k->alg.n != 0 && !str_eq(k->alg, algorithm->name)) ||
            (kid.n != 0 && k->kid.n != 0 && !str_eq(k->kid, kid)))
            continue;
        tried++;
        if (verify(k->key, algorithm, text, signature))
            return JWK_GOOD;
    }
    return tried != 0 ? JWK_BAD : JWK_NO_KEY;
}
