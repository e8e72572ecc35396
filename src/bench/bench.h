/* bench.h - a load generator for servers that speak a protocol of llm/wires.def.
 *
 * Closed loop: each connection sends its next request when the last is answered. Open loop:
 * requests
 * are due at a fixed rate, and a request's time runs from when it was due, so that a server which
 * stalls cannot hide it by slowing the load down.
 */
#pragma once

#include "bench/histogram.h"
#include "base/err.h"
#include "llm/wire.h"
#include "net/dial.h"

struct bench_options {
    const struct origin *origin;
    struct str path;
    struct str fields;    /* complete header lines, including the key */
    struct str body;      /* the same for every request */
    const struct wire *wire;
    bool stream;
    uint64_t connections;    /* over all threads */
    uint64_t threads;
    uint64_t requests;       /* stop after so many; 0: no limit */
    uint64_t duration_us;    /* stop starting new ones after this long; 0: no limit */
    double rate;             /* requests a second over all threads; 0: closed loop */
    uint64_t timeout_us;     /* a request that takes longer has failed */
};

enum bench_failure {
    BENCH_NO_FAILURE,
    BENCH_TIMED_OUT,
    BENCH_CUT_STREAM,    /* ended without its terminator */
    BENCH_ERROR_IN_STREAM,
    BENCH_NOT_UNDERSTOOD,    /* not JSON, or an event that is too large */
    BENCH_FAILURES,
};

#define BENCH_STATUSES 600

struct bench_totals {
    uint64_t done;    /* complete answers without errors */
    uint64_t failed;
    uint64_t by_status[BENCH_STATUSES];
    uint64_t by_err[ERR_COUNT];    /* of the connection */
    uint64_t by_failure[BENCH_FAILURES];
    uint64_t input_tokens;
    uint64_t output_tokens;    /* as reported, else the number of events with tokens */
    uint64_t events;
    uint64_t bytes;         /* of bodies */
    uint64_t elapsed_us;    /* to the last answer */
    struct histogram total;
    struct histogram first_token;
    struct histogram between;    /* two successive events with tokens */
    struct histogram connect;
};

/* Runs until done, or until SIGINT. `progress` is called about once a second with the results so
   far. */
void bench_run(const struct bench_options *o, struct bench_totals *ret,
    void (*progress)(uint64_t elapsed_us, uint64_t done, uint64_t failed));

/* The report: for people, or as one JSON object. */
void bench_print_table(const struct bench_options *o, const struct bench_totals *t);
void bench_print_json(const struct bench_options *o, const struct bench_totals *t);
