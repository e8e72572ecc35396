/* key_form.h - what API keys look like, and what is kept of them.
 *
 * A key that we make reads "oc_<kind>_<22 random base62 digits><6 base62 digits of a CRC-32>". The random part
 * holds 131 bits; the checksum is over all that comes before it, so that scanners of source code and the
 * command line can tell a key from a text that only looks like one, and from one with a typing error,
 * without asking anybody. The gateway itself does not look at it when a key is presented: a malformed
 * key takes the same work as an unknown one. Keys of other forms, given by an operator or brought along
 * from another gateway, are as good.
 *
 * Kept is only a digest: HMAC-SHA-256 under a secret of the installation, the pepper, of the key's
 * SHA-256. A copy of the store alone is of no use to test guesses with; and of a key that other software
 * keeps as SHA-256 the digest can be made without the key. What depends on the pepper: all of it. If
 * it is lost, so are all keys of the store, which then have to be made anew.
 */
#pragma once

#include "base/digest.h"

#define KEY_RANDOM_DIGITS 22
#define KEY_CHECK_DIGITS 6
#define KEY_KIND_MOST 16    /* letters */
#define KEY_FORM_ROOM (3 + KEY_KIND_MOST + 1 + KEY_RANDOM_DIGITS + KEY_CHECK_DIGITS + 1)
#define KEY_DIGEST_BYTES DIGEST_SHA256_BYTES
#define KEY_HINT_ROOM (3 + KEY_KIND_MOST + 1 + 3 + 4 + 1)
#define KEY_OWN_LEAST 16    /* characters of a key that an operator chooses */
#define KEY_OWN_MOST 512
#define KEY_PEPPER_BYTES 32

/* A new key of that kind (lower-case letters), with a NUL. */
struct str key_form_make(struct str kind, char room[KEY_FORM_ROOM]);

/* Is it a key of our form, with the right checksum? */
bool key_form_is_ours(struct str key);

/* May an operator choose it: long enough, and of characters that a header field takes as they are? */
bool key_form_is_usable(struct str key);

/* What lists show: "oc_key_...wXyZ", or of other forms "...wXyZ"; with a NUL. */
struct str key_form_hint(struct str key, char room[KEY_HINT_ROOM]);

/* The digest of a key, and of one of which only the SHA-256 is known. */
void key_digest(struct str pepper, struct str key, uint8_t ret[KEY_DIGEST_BYTES]);
void key_digest_of_sha256(
    struct str pepper, const uint8_t sha256[DIGEST_SHA256_BYTES], uint8_t ret[KEY_DIGEST_BYTES]);
