/* dns.c - the cached addresses of each name, and when to look it up again.
 *
 * Each loop has its own names, lookups and connection to the name servers: nothing is waited for
 * and nothing is locked to use an answer. The result of a lookup is copied to a table that the
 * loops share. Its lock is taken only when a loop's own answer has expired: one lookup serves all
 * loops, and so does the last good answer while the name servers fail.
 */
#include "net/dns_priv.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "net/loop_priv.h"
#include "net/timer.h"

enum {
    TTL_MIN_MS = 1000,
    TTL_MAX_MS = 60 * 60 * 1000,
    NEGATIVE_MS = 5000,      /* the name has no address */
    FAILURE_MS = 1000,       /* no answer, and no old one either */
    ASK_AGAIN_MS = 5000,     /* no answer, and an old one serves meanwhile */
    STALE_WAIT_MS = 500,     /* for a new answer, when an old one could serve */
    FAMILY_WAIT_MS = 100,    /* for the other family, when one has answered */
    TEST_MS = 60 * 1000,
    HOST_ROOM = 256,    /* the longest name that DNS has, and a NUL */
    DNS_PORT = 53,
    NAMES_MAX = 1024,     /* then those that are not in use are forgotten */
    LOOKUPS_MAX = 256,    /* at once, of a loop */
};
#define STALE_MAX_MS (24ull * 60 * 60 * 1000)

/* An answer and how long it holds, by clock_now_ms(). */
struct known {
    struct dns_answer answer;
    uint64_t fresh_until_ms;    /* 0: there is none yet */
    uint64_t stale_until_ms;    /* until then it may serve when there is no better one */
};

/* A name being looked up: two questions, one for each family. */
struct dns_lookup {
    struct dns_name *name;
    struct dns_answer before;    /* what was known when it began */
    struct half {
        struct dns_lookup *lookup;
        struct dns_part part;
        uint64_t until_ms;    /* when its TTL is over */
        bool ended;
    } halves[2];
};

struct dns_name {
    struct dns *dns;
    char host[HOST_ROOM];
    struct known known;
    uint64_t ask_again_ms;        /* after a failure, not before */
    struct dns_lookup *lookup;    /* NULL: none is under way */
    bool slow;                    /* it takes so long that an old answer serves meanwhile */
    struct dns_query *queries;    /* those that wait for it */
    struct timer timer;
    unsigned connections;    /* open, dialled by this name */
    unsigned version;
};

struct dns {
    struct loop *loop;
    struct map *names;
    struct dns_channel *channel;
    char *servers;    /* "" for the system's */
    unsigned lookups;
    bool closed;
    struct dns_stats stats;
};

struct dns_query {
    struct dns_name *name;    /* NULL: the answer is here already */
    struct dns_answer answer;
    struct deferred later;
    bool cancelled;
    void (*done)(void *arg, const struct dns_answer *answer);
    void *arg;
    struct dns_query *next;
};

/* --- what all loops know --- */

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static struct map *shared;    /* host -> struct known; under shared_lock */

static void
shared_forget_all(void)
{
    struct str host;
    void *value;

    for (size_t pos = 0; map_next(shared, &pos, &host, &value);)
        free(value);
    map_destroy(shared);
    shared = map_create();
}

static void
shared_put(const char *host, const struct known *known)
{
    pthread_mutex_lock(&shared_lock);
    if (shared == NULL)
        shared = map_create();
    struct known *k = map_get(shared, str_c(host));
    if (k == NULL) {
        if (map_count(shared) >= NAMES_MAX)
            shared_forget_all();
        k = check_alloc(malloc(sizeof(*k)));
        map_put(shared, str_c(host), k);
    }
    *k = *known;
    pthread_mutex_unlock(&shared_lock);
}

/* True when it is no older than what the caller has. */
static bool
shared_get(const char *host, struct known *ret)
{
    pthread_mutex_lock(&shared_lock);
    const struct known *k = shared != NULL ? map_get(shared, str_c(host)) : NULL;
    bool found = k != NULL && k->fresh_until_ms >= ret->fresh_until_ms;
    if (found)
        *ret = *k;
    pthread_mutex_unlock(&shared_lock);
    return found;
}

