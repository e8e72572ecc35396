/* test_location.c - the Location field of a provider's redirect. */
#include "gateway/location.c"

#include "tests/test.h"

TEST(a_location_at_the_provider_is_rewritten_to_the_gateway)
{
    static const struct {
        const char *host, *base, *location, *expected;
    } rows[] = {
        { "api.test", "/v1", "https://api.test/v1/files/a?x=y#z", "/v1/files/a?x=y#z" },
        { "api.test", "/v1", "HTTPS://API.TEST:443/v1/files/a", "/v1/files/a" },
        { "api.test", "/v1", "//api.test/v1/files/a", "/v1/files/a" },
        { "api.test", "/v1", "/v1/files/a", "/v1/files/a" },
        { "api.test", "/v1", "/v1", "/v1" },
        { "api.test", "/v1", "/v1?x", "/v1?x" },
        { "api.test", "/openai/v1", "https://api.test/openai/v1/files/a", "/v1/files/a" },
        { "api.test", "/openai/v1", "/openai/v1/files/a", "/v1/files/a" },
        { "api.test", "", "https://api.test/files/a", "/v1/files/a" },
        { "api.test:8443", "/v1", "https://api.test:8443/v1/a", "/v1/a" },
        { "[::1]:8443", "/v1", "https://[::1]:8443/v1/a", "/v1/a" },
        /* on the provider's server, but outside the API */
        { "api.test", "/v1", "https://api.test/v1x/a", "" },
        { "api.test", "/v1", "https://api.test/other", "" },
        { "api.test", "/v1", "https://api.test", "" },
        { "api.test", "/v1", "/other", "" },
        { "api.test", "/v1", "http://api.test/v1/a", "" },
        { "api.test", "/v1", "https://api.test:8443/v1/a", "" },
        { "api.test", "/v1", "https://user@api.test/v1/a", "" },
        { "api.test", "/v1", "https://other.test@api.test/v1/a", "" },
        { "api.test", "/v1", "https://api.test./v1/a", "" },
        { "api.test", "/v1", "//api.test/x", "" },
        { "api.test", "/v1", "https:\\\\api.test\\x", "" },
        { "api.test", "/v1", "/\\api.test/x", "" },
        /* elsewhere */
        { "api.test", "/v1", "https://storage.test/v1/a?sig=b", "https://storage.test/v1/a?sig=b" },
        { "api.test", "/v1", "https://api.test.evil.test/v1/a", "https://api.test.evil.test/v1/a" },
        { "api.test", "/v1", "https://api.test@evil.test/v1/a", "https://api.test@evil.test/v1/a" },
        { "api.test", "/v1", "//storage.test/v1/a", "//storage.test/v1/a" },
        { "api.test", "/v1", "files/a", "files/a" },
        { "api.test", "/v1", "../b", "../b" },
        { "api.test", "/v1", "?after=3", "?after=3" },
        { "api.test", "/v1", "mailto:someone@api.test", "mailto:someone@api.test" },
        { "api.test", "/v1", "", "" },
    };
    struct arena *a = arena_create(1 << 20);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct origin o = { .scheme = S("https"), .host_header = str_c(rows[i].host) };
        struct str got = location_for_caller(a, &o, str_c(rows[i].base), str_c(rows[i].location));

        if (!str_eq(got, str_c(rows[i].expected)))
            print_error("%s\n", rows[i].location);
        EXPECT_STR(got, rows[i].expected);
    }
    arena_destroy(a);
}
