/* mock_answer.h - one answer on its way: when its pieces are due, and where it breaks.
 *
 * An answer is a script that is told step by step, a recorded case that is given event by event,
 * or a document. It owns the server's request from mock_answer_start() on.
 */
#pragma once

#include "app/mock_hub.h"
#include "app/mock_wire.h"
#include "http/server.h"

struct mock_answer;

/* One serving loop; made by mock.c, lent to its answers. */
struct mock {
    struct loop *loop;
    struct mock_hub *hub;
    struct server *server;
    struct listener *listener;
    struct arena *scratch;       /* for reading one request; rewound behind it */
    struct buf frame;            /* the frame or document being written */
    struct buf fields;           /* the head being written */
    struct mock_answer *free;    /* answers at rest, with their arenas and timers */
    unsigned free_count;
};

enum mock_outcome { MOCK_COMPLETED, MOCK_REFUSED, MOCK_FAULTED, MOCK_ABORTED };

/* How an answer is given. Slices that are not in `arena` must outlive the answer. */
struct mock_telling {
    const struct mock_wire *wire;
    struct mock_plan plan;    /* from mock_plan_outlive() */
    enum mock_fault fault;
    int status;
    struct str fields;          /* complete lines */
    struct str content_type;    /* empty: it is among the fields */
    bool stream;
    enum mock_outcome outcome;     /* if nothing breaks it */
    struct mock_script *script;    /* one of these three */
    const struct mock_case *recorded;
    struct str document;
    uint64_t tokens;    /* output tokens of the document */
};

/* Room for an answer to `q`, from the stock; its arena holds what the telling needs. */
struct mock_answer *mock_answer_create(struct mock *m, struct server_request *q) NEVER_NULL;
struct arena *mock_answer_arena(struct mock_answer *a) NEVER_NULL;

/* Begins; the answer frees itself when it is over. */
void mock_answer_start(struct mock_answer *a, const struct mock_telling *t);

/* The server's news about the request. */
void mock_answer_writable(struct mock_answer *a);
void mock_answer_gone(struct mock_answer *a);

/* Frees the stock. */
void mock_answers_drop(struct mock *m);

/* Counts the end of a request that needed no struct mock_answer. */
void mock_count_outcome(struct mock_hub *hub, enum mock_outcome outcome);
