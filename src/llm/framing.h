/* framing.h - cuts the bytes of a streamed answer into frames, wherever they were split on their
 * way.
 *
 * A framing is how a protocol puts the events of a stream after each other: server-sent events, a
 * JSON document per line, messages of an AWS event stream, the elements of one JSON array. Each
 * frame comes with its exact bytes, and the bytes of all frames put together are the stream: a
 * relay between two sides of one protocol forwards them unchanged, and can leave one out or add one
 * between two others. A frame that arrives in one piece is not copied.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

struct frame {
    struct str raw;    /* exact bytes, never empty */
    struct str
        event;    /* its name, where the framing has one; an error that it marks has one always */
    struct str data;    /* empty when has_data is false */
    bool has_data;      /* false: a comment, an empty line, a closing bracket */
};

struct framing_reader;

struct framing {
    struct str name;
    struct str type;    /* media type of such a stream */

    /* Bytes that may stand between two frames and carry nothing, so that a silent stream is not
     * taken for dead. Empty: the framing has none. */
    struct str keepalive;
    /* What begins such bytes that people may read, up to an empty line; empty: it has none. */
    struct str comment;

    /* The first bytes that only a stream has, NUL-terminated. */
    const char *begins;
    bool like_document;    /* a stream begins as a single document does */
    int end_lines;         /* line ends at a frame's end, which the last one may lack; 0: it may not */

    /* Length of the frame at the front of `s`, or 0 when its end has not arrived: then it is called
     * again with more bytes added to `s` and resumes the search. */
    size_t (*find_end)(struct framing_reader *r, struct str s, enum err *ret_err);

    /* Fills the frame, whose `raw` is set. */
    enum err (*parse)(struct framing_reader *r, struct frame *f);
};

extern const struct framing framing_sse;    /* WHATWG's event streams, and what hosts make of them */
extern const struct framing framing_ndjson;    /* one JSON document per line */
extern const struct framing
    framing_aws_events;    /* application/vnd.amazon.eventstream, CRCs checked */
extern const struct framing framing_json_array;    /* the objects of one array */

/* How far the search for the end of a frame has progressed. */
struct framing_search {
    size_t line;             /* start of the current line */
    size_t scanned;          /* no end between `line` and here */
    bool filled;             /* a non-empty line was seen */
    bool after_lone_cr;      /* the previous line ended with a CR without LF */
    bool quoted, escaped;    /* inside a JSON string; after a backslash in it */
    size_t depth;            /* of JSON objects and arrays */
};

struct framing_reader {
    const struct framing *framing;
    struct buf pending;    /* an incomplete frame */
    struct buf joined;     /* data in several pieces, joined */
    size_t limit_bytes;    /* maximum size of a frame */
    struct framing_search search;
    bool started;     /* there was a frame */
    uint8_t phase;    /* of a JSON array, across its elements */
};

/* Called for each frame, which is valid during the call only. False: stop, the remaining bytes are
 * dropped. It must not destroy the reader. */
typedef bool frame_fn(void *arg, const struct frame *f);

/* `limit_bytes`: the maximum size of a frame. */
void framing_init(struct framing_reader *r, const struct framing *framing, size_t limit_bytes);
void framing_fini(struct framing_reader *r);

/* Emits each frame that `bytes` complete. ERR_UPSTREAM_TOO_LARGE: one exceeds the limit;
 * ERR_UPSTREAM_PROTOCOL: the bytes are not of this framing. */
enum err framing_feed(
    struct framing_reader *r, struct str bytes, frame_fn *emit, void *arg) MUST_CHECK;

/* End of the stream: emits a last frame without its end where the framing allows for it;
 * ERR_UPSTREAM_TRUNCATED where not. */
enum err framing_end(struct framing_reader *r, frame_fn *emit, void *arg) MUST_CHECK;

/* Memory that it holds. */
static inline size_t
framing_held_bytes(const struct framing_reader *r)
{
    return r->pending.cap + r->joined.cap;
}

/* Bytes of the incomplete frame. */
static inline struct str
framing_pending(const struct framing_reader *r)
{
    return buf_str(&r->pending);
}

enum framing_shape {
    SHAPE_UNSURE,      /* only blanks so far */
    SHAPE_DOCUMENT,    /* one document */
    SHAPE_STREAM,      /* frames */
};

/* What an answer is. Some hosts mislabel their answers, some give what was not asked for: where the
 * first byte that is not blank tells a document from a stream it does, and else the media type
 * (`says_stream`: it is the framing's), or what was asked for. */
enum framing_shape framing_tell(
    const struct framing *framing, struct str first_bytes, bool says_stream, bool asked_stream);

/* Begins a message of an AWS event stream at the end of `out`; its payload is appended next, and
 * framing_aws_end() with what this returned completes it. `type` is "event" or "exception", `name`
 * the event's or the exception's. */
size_t framing_aws_begin(struct buf *out, struct str type, struct str name) MUST_CHECK;
void framing_aws_end(struct buf *out, size_t begun);

/* Adds the end that the last frame in `out` lacks (end_lines), so that what follows does not run
 * into it. `out` ends with that frame. */
void framing_close(const struct framing *framing, struct buf *out);
