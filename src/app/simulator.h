/* simulator.h - the built-in provider that answers while no real one is configured. */
#pragma once

#include "base/why.h"
#include "mock/mock.h"

/* Zeroed: not started. */
struct simulator {
    struct loop *loop;
    struct thread *thread;
    struct mock_options options;
    struct mock_hub *hub;
    struct mock *mock;
    char url[128];    /* its base URL; empty until it is started */
};

/* Starts it in a thread of its own, on a port of its own. False with a message in `why`. */
bool simulator_start(struct simulator *sim, struct why why) MUST_CHECK;

/* A no-op if it never started. */
void simulator_stop(struct simulator *sim);
