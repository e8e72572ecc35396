/* test_proxy.c - which proxy the environment asks for, row by row. */
#include "net/proxy.c"

#include "tests/test.h"

TEST(no_proxy_excludes_what_it_names)
{
    static const struct {
        const char *no_proxy;
        const char *host;
        uint16_t port;
        bool excluded;
    } rows[] = {
        { "", "example.com", 443, false },
        { "*", "example.com", 443, true },
        { "other.com,*", "example.com", 443, true },
        { "example.com", "example.com", 443, true },
        { "EXAMPLE.com", "example.COM", 443, true },
        { "example.com", "api.example.com", 443, true },
        { ".example.com", "api.example.com", 443, true },
        { ".example.com", "example.com", 443, true },
        { "*.example.com", "api.example.com", 443, true },
        { "example.com", "notexample.com", 443, false },
        { "example.com", "example.com.evil.net", 443, false },
        { "example.com.", "example.com", 443, true },
        { "example.com", "example.com.", 443, true },
        { " a.com , b.com\tc.com ", "c.com", 443, true },
        { "a.com b.com", "b.com", 443, true },
        { "a.com,,b.com", "c.com", 443, false },
        { "example.com:443", "example.com", 443, true },
        { "example.com:8443", "example.com", 443, false },
        { "example.com:port", "example.com", 443, false },
        { "localhost,127.0.0.1", "127.0.0.1", 80, true },
        { "127.0.0.1:80", "127.0.0.1", 80, true },
        { "127.0.0.1:81", "127.0.0.1", 80, false },
        { "127.0.0.1", "127.0.0.2", 80, false },
        { "127.0.0.0/8", "127.9.9.9", 80, true },
        { "10.0.0.0/8", "11.0.0.1", 80, false },
        { "10.1.2.0/23", "10.1.3.255", 80, true },
        { "10.1.2.0/23", "10.1.4.0", 80, false },
        { "0.0.0.0/0", "10.1.4.0", 80, true },
        { "10.0.0.0/33", "10.0.0.0", 80, false },
        { "10.0.0.0/", "10.0.0.0", 80, false },
        { "::1", "::1", 80, true },
        { "[::1]", "::1", 80, true },
        { "[::1]:80", "::1", 80, true },
        { "[::1]:81", "::1", 80, false },
        { "fd00::/8", "fd12::1", 80, true },
        { "fd00::/8", "fe12::1", 80, false },
        { "10.0.0.0/8", "::ffff:10.2.3.4", 80, true },
        { "10.0.0.0/8", "::1", 80, false },
        { ".", "example.com", 443, false },
        { "com", "example.com", 443, true },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool excluded = is_excluded(str_c(rows[i].no_proxy), str_c(rows[i].host), rows[i].port);
        if (excluded != rows[i].excluded)
            print_error("NO_PROXY='%s' host='%s'\n", rows[i].no_proxy, rows[i].host);
        EXPECT(excluded == rows[i].excluded);
    }
}

static void
clear_environment(void)
{
    static const char *const names[] = {
        "https_proxy",
        "HTTPS_PROXY",
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "no_proxy",
        "NO_PROXY",
        "REQUEST_METHOD",
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unsetenv(names[i]);
}

TEST(each_scheme_has_its_proxy_and_all_is_for_the_rest)
{
    struct proxy_env env;

    clear_environment();
    env = proxy_env_read();
    EXPECT_STR(proxy_find(&env, true, S("a.com"), 443), "");
    setenv("HTTPS_PROXY", "http://s:1", 1);
    setenv("ALL_PROXY", "http://all:3", 1);
    setenv("no_proxy", "b.com", 1);
    env = proxy_env_read();
    EXPECT_STR(proxy_find(&env, true, S("a.com"), 443), "http://s:1");
    EXPECT_STR(proxy_find(&env, false, S("a.com"), 80), "http://all:3");
    EXPECT_STR(proxy_find(&env, true, S("b.com"), 443), "");
    clear_environment();
}

TEST(lower_case_takes_precedence_unless_it_is_empty)
{
    struct proxy_env env;

    clear_environment();
    setenv("HTTPS_PROXY", "http://upper:1", 1);
    setenv("https_proxy", " http://lower:1 ", 1);
    env = proxy_env_read();
    EXPECT_STR(proxy_find(&env, true, S("a.com"), 443), "http://lower:1");
    setenv("https_proxy", " ", 1);
    setenv("no_proxy", "", 1);
    setenv("NO_PROXY", "b.com", 1);
    env = proxy_env_read();
    EXPECT_STR(proxy_find(&env, true, S("a.com"), 443), "http://upper:1");
    EXPECT_STR(proxy_find(&env, true, S("b.com"), 443), "");
    clear_environment();
}

TEST(http_proxy_in_upper_case_is_not_trusted_under_cgi)
{
    struct proxy_env env;

    clear_environment();
    setenv("HTTP_PROXY", "http://evil:1", 1);
    env = proxy_env_read();
    EXPECT_STR(proxy_find(&env, false, S("a.com"), 80), "http://evil:1");
    setenv("REQUEST_METHOD", "GET", 1);
    env = proxy_env_read();
    EXPECT_STR(proxy_find(&env, false, S("a.com"), 80), "");
    setenv("http_proxy", "http://meant:1", 1);
    env = proxy_env_read();
    EXPECT_STR(proxy_find(&env, false, S("a.com"), 80), "http://meant:1");
    clear_environment();
}

TEST(local_servers_are_never_reached_through_a_proxy)
{
    static const struct {
        const char *host;
        bool direct;
    } rows[] = {
        { "localhost", true },
        { "LocalHost", true },
        { "localhost.", true },
        { "127.0.0.1", true },
        { "127.8.8.8", true },
        { "::1", true },
        { "::ffff:127.0.0.1", true },
        { "128.0.0.1", false },
        { "0.0.0.0", false },
        { "::2", false },
        { "localhost.example.com", false },
        { "notlocalhost", false },
        { "127.0.0.1.example.com", false },
    };
    struct proxy_env env = { .https = S("http://p:1"), .all = S("http://p:1") };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool direct = proxy_find(&env, true, str_c(rows[i].host), 443).n == 0;
        if (direct != rows[i].direct)
            print_error("host='%s'\n", rows[i].host);
        EXPECT(direct == rows[i].direct);
        EXPECT((proxy_find(&env, false, str_c(rows[i].host), 80).n == 0) == rows[i].direct);
    }
}
