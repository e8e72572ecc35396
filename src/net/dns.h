/* dns.h - names to addresses, asked from the loop itself, remembered for the whole process.
 *
 * /etc/hosts is looked at first, then the name servers of /etc/resolv.conf (its search domains and
 * options count, and changes of it are noticed) or those that dns_use_servers() names. Callers that
 * ask for one name share one lookup, and a name that gets no answer holds up no other.
 *
 * An answer is kept for its TTL. After that callers wait for the next one, but not for long: when
 * the name servers are slow or fail, they get the last good answer, up to a day old (RFC 8767).
 * While a connection that was dialled by name is open, the name is looked up again whenever its TTL
 * is over, and sock_is_outdated() says whether the name still leads to that connection's server.
 */
#pragma once

#include "net/address.h"
#include "net/loop.h"

/* As many addresses of a name as are ever tried. */
#define DNS_ADDRESSES_MAX 64

struct dns_answer {
    struct address list[DNS_ADDRESSES_MAX];    /* in the order in which to try them; port 0 */
    size_t count;                              /* 0: the lookup failed */
    const char *error;                         /* then: a short reason */
};

struct dns_query;

/* Looks the name up; `done` is called from the loop, once, unless dns_cancel() came first; the
 * query is gone then. Address literals and "localhost" are answered without asking anybody. How
 * long to wait is the caller's decision. */
struct dns_query *dns_resolve(struct loop *l, struct str host,
    void (*done)(void *arg, const struct dns_answer *answer), void *arg) NEVER_NULL;

/* NULL is a no-op. */
void dns_cancel(struct dns_query *q);

/* Name servers for this loop: "IP:PORT", "[IPv6]:PORT" or an IP alone; none: the system's. For
 * lookups that begin from now on. */
void dns_use_servers(struct loop *l, const struct str *servers, size_t count);

/* Of this loop, since it was made. */
struct dns_stats {
    uint64_t lookups;     /* names that were looked up */
    uint64_t failures;    /* lookups that brought no address */
    uint64_t stale;       /* queries answered with an answer whose TTL was over */
};
struct dns_stats dns_stats(const struct loop *l);

/* Tests only: makes the answer to a name, for a minute. */
void dns_set_for_tests(struct str host, const struct dns_answer *answer);
