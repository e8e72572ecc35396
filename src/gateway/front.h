/* front.h - from requests to exchanges: what a worker reports, and what comes of it. */
#pragma once

#include "gateway/worker.h"

extern const struct worker_events front_events;
