/* hub.h - shared by all threads of a simulated provider: options, counters, remembered
   requests, recordings. */
#pragma once

#include <stdatomic.h>

#include "mock/mock.h"
#include "mock/replay.h"
#include "http/message.h"

/* Every request ends in exactly one of completed, refused, faulted, aborted. */
struct mock_counters {
    atomic_ullong requests;     /* to the provider's routes */
    atomic_ullong completed;    /* complete answers */
    atomic_ullong refused;      /* bad requests, wrong keys */
    atomic_ullong faulted;      /* changed by a fault */
    atomic_ullong aborted;      /* the client disconnected first */
    atomic_ullong faults[MOCK_FAULT_COUNT];
    atomic_ullong input_tokens;     /* of answers begun */
    atomic_ullong output_tokens;    /* actually sent */
};

struct mock_hub {
    struct mock_options options;
    struct str *models;
    size_t model_count;
    struct mock_cases *cases;    /* NULL without --replay */
    struct mock_counters count;
    struct mock_memory *memory;    /* NULL without --record */
    atomic_ullong began_us;        /* clock_now_us(): faults with times count from here */
};

void mock_count_add(atomic_ullong *counter, uint64_t n);

/* Remembers a request, dropping the oldest. Any thread; no-op without --record. */
void mock_remember(struct mock_hub *hub, const struct http_head *head, struct str body);

/* Appends the last `n` remembered requests, oldest first, as a JSON array. */
void mock_write_requests(struct mock_hub *hub, uint64_t n, struct buf *out);

/* Appends the counters as a JSON object. */
void mock_write_stats(struct mock_hub *hub, struct buf *out);

/* Resets the counters, forgets the requests, and begins again with the times of faults. */
void mock_hub_reset(struct mock_hub *hub);
