/* test_query.c - no path and no query takes a caller's API key to a provider. */
#include "gateway/query.c"

#include "tests/unit/gateway/gateway_world.h"

#define OURS "key-of-ours-1"
#define AUTH "Authorization: Bearer " OURS "\r\n"

static struct gateway_world w;

static const char *const answer[] = { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", NULL };

/* What follows the path in the request line that the provider got. */
static void
expect_sent(const char *route, const char *query, const char *expected)
{
    const char *line = arena_printf(w.arena, "POST %s?%s", route, query).p;

    (void)gateway_world_play(&w, line, AUTH, WORLD_CHAT("raw/m", ""), answer);
    struct str got, rest;
    (void)str_cut(str_skip(buf_str(&w.played), strlen("POST ")), ' ', &got, &rest);
    EXPECT_STR(str_skip(got, str_chr(got, '?')), expected);
}

TEST(a_parameter_with_a_credential_is_left_out)
{
    static const struct {
        const char *query, *sent;
    } rows[] = {
        { "limit=5&key=x&after=y", "?limit=5&after=y" },
        { "api_key=x", "" },
        { "KEY=x&a=b", "?a=b" },
        { "a=b;access_token=x", "?a=b" },
        { "a=b&" OURS, "?a=b" },
        { "%6bey=x&a=%20", "?a=%20" },
        { "note=" OURS "&a=b", "?a=b" },
        { "note=%6bey-of-ours-1&a=b", "?a=b" },
        { "note=Bearer%20" OURS, "" },
        { "note=bearer+" OURS ";a=b", "?a=b" },
        { "note=key-of-ours-2&a=b", "?note=key-of-ours-2&a=b" },
        { "note=key-of&a=b&", "?note=key-of&a=b" },
        { "keys=1&monkey=2&key2", "?keys=1&monkey=2&key2" },
        { "a&&b=", "?a&&b=" },
    };

    gateway_world_start(&w, "auth: {keys: [{name: a, key: " OURS "}]}\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_sent("/v1/responses/compact", rows[i].query, rows[i].sent);
    gateway_world_stop(&w);
    gateway_world_forget(&w);
}

TEST(a_query_that_may_name_another_model_is_left_out)
{
    static const struct {
        const char *query, *sent;
    } rows[] = {
        { "a=b", "?a=b" }, { "a=b&model=x", "" }, { "MODEL=x", "" }, { "a=%6dodel", "" },
        { "mode=l", "?mode=l" }, { "a=%zz", "" },    /* nobody knows how that is read */
    };

    gateway_world_start(&w, "auth: {keys: [{name: a, key: " OURS "}]}\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_sent("/v1/chat/completions", rows[i].query, rows[i].sent);
    gateway_world_stop(&w);
    gateway_world_forget(&w);
}
