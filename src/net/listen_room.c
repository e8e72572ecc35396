/* listen_room.c - the share of the process's descriptors that callers may have.
 *
 * Callers get at most half of them: the other half is for connections to providers, logs and files.
 * The workers share what is counted here.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "net/listen_priv.h"

enum {
    CALLERS_LEAST = 4,
    RESERVE = 16,    /* descriptors for logs, configuration files, name servers */
    SCAN_MOST = 4096,
};

static atomic_uint_fast64_t shed_count;
static atomic_uint crowds;
static atomic_uint_fast64_t callers_most;    /* 0: not computed yet */
static atomic_uint_fast64_t limit_seen;      /* RLIMIT_NOFILE that callers_most was computed from */

/* Half of the limit, after what is open and is not a connection, and a reserve. */
static uint64_t
find_callers_most(void)
{
    struct rlimit limit;
    uint64_t open = 0, connections = sock_open_count(), taken;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    for (int fd = 0; fd < (int)MIN(limit.rlim_cur, (rlim_t)SCAN_MOST); fd++)
        open += fcntl(fd, F_GETFD) >= 0;
    taken = RESERVE + open - MIN(open, connections);
    return MAX((limit.rlim_cur - MIN(limit.rlim_cur, taken)) / 2, (uint64_t)CALLERS_LEAST);
}

void
room_forget(void)
{
    atomic_store_explicit(&callers_most, 0, memory_order_relaxed);
}

bool
room_is_left(void)
{
    uint64_t most = atomic_load_explicit(&callers_most, memory_order_relaxed);
    struct rlimit now = { 0, 0 };

    if (getrlimit(RLIMIT_NOFILE, &now) == 0 &&    /* an operator may change it, with prlimit */
        now.rlim_cur != atomic_load_explicit(&limit_seen, memory_order_relaxed))
        most = 0;
    if (UNLIKELY(most == 0)) {
        atomic_store_explicit(&limit_seen, now.rlim_cur, memory_order_relaxed);
        most = find_callers_most();
        atomic_store_explicit(&callers_most, most, memory_order_relaxed);
    }
    return LIKELY(sock_accepted_count() < most);
}

void
room_note_crowd(void)
{
    atomic_fetch_add_explicit(&crowds, 1, memory_order_relaxed);
}

void
room_note_shed(void)
{
    atomic_fetch_add_explicit(&shed_count, 1, memory_order_relaxed);
}

unsigned
listen_crowds(void)
{
    return atomic_load_explicit(&crowds, memory_order_relaxed);
}

uint64_t
listen_shed_count(void)
{
    return atomic_load_explicit(&shed_count, memory_order_relaxed);
}
