/* rs256.h - signed JSON Web Tokens (RFC 7519) with an RSA key: RS256. */
#pragma once

#include "base/buf.h"
#include "base/why.h"

/* Appends the token of these two JSON documents, signed with the private key in `pem`. False with a
 * sentence in `why`, which has nothing of the key, if that is not one; then what was appended is of
 * no use. */
bool rs256_token(struct buf *out, struct str header, struct str claims, struct str pem,
    struct why why) MUST_CHECK;
