/* h2.h - an HTTP/2 client connection (RFC 9113), shared by many requests.
 *
 * Each request is a stream with its own flow-control window: a paused one blocks no other. Frames
 * are collected and written once at the end of a loop iteration. Callbacks come from the loop only,
 * never from inside a function of this header. A stream gets exactly one of `end` and `failed`, and
 * nothing after h2_cancel().
 */
#pragma once

#include "http/client.h"

struct h2;
struct h2_stream;

struct h2_limits {
    size_t head_bytes;    /* of a response's head: names and values */
    unsigned fields;
    unsigned streams;    /* concurrent streams assumed until the server's SETTINGS arrive */
    uint64_t idle_ms;    /* without a stream, before it is closed; 0: no limit */
    uint64_t age_ms;     /* no new streams after this; 0: no limit */
    uint64_t ping_ms;    /* of silence with open streams before a PING is sent; 0: never */
    uint64_t pong_ms;    /* for the server to answer the PING */
};

/* Events for the owner of the connection. */
struct h2_events {
    /* There may be room for another stream, or the last stream ended. */
    void (*room)(void *owner);

    /* The server closes the connection, which had been idle for `rested_ms`. `leaving` follows. */
    void (*ended_idle)(void *owner, uint64_t rested_ms);

    /* No more streams (GOAWAY, age, idle, failure). The owner must forget it; the connection serves
     * its open streams and closes itself after the last one. */
    void (*leaving)(void *owner);
};

enum { CLIENT_STALE_MS = 2000 };    /* in which a closed connection shows that it was closed */

/* What the server may have done with a request that failed. */
enum client_fate {
    CLIENT_UNPROCESSED,    /* nothing: it was not sent, or the server said so */
    CLIENT_STALE,          /* nothing, if the connection was closed before the request came there */
    CLIENT_UNKNOWN,
};

struct h2_stream_events {
    /* A part of the request's body was sent. */
    void (*sent)(void *owner);

    /* As struct client_events has them; `kept` may be NULL. */
    void (*head)(void *owner, const struct http_head *head);
    void (*data)(void *owner, struct str bytes);
    void (*kept)(void *owner);
    void (*end)(void *owner);

    /* ERR_UPSTREAM_RESET, _TRUNCATED, _PROTOCOL; ERR_NO_MEMORY. */
    void (*failed)(void *owner, enum err why, const char *detail, enum client_fate fate);
};

/* Takes over a connection on which "h2" was negotiated. */
struct h2 *h2_create(struct sock *s, const struct h2_limits *limits, const struct h2_events *events,
    void *owner) NEVER_NULL;

/* Sends GOAWAY and closes; its streams fail. Not for one that is leaving. No more callbacks for the
 * owner. */
void h2_destroy(struct h2 *h2);

/* Takes no more streams if its server's name leads elsewhere now (sock_is_outdated()); true then,
 * and the owner has been told. */
bool h2_leave_if_outdated(struct h2 *h2);

/* Streams that may be started now: one until the server's SETTINGS arrived. */
unsigned h2_room(const struct h2 *h2);

/* Open streams, and the most that the server allows as far as we know. */
unsigned h2_streams(const struct h2 *h2);
unsigned h2_capacity(const struct h2 *h2);

/* Streams started on it so far. */
uint64_t h2_started(const struct h2 *h2);

/* Sends a request; there must be room. `q` must stay until the end; its body until `head`. */
struct h2_stream *h2_start(struct h2 *h2, const struct client_request *q,
    const struct h2_stream_events *events, void *owner) NEVER_NULL;

/* Sends RST_STREAM, so that the provider stops generating. */
void h2_cancel(struct h2_stream *s);

/* While paused no `head`, `data`, `end` or `failed` comes, and the server gets no more window for
 * this stream. h2_resume() may call back: from the loop only. */
void h2_pause(struct h2_stream *s);
void h2_resume(struct h2_stream *s);

/* Bytes that the stream keeps: the rest of a request that was answered early, and what came during
 * a pause. */
uint64_t h2_held_bytes(const struct h2_stream *s);
