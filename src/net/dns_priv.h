/* dns_priv.h - how dns.c asks name servers, and what an open connection keeps of its name. */
#pragma once

#include "net/dns.h"

/* --- asking (dns_ask.c, the only file that sees c-ares) --- */

enum dns_outcome {
    DNS_FOUND,
    DNS_NO_ADDRESS,    /* an answer: there is no such name, or it has no address of this family */
    DNS_FAILED,        /* no answer: timeout, SERVFAIL, refused */
};

/* What one question brought. */
struct dns_part {
    enum dns_outcome outcome;
    const char *error;    /* when there is no address: a short reason */
    struct address list[DNS_ADDRESSES_MAX];
    size_t count;
    uint64_t ttl_ms;
};

/* A connection to the name servers, as they were configured when it was made. */
struct dns_channel;

/* `servers`: "IP:PORT,IP:PORT", empty for the system's. NULL when c-ares cannot be set up. */
struct dns_channel *dns_channel_create(struct loop *l, const char *servers);

/* The system's configuration changed since it was made. */
bool dns_channel_is_outdated(const struct dns_channel *c);

/* Lets go of it: it ends when its last question has ended. */
void dns_channel_release(struct dns_channel *c);

/* At once: questions still open are forgotten, their `done` is not called. */
void dns_channel_destroy(struct dns_channel *c);

/* True if /etc/hosts contains the name: both families, in *ret. */
bool dns_channel_hosts(struct dns_channel *c, const char *host, struct dns_part *ret);

/* Asks for the addresses of one family. `done` comes from the loop, or from within this call when
 * the question cannot even be asked. */
void dns_channel_ask(struct dns_channel *c, const char *host, int family,
    void (*done)(void *arg, const struct dns_part *part), void *arg);

/* --- names and connections --- */

struct dns_name;

/* The name as this loop knows it, one more connection open by it. NULL for literals. */
struct dns_name *dns_name_hold(struct loop *l, struct str host);
void dns_name_drop(struct dns_name *n);    /* NULL is a no-op */

/* Grows whenever an address has gone from the answer. */
unsigned dns_name_version(const struct dns_name *n);

/* Whether the present answer has this address, whatever the port. */
bool dns_name_has(const struct dns_name *n, const struct address *a);

/* Before the loop ends: no lookup goes on and none begins. And after it: forgets all names. */
void dns_close(struct loop *l);
void dns_free(struct loop *l);
