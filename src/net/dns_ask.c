/* dns_ask.c - asks name servers with c-ares, on the loop. The only file that sees c-ares.
 *
 * The two address families are two questions, so that a name server that answers one of them and
 * drops the other does not keep the addresses that are known. c-ares sends a question again when a
 * packet is lost, goes from server to server, and uses TCP when an answer is too long for UDP.
 */
#include "net/dns_priv.h"

#include <ares.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "net/loop_priv.h"
#include "net/timer.h"

enum {
    TRY_MS = 1000,    /* for the first answer of a server; doubles with each round */
    TRIES = 3,
    HOSTS_TTL_MS = 5000,
};

static const char *system_config = "/etc/resolv.conf";    /* changed by tests only */

struct dns_poll {
    uv_poll_t uv;
    struct dns_channel *channel;
    int fd;
    struct dns_poll *next;
};

struct dns_channel {
    struct loop *loop;
    ares_channel servers;
    ares_channel hosts;    /* reads /etc/hosts and sends no queries */
    struct timer timer;
    struct dns_poll *polls;
    unsigned questions;
    bool released;
    bool closing;
    struct deferred end;         /* c-ares must not be ended from inside its own callbacks */
    struct stat config;          /* of system_config as it was read; st_ino 0: there was none */
    struct dns_channel *next;    /* of the loop */
};

struct question {
    struct dns_channel *channel;
    void (*done)(void *arg, const struct dns_part *part);
    void *arg;
};

/* --- c-ares's sockets and timeouts on the loop --- */

static void
arm_timer(struct dns_channel *c)
{
    struct timeval room;
    const struct timeval *next = ares_timeout(c->servers, NULL, &room);

    if (next == NULL)
        timer_stop(&c->timer);
    else
        timer_set(&c->timer, (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1);
}

static void
on_timer(void *arg)
{
    struct dns_channel *c = arg;

    ares_process_fd(c->servers, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer(c);
}

static void
on_poll(uv_poll_t *uv, int status, int events)
{
    struct dns_poll *p = CONTAINER_OF(uv, struct dns_poll, uv);
    struct dns_channel *c = p->channel;
    bool readable = status < 0 || (events & UV_READABLE) != 0;
    bool writable = status < 0 || (events & UV_WRITABLE) != 0;
    int fd = p->fd;

    ares_process_fd(c->servers, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
    arm_timer(c);
}

static void
on_poll_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct dns_poll, uv));
}

/* c-ares opened a socket, wants to hear other things of it, or is about to close it. */
static void
on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct dns_channel *c = data;
    struct dns_poll **at = &c->polls;
    struct dns_poll *p;

    while (*at != NULL && (*at)->fd != fd)
        at = &(*at)->next;
    p = *at;
    if (!readable && !writable) {
        if (p == NULL)
            return;
        *at = p->next;
        uv_poll_stop(&p->uv);
        uv_close((uv_handle_t *)&p->uv, on_poll_closed);
        return;
    }
    if (p == NULL) {
        p = check_alloc(calloc(1, sizeof(*p)));
        if (uv_poll_init(&c->loop->uv, &p->uv, fd) != 0) {
            free(p);
            return;    /* the question times out */
        }
        p->channel = c;
        p->fd = fd;
        p->next = c->polls;
        c->polls = p;
    }
    uv_poll_start(&p->uv, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), on_poll);
}

/* --- channels --- */

