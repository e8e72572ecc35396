/* watchdog.c - detects workers whose loops hang.
 *
 * Each worker stores the time with every tick, at least once a second, and the current request
 * with every stage. A hung worker cannot be recovered; but it is logged, /livez fails on the
 * other workers, and the supervisor can restart the process.
 */
#include "app/watchdog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/endpoints.h"

enum {
    STALLED_MS = 5000,
    OURSELVES_LATE_MS = 2500,    /* then the whole process was suspended, not a worker */
};

/* --- systemd --- */

static void
notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t n = path != NULL ? strlen(path) : 0;
    int fd;

    if (n == 0 || n >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@')
        to.sun_path[0] = '\0';    /* an abstract socket name */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&to,
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    close(fd);
}

/* --- workers --- */

static void
tell_stalled(const struct worker *w, uint64_t ms)
{
    struct worker_doing doing = worker_doing(w);
    struct log_context who = { .request_id = str_c(doing.request_id) };

    if (doing.stage == NULL)
        log_error(NULL,
            "worker %u has been stuck for %llu ms, outside of any request; /livez fails until "
            "it recovers",
            w->index, (unsigned long long)ms);
    else
        log_error(&who,
            "worker %u has been stuck for %llu ms, in the stage '%s' of a request to %s; /livez "
            "fails until it recovers",
            w->index, (unsigned long long)ms, doing.stage, doing.endpoint);
}

void
watchdog_look(struct gateway *g, struct worker *const *workers)
{
    static uint64_t looked_ms;
    static bool stalled[WORKERS_MOST];
    uint64_t now_ms = clock_now_ms();
    bool late = looked_ms != 0 && now_ms - looked_ms > OURSELVES_LATE_MS;
    unsigned count = 0;

    looked_ms = now_ms;
    for (unsigned i = 0; i < g->workers; i++) {
        uint64_t turned_ms = worker_turned_ms(workers[i]);
        uint64_t since_ms = now_ms > turned_ms ? now_ms - turned_ms : 0;
        bool is = turned_ms != 0 && since_ms >= STALLED_MS;

        if (is && late && !stalled[i])
            continue;
        if (is && !stalled[i]) {
            atomic_fetch_add_explicit(&g->stalls, 1, memory_order_relaxed);
            tell_stalled(workers[i], since_ms);
        } else if (!is && stalled[i]) {
            log_warn(NULL, "worker %u has recovered", i);
        }
        stalled[i] = is;
        count += is;
    }
    atomic_store_explicit(&g->stalled, count, memory_order_relaxed);
    if (count == 0 && getenv("WATCHDOG_USEC") != NULL)
        notify("WATCHDOG=1");
}
