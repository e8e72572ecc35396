/* h2_stream.h - private to HTTP/2's files: a connection and its streams, as both halves see them.
 *
 * h2.c keeps the connection: frames in and out, its life and its end. h2_stream.c keeps one stream:
 * the request's body on its way out, the answer's head and body on their way to the owner. What
 * they share with the library goes through h2.c alone.
 */
#pragma once

#include "http/h2.h"

enum {
    H2_STREAM_WINDOW = 256 * 1024,             /* what a server may send into a pause */
    H2_CONNECTION_WINDOW = 4 * 1024 * 1024,    /* always open: streams hold each other up nowhere */
    H2_DETAIL_ROOM = 96,
    H2_INTERIM_MAX = 16,    /* 1xx answers before the real one */
};

struct h2_stream {
    struct loop *loop;
    struct h2 *h2;    /* NULL: the connection is done with it */
    struct h2_stream *prev;
    struct h2_stream *next;
    int32_t id;
    const struct client_request *request;
    const struct h2_stream_events *events;
    void *owner;
    struct deferred later;    /* frees it */
    bool gone;                /* the owner has heard the last, or cancelled */
    bool paused;
    bool fresh;           /* the first of its connection */
    uint64_t heard_at;    /* the connection's count of reads when it was started */
    uint64_t since_ms;

    /* the request's body */
    size_t piece;
    size_t piece_at;
    uint64_t left;
    bool unwanted;      /* answered by a refusal: the rest is not sent */
    struct buf rest;    /* the rest, once its pieces may vanish */

    /* the answer: fields' lengths are in `fields`, their bytes one behind the other in `text` */
    bool answered;    /* a byte of it came */
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
    struct buf kept;    /* body that came during a pause */

    bool reset_by_peer;
    bool not_sent;    /* the library could not send its head any more */
    bool broken;      /* `why`, `detail` and `fate` say how */
    enum client_fate fate;
    enum err why;
    char detail[H2_DETAIL_ROOM];
};

/* --- h2_stream.c --- */

struct h2_stream *h2_stream_create(struct loop *l, const struct client_request *q,
    const struct h2_stream_events *events, void *owner) NEVER_NULL;

/* The owner is done with it; the memory goes at the end of the turn. */
void h2_stream_release(struct h2_stream *s);

/* Takes the next "Name: value\r\n" line off `fields` that goes over HTTP/2; false behind the
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

/* A run of the body. False: out of memory. */
bool h2_stream_data(struct h2_stream *s, struct str bytes) MUST_CHECK;

/* It ended badly; the owner hears of it when it wants to. The first reason counts. */
void h2_stream_break(struct h2_stream *s, enum err why, const char *detail, enum client_fate fate);

/* Gives the owner what came, in order, as long as it wants it. */
void h2_stream_deliver(struct h2_stream *s);

/* --- h2.c --- */

/* `n` bytes of the body are with the owner: the server may send as many more. */
void h2_stream_consumed(struct h2_stream *s, size_t n);

/* Takes the stream off its connection, with RST_STREAM unless both sides had ended it. */
void h2_stream_detach(struct h2_stream *s);
