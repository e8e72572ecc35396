/* exchange_time.h - a clock that stands still until the fuzzer moves it.
 *
 * clock.h is set by its own means. libuv reads the coarse monotonic clock, which nobody else in the
 * process does: this program's clock_gettime() takes the place of libc's for that one clock. So
 * libFuzzer, the sanitizers and the threads that write logs go on in real time.
 */
#pragma once

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define EXCHANGE_WALL_MS UINT64_C(1750000000000)
#define EXCHANGE_START_US UINT64_C(1000000000)

static uint64_t virtual_us = EXCHANGE_START_US;

int clock_gettime(clockid_t id, struct timespec *ret);
int clock_getres(clockid_t id, struct timespec *ret);

int
clock_gettime(clockid_t id, struct timespec *ret)
{
    if (id != CLOCK_MONOTONIC_COARSE)
        return (int)syscall(SYS_clock_gettime, id, ret);
    *ret = (struct timespec){ .tv_sec = (time_t)(virtual_us / 1000000),
        .tv_nsec = (long)(virtual_us % 1000000) * 1000 };
    return 0;
}

/* libuv takes the coarse clock when it is told that a millisecond is its resolution. */
int
clock_getres(clockid_t id, struct timespec *ret)
{
    if (id != CLOCK_MONOTONIC_COARSE)
        return (int)syscall(SYS_clock_getres, id, ret);
    if (ret != NULL)
        *ret = (struct timespec){ .tv_nsec = 1000000 };
    return 0;
}

static inline void
time_set(uint64_t us)
{
    virtual_us = us;
    clock_set_for_tests(us, EXCHANGE_WALL_MS + us / 1000);
}

static inline void
time_pass(uint64_t ms)
{
    time_set(virtual_us + ms * 1000);
}
