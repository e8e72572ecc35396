/* test_origin.c - base URLs taken apart, refused, and their way through a proxy. */
#include "net/origin.c"

#include "tests/test.h"

static char why[256];

static struct origin *
make(const char *url, struct tls_context *tls, struct str *path)
{
    static struct str ignored;

    why[0] = '\0';
    return origin_create(str_c(url), tls, path != NULL ? path : &ignored, WHY(why));
}

static void
no_proxy(void)
{
    unsetenv("https_proxy");
    unsetenv("HTTPS_PROXY");
    unsetenv("http_proxy");
    unsetenv("HTTP_PROXY");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
}

TEST(a_base_url_is_scheme_host_port_and_path)
{
    char error[256] = "";
    struct tls_context *tls = tls_client_create(NULL, true, WHY(error));
    struct str path;

    no_proxy();
    EXPECT(tls != NULL);
    struct origin *o = make("HTTPS://API.OpenAI.com/v1/", tls, &path);
    EXPECT(o != NULL);
    EXPECT_STR(o->scheme, "https");
    EXPECT_STR(o->host, "api.openai.com");
    EXPECT_INT(o->port, 443);
    EXPECT_STR(o->host_header, "api.openai.com");
    EXPECT_STR(path, "/v1");
    EXPECT(o->tls == tls && !origin_is_absolute_form(o));
    origin_destroy(o);

    o = make("http://[::1]:8000", tls, &path);
    EXPECT(o != NULL);
    EXPECT_STR(o->host, "::1");
    EXPECT_STR(o->host_header, "[::1]:8000");
    EXPECT_STR(path, "");
    EXPECT(o->tls == NULL);
    origin_destroy(o);

    o = make("http://localhost:80/a/b//", NULL, &path);
    EXPECT_STR(o->host_header, "localhost");
    EXPECT_STR(path, "/a/b");
    origin_destroy(o);
    origin_destroy(NULL);
    tls_context_unref(tls);
}

TEST(an_origin_lives_as_long_as_its_last_holder)
{
    struct str path;
    struct origin *o = origin_create(S("http://10.0.0.5:8000/v1"), NULL, &path, WHY(why));

    EXPECT(o != NULL);
    EXPECT(origin_ref(o) == o);
    origin_destroy(o);
    EXPECT_STR(o->host, "10.0.0.5");
    origin_destroy(o);
}

TEST(a_unix_socket_is_named_percent_encoded)
{
    struct str path;
    struct origin *o;

    no_proxy();
    o = make("http+unix://%2Frun%2fllm.sock/v1", NULL, &path);
    EXPECT(o != NULL);
    EXPECT_STR(o->unix_path, "/run/llm.sock");
    EXPECT_STR(o->host_header, "localhost");
    EXPECT_STR(path, "/v1");
    origin_destroy(o);
}

TEST(what_is_no_usable_base_url_is_refused_with_a_sentence)
{
    static const char *const bad[] = {
        "",
        "api.openai.com",
        "ftp://x",
        "://x",
        "http://",
        "http:///v1",
        "http://:80",
        "http://a:0",
        "http://a:65536",
        "http://a:b",
        "http://a b",
        "http://a/ b",
        "http://user:pw@a/",
        "http://a?x=1",
        "http://a/#f",
        "http://[::1",
        "http://[::g]",
        "http://[1.2.3.4]",
        "http://::1/",
        "http://a\r\nHost: b",
        "http://\xc3\xbc.example",
        "http+unix://",
        "http+unix://%2",
        "http+unix://%00",
        "http+unix://a%zz",
        "http://a[b]",
        "http://a,b",
    };

    no_proxy();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct origin *o = make(bad[i], NULL, NULL);

        if (o != NULL)
            print_error("accepted '%s'\n", bad[i]);
        EXPECT(o == NULL);
        EXPECT(strlen(why) > 10);
    }
    EXPECT(make("https://a", NULL, NULL) == NULL);    /* no TLS to do it with */
}

TEST(a_url_longer_than_allowed_is_refused)
{
    char url[3000] = "http://a/";

    no_proxy();
    memset(url + 9, 'x', sizeof(url) - 10);
    url[sizeof(url) - 1] = '\0';
    EXPECT(make(url, NULL, NULL) == NULL);
    strcpy(url, "http://");
    memset(url + 7, 'x', 254);
    url[7 + 254] = '\0';
    EXPECT(make(url, NULL, NULL) == NULL);
}

