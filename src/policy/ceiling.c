/* ceiling.c - levels with hysteresis. */
#include "policy/ceiling.h"

#define HYSTERESIS_PERCENT 5

static const unsigned begins_percent[CEILING_LEVELS] = { 0, 80, 90, 97 };

enum ceiling_level
ceiling_judge(enum ceiling_level now, uint64_t used_bytes, uint64_t ceiling_bytes)
{
    if (ceiling_bytes == 0)
        return CEILING_FREE;
    double percent = 100.0 * (double)used_bytes / (double)ceiling_bytes;
    while (now < CEILING_ALL && percent >= begins_percent[now + 1])
        now++;
    while (now > CEILING_FREE && percent < begins_percent[now] - HYSTERESIS_PERCENT)
        now--;
    return now;
}

int64_t
ceiling_retry_after_ms(enum ceiling_level level, uint64_t random)
{
    int64_t least_ms = 1000 * (int64_t)level;

    return least_ms + (int64_t)(random % 2000);
}
