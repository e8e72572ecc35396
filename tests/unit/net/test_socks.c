/* test_socks.c - what is said to a SOCKS5 proxy, and every answer it may give. */
#include "net/socks.c"

#include "tests/test.h"

/* A conversation: what the proxy says, whole and byte by byte, and what it must hear. */
struct row {
    const char *name;
    struct str user, password, host;
    struct str said;     /* by the proxy */
    struct str heard;    /* by it, the greeting included */
    enum socks_step end;
    const char *why;
};

#define V4 "\x05\x00\x00\x01\x7f\x00\x00\x01\x1f\x90"
#define NAME "\x05\x00\x00\x03\x04name\x1f\x90"
#define V6                                                                                         \
    "\x05\x00\x00\x04"                                                                             \
    "0123456789abcdef"                                                                             \
    "\x1f\x90"
#define GREETING "\x05\x01\x00"
#define BY_NAME "\x05\x01\x00\x03\x08lab.test\x01\xbb"

static const struct row rows[] = {
    { "a name for the proxy to look up", S_INIT(""), S_INIT(""), S_INIT("lab.test"),
        S_INIT("\x05\x00" V4), S_INIT(GREETING BY_NAME), SOCKS_OPEN, "" },
    { "a reply with a name", S_INIT(""), S_INIT(""), S_INIT("lab.test"), S_INIT("\x05\x00" NAME),
        S_INIT(GREETING BY_NAME), SOCKS_OPEN, "" },
    { "a reply with IPv6", S_INIT(""), S_INIT(""), S_INIT("lab.test"), S_INIT("\x05\x00" V6),
        S_INIT(GREETING BY_NAME), SOCKS_OPEN, "" },
    { "an IPv4 address", S_INIT(""), S_INIT(""), S_INIT("192.0.2.7"), S_INIT("\x05\x00" V4),
        S_INIT(GREETING "\x05\x01\x00\x01\xc0\x00\x02\x07\x01\xbb"), SOCKS_OPEN, "" },
    { "an IPv6 address", S_INIT(""), S_INIT(""), S_INIT("2001:db8::1"), S_INIT("\x05\x00" V4),
        S_INIT(GREETING "\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb"),
        SOCKS_OPEN, "" },
    { "a user and a password", S_INIT("us"), S_INIT("pass"), S_INIT("lab.test"),
        S_INIT("\x05\x02\x01\x00" V4), S_INIT("\x05\x02\x00\x02\x01\x02us\x04pass" BY_NAME),
        SOCKS_OPEN, "" },
    { "a user that is not asked for", S_INIT("us"), S_INIT(""), S_INIT("lab.test"),
        S_INIT("\x05\x00" V4), S_INIT("\x05\x02\x00\x02" BY_NAME), SOCKS_OPEN, "" },
    { "a wrong password", S_INIT("us"), S_INIT("pass"), S_INIT("lab.test"),
        S_INIT("\x05\x02\x01\x01"), S_INIT("\x05\x02\x00\x02\x01\x02us\x04pass"), SOCKS_FAILED,
        "the SOCKS proxy refused the user or the password" },
    { "no user where one is wanted", S_INIT(""), S_INIT(""), S_INIT("lab.test"), S_INIT("\x05\xff"),
        S_INIT(GREETING), SOCKS_FAILED,
        "the SOCKS proxy wants a user and a password; write socks5://user:password@host" },
    { "a method that was not offered", S_INIT(""), S_INIT(""), S_INIT("lab.test"),
        S_INIT("\x05\x02"), S_INIT(GREETING), SOCKS_FAILED,
        "the SOCKS proxy chose a method that was not offered" },
    { "HTTP", S_INIT(""), S_INIT(""), S_INIT("lab.test"), S_INIT("HTTP/1.1 400 Bad Request\r\n"),
        S_INIT(GREETING), SOCKS_FAILED, "the proxy does not speak SOCKS5" },
    { "SOCKS4", S_INIT(""), S_INIT(""), S_INIT("lab.test"), S_INIT("\x00\x5b"), S_INIT(GREETING),
        SOCKS_FAILED, "the proxy does not speak SOCKS5" },
    { "not allowed", S_INIT(""), S_INIT(""), S_INIT("lab.test"), S_INIT("\x05\x00\x05\x02"),
        S_INIT(GREETING BY_NAME), SOCKS_FAILED, "the SOCKS proxy does not allow it" },
    { "unreachable", S_INIT(""), S_INIT(""), S_INIT("lab.test"), S_INIT("\x05\x00\x05\x04"),
        S_INIT(GREETING BY_NAME), SOCKS_AGAIN, "the SOCKS proxy found the host unreachable" },
    { "an unknown refusal", S_INIT(""), S_INIT(""), S_INIT("lab.test"), S_INIT("\x05\x00\x05\x63"),
        S_INIT(GREETING BY_NAME), SOCKS_FAILED, "the SOCKS proxy refused" },
    { "a reply of no kind", S_INIT(""), S_INIT(""), S_INIT("lab.test"),
        S_INIT("\x05\x00\x05\x00\x00\x07\x00"), S_INIT(GREETING BY_NAME), SOCKS_FAILED,
        "the SOCKS proxy's reply makes no sense" },
    { "half a reply", S_INIT(""), S_INIT(""), S_INIT("lab.test"),
        S_INIT("\x05\x00\x05\x00\x00\x03\x04na"), S_INIT(GREETING BY_NAME), SOCKS_MORE, "" },
};

