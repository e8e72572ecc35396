/* cidr.c - networks of IP addresses, from text, and what they contain. */
#include "net/cidr.h"

#define V4_BITS 96    /* in front of an IPv4 address that is mapped into IPv6 */

/* The 16 bytes of an address, as IPv6. */
static void
bytes_of(const struct address *a, uint8_t ret[16])
{
    if (a->any.sa_family == AF_INET6) {
        memcpy(ret, a->v6.sin6_addr.s6_addr, 16);
        return;
    }
    memset(ret, 0, 10);
    ret[10] = ret[11] = 0xff;
    memcpy(ret + 12, &a->v4.sin_addr, 4);
}

/* Are the first `bits` of both the same? */
static bool
is_same(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool
cidr_parse(struct str text, struct cidr *ret)
{
    struct str host, length;
    struct address a;
    uint8_t zeros[16] = { 0 }, tail[16];
    uint64_t bits;
    bool sized = str_cut(text, '/', &host, &length);

    if (str_chr(host, '%') != host.n || !address_parse(host, 0, &a))
        return false;
    unsigned before = a.any.sa_family == AF_INET ? V4_BITS : 0;
    if (!sized)
        bits = 128 - before;
    else if (length.n > 3 || !str_u64(length, &bits) || bits > 128 - before)
        return false;
    bytes_of(&a, ret->prefix);
    ret->bits = (uint8_t)(bits + before);
    memcpy(tail, ret->prefix, sizeof(tail));
    for (unsigned i = 0; i < ret->bits; i++)
        tail[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
    return memcmp(tail, zeros, sizeof(tail)) == 0;
}

bool
cidr_has(const struct cidr *network, const struct address *a)
{
    uint8_t bytes[16];

    bytes_of(a, bytes);
    return is_same(network->prefix, bytes, network->bits);
}

bool
cidr_is_private(struct str address)
{
    static const struct str networks[] = { S_INIT("127.0.0.0/8"), S_INIT("10.0.0.0/8"),
        S_INIT("172.16.0.0/12"), S_INIT("192.168.0.0/16"), S_INIT("169.254.0.0/16"),
        S_INIT("100.64.0.0/10"), S_INIT("::1"), S_INIT("fc00::/7"), S_INIT("fe80::/10") };
    struct str plain, scope;
    struct address a;
    struct cidr network;

    (void)str_cut(address, '%', &plain, &scope);
    if (!address_parse(plain, 0, &a))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(networks); i++)
        if (cidr_parse(networks[i], &network) && cidr_has(&network, &a))
            return true;
    return false;
}
