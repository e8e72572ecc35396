/* h2.h - HTTP/2 as a client speaks it (RFC 9113): one connection that many requests share.
 *
 * Each request is a stream with a window of its own: one that is paused holds
 * up no other. Frames are gathered and written once at the end of the turn. Callbacks
 * come from the loop only, never from inside a call of this header; a stream hears
 * nothing after h2_cancel(), and exactly one of `end` and `failed` otherwise.
 */
#pragma once

#include "http/client.h"

struct h2;
struct h2_stream;

struct h2_limits {
    size_t head_bytes;    /* an answer's head: names and values */
    unsigned fields;
    unsigned streams;    /* that a server allows at once, until it says */
    uint64_t idle_ms;    /* longest rest without a stream; 0: no limit */
    uint64_t age_ms;     /* no new streams after this; 0: no limit */
    uint64_t ping_ms;    /* of silence while streams are open; then the server is asked; 0: never */
    uint64_t pong_ms;    /* it has to answer */
};

/* What the keeper of the connection hears. */
struct h2_events {
    /* There may be room for another stream, or the connection came to rest. */
    void (*room)(void *owner);

    /* The server ends the connection, on which no stream was open for so long. `leaving` follows. */
    void (*ended_idle)(void *owner, uint64_t rested_ms);

    /* It takes no more streams: GOAWAY, age, rest, failure. Forget it; it goes on for the streams
     * that it has, and closes itself behind the last. */
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
    /* A part of the request's body went out. */
    void (*sent)(void *owner);

    /* As struct client_events has them. */
    void (*head)(void *owner, const struct http_head *head);
    void (*data)(void *owner, struct str bytes);
    void (*end)(void *owner);

    /* ERR_UPSTREAM_RESET, _TRUNCATED, _PROTOCOL; ERR_NO_MEMORY. */
    void (*failed)(void *owner, enum err why, const char *detail, enum client_fate fate);
};

/* Takes over a connection on which "h2" was agreed. */
struct h2 *h2_create(struct sock *s, const struct h2_limits *limits, const struct h2_events *events,
    void *owner) NEVER_NULL;

/* Says good-bye and closes; its streams fail. Not for one that is leaving. The owner hears nothing
 * more. */
void h2_destroy(struct h2 *h2);

/* Takes no more streams if its server's name leads elsewhere now (sock_is_outdated()); true then, and
 * the owner has been told. */
bool h2_leave_if_outdated(struct h2 *h2);

/* Streams that may be started now. Until the server's settings are known: one. */
unsigned h2_room(const struct h2 *h2);

/* Streams that it has, and most that it may have as far as we know. */
unsigned h2_streams(const struct h2 *h2);
unsigned h2_capacity(const struct h2 *h2);

/* Streams started on it since it was made. */
uint64_t h2_started(const struct h2 *h2);

/* Sends a request; there must be room. `q` must stay until the end; its body until `head`. */
struct h2_stream *h2_start(struct h2 *h2, const struct client_request *q,
    const struct h2_stream_events *events, void *owner) NEVER_NULL;

/* Stops caring: RST_STREAM, so that the provider stops working. */
void h2_cancel(struct h2_stream *s);

/* While paused no `head`, `data`, `end` or `failed` comes, and the server gets no more window for
 * this stream. h2_resume() may call back: from the loop only. */
void h2_pause(struct h2_stream *s);
void h2_resume(struct h2_stream *s);
