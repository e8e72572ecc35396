/* unpack.h - decompresses request bodies.
 *
 * A hostile body ("zip bomb") costs no more than its limit: the output and the decoder's own memory
 * are bounded, and each step does a bounded amount of work, so that a large body does not block the
 * event loop.
 */
#pragma once

#include "base/buf.h"
#include "http/message.h"

enum unpack_coding {
    UNPACK_NONE,
    UNPACK_GZIP,       /* one or more members (RFC 1952) */
    UNPACK_DEFLATE,    /* with zlib's header (RFC 9110), or without, as some send it */
    UNPACK_BR,
    UNPACK_ZSTD,    /* windows up to 8 MB (RFC 9659) */
};

enum unpack_state {
    UNPACK_MORE,     /* call again */
    UNPACK_DONE,     /* unpack_output() has the complete body */
    UNPACK_BAD,      /* corrupt, truncated, or followed by other data */
    UNPACK_LARGE,    /* larger than the limit */
    UNPACK_NO_MEMORY,
};

/* The value of an Accept-Encoding field. */
#define UNPACK_ACCEPTS "gzip, deflate, br, zstd"

/* The coding named by the Content-Encoding fields. False if it is unknown, or if there is more than
 * one. */
bool unpack_find(const struct http_fields *fields, enum unpack_coding *ret);

struct unpack;

/* Starts to decompress `packed`, which must stay valid, into at most `limit_bytes`. NULL: out of
 * memory. */
struct unpack *unpack_create(
    enum unpack_coding coding, struct str packed, size_t limit_bytes) MUST_CHECK;

/* Produces up to about 64 KB more. */
enum unpack_state unpack_step(struct unpack *u) MUST_CHECK;

/* The output so far; the caller may take the buffer once unpack_step() has returned UNPACK_DONE. */
struct buf *unpack_output(struct unpack *u) NEVER_NULL;

/* Current memory of the output and the decoder. */
size_t unpack_held_bytes(const struct unpack *u);

/* NULL is a no-op. */
void unpack_destroy(struct unpack *u);
