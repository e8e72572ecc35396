/* test_cidr.c - networks of addresses, of both kinds. */
#include "net/cidr.c"

#include "tests/test.h"

static bool
has(const char *network, const char *address)
{
    struct cidr c;
    struct address a;

    EXPECT(cidr_parse(str_c(network), &c));
    EXPECT(address_parse(str_c(address), 0, &a));
    return cidr_has(&c, &a);
}

TEST(an_address_is_in_the_network_whose_prefix_it_has)
{
    EXPECT(has("10.0.0.0/8", "10.255.1.2"));
    EXPECT(!has("10.0.0.0/8", "11.0.0.0"));
    EXPECT(has("192.0.2.128/25", "192.0.2.128"));
    EXPECT(!has("192.0.2.128/25", "192.0.2.127"));
    EXPECT(has("2001:db8::/33", "2001:db8:7fff::1"));
    EXPECT(!has("2001:db8::/33", "2001:db8:8000::1"));
    EXPECT(has("0.0.0.0/0", "203.0.113.9"));
    EXPECT(has("::/0", "203.0.113.9"));
    EXPECT(!has("0.0.0.0/0", "2001:db8::1"));
}

TEST(an_address_alone_is_a_network_of_one)
{
    EXPECT(has("203.0.113.9", "203.0.113.9"));
    EXPECT(!has("203.0.113.9", "203.0.113.8"));
    EXPECT(has("::1", "::1"));
    EXPECT(!has("::1", "::2"));
}

TEST(an_ipv4_address_is_the_same_one_when_it_is_mapped_into_ipv6)
{
    EXPECT(has("10.0.0.0/8", "::ffff:10.1.2.3"));
    EXPECT(has("::ffff:10.0.0.0/104", "10.1.2.3"));
    EXPECT(!has("10.0.0.0/8", "::10.1.2.3"));
}

TEST(what_is_not_a_network_is_refused)
{
    static const char *const wrong[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
        "10.0.0.0/8/8", "10.0.0.0/08x", "10.0.0.1/8", "2001:db8::/129", "2001:db8::1/64", "10.0/8",
        "localhost", "fe80::1%lo/64", "10.0.0.0 /8", "10.0.0.0/4294967304" };
    struct cidr c;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        EXPECT(!cidr_parse(str_c(wrong[i]), &c));
}

TEST(every_length_of_prefix_divides_at_its_bit)
{
    for (unsigned bits = 1; bits <= 32; bits++) {
        struct cidr c = { .bits = (uint8_t)(V4_BITS + bits) };
        struct address in = { .v4 = { .sin_family = AF_INET } }, out = in;

        c.prefix[10] = c.prefix[11] = 0xff;
        in.v4.sin_addr.s_addr = htonl(bits == 32 ? 0 : UINT32_MAX >> bits);
        out.v4.sin_addr.s_addr = htonl(UINT32_C(1) << (32 - bits));
        EXPECT(cidr_has(&c, &in));
        EXPECT(!cidr_has(&c, &out));
    }
}

TEST(private_addresses_are_those_that_the_internet_does_not_reach)
{
    static const char *const private[] = { "127.0.0.1", "10.1.2.3", "172.31.255.255", "192.168.0.1",
        "169.254.1.1", "100.127.0.1", "::1", "fd12::1", "fe80::1%eth0" };
    static const char *const public[] = { "", "unix", "203.0.113.9", "172.32.0.0", "100.128.0.0",
        "2001:db8::1", "11.0.0.1", "localhost" };

    for (size_t i = 0; i < ARRAY_LEN(private); i++)
        EXPECT(cidr_is_private(str_c(private[i])));
    for (size_t i = 0; i < ARRAY_LEN(public); i++)
        EXPECT(!cidr_is_private(str_c(public[i])));
}
