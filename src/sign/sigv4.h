/* sigv4.h - signs requests to AWS: Signature Version 4.
 *
 * The signature covers the method, the path, the query, some header fields and the body, so it is
 * made last, of exactly what is sent. Pure: the time is an argument.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

struct sigv4_key {
    struct str id;
    struct str secret;
    struct str session;    /* the token of a key that was lent for some time; empty: none */
};

struct sigv4_request {
    struct str method;
    struct str host;      /* as in the Host field */
    struct str target;    /* path and query as they are sent, encoded once */
    struct str fields;    /* the header fields to sign besides Host: "Name: value\r\n" lines */
    const struct str *body;
    size_t body_count;
    bool plain_path;    /* S3: the path is not encoded a second time */
};

/* Appends the field lines X-Amz-Date, X-Amz-Security-Token (of a session) and Authorization.
 * False when the scratch arena's memory is used up. */
bool sigv4_sign(struct buf *out, const struct sigv4_request *q, const struct sigv4_key *key,
    struct str region, struct str service, uint64_t wall_ms, struct arena *scratch) MUST_CHECK;
