/* h2_stream.h - private to HTTP/2's files: the interface between connection and stream.
 *
 * h2.c and h2_session.c have the connection. h2_stream.c has one stream: the request's body on its
 * way out, the response's head and body on their way to the owner. It does not call the library.
 */
#pragma once

#include "http/h2.h"

enum {
    H2_STREAM_WINDOW = 256 * 1024,    /* what a server may send while a stream is paused */
    H2_CONNECTION_WINDOW =
        4 * 1024 * 1024,    /* replenished at once: streams never block each other */
    H2_DETAIL_ROOM = 96,
    H2_INTERIM_MAX = 16,    /* 1xx responses before the final one */
};

struct h2_stream {
    struct loop *loop;
    struct h2 *h2;    /* NULL once it was removed from the connection */
    struct h2_stream *prev;
    struct h2_stream *next;
    int32_t id;
    const struct client_request *request;
    const struct h2_stream_events *events;
    void *owner;
    struct deferred later;    /* frees it */
    bool gone;                /* the last callback was made, or the owner cancelled */
    bool paused;
    bool fresh;           /* the first of its connection */
    uint64_t heard_at;    /* the connection's count of reads when it was started */
    uint64_t since_ms;

    /* the request's body */
    size_t piece;
    size_t piece_at;
    uint64_t left;
    bool unwanted;      /* an error response arrived: the rest is not sent */
    struct buf rest;    /* a copy of the rest, once its pieces may be freed */

    /* the response: the lengths of its fields are in `fields`, their bytes concatenated in
     * `text` */
    bool answered;    /* a byte of it arrived */
    bool head_came;
    bool head_told;
    bool complete;
    unsigned interim;
    int status;
    struct buf text;
    struct http_field *fields;
    size_t fields_n;
    size_t fields_room;
    struct http_head head;
    struct buf kept;    /* body that arrived while paused */

    bool reset_by_peer;
    bool not_sent;    /* GOAWAY came before the library sent its head */
    bool broken;      /* `why`, `detail` and `fate` say how */
    enum client_fate fate;
    enum err why;
    char detail[H2_DETAIL_ROOM];
};

/* --- h2_stream.c --- */

struct h2_stream *h2_stream_create(struct loop *l, const struct client_request *q,
    const struct h2_stream_events *events, void *owner) NEVER_NULL;

/* The owner is done with it; the memory is freed at the end of the loop iteration. */
void h2_stream_release(struct h2_stream *s);

/* Takes the next "Name: value\r\n" line off `fields` that is allowed in HTTP/2; false after the
 * last. */
bool h2_stream_next_field(struct str *fields, struct http_field *ret);

/* Does a field of that name hold a credential? */
bool h2_stream_is_secret(struct str name);

/* The next part of the body, at most `room` bytes: how many there are, then the bytes
 * themselves. */
size_t h2_stream_next(const struct h2_stream *s, size_t room);
void h2_stream_take(struct h2_stream *s, size_t n, struct buf *out);

/* A head begins, has a field, is complete. NULL, or a literal that says what is wrong. */
void h2_stream_begin_head(struct h2_stream *s);
const char *h2_stream_field(
    struct h2_stream *s, struct str name, struct str value, const struct h2_limits *limits);
const char *h2_stream_end_head(struct h2_stream *s);

/* A part of the body. False: out of memory. */
bool h2_stream_data(struct h2_stream *s, struct str bytes) MUST_CHECK;

/* It failed; the owner is told unless it has paused. The first reason counts. */
void h2_stream_break(struct h2_stream *s, enum err why, const char *detail, enum client_fate fate);

/* Delivers what arrived to the owner, in order, until it pauses. */
void h2_stream_deliver(struct h2_stream *s);

/* --- h2.c --- */

/* The owner consumed `n` bytes of the body: the server may send as many more. */
void h2_stream_consumed(struct h2_stream *s, size_t n);

/* Removes the stream from its connection, with RST_STREAM unless both sides had ended it. */
void h2_stream_detach(struct h2_stream *s);
