/* test_address.c - addresses read and written, and what is none. */
#include "net/address.c"

#include "tests/test.h"

static void
expect_round_trip(const char *text, const char *again, const char *with_port)
{
    struct address a;
    char room[ADDRESS_TEXT_ROOM];

    EXPECT(address_parse(str_c(text), 443, &a));
    EXPECT_STR(address_text(&a, room), again);
    EXPECT_STR(address_text_port(&a, room), with_port);
    EXPECT_INT(address_port(&a), 443);
}

TEST(literals_are_read_and_written_in_their_short_form)
{
    expect_round_trip("127.0.0.1", "127.0.0.1", "127.0.0.1:443");
    expect_round_trip("::1", "::1", "[::1]:443");
    expect_round_trip("2001:DB8:0:0::1", "2001:db8::1", "[2001:db8::1]:443");
    expect_round_trip("fe80::1%lo", "fe80::1%lo", "[fe80::1%lo]:443");
}

TEST(a_mapped_address_reads_as_ipv4)
{
    expect_round_trip("::ffff:203.0.113.9", "203.0.113.9", "203.0.113.9:443");
}

TEST(names_and_old_spellings_are_no_literals)
{
    static const char *const none[] = {
        "",
        "localhost",
        "127.1",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "2130706433",
        "1.2.3.4.5",
        "1.2.3.256",
        "[::1]",
        ":::",
        "::1%no-such-interface",
        "127.0.0.1%lo",
        "1.2.3.4 ",
        "12345::1",
    };
    struct address a;

    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        EXPECT(!address_parse(str_c(none[i]), 1, &a));
    EXPECT(!address_parse(str_make("1.2.3.4\0x", 9), 1, &a));
}

TEST(host_and_port_are_split_at_the_last_place_possible)
{
    struct str host = S("");
    uint16_t port = 0;

    EXPECT(address_split(S("localhost:8080"), &host, &port));
    EXPECT_STR(host, "localhost");
    EXPECT_INT(port, 8080);
    EXPECT(address_split(S("[::1]:0"), &host, &port));
    EXPECT_STR(host, "::1");
    EXPECT_INT(port, 0);
    EXPECT(address_split(S(":65535"), &host, &port));
    EXPECT_STR(host, "");
    EXPECT_INT(port, 65535);
}

TEST(what_has_no_proper_port_is_not_split)
{
    static const char *const bad[] = {
        "",
        "host",
        "host:",
        "host:65536",
        "host:-1",
        "host:+1",
        "host:80x",
        "[::1]",
        "[::1:80",
        "[::1]80",
        "::1:80",
        "host: 80",
    };
    struct str host;
    uint16_t port;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT(!address_split(str_c(bad[i]), &host, &port));
}
