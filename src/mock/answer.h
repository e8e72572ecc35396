/* answer.h - one answer being sent: when its pieces are due, and where it fails.
 *
 * An answer is a script that is written step by step, a recorded case that is sent event by
 * event, or a document. It owns the server's request from mock_answer_start() on.
 */
#pragma once

#include "http/server.h"
#include "mock/hub.h"
#include "mock/script.h"

struct mock_answer;

/* One serving loop; owned by mock.c, borrowed by its answers. */
struct mock {
    struct loop *loop;
    struct mock_hub *hub;
    struct server *server;
    struct listener *listener;
    struct arena *scratch;       /* for reading one request; rewound after it */
    struct buf frame;            /* the frame or document being written */
    struct buf fields;           /* the head being written */
    struct mock_answer *free;    /* unused answers, with their arenas and timers */
    unsigned free_count;
};

enum mock_outcome { MOCK_COMPLETED, MOCK_REFUSED, MOCK_FAULTED, MOCK_ABORTED };

/* How an answer is sent. Slices that are not in `arena` must outlive the answer. */
struct mock_reply {
    const struct wire *wire;
    const struct framing *framing;    /* of a stream */
    enum llm_op op;
    bool want_usage;
    struct mock_plan plan;    /* from mock_plan_outlive() */
    enum mock_fault fault;
    int status;
    struct str fields;          /* complete lines */
    struct str content_type;    /* empty: it is in `fields` */
    bool stream;
    enum mock_outcome outcome;     /* if no fault hits it */
    struct mock_script *script;    /* one of these three */
    const struct mock_case *recorded;
    struct str document;
    uint64_t tokens;    /* output tokens of the document */
};

/* An answer to `q`, from the free list; its arena holds what sending it needs. */
struct mock_answer *mock_answer_create(struct mock *m, struct server_conn *q) NEVER_NULL;
struct arena *mock_answer_arena(struct mock_answer *a) NEVER_NULL;

/* Starts sending; the answer frees itself at its end. */
void mock_answer_start(struct mock_answer *a, const struct mock_reply *t);

/* Events of the server for the request. */
void mock_answer_writable(struct mock_answer *a);
void mock_answer_gone(struct mock_answer *a);

/* Appends the script's whole answer. False: it would be too large. */
bool mock_write_whole(
    const struct mock_script *s, const struct llm_request *r, struct buf *out) MUST_CHECK;

/* Frees the free list. */
void mock_answers_drop(struct mock *m);

/* Counts a finished request that needed no struct mock_answer. */
void mock_count_outcome(struct mock_hub *hub, enum mock_outcome outcome);
