/* zone.h - time zones, and where days, weeks and months begin in them.
 *
 * Zones are read from the system's database (TZif, RFC 9636), once each, and kept to the end of the
 * process; there are as many as configurations name. The C library knows one zone at a time, for all
 * threads. Offsets ("+05:30") and UTC need no database.
 */
#pragma once

#include "base/base.h"

struct zone;

/* "Europe/Berlin", "+05:30", "UTC" or nothing, which is UTC. NULL: there is no such zone, or the system
 * has no database. From any thread; reads a file the first time. */
const struct zone *zone_find(struct str name);

/* Seconds that its clocks are ahead of UTC at that time. */
int64_t zone_offset_s(const struct zone *z, int64_t unix_s);

enum zone_period { ZONE_DAY, ZONE_WEEK, ZONE_MONTH };

/* The day, week (from Monday) or month in which that time is: it begins at the first moment at which
 * clocks show its first day, and ends where the next begins; days may have 23 or 25 hours. */
void zone_period(const struct zone *z, enum zone_period period, int64_t unix_s,
    int64_t *ret_begins_s, int64_t *ret_ends_s);
