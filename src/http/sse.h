/* sse.h - server-sent events taken apart as they arrive, however they are cut.
 *
 * The WHATWG event-stream grammar: LF, CRLF or CR, comments, several data lines
 * joined by LF, a byte-order mark, and (beyond it) a last event without its
 * blank line. Each frame comes with its exact bytes, so that a relay can pass
 * it on untouched. Nothing is copied when an event arrives in one piece.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

struct sse_frame {
    struct str raw;      /* exact bytes, blank lines before it and the blank line behind included */
    struct str event;    /* "event:" field, or empty */
    struct str data;     /* "data:" lines joined; empty when has_data is false */
    bool has_data;       /* false: only comments or other fields */
    struct str error;    /* a field named "error" (some llama.cpp hosts), or empty */
};

/* How far the search for an event's end came; it goes on when more bytes have arrived. */
struct sse_search {
    size_t line;           /* start of the line that is looked at */
    size_t scanned;        /* no line end between there and here */
    bool filled;           /* a line that is not blank was seen */
    bool after_lone_cr;    /* the line before ended with a CR and no LF */
};

struct sse_reader {
    struct buf pending;    /* an event that is not complete yet */
    struct buf joined;     /* several data lines */
    size_t limit_bytes;    /* the largest event */
    struct sse_search search;
    bool started;    /* the byte-order mark was looked for */
};

/* `limit_bytes`: the largest event. */
void sse_init(struct sse_reader *r, size_t limit_bytes);
void sse_fini(struct sse_reader *r);

/* Takes bytes and calls emit(arg, frame) for each complete frame; a false from emit stops and drops
 * the rest. ERR_UPSTREAM_TOO_LARGE when an event passes the limit, ERR_NO_MEMORY when memory is
 * gone. The frame is valid during the call. The reader must outlive the call. */
enum err sse_feed(struct sse_reader *r, struct str bytes,
    bool (*emit)(void *arg, const struct sse_frame *frame), void *arg) MUST_CHECK;

/* The stream ended: emits a last frame that lacks its blank line, if there is one. */
enum err sse_end(struct sse_reader *r, bool (*emit)(void *arg, const struct sse_frame *frame),
    void *arg) MUST_CHECK;
