/* watchdog.h - detects workers whose loops hang. */
#pragma once

#include "gateway/worker.h"

/* Called once a second on the main thread: logs which workers hang and what they were doing,
   counts them (gateway.stalls, stalled), and notifies systemd (WatchdogSec=) while none does. */
void watchdog_look(struct gateway *g, struct worker *const *workers);
