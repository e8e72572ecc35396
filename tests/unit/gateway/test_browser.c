/* test_browser.c - which web pages may send requests, and the CORS fields for browsers. */
#include "gateway/browser.c"

#include "tests/test.h"

static struct conf_str app[] = { { .v = S_INIT("https://app.example") } };
static struct conf_str all[] = { { .v = S_INIT("*") } };
static const struct conf_strs no_origin = { NULL, 0 };
static const struct conf_strs one_origin = { app, 1 };
static struct conf_str loopback[] = { { .v = S_INIT("127.0.0.1:8080") } };
static const struct conf_server nobody = { .listen = { loopback, 1 } };
static const struct conf_server one = { .listen = { loopback, 1 }, .cors_origins = { app, 1 } };
static const struct conf_server everybody = { .listen = { loopback, 1 },
    .cors_origins = { all, 1 } };

static struct http_head
asked(const char *method, const char *host, const char *origin, struct http_field room[3])
{
    room[0] = (struct http_field){ S("Host"), str_c(host) };
    room[1] = (struct http_field){ S("Origin"), str_c(origin) };
    room[2] = (struct http_field){ S("Access-Control-Request-Headers"), S("authorization") };
    return (struct http_head){ .method = str_c(method), .fields = { room, 3 } };
}

static bool
is_foreign(const struct conf_server *server, const char *host, const char *origin)
{
    struct http_field room[3];
    struct http_head head = asked("POST", host, origin, room);

    return browser_is_foreign_page(server, &head);
}

TEST(a_page_is_foreign_unless_it_is_allowed_or_our_own)
{
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "https://evil.example"));
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "null"));
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "http://127.0.0.1:8081"));
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "127.0.0.1:8080"));
    EXPECT(is_foreign(&one, "127.0.0.1:8080", "https://app.example.evil"));
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "chrome-extension://abc"));
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "http://127.0.0.1:8080/"));
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "http://x@127.0.0.1:8080"));
    EXPECT(is_foreign(&nobody, "x@127.0.0.1:8080", "http://x@127.0.0.1:8080"));
    EXPECT(!is_foreign(&one, "127.0.0.1:8080", "https://app.example"));
    EXPECT(!is_foreign(&everybody, "127.0.0.1:8080", "https://evil.example"));
    EXPECT(!is_foreign(&nobody, "127.0.0.1:8080", "http://127.0.0.1:8080"));
    EXPECT(!is_foreign(&nobody, "[::1]:8080", "http://[::1]:8080"));
    EXPECT(!is_foreign(&nobody, "localhost", "https://localhost"));
}

TEST(requests_that_are_not_from_a_page_are_not_foreign)
{
    EXPECT(!is_foreign(&nobody, "127.0.0.1:8080", ""));
    EXPECT(!is_foreign(&nobody, "127.0.0.1:8080", "vscode-file://vscode-app"));
}

TEST(a_rebound_host_name_does_not_make_a_page_ours)
{
    EXPECT(is_foreign(&nobody, "rebound.example:8080", "http://rebound.example:8080"));
    EXPECT(is_foreign(&nobody, "127.0.0.1.example", "http://127.0.0.1.example"));
    EXPECT(is_foreign(&nobody, "0x7f.1", "http://0x7f.1"));
}

