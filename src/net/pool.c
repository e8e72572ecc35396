/* pool.c - idle connections, each in two lists: its origin's and the pool's.
 *
 * The origin's list is newest first, as requests take the newest; the pool's is ordered by when a
 * connection became idle, so that the oldest one is evicted first.
 */
#include "net/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/map.h"
#include "net/sock_priv.h"
#include "net/timer.h"

struct home;

enum {
    MARGIN_MS = 1000,    /* before the server's idle timeout; half of a short one */
    LEARN_LEAST_MS =
        250,    /* a connection closed after a shorter rest was closed for another reason */
    LEARNED_MS = 600 * 1000,    /* then it is found out again: it may have been a restart */
    AT_ONCE_MS = 100,           /* connections closed within this time were closed together */
    PEEK_MS = 100,    /* after so long a rest the kernel is asked whether the server closed */
};

struct idle {
    struct sock *sock;
    struct pool *pool;
    struct home *home;
    struct idle *newer, *older;      /* of this origin */
    struct idle *later, *earlier;    /* of the pool */
    uint64_t since_ms;
    uint64_t born_ms;
    uint64_t server_idle_ms;    /* announced by the server; POOL_NOT_SAID */
};

/* The connections of one origin, and what is known of its idle timeout. */
struct home {
    struct idle *newest, *oldest;
    unsigned count;
    uint64_t seen_ms;    /* the rest after which the server closed a connection last */
    uint64_t seen_at_ms;
    bool seen;
};

struct pool {
    struct loop *loop;
    struct pool_limits limits;
    struct map *homes;
    struct idle *latest, *earliest;
    unsigned count;
    struct idle *spare;    /* unused, linked by `older` */
    struct timer reaper;
};

/* --- the lists --- */

static void
idle_link(struct idle *i)
{
    struct pool *p = i->pool;
    struct home *h = i->home;

    i->newer = NULL;
    i->older = h->newest;
    *(h->newest != NULL ? &h->newest->newer : &h->oldest) = i;
    h->newest = i;
    h->count++;

    i->later = NULL;
    i->earlier = p->latest;
    *(p->latest != NULL ? &p->latest->later : &p->earliest) = i;
    p->latest = i;
    p->count++;
}

/* Removes it from both lists and returns its socket. */
static struct sock *
idle_unlink(struct idle *i)
{
    struct pool *p = i->pool;
    struct home *h = i->home;

    *(i->newer != NULL ? &i->newer->older : &h->newest) = i->older;
    *(i->older != NULL ? &i->older->newer : &h->oldest) = i->newer;
    h->count--;
    *(i->later != NULL ? &i->later->earlier : &p->latest) = i->earlier;
    *(i->earlier != NULL ? &i->earlier->later : &p->earliest) = i->later;
    p->count--;

    i->older = p->spare;
    p->spare = i;
    return i->sock;
}

static void
idle_drop(struct idle *i)
{
    sock_close(idle_unlink(i));
}

/* --- time --- */

/* The last observation counts. Of connections closed together, as by a restart, the longest rest:
 * all of them lived as long as the server's timeout allows. */
static void
learn(const struct pool *p, struct home *h, uint64_t rested_ms)
{
    uint64_t now_ms = loop_now_ms(p->loop);

    if (rested_ms < LEARN_LEAST_MS)
        return;
    if (h->seen && now_ms - h->seen_at_ms < AT_ONCE_MS)
        rested_ms = MAX(rested_ms, h->seen_ms);
    h->seen_ms = rested_ms;
    h->seen_at_ms = now_ms;
    h->seen = true;
}

static bool
knows_limit(const struct pool *p, const struct home *h)
{
    return h->seen && loop_now_ms(p->loop) - h->seen_at_ms < LEARNED_MS;
}

/* How long a connection may rest; UINT64_MAX: for ever. */
static uint64_t
allowed_rest(const struct pool *p, const struct home *h, uint64_t server_idle_ms)
{
    uint64_t ours = p->limits.idle_ms != 0 ? p->limits.idle_ms : UINT64_MAX;
    uint64_t theirs = server_idle_ms;

    if (h != NULL && knows_limit(p, h))
        theirs = MIN(theirs, h->seen_ms);
    if (theirs == UINT64_MAX)
        return ours;
    return MIN(ours, theirs - MIN((uint64_t)MARGIN_MS, theirs / 2));
}

static bool
is_stale(const struct idle *i)
{
    const struct pool *p = i->pool;
    uint64_t now_ms = loop_now_ms(p->loop);

    return now_ms - i->since_ms >= allowed_rest(p, i->home, i->server_idle_ms) ||
           (p->limits.age_ms != 0 && now_ms - i->born_ms >= p->limits.age_ms);
}

static void
forget_homes(struct pool *p, bool all)
{
    struct str key;
    void *value;

    for (size_t pos = 0; map_next(p->homes, &pos, &key, &value);) {
        struct home *h = value;

        if (!all && (h->count != 0 || knows_limit(p, h)))
            continue;
        map_remove(p->homes, key);
        free(h);
        pos = 0;
    }
}

static void
on_reap(void *arg)
{
    struct pool *p = arg;

    while (p->earliest != NULL && is_stale(p->earliest))
        idle_drop(p->earliest);
    if (p->earliest != NULL)
        timer_set(&p->reaper, p->earliest->since_ms + p->limits.idle_ms - loop_now_ms(p->loop));
    else
        forget_homes(p, false);
}