void
dns_set_for_tests(struct str host, const struct dns_answer *answer)
{
    struct known known = { .answer = *answer, .fresh_until_ms = clock_now_ms() + TEST_MS };
    char room[HOST_ROOM];

    str_copy_c(room, sizeof(room), host);
    shared_put(room, &known);
}

/* --- answers --- */

static bool
is_fresh(const struct known *k)
{
    return k->fresh_until_ms > clock_now_ms();
}

static bool
is_usable_stale(const struct known *k)
{
    return k->answer.count != 0 && k->stale_until_ms > clock_now_ms();
}

static bool
same_host(const struct address *a, const struct address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
}

static bool
answer_has(const struct dns_answer *answer, const struct address *a)
{
    for (size_t i = 0; i < answer->count; i++) {
        if (same_host(&answer->list[i], a))
            return true;
    }
    return false;
}

/* Whether the kernel has a route to the address. Sends nothing. */
static bool
has_route(const struct address *a)
{
    struct address to = *a;
    int fd = socket(a->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found;

    if (fd < 0)
        return false;
    address_set_port(&to, DNS_PORT);
    found = connect(fd, &to.any, address_len(&to)) == 0;
    close(fd);
    return found;
}

/* Families take turns (RFC 8305, section 4), so that a broken family costs one head start and not
 * one for each of its addresses. IPv6 begins, unless there is no route. */
static void
take_turns(const struct address *list, size_t count, struct dns_answer *ret)
{
    const struct address *first[DNS_ADDRESSES_MAX], *second[DNS_ADDRESSES_MAX];
    size_t first_n = 0, second_n = 0;
    int family = AF_INET6;

    ret->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].any.sa_family == AF_INET6) {
            family = has_route(&list[i]) ? AF_INET6 : AF_INET;
            break;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (list[i].any.sa_family == family && first_n < DNS_ADDRESSES_MAX)
            first[first_n++] = &list[i];
        else if (list[i].any.sa_family != family && second_n < DNS_ADDRESSES_MAX)
            second[second_n++] = &list[i];
    }
    for (size_t i = 0; i < DNS_ADDRESSES_MAX; i++) {
        if (i < first_n && ret->count < DNS_ADDRESSES_MAX)
            ret->list[ret->count++] = *first[i];
        if (i < second_n && ret->count < DNS_ADDRESSES_MAX)
            ret->list[ret->count++] = *second[i];
    }
}

/* --- names --- */

static struct dns *
dns_of(struct loop *l)
{
    if (l->dns == NULL) {
        l->dns = check_alloc(calloc(1, sizeof(*l->dns)));
        l->dns->loop = l;
        l->dns->names = map_create();
        l->dns->servers = str_dup_c(S(""));
    }
    return l->dns;
}

static void on_name_timer(void *arg);

static void
name_free(struct dns_name *n)
{
    timer_stop(&n->timer);
    free(n->lookup);
    free(n);
}

static void
forget_unused(struct dns *d)
{
    struct str host;
    void *value;

    for (size_t pos = 0; map_next(d->names, &pos, &host, &value);) {
        struct dns_name *n = value;

        if (n->lookup != NULL || n->queries != NULL || n->connections != 0)
            continue;
        map_remove(d->names, host);
        name_free(n);
        pos = 0;
    }
}

static struct dns_name *
name_get(struct dns *d, const char *host)
{
    struct dns_name *n = map_get(d->names, str_c(host));

    if (n != NULL)
        return n;
    if (map_count(d->names) >= NAMES_MAX)
        forget_unused(d);
    n = check_alloc(calloc(1, sizeof(*n)));
    n->dns = d;
    str_copy_c(n->host, sizeof(n->host), str_c(host));
    timer_init(&n->timer, d->loop, on_name_timer, n);
    map_put(d->names, str_c(host), n);
    return n;
}

/* When an answer lacks an address that the one before had, connections to it are outdated. */
static void
compare(struct dns_name *n, const struct dns_answer *before)
{
    for (size_t i = 0; i < before->count; i++) {
        if (n->known.answer.count != 0 && !answer_has(&n->known.answer, &before->list[i])) {
            n->version++;
            return;
        }
    }
}

