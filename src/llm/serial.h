/* serial.h - a filter over events: one tool call at a time.
 *
 * Some protocols write several calls at once, others have one block after the other. While a call
 * is open, whatever does not belong to it is held back and follows when it ends; after the filter a
 * call's START, ARGS and END stand together, with nothing between them but usage. Text keeps its
 * place among the calls. For answers of one choice.
 */
#pragma once

#include "base/arena.h"
#include "llm/event.h"

struct serial_held;

struct serial {
    struct event_sink sink;    /* feed events here */
    struct event_sink *to;
    struct arena *keep;
    bool open;        /* a call is */
    uint32_t tool;    /* its number */
    struct serial_held *held;
    struct serial_held *held_last;
    /* held calls by number modulo their largest number: it is dense, so no two share a slot */
    struct serial_held **held_calls;
    unsigned held_count;
    size_t held_bytes;
    bool over;    /* too much was held back: an EVENT_ERROR was emitted, and nothing follows */
};

/* What is held back lives in `keep`: at most 4 MB, and 256 calls and runs of text. */
void serial_init(struct serial *s, struct arena *keep, struct event_sink *to);
