/* address.h - IP addresses with ports, from text and back. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/base.h"

/* An IPv4 or IPv6 address. Small, unlike struct sockaddr_storage: caches hold many. */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

/* Enough for "[v6%scope]:65535" and a NUL. */
#define ADDRESS_TEXT_ROOM 80

/* Takes an IPv4 or IPv6 socket address; false for other families. */
bool address_from(const struct sockaddr *from, struct address *ret) MUST_CHECK;

/* Its size as the kernel expects it. */
socklen_t address_len(const struct address *a);

void address_set_port(struct address *a, uint16_t port);
uint16_t address_port(const struct address *a);

/* "203.0.113.9", "::1"; an IPv4 address mapped into IPv6 reads as IPv4. Adds a NUL. */
struct str address_text(const struct address *a, char room[ADDRESS_TEXT_ROOM]);

/* "203.0.113.9:443", "[::1]:443". */
struct str address_text_port(const struct address *a, char room[ADDRESS_TEXT_ROOM]);

/* Reads a literal ("10.0.0.1", "::1", "fe80::1%eth0") without a lookup. False for names and
 * for the old spellings of IPv4 (octal, hexadecimal, fewer than four parts). */
bool address_parse(struct str text, uint16_t port, struct address *ret) MUST_CHECK;

/* Reads "host:port", "[v6]:port" or ":port"; the host comes without brackets. */
bool address_split(struct str text, struct str *ret_host, uint16_t *ret_port) MUST_CHECK;
