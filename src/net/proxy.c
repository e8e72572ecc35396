/* proxy.c - the proxy that the environment configures, read as curl and most SDKs do. */
#include "net/proxy.h"

#include <stdlib.h>

#include "net/address.h"

static struct str
env_either(const char *lower, const char *upper)
{
    struct str value = str_trim(str_c(getenv(lower)));

    if (value.n == 0 && upper != NULL)
        value = str_trim(str_c(getenv(upper)));
    return value;
}

struct proxy_env
proxy_env_read(void)
{
    bool is_cgi = getenv("REQUEST_METHOD") != NULL;

    return (struct proxy_env){
        .https = env_either("https_proxy", "HTTPS_PROXY"),
        .http = env_either("http_proxy", is_cgi ? NULL : "HTTP_PROXY"),
        .all = env_either("all_proxy", "ALL_PROXY"),
        .no = env_either("no_proxy", "NO_PROXY"),
    };
}

/* --- NO_PROXY --- */

static bool
bits_eq(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* The bytes of an address; a mapped IPv4 address counts as IPv4. */
static const uint8_t *
address_bytes(const struct address *a, unsigned *ret_bits)
{
    if (a->any.sa_family == AF_INET) {
        *ret_bits = 32;
        return (const uint8_t *)&a->v4.sin_addr;
    }
    if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr)) {
        *ret_bits = 32;
        return &a->v6.sin6_addr.s6_addr[12];
    }
    *ret_bits = 128;
    return a->v6.sin6_addr.s6_addr;
}

/* `entry` is an address or a network that holds `host`. */
static bool
network_has(struct str entry, const struct address *host)
{
    struct str text, length;
    struct address network;
    uint64_t prefix;
    unsigned host_bits, network_bits;
    bool is_network = str_cut(entry, '/', &text, &length);

    if (!address_parse(text, 0, &network))
        return false;
    const uint8_t *a = address_bytes(host, &host_bits);
    const uint8_t *b = address_bytes(&network, &network_bits);
    if (host_bits != network_bits)
        return false;
    if (!is_network)
        return bits_eq(a, b, host_bits);
    return str_u64(length, &prefix) && prefix <= host_bits && bits_eq(a, b, (unsigned)prefix);
}

/* "example.com" and ".example.com" both name the domain and everything below it. */
static bool
domain_has(struct str entry, struct str host)
{
    if (str_starts(entry, S("*.")))
        entry = str_skip(entry, 2);
    else if (str_starts(entry, S(".")))
        entry = str_skip(entry, 1);
    if (entry.n != 0 && entry.p[entry.n - 1] == '.')
        entry.n--;
    if (entry.n == 0 || host.n < entry.n)
        return false;

    struct str tail = str_skip(host, host.n - entry.n);
    return str_ieq(tail, entry) && (tail.p == host.p || tail.p[-1] == '.');
}

/* Cuts the port off "name:port" and "[v6]:port"; leaves a bare IPv6 address alone. */
static bool
entry_port_fits(struct str *entry, uint16_t port)
{
    struct str host;
    uint16_t wanted;
    size_t colon = str_chr(*entry, ':');
    bool bracketed = str_starts(*entry, S("["));

    if (bracketed && str_ends(*entry, S("]"))) {
        *entry = str_make(entry->p + 1, entry->n - 2);
        return true;
    }
    if (!bracketed && str_chr(str_skip(*entry, colon + 1), ':') != str_skip(*entry, colon + 1).n)
        return true;    /* two colons: IPv6 */
    if (!address_split(*entry, &host, &wanted))
        return true;
    *entry = host;
    return wanted == port;
}

static bool
next_entry(struct str *list, struct str *ret)
{
    size_t n = 0;

    while (list->n != 0 && strchr(", \t", list->p[0]) != NULL)
        *list = str_skip(*list, 1);
    while (n < list->n && strchr(", \t", list->p[n]) == NULL)
        n++;
    *ret = str_make(list->p, n);
    *list = str_skip(*list, n);
    return n != 0;
}

/* Does the NO_PROXY list name this host? Entries are separated by commas or blanks: "*", "name" and
 * ".name" (the name and everything below it), addresses, "10.0.0.0/8", each with an optional
 * port. */
static bool
is_excluded(struct str no_proxy, struct str host, uint16_t port)
{
    struct address address;
    struct str entry;
    bool is_address = address_parse(host, 0, &address);

    if (host.n != 0 && host.p[host.n - 1] == '.')
        host.n--;
    while (next_entry(&no_proxy, &entry)) {
        if (str_eq(entry, S("*")))
            return true;
        if (!entry_port_fits(&entry, port))
            continue;
        if (is_address ? network_has(entry, &address) : domain_has(entry, host))
            return true;
    }
    return false;
}

/* Servers on this machine cannot be reached through a proxy. */
static bool
is_loopback(struct str host)
{
    struct address address;
    unsigned bits;

    if (host.n != 0 && host.p[host.n - 1] == '.')
        host.n--;
    if (!address_parse(host, 0, &address))
        return str_ieq(host, S("localhost"));

    const uint8_t *bytes = address_bytes(&address, &bits);
    return bits == 32 ? bytes[0] == 127 : IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr);
}

struct str
proxy_find(const struct proxy_env *env, bool is_https, struct str host, uint16_t port)
{
    struct str proxy = is_https ? env->https : env->http;

    if (proxy.n == 0)
        proxy = env->all;
    if (proxy.n == 0 || is_loopback(host) || is_excluded(env->no, host, port))
        return (struct str){ NULL, 0 };
    return proxy;
}
