/* relay.h - forwards a provider's answer to the client.
 *
 * Every answer is read by its wire's decoder, so usage, finish reason, first token and
 * completeness are known. What the caller gets is either the provider's own
 * bytes (same wire) or what the caller's wire writes from the events. Nothing
 * goes out before a real token has arrived; until then another
 * target can still take over unnoticed.
 */
#pragma once

#include "base/secret.h"
#include "gateway/tally.h"
#include "http/message.h"
#include "llm/wire.h"

struct exchange;

enum relay_source {
    SOURCE_NONE,
    SOURCE_ERROR,     /* a failed answer's body, collected to be classified */
    SOURCE_WHOLE,     /* one document, collected */
    SOURCE_STREAM,    /* frames */
    SOURCE_RAW,       /* not ours to understand: passed through as it comes */
    SOURCE_UNSURE,    /* WHOLE or STREAM: the first bytes decide */
};

enum relay_output {
    OUTPUT_FORWARD,    /* the provider's bytes as they are */
    OUTPUT_EVENTS,     /* the caller's wire writes a stream */
    OUTPUT_FOLD,       /* events are folded, the caller's wire writes one document */
};

/* Answers of which more than this has to be read or written at once are so on a helper thread, and
 * go to the caller in pieces of this size. */
#define RELAY_LARGE_BYTES (256u * 1024)

/* What a helper thread works with: memory that is its own until it is done. */
struct relay_job {
    struct arena *keep, *scratch;
    struct quota_share share;    /* counts both */
    struct str body;             /* the document, if it has to be read */
    enum err result;
};

struct relay {
    enum relay_source source;
    enum relay_output output;
    struct framing_reader framing;
    struct buf body;     /* a collected document */
    struct buf out;      /* frames held back, or written in this turn */
    struct str chunk;    /* the provider's bytes being read */
    /* adjacent frames of `chunk`, sent after `out` without a copy */
    struct str run;
    struct str reading;        /* the frame or document that the decoder is reading */
    enum err frame_error;      /* a frame made no sense */
    struct event_sink sink;    /* the decoder's events arrive here */
    struct wire_reader reader;
    struct wire_writer writer;
    struct llm_answer *answer;    /* OUTPUT_FOLD, in `fold` */
    struct arena *fold;
    struct relay_job *job;      /* of a large answer; NULL: none */
    struct str rest;            /* of a large answer: what is still to be sent, in `body` or `out` */
    uint64_t held;              /* counted in the worker's share for the buffers here */
    struct str content_type;    /* the provider's */
    struct str passed;          /* the provider's field lines that go on to the caller */

    int64_t length;      /* the provider's Content-Length, -1 unknown */
    bool says_stream;    /* its content type does */
    bool trailing;       /* at least one frame came after the terminator */
    bool whole_done;     /* a whole answer was decoded and written */
    bool content;        /* a real token was seen */
    bool error_event;    /* the answer itself said that it failed: `error` */
    struct llm_error error;
    struct tally tally;
    /* the last token, or byte where tokens cannot be told: for between_tokens */
    uint64_t heard_us;
    uint64_t byte_us;          /* the last byte, where the caller bounds the silence */
    uint64_t last_write_us;    /* for keep-alives */

    bool html, json;        /* what a collected document begins like */
    struct str location;    /* of a redirect */

    bool frame_said;    /* the decoder emitted an event for the frame being read */
    bool encoded;       /* the answer is compressed: secrets cannot be found in it */
    /* SOURCE_RAW, text: searched for secrets, and `body` holds its last bytes back */
    bool raw_text;
    bool raw_failure;    /* it speaks of an error: every secret counts */
    /* SOURCE_RAW, an event stream: whole events go on, so that there is always room between two for
     * a comment or an error */
    bool raw_events;
    uint64_t raw_count;    /* events with data so far */
    struct secret_scan scan;
};

/* Chooses source and output for an answer's head. */
void relay_begin(struct exchange *x, const struct http_head *head);

/* A run of the answer's body: read, and left in `out` and `run` for relay_flush(), which must be
 * called before `bytes` goes away. OK; or why the attempt failed. */
enum err relay_data(struct exchange *x, struct str bytes) MUST_CHECK;

/* The body ended as framed: finishes decoding. OK when the answer is complete and all of it has
 * been written. */
enum err relay_end(struct exchange *x) MUST_CHECK;

/* Instead of relay_end(): is so much of the answer still to be read or written that another thread
 * should do it? If so, makes it ready for relay_work(), after which comes relay_end_large(). */
bool relay_begin_large(struct exchange *x) MUST_CHECK;

/* Reads and writes a large answer: work for exchange_offload(). */
void relay_work(struct exchange *x);

/* Begins to send it: relay_send_rest() sends the rest. */
enum err relay_end_large(struct exchange *x) MUST_CHECK;

/* Sends the next piece of a large answer, if anything is left of one. */
void relay_send_rest(struct exchange *x);

/* Sends the answer's head to the caller if that has not happened. */
void relay_respond(struct exchange *x);

/* Sends what was gathered, or keeps it back while no content has come. */
void relay_flush(struct exchange *x);

/* Forgets what was gathered and not sent. */
void relay_drop(struct exchange *x);

/* Is a stream silent for so long that its caller should hear something? */
bool relay_is_silent(const struct exchange *x);

/* Sends a comment, or what else the protocol has for that. */
void relay_keepalive(struct exchange *x);

/* Answers with a refusal as the provider worded it: a route that is only passed through. */
void relay_refuse(struct exchange *x);

/* Ends the client's stream with an error event. */
void relay_break(struct exchange *x, const struct llm_error *e);

/* Counts what is collected, held back, or kept by the connection to the provider. ERR_OVERLOADED when
 * the process holds all that it may. */
enum err relay_hold(struct exchange *x) MUST_CHECK;

/* Releases the memory of an answer that has been written. */
void relay_release(struct exchange *x);

/* Frees all that the answer holds. */
void relay_fini(struct exchange *x);
/* Forgets the attempt's state, ready for the next one. */
void relay_reset(struct exchange *x);