/* --- events of idle connections --- */

static void
on_data(void *owner, struct str bytes)
{
    (void)bytes;    /* unsolicited: the next response could not be trusted */
    idle_drop(owner);
}

/* The server ended the connection: after its idle timeout, as far as we can see. */
static void
on_eof(void *owner)
{
    struct idle *i = owner;

    learn(i->pool, i->home, loop_now_ms(i->pool->loop) - i->since_ms);
    idle_drop(i);
}

static void
on_failed(void *owner, enum err why, const char *detail)
{
    (void)why;
    (void)detail;
    on_eof(owner);
}

static const struct sock_events idle_events = {
    .data = on_data,
    .eof = on_eof,
    .failed = on_failed,
};

/* --- public functions --- */

struct pool *
pool_create(struct loop *l, struct pool_limits limits)
{
    struct pool *p = check_alloc(calloc(1, sizeof(*p)));

    p->loop = l;
    p->limits = limits;
    p->homes = map_create();
    timer_init(&p->reaper, l, on_reap, p);
    l->pool = p;
    return p;
}

void
pool_destroy(struct pool *p)
{
    if (p == NULL)
        return;
    (void)pool_make_room(p);
    if (p->loop->pool == p)
        p->loop->pool = NULL;
    forget_homes(p, true);
    while (p->spare != NULL) {
        struct idle *i = p->spare;

        p->spare = i->older;
        free(i);
    }
    timer_stop(&p->reaper);
    map_destroy(p->homes);
    free(p);
}

/* Does the kernel have unread bytes, or the end of the connection? */
static bool
has_news(const struct sock *s)
{
    char c;

    return recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

/* Idle between two requests: open in both directions, everything written was taken by the
 * kernel, and nothing is unread. While a socket is being polled, the loop would have reported
 * unread bytes. */
static bool
is_at_rest(const struct sock *s)
{
    return !s->dead && !s->at_end && !s->ending && s->write_error == 0 &&
           sock_queued_bytes(s) == 0 && (s->tls == NULL || sock_tls_is_at_rest(s)) &&
           (s->polling || !has_news(s));
}

struct sock *
pool_take(struct pool *p, const struct origin *o, struct pool_lease *ret)
{
    struct home *h = map_get(p->homes, o->pool_key);

    while (h != NULL && h->newest != NULL) {
        struct idle *i = h->newest;
        uint64_t rested_ms = loop_now_ms(p->loop) - i->since_ms;

        /* What came in this turn may not have been read yet. */
        if (is_stale(i) || sock_is_outdated(i->sock) ||
            (rested_ms >= PEEK_MS && has_news(i->sock))) {
            idle_drop(i);
            continue;
        }
        *ret = (struct pool_lease){ .born_ms = i->born_ms, .rested_ms = rested_ms };
        sock_own(i->sock, NULL, NULL);
        sock_read_stop(i->sock);    /* off, as at birth */
        return idle_unlink(i);
    }
    return NULL;
}

static struct home *
home_of(struct pool *p, struct str pool_key)
{
    struct home *h = map_get(p->homes, pool_key);

    if (h == NULL) {
        h = check_alloc(calloc(1, sizeof(*h)));
        map_put(p->homes, pool_key, h);
    }
    return h;
}

static struct idle *
new_idle(struct pool *p)
{
    struct idle *i = p->spare;

    if (i == NULL)
        return check_alloc(malloc(sizeof(*i)));
    p->spare = i->older;
    return i;
}

void
pool_put(struct pool *p, const struct origin *o, struct sock *s, uint64_t born_ms, uint64_t idle_ms)
{
    uint64_t now_ms = loop_now_ms(p->loop);
    bool old = p->limits.age_ms != 0 && now_ms - born_ms >= p->limits.age_ms;

    if (!is_at_rest(s) || sock_is_outdated(s) || old || idle_ms == 0 ||
        p->limits.idle_per_origin == 0 || p->limits.idle_total == 0) {
        sock_close(s);
        return;
    }
    struct home *h = home_of(p, o->pool_key);
    if (h->count >= p->limits.idle_per_origin)
        idle_drop(h->oldest);
    else if (p->count >= p->limits.idle_total)
        idle_drop(p->earliest);

    struct idle *i = new_idle(p);
    *i = (struct idle){ .sock = s,
        .pool = p,
        .home = h,
        .since_ms = now_ms,
        .born_ms = born_ms,
        .server_idle_ms = idle_ms };
    idle_link(i);
    sock_own(s, &idle_events, i);
    sock_read_start(s);
    if (p->limits.idle_ms != 0 && !timer_is_set(&p->reaper))
        timer_set(&p->reaper, p->limits.idle_ms);
}

void
pool_learn_idle(struct pool *p, struct str pool_key, uint64_t rested_ms)
{
    learn(p, home_of(p, pool_key), rested_ms);
}

uint64_t
pool_idle_ms(const struct pool *p, struct str pool_key)
{
    uint64_t ms = allowed_rest(p, map_get(p->homes, pool_key), POOL_NOT_SAID);

    return ms != UINT64_MAX ? ms : 0;
}

bool
pool_make_room(struct pool *p)
{
    bool any = p->earliest != NULL;

    while (p->earliest != NULL)
        idle_drop(p->earliest);
    return any;
}

unsigned
pool_idle_count(const struct pool *p)
{
    return p->count;
}
