/* memory_watch.c - keeps the kernel from ending the process when memory runs out.
 *
 * What server.limits.held counts is most of the memory that clients can make the gateway use, but
 * not all: buffers of connections, arenas of exchanges, TLS. So the main thread also looks at what
 * the kernel would count, the resident memory of the process, a few times a second at most, and the
 * workers refuse new requests while it is near the ceiling. They read one number for that.
 */
#include "app/memory_watch.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "conf/value.h"

#define MB (1024.0 * 1024)
#define AUTO_PERCENT 90    /* of the kernel's limit; the rest is for sockets' buffers */
#define LOOK_MS 1000
#define LOOK_OFTEN_MS 100
#define OFTEN_PERCENT 50

static const char *const refused[CEILING_LEVELS] = {
    [CEILING_LOW] = "requests of low priority are",
    [CEILING_NORMAL] = "requests of low and normal priority are",
    [CEILING_ALL] = "all new requests are",
};

void
memory_watch_set(struct gateway *g, const struct conf *c)
{
    struct str setting = c->server.limit_memory.v;
    uint64_t ceiling = 0;
    bool group = false;

    if (str_eq(setting, S("auto")))
        ceiling = memory_limit_bytes("", &group) / 100 * AUTO_PERCENT;
    else if (!str_eq(setting, S("off")))
        CHECK(value_size(setting, &ceiling));    /* conf/form.c */
    if (ceiling == atomic_exchange(&g->memory_ceiling, ceiling) || ceiling == 0)
        return;
    log_info(NULL, "memory: new requests are refused from %.0f MB on, by priority (%s)",
        (double)ceiling / MB,
        !str_eq(setting, S("auto")) ? "server.limits.memory"
        : group                     ? "90 % of the control group's limit"
                                    : "90 % of the machine's memory");
}

/* What is free within the process counts as resident until it is given back, which takes a look at
 * all of it. */
static uint64_t
give_back(uint64_t used)
{
#ifdef __GLIBC__
    static uint64_t gave_ms;
    uint64_t now_ms = clock_now_ms();

    if (gave_ms != 0 && now_ms - gave_ms < LOOK_MS)
        return used;
    gave_ms = now_ms;
    (void)malloc_trim(0);
    used = memory_resident_bytes();
#endif
    return used;
}

static void
tell(enum ceiling_level before, enum ceiling_level now, uint64_t used, uint64_t ceiling)
{
    if (now == CEILING_FREE)
        log_info(NULL, "memory: %.0f MB of %.0f MB are in use, no requests are refused any more",
            (double)used / MB, (double)ceiling / MB);
    else
        log_warn(NULL, "memory: %.0f MB of %.0f MB are in use, %s %srefused (server.limits.memory)",
            (double)used / MB, (double)ceiling / MB, refused[now], now < before ? "still " : "");
}

uint64_t
memory_watch_look(struct gateway *g)
{
    uint64_t ceiling = atomic_load_explicit(&g->memory_ceiling, memory_order_relaxed);
    enum ceiling_level before = atomic_load_explicit(&g->memory_level, memory_order_relaxed);
    uint64_t used = ceiling != 0 ? memory_resident_bytes() : 0;

    if (ceiling != 0 && used == 0)
        return LOOK_OFTEN_MS;    /* not known now, perhaps for want of a descriptor: as before */
    enum ceiling_level now = ceiling_judge(before, used, ceiling);

    if (now != CEILING_FREE)
        now = ceiling_judge(before, used = give_back(used), ceiling);
    atomic_store_explicit(&g->memory_level, now, memory_order_relaxed);
    if (now != before)
        tell(before, now, used, ceiling);
    return used >= ceiling / 100 * OFTEN_PERCENT && ceiling != 0 ? LOOK_OFTEN_MS : LOOK_MS;
}
