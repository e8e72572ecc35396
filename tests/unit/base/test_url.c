/* test_url.c - taking URLs apart, percent-encoding. */
#include "base/url.c"

#include "tests/test.h"

TEST(a_url_is_divided_at_its_delimiters)
{
    struct url u = url_split(S("HTTPS://us:er@p@Host:8443/v1/a?b=c#d"));

    EXPECT_STR(u.scheme, "HTTPS");
    EXPECT_STR(u.userinfo, "us:er@p");
    EXPECT_STR(u.authority, "Host:8443");
    EXPECT_STR(u.rest, "/v1/a?b=c#d");
}

TEST(what_a_url_lacks_is_missing)
{
    static const struct {
        const char *text, *scheme, *userinfo, *authority, *rest;
    } rows[] = {
        { "http://h", "http", NULL, "h", "" },
        { "http://h?q@x", "http", NULL, "h", "?q@x" },
        { "http://@h#f", "http", "", "h", "#f" },
        { "http:///x", "http", NULL, "", "/x" },
        { "//h/x", NULL, NULL, "h", "/x" },
        { "/x?u=http://h", NULL, NULL, NULL, "/x?u=http://h" },
        { "x/a:b", NULL, NULL, NULL, "x/a:b" },
        { "mailto:a@b", "mailto", NULL, NULL, "a@b" },
        { "://h", NULL, NULL, NULL, "://h" },
        { "1http://h", NULL, NULL, NULL, "1http://h" },
        { "http+unix://%2Frun", "http+unix", NULL, "%2Frun", "" },
        { "", NULL, NULL, NULL, "" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct url u = url_split(str_c(rows[i].text));
        struct str expected[] = { str_c(rows[i].scheme), str_c(rows[i].userinfo),
            str_c(rows[i].authority), str_c(rows[i].rest) };
        struct str actual[] = { u.scheme, u.userinfo, u.authority, u.rest };

        for (size_t k = 0; k < ARRAY_LEN(actual); k++) {
            if (!str_eq(actual[k], expected[k]))
                print_error("part %zu of '%s'\n", k, rows[i].text);
            EXPECT(str_eq(actual[k], expected[k]));
            EXPECT((actual[k].p == NULL) == (expected[k].p == NULL));
        }
    }
    EXPECT(url_split((struct str){ NULL, 0 }).rest.p != NULL);
}

TEST(a_host_is_divided_from_its_port)
{
    struct url_host h;

    EXPECT(url_split_host(S("[::1]:80"), &h) && h.bracketed);
    EXPECT_STR(h.name, "::1");
    EXPECT_STR(h.port, "80");
    EXPECT(url_split_host(S("[::1]"), &h) && h.port.p == NULL);
    EXPECT(url_split_host(S("a:"), &h) && h.port.p != NULL && h.port.n == 0);
    EXPECT(url_split_host(S("a"), &h) && h.port.p == NULL && !h.bracketed);
    EXPECT(url_split_host(S("[]"), &h) && h.name.n == 0);
    EXPECT(url_split_host(S("::1:80"), &h) && !url_is_host(&h));
    EXPECT(!url_split_host(S("[::1"), &h));
    EXPECT(!url_split_host(S("[::1]80"), &h));
}

TEST(a_host_is_a_name_or_an_address)
{
    static const char *const good[] = { "a", "a.b-c_d", "10.0.0.1", "[::1]", "[fe80::1%eth0]",
        "[::ffff:1.2.3.4]", "1.example" };
    static const char *const bad[] = { "", "-a", ".a", "a b", "a@b", "1.2.3", "01.2.3.4", "[a]",
        "[1.2.3.4]", "[]", "[::1%]", "[fe80::1%a/b]", "\xc3\xbc", "[1:2:3:4:5:6:7:8:9]" };
    struct url_host h;

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        EXPECT(url_split_host(str_c(good[i]), &h) && url_is_host(&h));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT(!url_split_host(str_c(bad[i]), &h) || !url_is_host(&h));
    EXPECT(!url_is_ipv4(S("1.2.3.4\0")));
}

TEST(a_port_has_up_to_five_digits)
{
    uint16_t port = 7;

    EXPECT(url_port(S("65535"), &port) && port == 65535);
    EXPECT(url_port(S("0"), &port) && port == 0);
    EXPECT(
        !url_port(S(""), &port) && !url_port(S("65536"), &port) && !url_port(S("000080"), &port));
    EXPECT(!url_port(S("8o"), &port) && !url_port(S("+1"), &port) && port == 0);
}

TEST(decoding_into_a_room_stops_at_its_end)
{
    char room[3];
    struct str plain = S("before");

    EXPECT(url_decode_into(S("%41bc"), room, sizeof(room), &plain));
    EXPECT_STR(plain, "Abc");
    EXPECT(!url_decode_into(S("abcd"), room, sizeof(room), &plain));
    EXPECT(!url_decode_into(S("%4"), room, sizeof(room), &plain));
}

TEST(percent_encoding_is_decoded_or_refused)
{
    struct arena *a = arena_create(1 << 16);

    EXPECT_STR(url_decode(a, S("a%20b%2F%c3%A9+")), "a b/\xC3\xA9+");
    EXPECT_STR(url_decode(a, S("plain")), "plain");
    EXPECT(url_decode(a, S("")).p != NULL);
    EXPECT(url_decode(a, S("a%2")).p == NULL);
    EXPECT(url_decode(a, S("a%")).p == NULL);
    EXPECT(url_decode(a, S("%g0")).p == NULL);
    EXPECT_INT(url_decode(a, S("%41")).n, 1);
    arena_destroy(a);
}

TEST(a_query_parameter_is_found)
{
    struct arena *a = arena_create(1 << 16);
    struct str query = S("limit=2&na%6De=a%20b&limit=3&empty=&bare");

    EXPECT_STR(url_query_get(a, query, S("limit")), "2");
    EXPECT_STR(url_query_get(a, query, S("name")), "a b");
    EXPECT_STR(url_query_get(a, query, S("empty")), "");
    EXPECT_STR(url_query_get(a, query, S("bare")), "");
    EXPECT_STR(url_query_get(a, query, S("other")), "");
    arena_destroy(a);
}

TEST(a_segment_is_encoded)
{
    struct buf b;

    buf_init(&b, 1000);
    url_add_segment(&b, S("a/b c~\xC3\xA9:1"));
    EXPECT_STR(buf_str(&b), "a%2Fb%20c~%C3%A9%3A1");
    buf_fini(&b);
}
