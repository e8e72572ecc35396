/* jwt.h - reads tokens that others have signed, and checks what they claim (RFC 7519, 8725, 9068).
 *
 * Nothing in a token decides how it is checked: the algorithm must be one that its issuer's entry in the
 * configuration allows, and of its header only `kid` is used, to look a key up. Pure: keys and time
 * are arguments.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "base/why.h"
#include "conf/conf.h"
#include "sign/jwk.h"

#define JWT_BYTES_MOST (8u * 1024)

struct jwt {
    const struct jwk_algorithm *algorithm;
    struct str algorithm_name, kid, type;
    struct str issuer, subject, id;    /* empty: not said */
    const struct json *claims;
    struct str text, signature;    /* what is signed, and the bytes of the signature */
};

/* Does it look like a token, rather than a key? */
bool jwt_is_one(struct str credential);

/* Reads a token in compact form (RFC 7515 7.1) into `a`. Nothing of it is to be believed yet. False with a
 * sentence's end in `why`: "it is longer than 8192 bytes". */
bool jwt_read(struct arena *a, struct str token, struct jwt *ret, struct why why) MUST_CHECK;

/* Does the token, whose signature is good, allow its bearer to be served now? *ret_until_ms: when that
 * ends. */
bool jwt_check(const struct jwt *t, const struct conf_issuer *issuer, uint64_t wall_ms,
    uint64_t *ret_until_ms, struct why why) MUST_CHECK;

/* May the issuer's tokens have this algorithm? */
bool jwt_allows_algorithm(const struct conf_issuer *issuer, struct str name);

/* A claim, by its name, or by names with dots between them. NULL: there is none. */
const struct json *jwt_claim(const struct jwt *t, struct str name);