static void
init_library(void)
{
    CHECK(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
}

static struct stat
stat_config(void)
{
    struct stat st;

    if (stat(system_config, &st) != 0)
        return (struct stat){ .st_ino = 0 };
    return st;
}

static ares_channel
open_ares(struct dns_channel *c, const char *lookups)
{
    char sources[4];
    struct ares_options options = {
        .timeout = TRY_MS,
        .tries = TRIES,
        .lookups = sources,
        .resolvconf_path = (char *)system_config,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = c,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB |
               ARES_OPT_RESOLVCONF;
    ares_channel ares = NULL;

#ifdef ARES_OPT_QUERY_CACHE
    options.qcache_max_ttl = 0;    /* dns.c has its own */
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    str_copy_c(sources, sizeof(sources), str_c(lookups));
    return ares_init_options(&ares, &options, mask) == ARES_SUCCESS ? ares : NULL;
}

static void
close_ares(struct dns_channel *c)
{
    struct dns_channel **at = &c->loop->dns_channels;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->closing = true;
    if (c->servers != NULL)
        ares_destroy(c->servers);    /* ends all questions, closes all sockets */
    if (c->hosts != NULL)
        ares_destroy(c->hosts);
    c->servers = c->hosts = NULL;
    CHECK(c->polls == NULL);
    timer_stop(&c->timer);
}

static void
on_end(void *arg)
{
    struct dns_channel *c = arg;

    if (!c->closing)
        close_ares(c);
    free(c);
}

struct dns_channel *
dns_channel_create(struct loop *l, const char *servers)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct dns_channel *c = check_alloc(calloc(1, sizeof(*c)));

    pthread_once(&once, init_library);
    c->loop = l;
    c->next = l->dns_channels;
    l->dns_channels = c;
    c->end = (struct deferred){ .fn = on_end, .arg = c };
    timer_init(&c->timer, l, on_timer, c);
    c->config = stat_config();
    c->servers = open_ares(c, "b");
    c->hosts = open_ares(c, "f");
    if (c->servers == NULL || c->hosts == NULL ||
        (*servers != '\0' && ares_set_servers_ports_csv(c->servers, servers) != ARES_SUCCESS)) {
        dns_channel_destroy(c);
        return NULL;
    }
    return c;
}

bool
dns_channel_is_outdated(const struct dns_channel *c)
{
    struct stat now = stat_config();

    return now.st_ino != c->config.st_ino || now.st_dev != c->config.st_dev ||
           now.st_size != c->config.st_size || now.st_mtim.tv_sec != c->config.st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != c->config.st_mtim.tv_nsec;
}

static void
end_if_unused(struct dns_channel *c)
{
    if (c->released && c->questions == 0)
        loop_defer(c->loop, &c->end);
}

void
dns_channel_release(struct dns_channel *c)
{
    c->released = true;
    end_if_unused(c);
}

void
dns_channel_destroy(struct dns_channel *c)
{
    if (!c->closing)
        close_ares(c);
    if (!c->end.queued)    /* else on_end() frees it */
        free(c);
}

/* --- questions --- */

static enum dns_outcome
outcome_of(int status, const char **ret_error)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
        *ret_error = "no such name";
        return DNS_NO_ADDRESS;
    case ARES_ENODATA:
        *ret_error = "the name has no address";
        return DNS_NO_ADDRESS;
    case ARES_EBADNAME:
        *ret_error = "the name is not valid";
        return DNS_NO_ADDRESS;
    case ARES_ETIMEOUT:
        *ret_error = "the name server did not answer";
        return DNS_FAILED;
    case ARES_ECONNREFUSED:
        /* c-ares before 1.20 reports SERVFAIL and REFUSED in this way too */
        *ret_error = "the name server failed or could not be reached";
        return DNS_FAILED;
    case ARES_ESERVFAIL:
        *ret_error = "the name server failed (SERVFAIL)";
        return DNS_FAILED;
    case ARES_EREFUSED:
        *ret_error = "the name server refused to answer (REFUSED)";
        return DNS_FAILED;
    default:
        *ret_error = ares_strerror(status);
        return DNS_FAILED;
    }
}

static struct dns_part
part_of(int status, const struct ares_addrinfo *ai)
{
    struct dns_part part = { .ttl_ms = UINT64_MAX };

    if (status != ARES_SUCCESS || ai == NULL) {
        part.outcome = outcome_of(status, &part.error);
        return part;
    }
    for (const struct ares_addrinfo_cname *i = ai->cnames; i != NULL; i = i->next)
        part.ttl_ms = MIN(part.ttl_ms, (uint64_t)MAX(i->ttl, 0) * 1000);
    for (const struct ares_addrinfo_node *i = ai->nodes; i != NULL; i = i->ai_next) {
        if (part.count == DNS_ADDRESSES_MAX || !address_from(i->ai_addr, &part.list[part.count]))
            continue;
        part.count++;
        part.ttl_ms = MIN(part.ttl_ms, (uint64_t)MAX(i->ai_ttl, 0) * 1000);
    }
    if (part.count == 0)
        part.outcome = outcome_of(ARES_ENODATA, &part.error);
    return part;
}

static void
on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
    struct question *q = arg;
    struct dns_channel *c = q->channel;
    void (*done)(void *, const struct dns_part *) = q->done;
    void *done_arg = q->arg;
    struct dns_part part = part_of(status, ai);

    (void)timeouts;
    if (ai != NULL)
        ares_freeaddrinfo(ai);
    free(q);
    if (c->closing)
        return;
    c->questions--;
    end_if_unused(c);
    done(done_arg, &part);
}

void
dns_channel_ask(struct dns_channel *c, const char *host, int family,
    void (*done)(void *arg, const struct dns_part *part), void *arg)
{
    struct question *q = check_alloc(calloc(1, sizeof(*q)));
    struct ares_addrinfo_hints hints = {
        .ai_family = family,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ARES_AI_NOSORT,    /* the order of the answer spreads the load */
    };

    *q = (struct question){ .channel = c, .done = done, .arg = arg };
    c->questions++;
    ares_getaddrinfo(c->servers, host, NULL, &hints, on_answer, q);
    arm_timer(c);
}

static void
on_hosts(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
    struct dns_part *part = arg;

    (void)timeouts;
    *part = part_of(status, ai);
    if (ai != NULL)
        ares_freeaddrinfo(ai);
}

bool
dns_channel_hosts(struct dns_channel *c, const char *host, struct dns_part *ret)
{
    struct ares_addrinfo_hints hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = ARES_AI_NOSORT,
    };

    *ret = (struct dns_part){ .outcome = DNS_FAILED };
    ares_getaddrinfo(c->hosts, host, NULL, &hints, on_hosts, ret);    /* at once: it reads a file */
    ret->ttl_ms = HOSTS_TTL_MS;
    return ret->outcome == DNS_FOUND && ret->count != 0;
}
