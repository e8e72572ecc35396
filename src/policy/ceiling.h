/* ceiling.h - which requests are refused as memory runs out.
 *
 * Below 80 % of the ceiling none are. From there new requests of low priority are refused, from
 * 90 % those of normal priority too, and from 97 % all: what is under way keeps the rest. A level is
 * left only 5 % of the ceiling below where it began, so that it does not change with each answer.
 * Pure; app/memory_watch.c measures.
 */
#pragma once

#include "policy/priority.h"

enum ceiling_level { CEILING_FREE, CEILING_LOW, CEILING_NORMAL, CEILING_ALL, CEILING_LEVELS };

/* The level after `now`. `ceiling_bytes` 0: there is none. */
enum ceiling_level ceiling_judge(
    enum ceiling_level now, uint64_t used_bytes, uint64_t ceiling_bytes);

/* Is a new request of that priority refused? */
static inline bool
ceiling_sheds(enum ceiling_level level, enum priority p)
{
    return (unsigned)level + (unsigned)p >= CEILING_ALL;
}

/* When to try again: later the fuller it is, and not all at once. `random`: any number. */
int64_t ceiling_retry_after_ms(enum ceiling_level level, uint64_t random);
