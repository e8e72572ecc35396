/* unpack.h - request bodies that came compressed, made plain again.
 *
 * Hostile input costs its limit and no more: the output is bounded, the decoder's own memory is
 * bounded and told, and each step does a bounded amount of work, so that a large body does not hold
 * up the loop.
 */
#pragma once

#include "base/buf.h"
#include "http/message.h"

enum unpack_coding {
    UNPACK_NONE,
    UNPACK_GZIP,       /* one member or several (RFC 1952) */
    UNPACK_DEFLATE,    /* in zlib's wrapper, as RFC 9110 says, or bare, as some send it */
    UNPACK_BR,
    UNPACK_ZSTD,    /* windows up to 8 MB (RFC 9659) */
};

enum unpack_state {
    UNPACK_MORE,     /* call again */
    UNPACK_DONE,     /* all of it is in unpack_output() */
    UNPACK_BAD,      /* damaged, cut short, or followed by something else */
    UNPACK_LARGE,    /* more than the limit */
    UNPACK_NO_MEMORY,
};

/* What an Accept-Encoding field says of us. */
#define UNPACK_ACCEPTS "gzip, deflate, br, zstd"

/* The coding that the Content-Encoding fields name. False when they name one that is unknown, or
 * more than one. */
bool unpack_find(const struct http_fields *fields, enum unpack_coding *ret);

struct unpack;

/* Unpacks `packed`, which must stay where it is, into at most `limit_bytes`. NULL without memory. */
struct unpack *unpack_create(
    enum unpack_coding coding, struct str packed, size_t limit_bytes) MUST_CHECK;

/* Goes on for at most some 64 KB. */
enum unpack_state unpack_step(struct unpack *u) MUST_CHECK;

/* The plain bytes so far; the caller may take the buffer away when all is done. */
struct buf *unpack_output(struct unpack *u) NEVER_NULL;

/* What the output and the decoder occupy now. */
size_t unpack_held_bytes(const struct unpack *u);

/* NULL is a no-op. */
void unpack_destroy(struct unpack *u);