static void
converse(const struct row *row, size_t piece)
{
    struct socks s = {
        .user = row->user, .password = row->password, .host = row->host, .port = 443
    };
    struct buf in, out;
    const char *why = "";
    enum socks_step step = SOCKS_MORE;

    buf_init(&in, 4096);
    buf_init(&out, 4096);
    socks_begin(&s, &out);
    for (size_t at = 0; at < row->said.n && step == SOCKS_MORE; at += piece) {
        buf_add(&in, str_make(row->said.p + at, MIN(piece, row->said.n - at)));
        step = socks_feed(&s, &in, &out, &why);
    }
    if (step != row->end || !str_eq(buf_str(&out), row->heard))
        print_error("%s, %zu bytes at a time\n", row->name, piece);
    EXPECT_INT(step, row->end);
    EXPECT_STR(str_c(why), row->why);
    EXPECT(str_eq(buf_str(&out), row->heard));
    if (step == SOCKS_OPEN)
        EXPECT_INT(buf_len(&in), 0);
    buf_fini(&in);
    buf_fini(&out);
}

TEST(every_conversation_comes_to_its_end_however_it_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        converse(&rows[i], 1);
        converse(&rows[i], 3);
        converse(&rows[i], 1000);
    }
}

TEST(what_follows_the_reply_is_left)
{
    struct socks s = { .host = S("lab.test"), .port = 443 };
    struct buf in, out;
    const char *why;

    buf_init(&in, 4096);
    buf_init(&out, 4096);
    socks_begin(&s, &out);
    buf_add(&in, S("\x05\x00" V4 "early"));
    EXPECT_INT(socks_feed(&s, &in, &out, &why), SOCKS_OPEN);
    EXPECT_STR(buf_str(&in), "early");
    buf_fini(&in);
    buf_fini(&out);
}

TEST(an_address_that_we_looked_up_goes_instead_of_the_name)
{
    struct address a;
    struct socks s = { .host = S("lab.test"), .target = &a, .port = 80 };
    struct buf in, out;
    const char *why;

    EXPECT(address_parse(S("192.0.2.7"), 0, &a));
    buf_init(&in, 4096);
    buf_init(&out, 4096);
    buf_add(&in, S("\x05\x00"));
    socks_begin(&s, &out);
    EXPECT_INT(socks_feed(&s, &in, &out, &why), SOCKS_MORE);
    EXPECT(str_eq(buf_str(&out), S(GREETING "\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50")));
    buf_fini(&in);
    buf_fini(&out);
}
