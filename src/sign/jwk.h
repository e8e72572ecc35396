/* jwk.h - public keys of token issuers, and the signatures that they verify.
 *
 * Key sets as JSON Web Keys (RFC 7517): RSA of 2,048 bits and more, P-256, P-384 and Ed25519. What
 * cannot be used is skipped, as the RFC asks; a set without any usable key is refused. libcrypto reads
 * the keys and verifies.
 */
#pragma once

#include "base/base.h"
#include "base/why.h"

/* Immutable, counted; any thread. */
struct jwks;

/* Reads {"keys": [...]}. NULL with a sentence's end in `why`. Drop it with jwks_drop(). */
struct jwks *jwks_read(struct str text, struct why why);
struct jwks *jwks_hold(struct jwks *set) NEVER_NULL;
void jwks_drop(struct jwks *set);    /* NULL is a no-op */

size_t jwks_count(const struct jwks *set);

/* Algorithms of signatures, by their names in RFC 7518 and RFC 8037; symmetric ones do not exist
 * here. */
struct jwk_algorithm;
const struct jwk_algorithm *jwk_algorithm_named(struct str name);    /* NULL: not known */

enum jwk_verdict {
    JWK_GOOD,
    JWK_BAD,       /* a key was found, and the signature is not its */
    JWK_NO_KEY,    /* none has this id and suits the algorithm: a newer set may have it */
};

/* Was `text` signed with one of the keys? `kid` is only compared, with keys that have one; empty: every key that
 * suits is tried. */
enum jwk_verdict jwks_verify(const struct jwks *set, const struct jwk_algorithm *algorithm,
    struct str kid, struct str text, struct str signature);
