/* mock.h - a simulated provider: a real server that speaks the providers' protocols and breaks on
 * demand.
 *
 * It answers the first minute of a user without a key, drives benchmarks, and plays every
 * failure that a provider is capable of. One struct mock serves one address on one loop;
 * several may share a hub, which counts for all of them.
 */
#pragma once

#include "app/mock_plan.h"
#include "net/loop.h"

struct mock;
struct mock_hub;

struct mock_options {
    struct mock_plan plan;       /* what holds when a request says nothing */
    struct str key;              /* the only key that is good; empty: any, or none */
    const struct str *models;    /* the only models there are; none: a few, all names work */
    size_t model_count;
    const char *replay_path;    /* folder of recorded cases, or NULL */
    uint64_t record;            /* requests to remember for GET /mock/requests; 0: none */
    uint64_t idle_ms;           /* idle connections are closed after this long; 0: 5 minutes */
};

#define MOCK_OPTIONS_DEFAULT ((struct mock_options){ .plan = MOCK_PLAN_DEFAULT })

/* What several mocks have in common. The options' strings must outlive it. NULL with a sentence in
 * `why` when the recorded cases cannot be read. */
struct mock_hub *mock_hub_create(
    const struct mock_options *o, char *why, size_t why_size) MUST_CHECK;
/* After the last of its mocks was stopped. NULL is a no-op. */
void mock_hub_destroy(struct mock_hub *hub);

/* Serves on `address` (see net/listen.h). NULL on error, with a sentence in `why`. */
struct mock *mock_start(struct loop *l, struct str address, struct mock_hub *hub, char *why,
    size_t why_size) MUST_CHECK;

/* The address really bound: "127.0.0.1:43817". */
struct str mock_address(const struct mock *m);

/* Closes everything, on the loop's thread. NULL is a no-op. */
void mock_stop(struct mock *m);
