/* simulator.c - runs a mock on a loop and a thread of its own. */
#include "app/simulator.h"

#include <stdio.h>

static void
simulator_main(void *arg)
{
    loop_run(((struct simulator *)arg)->loop);
}

bool
simulator_start(struct simulator *sim, struct why why)
{
    sim->options = MOCK_OPTIONS_DEFAULT;
    sim->hub = mock_hub_create(&sim->options, why);
    if (sim->hub == NULL)
        return false;
    sim->loop = loop_create();
    sim->mock = mock_start(sim->loop, S("127.0.0.1:0"), sim->hub, why);
    if (sim->mock == NULL)
        return false;
    (void)snprintf(
        sim->url, sizeof(sim->url), "http://" STR_FMT "/v1", STR_ARG(mock_address(sim->mock)));
    sim->thread = thread_start("simulator", simulator_main, sim);
    return true;
}

static void
simulator_end(void *arg)
{
    struct simulator *sim = arg;

    mock_stop(sim->mock);
    loop_stop(sim->loop);
}

void
simulator_stop(struct simulator *sim)
{
    if (sim->thread == NULL)
        return;
    CHECK(loop_post(sim->loop, simulator_end, sim));
    thread_join(sim->thread);
    loop_destroy(sim->loop);
    mock_hub_destroy(sim->hub);
}
