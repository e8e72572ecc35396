/* test_wrong_url.c - answers that show a mistake in base_url, and what is said about them. */
#include "gateway/wrong_url.c"

#include "tests/test.h"

#define KEY "sk-proj-7fQ2aB9x4Lm0ZtY8W3cE6"

static struct intake in;
static struct llm_error e;
static struct origin origin;

static bool
explain(int status, const char *location, const char *looks, const char *path)
{
    static struct secrets *secrets;
    struct provider p = { .id = S("acme"), .origin = &origin };

    if (secrets == NULL)
        secrets_add(secrets = secrets_create(), S(KEY));
    in = (struct intake){ .status = status, .location = str_c(location), .secrets = secrets };
    in.html = strcmp(looks, "html") == 0;
    in.json = strcmp(looks, "json") == 0;
    in.reader.keep = arena_create(1 << 20);
    e = (struct llm_error){ .kind = ERR_UPSTREAM_ERROR, .quotes = true };
    return wrong_url_explain(&in, &p, str_c(path), &e);
}

static void
begin(void)
{
    origin = (struct origin){ .scheme = S("https"), .host_header = S("api.test") };
}

TEST(only_redirects_pages_and_paths_that_are_not_there_are_explained)
{
    static const struct {
        int status;
        const char *looks;
        bool explained, permanent;
        enum err kind;
    } rows[] = {
        { 200, "json", false, false, ERR_UPSTREAM_ERROR },
        { 200, "text", false, false, ERR_UPSTREAM_ERROR },
        { 200, "html", true, false, ERR_UPSTREAM_PROTOCOL },
        { 299, "html", true, false, ERR_UPSTREAM_PROTOCOL },
        { 300, "json", true, true, ERR_UPSTREAM_PROTOCOL },
        { 399, "json", true, true, ERR_UPSTREAM_PROTOCOL },
        { 400, "json", false, false, ERR_UPSTREAM_ERROR },
        { 400, "html", true, false, ERR_UPSTREAM_ERROR },
        { 404, "json", false, false, ERR_UPSTREAM_ERROR },
        { 404, "text", true, true, ERR_UPSTREAM_ERROR },
        { 404, "html", true, true, ERR_UPSTREAM_ERROR },
        { 405, "json", false, false, ERR_UPSTREAM_ERROR },
        { 405, "text", true, true, ERR_UPSTREAM_PROTOCOL },
        { 406, "text", false, false, ERR_UPSTREAM_ERROR },
        { 502, "html", true, false, ERR_UPSTREAM_ERROR },
    };

    begin();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT(explain(rows[i].status, "", rows[i].looks, "/v1/x") == rows[i].explained);
        EXPECT_INT(e.kind, rows[i].kind);
        EXPECT(e.permanent == rows[i].permanent);
        EXPECT(e.quotes != rows[i].explained);
        EXPECT((e.message.n != 0) == rows[i].explained);
        arena_destroy(in.reader.keep);
        EXPECT(!explain(rows[i].status, "", rows[i].looks, ""));    /* not known what was asked */
        arena_destroy(in.reader.keep);
    }
}

static void
expect_said(
    int status, const char *location, const char *looks, const char *path, const char *expected)
{
    EXPECT(explain(status, location, looks, path));
    EXPECT_STR(e.message, expected);
    arena_destroy(in.reader.keep);
}

TEST(the_message_names_the_url_and_what_came)
{
    begin();
    expect_said(200, "", "html", "/v1/x?key=1",
        "https://api.test/v1/x answered with status 200 and an HTML page; the base_url of 'acme' may "
        "be wrong");
    expect_said(404, "", "text", "/v1/x",
        "https://api.test/v1/x answered with status 404 and no JSON; the base_url of 'acme' may be "
        "wrong");
    expect_said(499, "", "html", "/v1/x",
        "https://api.test/v1/x answered with status 499 and an HTML page; the base_url of 'acme' may "
        "be wrong");
    expect_said(500, "", "html", "/v1/x",
        "https://api.test/v1/x answered with status 500 and an HTML page ('acme')");
    expect_said(404, "", "text", "/" KEY,
        "api.test answered with status 404 and no JSON; the "
        "base_url of 'acme' may be wrong");
    origin.unix_path = S("/run/x.sock");
    expect_said(500, "", "html", "/v1/x",
        "https:///run/x.sock/v1/x answered with status 500 and an HTML page ('acme')");
}

TEST(the_target_of_a_redirect_is_shown_without_secrets)
{
    static char edge[LOCATION_BYTES + 2];
    const struct {
        const char *location, *shown;
    } rows[] = {
        { "https://other.test/v1/x", "https://other.test/v1/x" },
        { "https://other.test/v1?a=b", "https://other.test/v1" },
        { "https://other.test/v1#a", "https://other.test/v1" },
        { "/v1/", "/v1/" },
        { "/v1/a@b", "/v1/a@b" },
        { "https://user:word@other.test/v1", "another place" },
        { "//user:word@other.test/v1", "another place" },
        { "https://user@other.test", "another place" },
        { "https:user:word@other.test/v1", "another place" },
        { "user:word@other.test/v1", "another place" },
        { "https:\\\\user:word@other.test/", "another place" },
        { "https://other.test/" KEY, "another place" },
        { "", "another place" },
        { "?x", "another place" },
        { edge + 1, edge + 1 },
        { edge, "another place" },
    };

    memset(edge, 'a', LOCATION_BYTES + 1);
    begin();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_create(1 << 20);

        expect_said(301, rows[i].location, "text", "/v1/x",
            arena_printf(a,
                "https://api.test/v1/x was redirected with status 301 to %s; redirects are not "
                "followed, the base_url of 'acme' may be wrong",
                rows[i].shown)
                .p);
        arena_destroy(a);
    }
}