TEST(a_proxy_from_the_environment_is_settled_with_its_credentials)
{
    struct origin *o;

    no_proxy();
    setenv("HTTP_PROXY", "http://us%65r:p%40ss@Proxy.example:3128/", 1);
    o = make("http://a.example", NULL, NULL);
    EXPECT(o != NULL);
    EXPECT_STR(o->proxy_host, "proxy.example");
    EXPECT_INT(o->proxy_port, 3128);
    EXPECT_STR(o->proxy_auth, "Basic dXNlcjpwQHNz");
    EXPECT(origin_is_absolute_form(o));
    EXPECT(str_find(o->pool_key, S("p@ss")) == o->pool_key.n);
    origin_destroy(o);

    setenv("HTTP_PROXY", "proxy:1", 1);
    o = make("http://a.example", NULL, NULL);
    EXPECT_STR(o->proxy_host, "proxy");
    EXPECT_STR(o->proxy_auth, "");
    origin_destroy(o);

    setenv("HTTP_PROXY", "http://user@[::1]:1", 1);
    o = make("http://a.example", NULL, NULL);
    EXPECT_STR(o->proxy_host, "::1");
    EXPECT_STR(o->proxy_auth, "Basic dXNlcjo=");
    origin_destroy(o);

    setenv("NO_PROXY", "example", 1);
    o = make("http://a.example", NULL, NULL);
    EXPECT_STR(o->proxy_host, "");
    origin_destroy(o);
    no_proxy();
}

TEST(a_proxy_may_be_spoken_to_over_tls_or_socks)
{
    static const struct {
        const char *url;
        enum proxy_kind kind;
        uint16_t port;
        const char *user, *password, *auth;
        bool absolute;    /* plain http is sent to it with the whole URL */
    } rows[] = {
        { "p", PROXY_HTTP, 80, "", "", "", true },
        { "HTTP://p:8080", PROXY_HTTP, 8080, "", "", "", true },
        { "https://p", PROXY_HTTPS, 443, "", "", "", true },
        { "https://user:p%40ss@p:1", PROXY_HTTPS, 1, "", "", "Basic dXNlcjpwQHNz", true },
        { "socks5://p", PROXY_SOCKS5, 1080, "", "", "", false },
        { "socks5h://us%3Aer:p%40ss@p:1", PROXY_SOCKS5H, 1, "us:er", "p@ss", "", false },
        { "socks5h://user@p", PROXY_SOCKS5H, 1080, "user", "", "", false },
    };

    no_proxy();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        setenv("ALL_PROXY", rows[i].url, 1);
        struct origin *o = make("http://a", NULL, NULL);
        EXPECT(o != NULL);
        EXPECT_INT(o->proxy, rows[i].kind);
        EXPECT_STR(o->proxy_host, "p");
        EXPECT_INT(o->proxy_port, rows[i].port);
        EXPECT_STR(o->proxy_user, rows[i].user);
        EXPECT_STR(o->proxy_password, rows[i].password);
        EXPECT_STR(o->proxy_auth, rows[i].auth);
        EXPECT(origin_is_absolute_form(o) == rows[i].absolute);
        EXPECT((o->proxy_tls != NULL) == (rows[i].kind == PROXY_HTTPS));
        EXPECT(str_find(o->pool_key, S("ss")) == o->pool_key.n);
        origin_destroy(o);
    }
    no_proxy();
}

TEST(a_proxy_that_cannot_be_used_is_refused_without_telling_its_password)
{
    static const char *const bad[] = {
        "socks4://u:hunter2@p:1",
        "socks5://:hunter2@p:1",
        "socks5h://u:hunter2@p:x",
        "http://u:hunter2@:1",
        "http://u:hunter2@p:x",
        "http://u:hunter2%zz@p:1",
        "https://u:hunter2@.:1",
        "http://",
    };

    no_proxy();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        setenv("http_proxy", bad[i], 1);
        EXPECT(make("http://a", NULL, NULL) == NULL);
        EXPECT(strlen(why) > 10 && strstr(why, "hunter2") == NULL);
    }
    no_proxy();
}

TEST(connections_are_only_shared_between_equal_origins)
{
    char error[256];
    struct tls_context *tls = tls_client_create(NULL, true, WHY(error));
    struct tls_context *other_tls = tls_client_create(NULL, true, WHY(error));
    struct origin *o[6];

    no_proxy();
    o[0] = make("https://a/v1", tls, NULL);
    o[1] = make("https://A:443/v2", tls, NULL);
    o[2] = make("https://a", other_tls, NULL);
    o[3] = make("https://a:444", tls, NULL);
    o[4] = make("http://a", NULL, NULL);
    setenv("https_proxy", "p:1", 1);
    o[5] = make("https://a", tls, NULL);
    no_proxy();
    EXPECT(str_eq(o[0]->pool_key, o[1]->pool_key));
    for (int i = 2; i < 6; i++) {
        for (int j = 1; j < i; j++)
            EXPECT(!str_eq(o[i]->pool_key, o[j]->pool_key));
    }
    for (int i = 0; i < 6; i++)
        origin_destroy(o[i]);
    tls_context_unref(tls);
    tls_context_unref(other_tls);
}
