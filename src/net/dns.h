/* dns.h - names to addresses, off the loop, remembered for the whole process.
 *
 * Answers are kept for 30 s, failures for 5 s. Several askers of one name on one loop share one
 * lookup.
 */
#pragma once

#include "net/address.h"
#include "net/loop.h"

/* As many addresses of a name as are ever tried. */
#define DNS_ADDRESSES_MAX 8

struct dns_answer {
    struct address list[DNS_ADDRESSES_MAX];    /* in the order in which to try them; port 0 */
    size_t count;                              /* 0: the lookup failed */
    const char *error;                         /* then: a short reason */
};

struct dns_query;

/* Looks the name up; `done` is called from the loop, once, unless dns_cancel() came first; the
 * query is gone then. Address literals are answered without asking anybody. */
struct dns_query *dns_resolve(struct loop *l, struct str host,
    void (*done)(void *arg, const struct dns_answer *answer), void *arg) NEVER_NULL;

/* NULL is a no-op. */
void dns_cancel(struct dns_query *q);

/* Tests only: makes the answer to a name, for a minute. */
void dns_set_for_tests(struct str host, const struct dns_answer *answer);
