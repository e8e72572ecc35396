/* test_sigv4.c - AWS's published examples (aws-sig-v4-test-suite), and what they leave out. */
#include "sign/sigv4.c"
#include "tests/test.h"

#define MOMENT_MS UINT64_C(1440938160000)    /* 2015-08-30 12:36:00 */

static const struct sigv4_key example = { .id = S_INIT("AKIDEXAMPLE"),
    .secret = S_INIT("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY") };

/* What is appended for a request. */
static struct str
sign(struct arena *a, const struct sigv4_request *q, const struct sigv4_key *key)
{
    struct buf out;

    buf_init(&out, 64 * 1024);
    EXPECT(sigv4_sign(&out, q, key, S("us-east-1"), S("service"), MOMENT_MS, a));
    struct str s = arena_str(a, buf_str(&out));
    buf_fini(&out);
    return s;
}

TEST(requests_of_the_published_suite_have_its_signatures)
{
    static const struct {
        const char *name, *method, *target, *fields, *body, *signature;
    } rows[] = {
        { "get-vanilla", "GET", "/", "", "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
        { "get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", "", "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
        { "get-vanilla-utf8-query", "GET", "/?\341\210\264=bar", "", "",
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04" },
        { "get-unreserved", "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "", "",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f" },
        { "get-utf8", "GET", "/\341\210\264", "", "",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
        { "get-space", "GET", "/example space/", "", "",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741" },
        { "get-relative", "GET", "/example/..", "", "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
        { "get-slashes", "GET", "//example//", "", "",
            "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84" },
        { "get-header-value-trim", "GET", "/",
            "My-Header1: value1\r\nMy-Header2: \"a   b   c\"\r\n", "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
        { "get-header-key-duplicate", "GET", "/",
            "My-Header1:value2\r\nMy-Header1:value2\r\nMy-Header1:value1\r\n", "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea" },
        { "post-vanilla", "POST", "/", "", "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
        { "post-x-www-form-urlencoded", "POST", "/",
            "Content-Type:application/x-www-form-urlencoded\r\n", "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_create(1024 * 1024);
        struct str body = str_c(rows[i].body);
        struct sigv4_request q = { .method = str_c(rows[i].method),
            .host = S("example.amazonaws.com"),
            .target = str_c(rows[i].target),
            .fields = str_c(rows[i].fields),
            .body = &body,
            .body_count = 1 };
        struct str signed_lines = sign(a, &q, &example);

        if (str_find(signed_lines, str_c(rows[i].signature)) == signed_lines.n)
            printf("%s: " STR_FMT "\n", rows[i].name, STR_ARG(signed_lines));
        EXPECT(str_find(signed_lines, str_c(rows[i].signature)) != signed_lines.n);
        arena_destroy(a);
    }
}

TEST(lines_are_complete_and_a_session_is_signed)
{
    struct arena *a = arena_create(1024 * 1024);
    struct sigv4_key key = example;
    struct sigv4_request q = { .method = S("POST"),
        .host = S("example.amazonaws.com"),
        .target = S("/"),
        .fields = S("content-type: application/json\r\n") };

    key.session = S("lent");
    struct str lines = sign(a, &q, &key);
    EXPECT(str_starts(
        lines, S("X-Amz-Date: 20150830T123600Z\r\nX-Amz-Security-Token: lent\r\nAuthorization: "
                 "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                 "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=")));
    EXPECT(str_ends(lines, S("\r\n")));
    arena_destroy(a);
}

TEST(a_body_in_pieces_is_signed_like_the_whole)
{
    struct arena *a = arena_create(1024 * 1024);
    const struct str whole[] = { S("{\"a\":1}") };
    const struct str pieces[] = { S("{\"a"), S(""), S("\":1"), S("}") };
    struct sigv4_request q = { .method = S("POST"),
        .host = S("h"),
        .target = S("/"),
        .body = whole,
        .body_count = ARRAY_LEN(whole) };
    struct str of_whole = sign(a, &q, &example);

    q.body = pieces;
    q.body_count = ARRAY_LEN(pieces);
    EXPECT(str_eq(sign(a, &q, &example), of_whole));
    arena_destroy(a);
}

TEST(an_encoded_path_is_encoded_again_but_for_s3)
{
    struct buf b;

    buf_init(&b, 1024);
    add_path(&b, S("/model/anthropic.claude-v2%3A1/converse"));
    EXPECT_STR(buf_str(&b), "/model/anthropic.claude-v2%253A1/converse");
    buf_fini(&b);
    struct arena *a = arena_create(1024 * 1024);
    struct sigv4_request q = { .method = S("GET"), .host = S("h"), .target = S("/a%3Ab/../c") };
    struct str twice = sign(a, &q, &example);
    q.plain_path = true;
    EXPECT(!str_eq(sign(a, &q, &example), twice));
    arena_destroy(a);
}

TEST(memory_that_runs_out_is_an_error)
{
    for (unsigned i = 1; i <= 4; i++) {
        struct arena *a = arena_create(1024 * 1024);
        struct sigv4_request q = { .method = S("GET"),
            .host = S("h"),
            .target = S("/?b=1&a"),
            .fields = S("A: 1\r\nB: 2\r\n") };
        struct buf out;

        buf_init(&out, 64 * 1024);
        arena_fail_after_for_tests(i);
        EXPECT(!sigv4_sign(&out, &q, &example, S("r"), S("s"), MOMENT_MS, a));
        buf_fini(&out);
        arena_destroy(a);
        EXPECT(!arena_fail_after_for_tests(0));
    }
}