TEST(a_host_is_ours_by_address_or_by_a_name_that_only_we_have)
{
    static struct conf_str some[] = { { .v = S_INIT("10.1.2.3:8080") },
        { .v = S_INIT("[2001:db8::5]:8080") }, { .v = S_INIT("unix:/run/x.sock") } };
    static struct conf_str any4[] = { { .v = S_INIT("0.0.0.0:8080") } };
    static struct conf_str any6[] = { { .v = S_INIT("[::]:8080") } };
    static struct conf_str any[] = { { .v = S_INIT(":8080") } };
    static struct conf_str names[] = { { .v = S_INIT("Gateway.internal") },
        { .v = S_INIT("203.0.113.9") } };
    static const struct conf_server addresses = { .listen = { some, 3 }, .hosts = { names, 2 } };
    static const struct conf_server wild[] = { { .listen = { any4, 1 } }, { .listen = { any6, 1 } },
        { .listen = { any, 1 } }, { .admin_listen = { .v = S_INIT(":81") } } };
    static struct conf_str named[] = { { .v = S_INIT("gateway.test:8080") } };
    static const struct conf_server by_name = { .listen = { named, 1 } };
    static const struct conf_server star = { .hosts = { all, 1 } };
    static const char *const always[] = { "localhost", "LOCALHOST:8080", "localhost.",
        "a.b.localhost:1", "a.localhost", "localhost.:8080", "127.0.0.1", "127.9.9.9:80", "[::1]",
        "[::1]:8080", "[::ffff:127.0.0.1]", "" };
    static const char *const never[] = { "evil.example", "evil.example:8080",
        "localhost.evil.example", "evil-localhost", "xlocalhost", ".localhost",
        "127.0.0.1.evil.example", "127.1", "0x7f.1", "2130706433", "[localhost]", "[127.0.0.1]",
        "gateway.internal.evil", "127.0.0.1..", "localhost..", "[evil.example]:80" };

    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        EXPECT(browser_is_our_host(&addresses, str_c(always[i])));
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        for (size_t k = 0; k < ARRAY_LEN(wild); k++)
            EXPECT(!browser_is_our_host(&wild[k], str_c(never[i])));
    for (size_t k = 0; k < ARRAY_LEN(wild); k++) {
        EXPECT(browser_is_our_host(&wild[k], S("198.51.100.7:8080")));
        EXPECT(browser_is_our_host(&wild[k], S("[2001:db8::9]")));
        EXPECT(!browser_is_our_host(&wild[k], S("gateway.internal")));
    }
    EXPECT(browser_is_our_host(&addresses, S("10.1.2.3")));
    EXPECT(browser_is_our_host(&addresses, S("[2001:DB8:0::5]:99")));
    EXPECT(browser_is_our_host(&addresses, S("gateway.INTERNAL.:8080")));
    EXPECT(browser_is_our_host(&addresses, S("203.0.113.9")));
    EXPECT(!browser_is_our_host(&addresses, S("10.1.2.4")));
    EXPECT(!browser_is_our_host(&addresses, S("internal")));
    EXPECT(!browser_is_our_host(&nobody, S("10.1.2.3")));
    EXPECT(!browser_is_our_host(&nobody, S("[::ffff:10.1.2.3]")));
    EXPECT(!browser_is_our_host(&nobody, S("[2001:db8::7f00:1]")));
    EXPECT(!browser_is_our_host(&nobody, S("[::1")));
    EXPECT(!browser_is_our_host(&nobody, S("::1")));
    EXPECT(!browser_is_our_host(&star, S("[::1")));
    EXPECT(!browser_is_our_host(&by_name, S("10.1.2.3")));
    EXPECT(browser_is_our_host(&star, S("evil.example")));
}

static struct buf
told(const struct conf_strs *allowed, const char *method, const char *origin)
{
    struct http_field room[3];
    struct http_head head = asked(method, "h", origin, room);
    struct buf b;

    buf_init(&b, 4096);
    browser_add_fields(allowed, &head, &b);
    return b;
}

TEST(cors_fields_are_sent_to_allowed_origins_only)
{
    struct buf b = told(&no_origin, "POST", "https://app.example");

    EXPECT_INT(buf_len(&b), 0);
    buf_fini(&b);
    b = told(&one_origin, "POST", "https://evil.example");
    EXPECT_STR(buf_str(&b), "Vary: Origin\r\n");
    buf_fini(&b);
    b = told(&(struct conf_strs){ all, 1 }, "POST", "");
    EXPECT_STR(buf_str(&b), "Vary: Origin\r\n");
    buf_fini(&b);
    b = told(&one_origin, "POST", "https://app.example");
    EXPECT_STR(buf_str(&b), "Vary: Origin\r\nAccess-Control-Allow-Origin: https://app.example\r\n"
                            "Access-Control-Expose-Headers: *\r\n");
    buf_fini(&b);
}

TEST(a_preflight_gets_the_requested_headers)
{
    struct buf b = told(&one_origin, "OPTIONS", "https://app.example");

    EXPECT(
        str_find(buf_str(&b), S("Access-Control-Allow-Headers: authorization\r\n")) < buf_len(&b));
    EXPECT(str_find(buf_str(&b), S("Access-Control-Allow-Methods: GET, POST")) < buf_len(&b));
    buf_fini(&b);

    struct http_field room[3];
    struct http_head head = asked("OPTIONS", "h", "https://app.example", room);

    head.fields.count = 2;    /* none requested */
    buf_init(&b, 4096);
    browser_add_fields(&one_origin, &head, &b);
    EXPECT(str_find(buf_str(&b), S("Access-Control-Allow-Methods")) < buf_len(&b));
    EXPECT(str_find(buf_str(&b), S("Access-Control-Allow-Headers")) == buf_len(&b));
    buf_fini(&b);
}
