/* ed25519.h - signatures of our own (RFC 8032), with a key in a file. */
#pragma once

#include "base/base.h"
#include "base/why.h"

#define ED25519_KEY_BYTES 32
#define ED25519_SIGNATURE_BYTES 64

/* A private key with its public one. */
struct ed25519;

/* Reads the key in that file (PKCS #8 in PEM); makes it, for our user alone, if there is no such file. NULL with
 * a sentence's end in `why`. */
struct ed25519 *ed25519_open(const char *path, struct why why);
void ed25519_close(struct ed25519 *key);    /* NULL is a no-op */

void ed25519_public(const struct ed25519 *key, uint8_t out[ED25519_KEY_BYTES]);
void ed25519_sign(const struct ed25519 *key, struct str text, uint8_t out[ED25519_SIGNATURE_BYTES]);
bool ed25519_verify(const uint8_t public_key[ED25519_KEY_BYTES], struct str text,
    const uint8_t signature[ED25519_SIGNATURE_BYTES]);
