/* clock.h - time and randomness, behind functions that let tests control both. */
#pragma once

#include "base/base.h"

/* Monotonic time since an arbitrary start. */
uint64_t clock_now_us(void);
static inline uint64_t
clock_now_ms(void)
{
    return clock_now_us() / 1000;
}

/* Wall-clock time since 1970, UTC, as of the kernel's last tick (a few milliseconds old): for
 * timestamps and dates, at a quarter of the cost. */
uint64_t clock_wall_ms(void);

/* "2026-11-21T10:54:47.123Z" into `room` (at least CLOCK_STAMP_ROOM bytes); returns the slice. */
#define CLOCK_STAMP_ROOM 32
struct str clock_stamp(uint64_t wall_ms, char *room);

/* Reads an HTTP date (RFC 9110 IMF-fixdate), seconds since 1970. False when it is not one. */
bool clock_http_date(struct str s, int64_t *ret_unix_s);

/* Reads a timestamp (RFC 3339, section 5.6), milliseconds since 1970. False when it is not one. */
bool clock_timestamp(struct str s, int64_t *ret_unix_ms);

/* Unpredictable bytes (getrandom). Never fails. */
void clock_random_bytes(void *p, size_t n);

/* Fast, seeded per thread, not for secrets. */
uint64_t clock_random_u64(void);

/* Uniform in [0, 1). */
double clock_random_unit(void);

/* Tests only: sets the clock for all threads (0 restores the real one), and the seed of
 * clock_random_u64() for the calling thread. */
void clock_set_for_tests(uint64_t now_us, uint64_t wall_ms);
void clock_seed_for_tests(uint64_t seed);
