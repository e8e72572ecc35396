/* conform.h - checks whether a server keeps to the protocols that it offers.
 *
 * A suite of requests for each protocol, written and read by our own provider's side of the wires:
 * answers and streams, tools, structured output, limits, errors. It asks any server: this gateway,
 * another one, or a provider. Each check costs a request or two of a few tokens.
 */
#pragma once

#include "base/arena.h"
#include "llm/wire.h"
#include "net/dial.h"

enum conform_verdict {
    CONFORM_PASSED,
    CONFORM_FAILED,
    CONFORM_REFUSED,    /* the server said clearly that it, or the model, does not do this */
    CONFORM_ABSENT,     /* the protocol has no such thing, or the server does not offer the protocol */
};

struct conform_result {
    enum conform_verdict verdict;
    struct str why;    /* a sentence; empty if it passed */
};

/* A server that is asked in one protocol. */
struct conform {
    const struct origin *origin;
    const struct wire *wire;
    struct str base;    /* path of its URL, "/v1"; may be empty */
    struct str model;
    const char *key;      /* NULL: none is sent, and none is checked */
    uint64_t limit_ms;    /* for an answer */
};

/* The checks, in order: name and what is asked; NULL after the last. */
const char *conform_name(size_t i);
const char *conform_about(size_t i);
size_t conform_count(void);

/* Runs all checks; `ret` has room for conform_count() results, with text in `a`. `done` is called
 * after each with its number. Stops when talk_interrupt() was called: the rest is ABSENT. */
void conform_run(const struct conform *server, struct arena *a, struct conform_result *ret,
    void (*done)(void *arg, size_t i), void *arg);