/* True when there is a fresh answer, of this loop or of another. */
static bool
name_is_fresh(struct dns_name *n)
{
    struct dns_answer before;

    if (is_fresh(&n->known))
        return true;
    before = n->known.answer;
    if (shared_get(n->host, &n->known))
        compare(n, &before);
    return is_fresh(&n->known);
}

/* An answer for all that wait. They may cancel each other meanwhile. */
static void
tell_queries(struct dns_name *n, const struct dns_answer *answer)
{
    struct dns_answer told = *answer;

    while (n->queries != NULL) {
        struct dns_query *q = n->queries;

        n->queries = q->next;
        q->done(q->arg, &told);
        free(q);
    }
}

static void
tell_queries_stale(struct dns_name *n)
{
    for (const struct dns_query *q = n->queries; q != NULL; q = q->next)
        n->dns->stats.stale++;
    tell_queries(n, &n->known.answer);
}

/* Looks at the name again when its answer is over, if a connection depends on it. */
static void
plan_refresh(struct dns_name *n)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t at_ms = MAX(n->known.fresh_until_ms, n->ask_again_ms);

    if (n->connections != 0 && n->lookup == NULL)
        timer_set(&n->timer, at_ms > now_ms ? at_ms - now_ms : 0);
}

/* --- lookups --- */

static void
name_keep(struct dns_name *n, const struct dns_answer *answer, uint64_t fresh_until_ms)
{
    n->known.answer = *answer;
    n->known.fresh_until_ms = fresh_until_ms;
    n->known.stale_until_ms = fresh_until_ms + STALE_MAX_MS;
    n->ask_again_ms = 0;
    shared_put(n->host, &n->known);
}

/* Combines the lookups of both families that have ended. False if more is needed first. */
static bool
lookup_conclude(struct dns_lookup *k)
{
    struct dns_name *n = k->name;
    struct address list[2 * DNS_ADDRESSES_MAX];
    struct dns_answer answer = { .count = 0 };
    bool failed = false, whole = true;
    uint64_t now_ms = clock_now_ms();
    uint64_t until_ms = UINT64_MAX;
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LEN(k->halves); i++) {
        const struct half *h = &k->halves[i];

        whole = whole && h->ended;
        if (!h->ended)
            continue;
        if (h->part.count != 0) {
            memcpy(list + count, h->part.list, h->part.count * sizeof(list[0]));
            count += h->part.count;
            until_ms = MIN(until_ms, h->until_ms);
        } else if (h->part.outcome == DNS_FAILED || !failed) {
            failed = h->part.outcome == DNS_FAILED;
            answer.error = h->part.error;
        }
    }
    if (count != 0) {
        take_turns(list, count, &answer);
        answer.error = NULL;
        name_keep(n, &answer, until_ms);
        if (whole && !failed)
            compare(n, &k->before);
        return true;
    }
    if (!whole)
        return false;
    n->dns->stats.failures++;
    if (!failed) {
        name_keep(n, &answer, now_ms + NEGATIVE_MS);
        return true;
    }
    /* another loop may have had more luck meanwhile */
    if (name_is_fresh(n))
        return true;
    if (is_usable_stale(&n->known))
        n->ask_again_ms = now_ms + ASK_AGAIN_MS;
    else
        name_keep(n, &answer, now_ms + FAILURE_MS);
    return true;
}

static void
lookup_end(struct dns_lookup *k)
{
    struct dns_name *n = k->name;

    (void)lookup_conclude(k);
    n->lookup = NULL;
    n->slow = false;
    n->dns->lookups--;
    free(k);
    timer_stop(&n->timer);
    plan_refresh(n);
    if (is_fresh(&n->known))
        tell_queries(n, &n->known.answer);
    else
        tell_queries_stale(n);
}

static void
half_end(struct half *h, const struct dns_part *part)
{
    uint64_t ttl_ms = MIN(MAX(part->ttl_ms, (uint64_t)TTL_MIN_MS), (uint64_t)TTL_MAX_MS);

    h->part = *part;
    h->until_ms = clock_now_ms() + ttl_ms;
    h->ended = true;
}

