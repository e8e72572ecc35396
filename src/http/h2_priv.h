/* h2_priv.h - private to h2.c and h2_session.c: a connection and what the two know of each other.
 *
 * h2.c has the connection's life: its owner, its time, its streams, its end. h2_session.c has the
 * library's callbacks: frames that came, frames to be sent.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "http/h2_stream.h"
#include "net/timer.h"

enum {
    H2_WRITE_BYTES = 64 * 1024,    /* passed to the socket at a time */
    H2_CREDIT_MAX = 1000,          /* frames without content, per second */
};

struct h2 {
    nghttp2_session *session;
    struct sock *sock;
    struct loop *loop;
    struct h2_limits limits;
    const struct h2_events *events;
    void *owner;
    struct h2_stream *first;
    unsigned streams;
    uint64_t started;
    struct deferred turn;
    bool settled;      /* the server's SETTINGS arrived */
    bool leaving;      /* no more streams; the owner was told */
    bool over;         /* closed, to be freed */
    bool made_room;    /* the owner has to be told */

    struct buf out;
    nghttp2_nv *nva;    /* of the request being sent */
    size_t nva_room;
    size_t nva_n;

    struct timer timer;
    uint64_t born_ms;
    uint64_t heard_ms;    /* time of the last read, or of the first stream after being idle */
    uint64_t rested_ms;
    uint64_t pinged_ms;    /* time of the PING that has no answer yet; 0: none */
    uint64_t heard;        /* reads */
    unsigned credit;
    uint64_t credit_ms;
    char detail[H2_DETAIL_ROOM];    /* the library's error */
};

/* --- h2.c --- */

/* The owner forgets it; from now on it closes itself. */
void h2_leave(struct h2 *h2);

/* The server closes it: reports how long it had been idle. */
void h2_note_idle_end(struct h2 *h2);

/* The connection forgets the stream; h2_reset() also tells the server. */
void h2_unlink(struct h2_stream *s);
void h2_reset(struct h2_stream *s, uint32_t code);

/* --- h2_session.c --- */

nghttp2_session *h2_session_create(struct h2 *h2) NEVER_NULL;

/* Submits the request of `s`, which has an id then. */
void h2_session_submit(struct h2 *h2, struct h2_stream *s, const struct client_request *q);
