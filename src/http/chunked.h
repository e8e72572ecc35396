/* chunked.h - the chunked transfer coding, decoded strictly and in place.
 *
 * Sizes are hexadecimal digits and nothing else, lines end with CRLF, chunk
 * extensions and trailers are checked and dropped, and what they may add up to
 * is bounded.
 */
#pragma once

#include "base/base.h"

enum {
    CHUNKED_NAME_ROOM = 20,      /* the longest trailer name that we refuse, and a few more */
    CHUNKED_HEADER_ROOM = 18,    /* size in hexadecimal and its line end */
};

/* Zeroed before each body. */
struct chunked {
    uint64_t left;        /* of the current chunk */
    uint32_t overhead;    /* bytes of extensions and trailers so far */
    uint8_t state;
    uint8_t digits;    /* of the size */
    uint8_t name_n;    /* of a trailer's name */
    char name[CHUNKED_NAME_ROOM];
};

/* Takes bytes off the front of *bytes up to and including the next run of data, which *ret_data
 * then is (empty when they hold none). False: malformed; `*ret_why` says how. Call again while
 * *bytes is not empty and chunked_done() is false. */
bool chunked_decode(
    struct chunked *c, struct str *bytes, struct str *ret_data, const char **ret_why) MUST_CHECK;

/* The last chunk and the trailers have been read; nothing behind them has been taken. */
bool chunked_done(const struct chunked *c);

/* Writes the line before a chunk of `n` bytes into `room`. */
struct str chunked_header(size_t n, char room[CHUNKED_HEADER_ROOM]);
