/* mock.h - a simulated provider: a real server that speaks the providers' protocols and breaks on
 * demand.
 *
 * It serves users who have no key yet, benchmarks, and tests, and simulates every failure of a
 * provider. One struct mock serves one address on one loop; several may share a hub, which
 * counts requests for all of them.
 */
#pragma once

#include "base/why.h"
#include "mock/plan.h"
#include "net/loop.h"

struct mock;
struct mock_hub;

struct mock_options {
    struct mock_plan plan;       /* used where a request does not say otherwise */
    struct str key;              /* the only valid key; empty: any key, or none */
    const struct str *models;    /* the models that exist; none: all names work, a few are listed */
    size_t model_count;
    const char *replay_path;    /* folder of recorded cases, or NULL */
    uint64_t record;            /* number of requests to keep for GET /mock/requests; 0: none */
    uint64_t idle_ms;           /* idle connections are closed after this long; 0: 5 minutes */
};

#define MOCK_OPTIONS_DEFAULT ((struct mock_options){ .plan = MOCK_PLAN_DEFAULT })

/* State shared by several mocks. The options' strings must outlive it. NULL with a message in
   `why` if the recorded cases cannot be read. */
struct mock_hub *mock_hub_create(const struct mock_options *o, struct why why) MUST_CHECK;
/* Call it after the last of its mocks has stopped. NULL is a no-op. */
void mock_hub_destroy(struct mock_hub *hub);

/* Serves on `address` (see net/listen.h). NULL on error, with a message in `why`. */
struct mock *mock_start(
    struct loop *l, struct str address, struct mock_hub *hub, struct why why) MUST_CHECK;

/* The bound address: "127.0.0.1:43817". */
struct str mock_address(const struct mock *m);

/* Closes everything, on the loop's thread. NULL is a no-op. */
void mock_stop(struct mock *m);
