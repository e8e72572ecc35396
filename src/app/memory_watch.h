/* memory_watch.h - compares the memory of the process with its ceiling, and tells the workers. */
#pragma once

#include "gateway/worker.h"

/* Works out the ceiling of the configuration: at the start, and after each reload. */
void memory_watch_set(struct gateway *g, const struct conf *c);

/* Looks; on the main thread. Returns when to look again, in milliseconds. */
uint64_t memory_watch_look(struct gateway *g);