static void
on_half(void *arg, const struct dns_part *part)
{
    struct half *h = arg;
    struct dns_lookup *k = h->lookup;

    half_end(h, part);
    if (k->halves[0].ended && k->halves[1].ended)
        lookup_end(k);
    else if (part->count != 0 && !k->name->slow)
        timer_set(&k->name->timer, FAMILY_WAIT_MS);
}

/* The channel to ask on: a new one when the system's configuration has changed. */
static struct dns_channel *
channel_of(struct dns *d)
{
    if (d->channel != NULL && dns_channel_is_outdated(d->channel)) {
        dns_channel_release(d->channel);
        d->channel = NULL;
    }
    if (d->channel == NULL && !d->closed)
        d->channel = dns_channel_create(d->loop, d->servers);
    return d->channel;
}

static void
name_look_up(struct dns_name *n)
{
    static const int families[] = { AF_INET6, AF_INET };
    struct dns *d = n->dns;
    bool too_many = d->lookups >= LOOKUPS_MAX;
    struct dns_channel *c = too_many ? NULL : channel_of(d);
    struct dns_part part = { .outcome = DNS_FAILED };
    struct dns_lookup *k;

    k = n->lookup = check_alloc(calloc(1, sizeof(*k)));
    k->name = n;
    k->before = n->known.answer;
    d->lookups++;
    d->stats.lookups++;
    for (size_t i = 0; i < ARRAY_LEN(k->halves); i++)
        k->halves[i].lookup = k;
    if (c == NULL || dns_channel_hosts(c, n->host, &part)) {
        if (c == NULL)
            part.error = too_many ? "too many names are being looked up"
                                  : "the resolver could not be set up";
        half_end(&k->halves[0], &part);
        half_end(&k->halves[1], &(struct dns_part){ .outcome = DNS_NO_ADDRESS });
        lookup_end(k);
        return;
    }
    if (is_usable_stale(&n->known))
        timer_set(&n->timer, STALE_WAIT_MS);
    /* the second question may end the lookup, the first cannot */
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        dns_channel_ask(c, n->host, families[i], on_half, &k->halves[i]);
}

/* A lookup takes too long for those that wait, or it is time for one. */
static void
on_name_timer(void *arg)
{
    struct dns_name *n = arg;

    if (n->lookup != NULL) {
        n->slow = true;
        if (lookup_conclude(n->lookup))
            tell_queries(n, &n->known.answer);
        else if (is_usable_stale(&n->known))
            tell_queries_stale(n);
        return;
    }
    if (n->connections == 0 || n->dns->closed)
        return;
    if (name_is_fresh(n))
        plan_refresh(n);
    else
        name_look_up(n);
}

/* --- queries --- */

static void
query_later(void *arg)
{
    struct dns_query *q = arg;

    if (!q->cancelled)
        q->done(q->arg, &q->answer);
    free(q);
}

/* "localhost" never leaves the machine (RFC 6761). IPv4 first, as that is what listeners on
 * "localhost" choose, ours included. */
static bool
is_localhost(struct str host)
{
    static const struct str name = { "localhost", 9 }, ending = { ".localhost", 10 };

    if (str_ends(host, S(".")))
        host.n--;
    return str_ieq(host, name) ||
           (host.n > ending.n && str_ieq(str_skip(host, host.n - ending.n), ending));
}

/* What needs no lookup. */
static bool
known_at_once(struct str host, const char *name, struct dns_answer *ret)
{
    if (host.n == 0 || host.n >= HOST_ROOM || strlen(name) != host.n) {
        ret->error = "the name is not valid";
        return true;
    }
    if (address_parse(host, 0, &ret->list[0])) {
        ret->count = 1;
        return true;
    }
    if (is_localhost(host)) {
        ret->count = 2;
        return address_parse(S("127.0.0.1"), 0, &ret->list[0]) &&
               address_parse(S("::1"), 0, &ret->list[1]);
    }
    return false;
}

/* The same, and what is remembered; an old answer when the next one is late. */
static bool
answer_at_once(struct dns_name *n, struct dns_answer *ret)
{
    if (!name_is_fresh(n)) {
        bool late = n->slow || n->ask_again_ms > clock_now_ms();

        if (!late || !is_usable_stale(&n->known))
            return false;
        n->dns->stats.stale++;
    }
    *ret = n->known.answer;
    return true;
}

