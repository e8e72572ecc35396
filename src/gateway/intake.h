/* intake.h - reads one provider's answer: bytes into frames, frames into events.
 *
 * Every answer is read by its wire's decoder, so its completeness, usage, finish reason and first
 * token are known whatever is done with it. The intake knows neither the caller nor the exchange:
 * the events go into a chain of filters, and each frame's own bytes to `frame`.
 */
#pragma once

#include "base/secret.h"
#include "conf/conf.h"
#include "gateway/job.h"
#include "http/message.h"
#include "http/websocket.h"
#include "llm/framing.h"
#include "llm/headroom.h"
#include "llm/wire.h"

enum intake_source {
    SOURCE_NONE,
    SOURCE_ERROR,     /* a failed answer's body, collected to be classified */
    SOURCE_WHOLE,     /* one document, collected */
    SOURCE_STREAM,    /* frames */
    SOURCE_RAW,       /* not ours to understand: passed through as it comes */
    SOURCE_UNSURE,    /* WHOLE or STREAM: the first bytes decide */
};

/* What of it is only passed through. */
struct intake_raw {
    bool text;       /* searched for secrets */
    bool session;    /* no answer but what comes after status 101 */
    struct ws_reader messages;
    bool events;       /* whole events go on, so that there is room between two for another */
    bool failure;      /* it speaks of an error: every secret counts */
    uint64_t count;    /* events with data so far */
    struct secret_scan scan;
};

struct intake {
    enum intake_source source;
    int status;                 /* of the answer's head; 0: none yet */
    int64_t length;             /* its Content-Length, -1: unknown */
    struct str content_type;    /* empty if it cannot be shown */
    struct str location;        /* of a redirect */
    int64_t asked_ms;           /* a refusal: what retry_after.h finds in its fields */
    int64_t reset_ms;
    struct headroom headroom;    /* what the fields say is left of the provider's limits */
    bool limited;                /* they do */
    const struct secrets *secrets;
    bool names_no_model;    /* the request: 404 means something else that does not exist */

    const struct framing *frames;    /* of a stream */
    struct framing_reader framing;
    struct wire_reader reader;
    struct event_sink sink;       /* the reader's events come in here */
    struct event_sink *events;    /* and go on to the first filter */
    /* Gets each frame's bytes after its events, and everything that is only passed through. May be
     * NULL. */
    void (*frame)(struct intake *in, struct str raw);

    struct buf body;            /* what was collected */
    struct str reading;         /* the frame or document that the decoder is reading */
    enum err frame_error;       /* a frame made no sense */
    struct llm_error *error;    /* the answer itself said that it failed; NULL: it did not */
    struct intake_raw *raw;     /* SOURCE_RAW */

    bool asked_stream;    /* the provider was asked for one */
    bool says_stream;     /* its content type says that it is one */
    bool encoded;         /* compressed: secrets cannot be found in it */
    bool html, json;      /* what a collected document begins like */
    bool frame_said;      /* the decoder emitted an event for the frame being read */
    bool terminated;      /* the terminator came; not only an end that completes the answer */
    bool trailing;        /* at least one frame came after it */
    bool read;            /* a document was read */

    uint64_t heard_us;    /* the last byte that counts where tokens cannot be told */
    uint64_t byte_us;     /* the last byte, where the caller bounds the silence */
};

/* Prepares for the answer with that head. `secrets`, `asked_stream`, `events` and the reader's
 * wire, op, choices and arenas are set already. */
void intake_begin(
    struct intake *in, const struct http_head *head, const struct conf_server *limits);

/* SOURCE_UNSURE: do the bytes tell what the answer is? Then it is SOURCE_WHOLE or SOURCE_STREAM. */
bool intake_tell(struct intake *in, struct str bytes);

/* Reads a run of the answer's body, or collects it. OK; or why the attempt failed. A document that
 * came in one piece has been read: `read`. */
enum err intake_data(struct intake *in, struct str bytes) MUST_CHECK;

/* Of a stream: may another `n` bytes complete so much that it takes longer to read than others
 * should wait? */
static inline bool
intake_is_large(const struct intake *in, size_t n)
{
    return framing_pending(&in->framing).n + n > job_least_bytes &&
           (in->source == SOURCE_STREAM || (in->source == SOURCE_RAW && in->raw->events));
}

/* Reads a document. */
enum err intake_read(struct intake *in, struct str body) MUST_CHECK;

/* The body ended: reads what was collected, unless that was done. OK when the answer is complete.
 * `ended`: as its framing says. Of SOURCE_ERROR the error is never OK. */
enum err intake_end(struct intake *in, bool ended) MUST_CHECK;

/* Memory that it holds. */
static inline uint64_t
intake_held_bytes(const struct intake *in)
{
    return in->body.cap + framing_held_bytes(&in->framing);
}

/* Frees it. */
void intake_fini(struct intake *in);
