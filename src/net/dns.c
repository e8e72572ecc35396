/* dns.c - names to addresses, off the loop, remembered for the whole process.
 *
 * The system's resolver knows about /etc/hosts, search domains and whatever
 * the operator configured; it blocks, so it runs on another thread. The cache is
 * shared by all loops and locked only to copy a few addresses in or out.
 */
#include "net/dns.h"

#include <netdb.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/loop_priv.h"

enum {
    KEEP_ANSWER_MS = 30000,
    KEEP_FAILURE_MS = 5000,
    KEEP_TEST_MS = 60000,
    CACHE_SLOTS = 256,    /* a name has one place; a newcomer takes it over */
    HOST_ROOM = 256,      /* the longest name DNS has, and a NUL */
};

struct cached {
    char host[HOST_ROOM];
    uint64_t until_ms;
    struct dns_answer answer;
};

/* A name on its way; belongs to the loop, outlives its askers. */
struct dns_lookup {
    struct loop *loop;
    char host[HOST_ROOM];
    struct dns_answer answer;
    struct dns_query *askers;
    struct dns_lookup *next;
};

struct dns_query {
    struct loop *loop;
    struct dns_lookup *lookup;    /* NULL: the answer is here already */
    struct dns_answer answer;
    struct deferred later;
    bool cancelled;
    void (*done)(void *arg, const struct dns_answer *answer);
    void *arg;
    struct dns_query *next;
};

static uv_once_t cache_once = UV_ONCE_INIT;
static uv_mutex_t cache_lock;
static struct cached *cache[CACHE_SLOTS];    /* under cache_lock */

/* --- the cache --- */

static void
cache_init(void)
{
    CHECK(uv_mutex_init(&cache_lock) == 0);
}

static size_t
cache_slot(const char *host)
{
    uint64_t h = 14695981039346656037u;    /* FNV-1a: operators choose the names */

    for (; *host != '\0'; host++)
        h = (h ^ (unsigned char)*host) * 1099511628211u;
    return (size_t)(h % CACHE_SLOTS);
}

static bool
cache_get(const char *host, struct dns_answer *ret)
{
    size_t slot = cache_slot(host);
    bool hit;

    uv_once(&cache_once, cache_init);
    uv_mutex_lock(&cache_lock);
    struct cached *c = cache[slot];
    hit = c != NULL && strcmp(c->host, host) == 0 && c->until_ms > clock_now_ms();
    if (hit)
        *ret = c->answer;
    uv_mutex_unlock(&cache_lock);
    return hit;
}

static void
cache_put(const char *host, const struct dns_answer *answer, uint64_t keep_ms)
{
    size_t slot = cache_slot(host);

    uv_once(&cache_once, cache_init);
    uv_mutex_lock(&cache_lock);
    if (cache[slot] == NULL)
        cache[slot] = check_alloc(calloc(1, sizeof(struct cached)));
    struct cached *c = cache[slot];
    str_copy_c(c->host, sizeof(c->host), str_c(host));
    c->answer = *answer;
    c->until_ms = clock_now_ms() + keep_ms;
    uv_mutex_unlock(&cache_lock);
}

void
dns_set_for_tests(struct str host, const struct dns_answer *answer)
{
    char room[HOST_ROOM];

    str_copy_c(room, sizeof(room), host);
    cache_put(room, answer, KEEP_TEST_MS);
}

/* --- asking the system --- */

/* Families take turns, beginning with the one the system prefers (RFC 8305, section 4), so that
 * a broken family costs one head start and not one for each of its addresses. */
static void
take_addresses(const struct addrinfo *list, struct dns_answer *ret)
{
    struct address first[DNS_ADDRESSES_MAX], second[DNS_ADDRESSES_MAX];
    size_t first_n = 0, second_n = 0;

    for (const struct addrinfo *i = list; i != NULL; i = i->ai_next) {
        struct address a;

        if (!address_from(i->ai_addr, &a))
            continue;
        if (first_n == 0 || a.any.sa_family == first[0].any.sa_family) {
            if (first_n < DNS_ADDRESSES_MAX)
                first[first_n++] = a;
        } else if (second_n < DNS_ADDRESSES_MAX) {
            second[second_n++] = a;
        }
    }
    ret->count = 0;
    for (size_t i = 0; i < DNS_ADDRESSES_MAX; i++) {
        if (i < first_n && ret->count < DNS_ADDRESSES_MAX)
            ret->list[ret->count++] = first[i];
        if (i < second_n && ret->count < DNS_ADDRESSES_MAX)
            ret->list[ret->count++] = second[i];
    }
}

/* On another thread. */
static void
lookup_work(void *arg)
{
    struct dns_lookup *k = arg;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    struct addrinfo *list = NULL;
    int status = getaddrinfo(k->host, NULL, &hints, &list);

    /* AI_ADDRCONFIG ignores loopback: a machine that has nothing else still knows itself. */
    if (status == EAI_NONAME || status == EAI_ADDRFAMILY || status == EAI_NODATA) {
        hints.ai_flags = 0;
        status = getaddrinfo(k->host, NULL, &hints, &list);
    }
    if (status == 0) {
        take_addresses(list, &k->answer);
        freeaddrinfo(list);
    }
    if (k->answer.count == 0)
        k->answer.error = status == 0 ? "no usable address" : gai_strerror(status);
}

static void
lookup_done(void *arg)
{
    struct dns_lookup *k = arg;
    struct dns_lookup **at = &k->loop->lookups;

    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    cache_put(k->host, &k->answer, k->answer.count != 0 ? KEEP_ANSWER_MS : KEEP_FAILURE_MS);

    while (k->askers != NULL) {
        struct dns_query *q = k->askers;

        k->askers = q->next;
        q->done(q->arg, &k->answer);    /* may cancel others of the list */
        free(q);
    }
    free(k);
}

static struct dns_lookup *
lookup_join(struct loop *l, const char *host)
{
    struct dns_lookup *k;

    for (k = l->lookups; k != NULL; k = k->next) {
        if (strcmp(k->host, host) == 0)
            return k;
    }
    k = check_alloc(calloc(1, sizeof(*k)));
    k->loop = l;
    str_copy_c(k->host, sizeof(k->host), str_c(host));
    k->next = l->lookups;
    l->lookups = k;
    loop_offload(l, lookup_work, lookup_done, k);
    return k;
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
    return cache_get(name, ret);
}

struct dns_query *
dns_resolve(struct loop *l, struct str host,
    void (*done)(void *arg, const struct dns_answer *answer), void *arg)
{
    struct dns_query *q = check_alloc(calloc(1, sizeof(*q)));
    char name[HOST_ROOM];

    q->loop = l;
    q->done = done;
    q->arg = arg;
    str_copy_c(name, sizeof(name), host);
    if (known_at_once(host, name, &q->answer)) {
        q->later = (struct deferred){ .fn = query_later, .arg = q };
        loop_defer(l, &q->later);
        return q;
    }
    q->lookup = lookup_join(l, name);
    q->next = q->lookup->askers;
    q->lookup->askers = q;
    return q;
}

void
dns_cancel(struct dns_query *q)
{
    if (q == NULL)
        return;
    if (q->lookup == NULL) {
        q->cancelled = true;    /* query_later() frees it */
        return;
    }
    struct dns_query **at = &q->lookup->askers;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    free(q);
}