struct dns_query *
dns_resolve(struct loop *l, struct str host,
    void (*done)(void *arg, const struct dns_answer *answer), void *arg)
{
    struct dns_query *q = check_alloc(calloc(1, sizeof(*q)));
    struct dns *d = dns_of(l);
    struct dns_name *n = NULL;
    char name[HOST_ROOM];
    bool ready;

    q->done = done;
    q->arg = arg;
    str_copy_c(name, sizeof(name), host);
    ready = known_at_once(host, name, &q->answer);
    if (!ready) {
        n = name_get(d, name);
        ready = answer_at_once(n, &q->answer);
    }
    if (!ready && n->lookup == NULL) {
        name_look_up(n);
        ready = n->lookup == NULL && answer_at_once(n, &q->answer);    /* in /etc/hosts */
    }
    if (ready) {
        q->later = (struct deferred){ .fn = query_later, .arg = q };
        loop_defer(l, &q->later);
        return q;
    }
    struct dns_query **at = &n->queries;
    while (*at != NULL)
        at = &(*at)->next;
    q->name = n;
    *at = q;
    return q;
}

void
dns_cancel(struct dns_query *q)
{
    if (q == NULL)
        return;
    if (q->name == NULL) {
        q->cancelled = true;    /* query_later() frees it */
        return;
    }
    struct dns_query **at = &q->name->queries;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    free(q);
}

/* --- connections --- */

struct dns_name *
dns_name_hold(struct loop *l, struct str host)
{
    struct dns_answer unused;
    char name[HOST_ROOM];

    str_copy_c(name, sizeof(name), host);
    if (known_at_once(host, name, &unused))
        return NULL;
    struct dns_name *n = name_get(dns_of(l), name);
    n->connections++;
    if (!timer_is_set(&n->timer))
        plan_refresh(n);
    return n;
}

void
dns_name_drop(struct dns_name *n)
{
    if (n != NULL)
        n->connections--;
}

unsigned
dns_name_version(const struct dns_name *n)
{
    return n->version;
}

bool
dns_name_has(const struct dns_name *n, const struct address *a)
{
    return n->known.answer.count == 0 || answer_has(&n->known.answer, a);
}

/* --- the loop's --- */

void
dns_use_servers(struct loop *l, const struct str *servers, size_t count)
{
    struct dns *d = dns_of(l);
    struct buf csv;

    buf_init(&csv, SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        char room[ADDRESS_TEXT_ROOM];
        struct address a;
        struct str host;
        uint16_t port;

        if (!address_parse(servers[i], DNS_PORT, &a) &&
            (!address_split(servers[i], &host, &port) || !address_parse(host, port, &a)))
            continue;
        buf_printf(&csv, "%s" STR_FMT, buf_str(&csv).n != 0 ? "," : "",
            STR_ARG(address_text_port(&a, room)));
    }
    if (!str_eq(str_c(d->servers), buf_str(&csv)) && d->channel != NULL) {
        dns_channel_release(d->channel);
        d->channel = NULL;
    }
    free(d->servers);
    d->servers = str_dup_c(buf_str(&csv));
    buf_fini(&csv);
}

struct dns_stats
dns_stats(const struct loop *l)
{
    return l->dns != NULL ? l->dns->stats : (struct dns_stats){ .lookups = 0 };
}

void
dns_close(struct loop *l)
{
    if (l->dns != NULL) {
        l->dns->closed = true;
        l->dns->channel = NULL;
    }
    while (l->dns_channels != NULL)
        dns_channel_destroy(l->dns_channels);
}

void
dns_free(struct loop *l)
{
    struct dns *d = l->dns;
    struct str host;
    void *value;

    if (d == NULL)
        return;
    for (size_t pos = 0; map_next(d->names, &pos, &host, &value);) {
        struct dns_name *n = value;

        while (n->queries != NULL) {
            struct dns_query *q = n->queries;

            n->queries = q->next;
            free(q);
        }
        name_free(n);
    }
    map_destroy(d->names);
    free(d->servers);
    free(d);
    l->dns = NULL;
}
