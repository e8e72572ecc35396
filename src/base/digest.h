/* digest.h - hashes, checksums and their text forms (libcrypto underneath). */
#pragma once

#include "base/base.h"

#define DIGEST_SHA256_BYTES 32

void digest_sha256(struct str data, uint8_t out[DIGEST_SHA256_BYTES]);

/* The same of pieces, one after another. */
void digest_sha256_pieces(const struct str *pieces, size_t count, uint8_t out[DIGEST_SHA256_BYTES]);

/* HMAC-SHA-256 (RFC 2104). */
void digest_hmac_sha256(struct str key, struct str data, uint8_t out[DIGEST_SHA256_BYTES]);

/* Lower-case hexadecimal of `n` bytes: writes 2n characters and a NUL. */
void digest_hex(const uint8_t *data, size_t n, char *out);

/* Standard base64 with padding. Returns characters written (no NUL); room for 4*((n+2)/3) is
 * needed. */
size_t digest_base64(struct str data, char *out);

/* Strict decoding of standard base64 with padding. False when malformed.
 * `out` needs 3*(n/4) bytes; *ret_n is the number written. */
bool digest_base64_decode(struct str text, uint8_t *out, size_t *ret_n);

/* Base64 of URLs without padding (RFC 4648 5, as RFC 7515 uses it), the same way: room for 4*((n+2)/3) is needed to
 * write; to decode, `out` needs 3*((n+3)/4) bytes. */
size_t digest_base64url(struct str data, char *out);
bool digest_base64url_decode(struct str text, uint8_t *out, size_t *ret_n);
