/* test_browser.c - whose pages may call, and what browsers hear of it. */
#include "gateway/browser.c"

#include "tests/test.h"

static struct conf_str app[] = { { .v = S_INIT("https://app.example") } };
static struct conf_str all[] = { { .v = S_INIT("*") } };
static const struct conf_strs nobody = { NULL, 0 };
static const struct conf_strs one = { app, 1 };
static const struct conf_strs everybody = { all, 1 };

static struct http_head
asked(const char *method, const char *host, const char *origin, struct http_field room[3])
{
    room[0] = (struct http_field){ S("Host"), str_c(host) };
    room[1] = (struct http_field){ S("Origin"), str_c(origin) };
    room[2] = (struct http_field){ S("Access-Control-Request-Headers"), S("authorization") };
    return (struct http_head){ .method = str_c(method), .fields = { room, 3 } };
}

static bool
is_foreign(const struct conf_strs *allowed, const char *host, const char *origin)
{
    struct http_field room[3];
    struct http_head head = asked("POST", host, origin, room);

    return browser_is_foreign_page(allowed, &head);
}

TEST(a_page_is_foreign_unless_it_is_allowed_or_our_own)
{
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "https://evil.example"));
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "null"));
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "http://127.0.0.1:8081"));
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "127.0.0.1:8080"));
    EXPECT(is_foreign(&one, "127.0.0.1:8080", "https://app.example.evil"));
    EXPECT(is_foreign(&nobody, "127.0.0.1:8080", "chrome-extension://abc"));
    EXPECT(!is_foreign(&one, "127.0.0.1:8080", "https://app.example"));
    EXPECT(!is_foreign(&everybody, "127.0.0.1:8080", "https://evil.example"));
    EXPECT(!is_foreign(&nobody, "127.0.0.1:8080", "http://127.0.0.1:8080"));
    EXPECT(!is_foreign(&nobody, "[::1]:8080", "http://[::1]:8080"));
    EXPECT(!is_foreign(&nobody, "localhost", "https://localhost"));
}

TEST(what_is_no_page_is_not_foreign)
{
    EXPECT(!is_foreign(&nobody, "127.0.0.1:8080", ""));
    EXPECT(!is_foreign(&nobody, "127.0.0.1:8080", "vscode-file://vscode-app"));
}

TEST(a_name_that_was_pointed_here_makes_no_page_our_own)
{
    EXPECT(is_foreign(&nobody, "rebound.example:8080", "http://rebound.example:8080"));
    EXPECT(is_foreign(&nobody, "127.0.0.1.example", "http://127.0.0.1.example"));
    EXPECT(is_foreign(&nobody, "0x7f.1", "http://0x7f.1"));
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

TEST(browsers_hear_of_allowed_origins_only)
{
    struct buf b = told(&nobody, "POST", "https://app.example");

    EXPECT_INT(buf_len(&b), 0);
    buf_fini(&b);
    b = told(&one, "POST", "https://evil.example");
    EXPECT_STR(buf_str(&b), "Vary: Origin\r\n");
    buf_fini(&b);
    b = told(&one, "POST", "https://app.example");
    EXPECT_STR(buf_str(&b), "Vary: Origin\r\nAccess-Control-Allow-Origin: https://app.example\r\n"
                            "Access-Control-Expose-Headers: *\r\n");
    buf_fini(&b);
}

TEST(a_preflight_gets_what_it_asks_for)
{
    struct buf b = told(&one, "OPTIONS", "https://app.example");

    EXPECT(
        str_find(buf_str(&b), S("Access-Control-Allow-Headers: authorization\r\n")) < buf_len(&b));
    EXPECT(str_find(buf_str(&b), S("Access-Control-Allow-Methods: GET, POST")) < buf_len(&b));
    buf_fini(&b);
}
