/* chunked.h - a strict decoder for the chunked transfer coding, working in place.
 *
 * Sizes consist of hexadecimal digits only and lines end with CRLF. Chunk extensions and trailers
 * are validated and dropped, and their total size is limited.
 */
#pragma once

#include "base/base.h"

enum {
    CHUNKED_NAME_ROOM = 20,      /* longest forbidden trailer name, and a few more */
    CHUNKED_HEADER_ROOM = 18,    /* size in hexadecimal, and CRLF */
};

/* Zero it before each body. */
struct chunked {
    uint64_t left;        /* remaining bytes of the current chunk */
    uint32_t overhead;    /* bytes of extensions and trailers so far */
    uint8_t state;
    uint8_t digits;    /* digits of the size so far */
    uint8_t name_n;    /* length of the trailer name so far */
    char name[CHUNKED_NAME_ROOM];
};

/* Removes bytes from the front of *bytes, up to and including the next run of data, which is stored
 * in *ret_data (empty if there is none). False: malformed, and `*ret_why` says how. Call it again
 * while *bytes is not empty and chunked_done() is false. */
bool chunked_decode(
    struct chunked *c, struct str *bytes, struct str *ret_data, const char **ret_why) MUST_CHECK;

/* The last chunk and the trailers were read; nothing after the terminator was consumed. */
bool chunked_done(const struct chunked *c);

/* Writes the size line of a chunk of `n` bytes to `room`. */
struct str chunked_header(size_t n, char room[CHUNKED_HEADER_ROOM]);
