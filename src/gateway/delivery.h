/* delivery.h - what the caller gets.
 *
 * Each attempt writes a draft: the provider's bytes as they are (same wire), or what the caller's
 * wire makes of the events, as a stream or folded into one document. Nothing of it is sent before a
 * real token is in it; until then another attempt can still take over unnoticed. Then the
 * exchange's one delivery commits to a draft and sends it on, in bounded pieces.
 */
#pragma once

#include "gateway/filters.h"
#include "http/server.h"
#include "llm/wire.h"

struct provider;
struct secrets;

#define DELIVERY_PIECE_BYTES                                                                       \
    (256u * 1024)    /* the most that is sent in one iteration of the event loop */

enum draft_form {
    DRAFT_NONE,       /* nobody sees it, or it is not known yet */
    DRAFT_FORWARD,    /* the provider's bytes as they are */
    DRAFT_EVENTS,     /* the caller's wire writes a stream */
    DRAFT_FOLD,       /* events are folded, the caller's wire writes one document */
};

struct draft {
    struct event_sink sink;    /* the last filter's events come in here */
    enum draft_form form;
    bool content;      /* a token is in it: it may be sent */
    bool stream;       /* events, between which others may stand */
    uint32_t lost;     /* media that the caller's protocol has no place for: WIRE_MEDIA()s */
    int status;        /* of the answer's head */
    int64_t length;    /* of its body, -1: unknown */
    struct str content_type;
    struct str passed;    /* the provider's field lines that go on to the caller */

    struct buf out;      /* kept back, or written in this turn */
    struct str chunk;    /* the bytes that are being read */
    struct str run;      /* a part of them, which follows `out` without a copy */
    struct wire_writer writer;
    struct llm_answer *answer;    /* DRAFT_FOLD, in `fold` */
    struct arena *fold;
};

/* Prepares for an answer of at most `limit_bytes`. */
void draft_begin(struct draft *d, size_t limit_bytes);

/* The field lines of a provider's answer that mean something to the caller. `resource`: those of a
 * resource that is passed through too; its location is rewritten. In `a`. */
struct str draft_passed_fields(const struct http_head *head, const struct provider *resource,
    const struct secrets *secrets, struct buf *text, struct arena *a);

/* From now on events are folded, in `a`. */
void draft_fold(struct draft *d, struct arena *a, size_t limit_bytes);

/* Adds a frame of the provider's bytes. */
void draft_forward(struct draft *d, struct str raw);

/* The same for a frame that has the usage. */
void draft_forward_usage(struct draft *d, struct str raw, const struct llm_usage *usage);

/* What was written is too much: ERR_UPSTREAM_TOO_LARGE, or ERR_OVERLOADED at the memory limit. */
enum err draft_verdict(const struct draft *d) MUST_CHECK;

/* Makes the one document: the provider's `body`, or what was folded. `usage`: of the answer. */
enum err draft_write_document(
    struct draft *d, struct str body, const struct llm_usage *usage) MUST_CHECK;

/* The stream ended, and was `before` bytes long before its last frame, which may lack its end.
 * `ends`: the terminator, if the provider left it out. */
void draft_close(struct draft *d, const struct framing *framing, size_t before, struct str ends);

/* Keeps what still points into the bytes that were being read. */
void draft_keep(struct draft *d);

/* Forgets what was not sent. */
void draft_drop(struct draft *d);

struct delivery {
    struct draft *draft;    /* what was committed to; NULL: nothing yet */
    uint64_t sent_us;       /* when the caller was last sent something; 0: never */
    bool more;              /* the draft holds more than was sent at once */
};

/* Sends what the draft holds, if its head was sent. True: more is left for delivery_send_more(). */
bool delivery_flush(struct delivery *d, struct server_conn *q, uint64_t now_us);

/* Sends the next piece. True: and more is left. */
bool delivery_send_more(struct delivery *d, struct server_conn *q);

/* Is so much waiting for the caller that no more should be read for it? */
static inline bool
delivery_is_full(const struct delivery *d, const struct server_conn *q)
{
    return d->more || server_backlog(q) > SERVER_HIGH_WATERMARK_BYTES;
}

/* Adds an event that says why the stream is broken after all that is left of it. `passed`: the path
 * of a stream that is only passed through, below /v1, after `count` events. */
void delivery_break(
    struct delivery *d, const struct llm_error *e, struct str passed, uint64_t count);
