/* memory.h - how much memory the kernel lets the process have, and how much it has. */
#pragma once

#include "base/base.h"

/* The smallest of what would end the process: the machine's memory, and the limits of the process's
 * control group and of those around it (v2: memory.max and memory.high, v1: memory.limit_in_bytes).
 * *ret_group: is it a group's? The files of the kernel are looked for below `root`, which is "" but
 * in tests. Reads a few files: meant for the start and for reloads. */
uint64_t memory_limit_bytes(const char *root, bool *ret_group);

/* Resident bytes of the process; 0 if the kernel does not tell. */
uint64_t memory_resident_bytes(void);
