/* cidr.h - networks of IP addresses: "10.0.0.0/8", "2001:db8::/32", "203.0.113.9".
 *
 * IPv4 is kept as the part of IPv6 that it is mapped into, so that an IPv4 address matches however it
 * reached us.
 */
#pragma once

#include "net/address.h"

struct cidr {
    uint8_t prefix[16];
    uint8_t bits;    /* of the prefix that count; 0 to 128 */
};

/* Reads a network, or an address alone. Bits beyond the prefix must be zero, because "10.0.0.1/8" is
 * more often a mistake than a wish. False: it is none. */
bool cidr_parse(struct str text, struct cidr *ret) MUST_CHECK;

bool cidr_has(const struct cidr *network, const struct address *a) MUST_CHECK;

/* Is this address ("203.0.113.9", "fe80::1%eth0") of this machine or of a private network, which the public
 * Internet does not reach (RFC 1918, 3927, 4193, 4291, 6598)? */
bool cidr_is_private(struct str address) MUST_CHECK;
