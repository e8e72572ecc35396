/* url.h - takes URLs, "host:port" and query strings apart; percent-encoding (RFC 3986).
 *
 * Splitting checks nothing beyond the delimiters: what a URL may hold depends on who reads it.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

/* "scheme://userinfo@authority/path?query#fragment"; what is missing has p == NULL. */
struct url {
    struct str scheme;
    struct str userinfo;     /* up to the last '@': programs differ about the others */
    struct str authority;    /* "host:port", without userinfo */
    struct str rest;         /* path, query and fragment; never NULL */
};
struct url url_split(struct str text);

/* The same for a text that begins with its authority: "user@host:port/path". */
struct url url_split_authority(struct str text);

/* "name", "name:80", "[v6]", "[v6]:80". */
struct url_host {
    struct str name;    /* without brackets */
    bool bracketed;
    struct str port;    /* p == NULL: there is no colon */
};

/* False for an open bracket, or one that is followed by anything but a port. */
bool url_split_host(struct str authority, struct url_host *ret) MUST_CHECK;

/* One to five digits, up to 65535. */
bool url_port(struct str port, uint16_t *ret) MUST_CHECK;

/* Is it a name, an IPv4 address, or an IPv6 address in brackets? */
bool url_is_host(const struct url_host *h);

/* IPv4 in four decimal parts; IPv6, with a zone or without ("fe80::1%eth0"). */
bool url_is_ipv4(struct str s);
bool url_is_ipv6(struct str s);

/* Letters, digits and "-._~", which are never encoded. */
bool url_is_unreserved(char c);

/* The byte that "%41" at the beginning of `s` stands for; -1 if it is malformed. */
int url_escaped_byte(struct str s);

/* Percent-decodes `s` into `a`; '+' is not changed. Empty with p == NULL if it is malformed. */
struct str url_decode(struct arena *a, struct str s);

/* The same into `room`; false also if it does not fit, and *ret is left alone then. */
bool url_decode_into(struct str s, char *room, size_t size, struct str *ret) MUST_CHECK;

/* The first value of `name` in a query string, percent-decoded; empty if there is none. */
struct str url_query_get(struct arena *a, struct str query, struct str name);

/* Appends `segment`, percent-encoded as one segment of a path. */
void url_add_segment(struct buf *b, struct str segment);
