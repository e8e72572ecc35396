/* watchdog.h - notices a worker whose loop does not turn. */
#pragma once

#include "gateway/worker.h"

/* Once a second, from the main thread: says in the log which workers have stopped to turn and what
 * they were doing, counts them (gateway.stalls, stalled), and tells systemd that all is well while it
 * is (WatchdogSec=). */
void watchdog_look(struct gateway *g, struct worker *const *workers);
