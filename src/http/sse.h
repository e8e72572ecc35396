/* sse.h - a parser for server-sent event streams that works on input split at any point.
 *
 * It implements the event-stream grammar of the WHATWG: LF, CRLF or CR line ends, comments, several
 * data lines joined by LF, and a byte-order mark. In addition it accepts a last event without its
 * empty line. Each frame comes with its exact bytes, so that a relay can forward it unchanged. An
 * event that arrives in one piece is not copied.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

struct sse_frame {
    struct str raw;      /* exact bytes, with the empty lines before and after the event */
    struct str event;    /* "event:" field, or empty */
    struct str data;     /* "data:" lines joined; empty when has_data is false */
    bool has_data;       /* false: only comments or other fields */
    struct str error;    /* the "error:" field that some llama.cpp servers send, or empty */
};

/* How far the search for the end of an event has progressed; it resumes when more input arrives. */
struct sse_search {
    size_t line;           /* start of the current line */
    size_t scanned;        /* no line end between `line` and here */
    bool filled;           /* a non-empty line was seen */
    bool after_lone_cr;    /* the previous line ended with a CR without LF */
};

struct sse_reader {
    struct buf pending;    /* an incomplete event */
    struct buf joined;     /* several data lines, joined */
    size_t limit_bytes;    /* maximum size of an event */
    struct sse_search search;
    bool started;    /* the byte-order mark was checked for */
};

/* `limit_bytes`: the maximum size of an event. */
void sse_init(struct sse_reader *r, size_t limit_bytes);
void sse_fini(struct sse_reader *r);

/* Parses bytes and calls emit(arg, frame) for each complete frame. If emit returns false, parsing
 * stops and the remaining bytes are dropped. ERR_UPSTREAM_TOO_LARGE: an event exceeds the limit.
 * The frame is valid during the call only. The reader must not be destroyed during the call. */
enum err sse_feed(struct sse_reader *r, struct str bytes,
    bool (*emit)(void *arg, const struct sse_frame *frame), void *arg) MUST_CHECK;

/* End of the stream: emits a last frame that lacks its empty line, if there is one. */
enum err sse_end(struct sse_reader *r, bool (*emit)(void *arg, const struct sse_frame *frame),
    void *arg) MUST_CHECK;
