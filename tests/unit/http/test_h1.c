/* test_h1.c - what is taken, what is refused, and that cutting the bytes differently changes
 * nothing. */
#include "http/h1.c"

#include "http/chunked.h"
#include "tests/test.h"
#include "tests/unit/http/raw_requests.h"

static const struct h1_limits limits = { .head_bytes = 4096, .line_bytes = 1024, .fields = 20 };

enum { FIELDS_ROOM = 32 };

/* What one request came to. */
struct outcome {
    int status;    /* 200 taken, 0 incomplete */
    const char *why;
    struct h1_head head;
    struct http_field fields[FIELDS_ROOM];
    char body[256];
    size_t body_n;
};

/* Reads the body behind the head; `bytes` is all that there is. */
static void
read_body(struct outcome *o, struct str bytes)
{
    struct chunked c = { 0 };
    struct str data;

    if (!o->head.head.chunked) {
        size_t n = o->head.head.content_length > 0 ? (size_t)o->head.head.content_length : 0;

        if (bytes.n < n)
            return;
        memcpy(o->body, bytes.p, n);
        o->body_n = n;
        o->status = 200;
        return;
    }
    while (bytes.n != 0 && !chunked_done(&c)) {
        if (!chunked_decode(&c, &bytes, &data, &o->why)) {
            o->status = 400;
            return;
        }
        memcpy(o->body + o->body_n, data.p, data.n);
        o->body_n += data.n;
    }
    if (chunked_done(&c))
        o->status = 200;
}

/* Takes a request whose bytes become known `step` at a time. */
static struct outcome
take(struct str bytes, size_t step)
{
    static struct outcome o;
    struct h1_scan scan = { 0 };
    size_t end = 0;
    enum err e = OK;

    o = (struct outcome){ .why = "" };
    for (size_t n = MIN(step, bytes.n); e == OK && end == 0; n = MIN(n + step, bytes.n)) {
        e = h1_scan(&scan, str_make(bytes.p, n), &limits, &end, &o.why);
        if (n == bytes.n)
            break;
    }
    if (e == OK && end == 0)
        return o;
    if (e == OK)
        e = h1_parse_request(str_make(bytes.p + scan.start, end - scan.start), o.fields,
            FIELDS_ROOM, &o.head, &o.why);
    if (e != OK)
        o.status = err_row(e)->status;
    else
        read_body(&o, str_skip(bytes, end));
    return o;
}

static struct outcome
take_whole(struct str bytes)
{
    return take(bytes, bytes.n);
}

TEST(every_raw_request_gets_its_status)
{
    for (size_t i = 0; i < ARRAY_LEN(raw_requests); i++) {
        struct outcome o = take_whole(raw_requests[i].bytes);

        if (o.status != raw_requests[i].status)
            print_error("%s: %s\n", raw_requests[i].name, o.why);
        EXPECT_INT(o.status, raw_requests[i].status);
    }
}

TEST(every_raw_request_gets_its_status_byte_by_byte)
{
    for (size_t i = 0; i < ARRAY_LEN(raw_requests); i++) {
        struct outcome o = take(raw_requests[i].bytes, 1);

        if (o.status != raw_requests[i].status)
            print_error("%s: %s\n", raw_requests[i].name, o.why);
        EXPECT_INT(o.status, raw_requests[i].status);
    }
}

TEST(a_chunked_body_means_the_same_byte_by_byte)
{
    for (size_t i = 0; i < ARRAY_LEN(raw_requests); i++) {
        struct str prefix = S(CHUNKED);
        struct str bytes = raw_requests[i].bytes;
        struct chunked c = { 0 };
        struct str data;
        const char *why = "";
        bool ok = true;

        if (!str_starts(bytes, prefix))
            continue;
        struct outcome whole = take_whole(bytes);
        char body[256];
        size_t body_n = 0;

        for (size_t at = prefix.n; ok && at < bytes.n; at++) {
            struct str one = str_make(bytes.p + at, 1);

            ok = chunked_decode(&c, &one, &data, &why);
            if (ok && data.n != 0)
                body[body_n++] = data.p[0];
        }
        EXPECT_INT(ok && chunked_done(&c) ? 200 : 400, whole.status);
        if (whole.status == 200)
            EXPECT(str_eq(str_make(body, body_n), str_make(whole.body, whole.body_n)));
    }
}

TEST(a_head_is_parsed)
{
    struct outcome o = take_whole(S("POST /v1/x?a=b&c HTTP/1.1\r\nHost: h\r\nX-One:  a b \t\r\n"
                                    "X-Two:\r\nContent-Length: 2\r\n\r\nok"));

    EXPECT_INT(o.status, 200);
    EXPECT_STR(o.head.head.method, "POST");
    EXPECT_STR(o.head.head.target, "/v1/x?a=b&c");
    EXPECT_STR(o.head.head.path, "/v1/x");
    EXPECT_STR(o.head.head.query, "a=b&c");
    EXPECT_INT(o.head.head.fields.count, 4);
    EXPECT_STR(o.head.head.fields.list[1].name, "X-One");
    EXPECT_STR(o.head.head.fields.list[1].value, "a b");
    EXPECT_STR(o.head.head.fields.list[2].value, "");
    EXPECT(o.head.head.fields.list[2].value.p != NULL);
    EXPECT_INT(o.head.head.content_length, 2);
    EXPECT(!o.head.head.chunked);
    EXPECT(o.head.head.keep_alive);
    EXPECT_STR(str_make(o.body, o.body_n), "ok");
}

TEST(without_framing_there_is_no_body)
{
    struct outcome o = take_whole(S("POST / HTTP/1.1\r\nHost: h\r\n\r\n"));

    EXPECT_INT(o.status, 200);
    EXPECT_INT(o.head.head.content_length, -1);
    EXPECT(!o.head.head.chunked);
}

TEST(an_absolute_target_is_reduced_to_its_path)
{
    struct outcome o = take_whole(S("GET http://h:81/a?b HTTP/1.1\r\nHost: h:81\r\n\r\n"));

    EXPECT_INT(o.status, 200);
    EXPECT_STR(o.head.head.path, "/a");
    EXPECT_STR(o.head.head.query, "b");
    EXPECT_STR(take_whole(S("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n")).head.head.path, "/");
}

TEST(keep_alive_follows_the_version_and_the_connection_field)
{
    EXPECT(take_whole(S("GET / HTTP/1.1\r\nHost: h\r\n\r\n")).head.head.keep_alive);
    EXPECT(!take_whole(S("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))
                .head.head.keep_alive);
    EXPECT(!take_whole(
        S("GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: CLOSE, keep-alive\r\n\r\n"))
                .head.head.keep_alive);
    EXPECT(!take_whole(S("GET / HTTP/1.0\r\n\r\n")).head.head.keep_alive);
    EXPECT(take_whole(S("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")).head.head.keep_alive);
    EXPECT(
        take_whole(S("GET / HTTP/1.0\r\nConnection: x, keep-alive\r\n\r\n")).head.head.keep_alive);
    EXPECT(!take_whole(S("GET / HTTP/1.0\r\nConnection: keep-lives\r\n\r\n")).head.head.keep_alive);
    EXPECT(!take_whole(S("GET / HTTP/1.0\r\nConnection: x\r\n\r\n")).head.head.keep_alive);
}

TEST(expect_continue_is_recognised)
{
    EXPECT(take_whole(
        S("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 0\r\n\r\n"))
               .head.expects_continue);
    EXPECT(!take_whole(S("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")).head.expects_continue);
}

TEST(an_incomplete_head_waits_for_more)
{
    struct str whole = S("GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n");

    for (size_t n = 0; n < whole.n; n++)
        EXPECT_INT(take_whole(str_make(whole.p, n)).status, 0);
}

TEST(the_end_of_the_head_is_found_exactly)
{
    struct str two = S("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    struct h1_scan scan = { 0 };
    const char *why = "";
    size_t end = 0;

    EXPECT_INT(h1_scan(&scan, two, &limits, &end, &why), OK);
    EXPECT_INT(end, 27);
    EXPECT_INT(scan.lines, 2);
}

/* "GET / ..." with fields of `n` bytes each, `count` times. */
static struct str
long_head(struct buf *b, size_t target_n, size_t count, size_t n)
{
    buf_init(b, 1 << 20);
    buf_add(b, S("GET /"));
    for (size_t i = 0; i < target_n; i++)
        buf_add_c(b, 'a');
    buf_add(b, S(" HTTP/1.1\r\nHost: h\r\n"));
    for (size_t i = 0; i < count; i++) {
        buf_add(b, S("X: "));
        for (size_t j = 5; j < n; j++)
            buf_add_c(b, 'v');
        buf_add(b, S("\r\n"));
    }
    buf_add(b, S("\r\n"));
    return buf_str(b);
}

TEST(heads_above_a_limit_are_431)
{
    static const struct {
        size_t target_n, count, n;
        int status;
    } cases[] = {
        { 1, 19, 10, 200 },
        { 1, 20, 10, 431 },    /* fields, Host included */
        { 1008, 0, 0, 200 },
        { 1009, 0, 0, 431 },    /* the request line: 1024 */
        { 1, 1, 4068, 200 },
        { 1, 1, 4069, 431 },    /* all of it: 4096 */
        { 1, 1, 100000, 431 },
        { 100000, 0, 0, 431 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;
        struct str head = long_head(&b, cases[i].target_n, cases[i].count, cases[i].n);

        EXPECT_INT(take_whole(head).status, cases[i].status);
        EXPECT_INT(take(head, 7).status, cases[i].status);
        buf_fini(&b);
    }
}

/* What one scan of these bytes says; "" when it has nothing against them. */
static const char *
objection(const char *text, size_t line_bytes)
{
    struct h1_limits small = { .head_bytes = 1000, .line_bytes = line_bytes, .fields = 2 };
    struct h1_scan scan = { 0 };
    const char *why = "";
    size_t end;

    (void)!h1_scan(&scan, str_c(text), &small, &end, &why);
    return why;
}

TEST(what_cannot_become_a_head_is_refused_with_a_reason)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "A / HTTP/1.1\r\n", "" },
        { "Z / HTTP/1.1\r\n", "" },
        { "A", "" },
        { "Z", "" },
        { "a", "not HTTP/1" },
        { "[", "not HTTP/1" },
        { "@", "not HTTP/1" },
        { "\x16\x03", "control character in the header section" },
        { "G / HTTP/2\r\n", "not HTTP/1" },
        { "PRI * HTTP/2.0\r\n", "HTTP/2 is not supported; use HTTP/1.1" },
        { "G / HTTP/1.1\n", "line feed without carriage return" },
        { "G / HTTP/1.1\r\n\n", "line feed without carriage return" },
        { "G / HTTP/1.1\r\n x", "" },
        { "G / HTTP/1.1\r\n x\r\n",
            "a header line begins with white space (line folding is not allowed)" },
        { "G / HTTP/1.1\r\na: b\r\nc: d\r\n", "" },
        { "G / HTTP/1.1\r\na: b\r\nc: d\r\ne: f\r\n", "too many header fields" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(objection(rows[i].text, 100), rows[i].why) != 0)
            print_error("%s\n", rows[i].text);
        EXPECT_STR(str_c(objection(rows[i].text, 100)), rows[i].why);
    }
    EXPECT_STR(str_c(objection("G / HTTP/1.1\r\n", 14)), "");
    EXPECT_STR(str_c(objection("G / HTTP/1.1\r\n", 13)), "the start line is too long");
    EXPECT_STR(str_c(objection("G /aaaaaaaaaaa", 14)), "");
    EXPECT_STR(str_c(objection("G /aaaaaaaaaaa", 13)), "the start line is too long");
}

TEST(more_fields_than_there_is_room_for_are_refused)
{
    struct http_field one[1];
    struct h1_head head;
    const char *why = "";

    EXPECT(h1_parse_request(S("GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n"), one, 1, &head, &why) !=
           OK);
}

TEST(two_heads_are_refused_as_one)
{
    struct http_field fields[8];
    struct h1_head head;
    const char *why = "";

    EXPECT(h1_parse_request(S("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nX: 1\r\n\r\n"),
               fields, 8, &head, &why) != OK);
}

/* --- answers --- */

struct answer_case {
    const char *name;
    struct str bytes;
    int status;    /* 0: refused */
    int64_t length;
    bool chunked;
    bool keep_alive;
    bool until_close;
};

#define ANSWER(bytes) S_INIT(bytes "\r\n")

static const struct answer_case answers[] = {
    { "plain", ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"), 200, 5, false, true, false },
    { "no reason", ANSWER("HTTP/1.1 200 \r\nContent-Length: 5\r\n"), 200, 5, false, true, false },
    { "reason of many words", ANSWER("HTTP/1.1 429 Too Many \xC3\xA9\r\nContent-Length: 0\r\n"),
        429, 0, false, true, false },
    { "chunked", ANSWER("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n"), 200, -1, true, true,
        false },
    { "until close", ANSWER("HTTP/1.1 200 OK\r\n"), 200, -1, false, false, true },
    { "http/1.0 until close", ANSWER("HTTP/1.0 200 OK\r\n"), 200, -1, false, false, true },
    { "http/1.0 keep-alive",
        ANSWER("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n"), 200, 1, false,
        true, false },
    { "connection close", ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n"),
        200, 1, false, false, false },
    { "continue", ANSWER("HTTP/1.1 100 Continue\r\n"), 100, -1, false, true, false },
    { "no content", ANSWER("HTTP/1.1 204 No Content\r\n"), 204, -1, false, true, false },
    { "not modified", ANSWER("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n"), 304, 9, false,
        true, false },
    { "status 599", ANSWER("HTTP/1.1 599 x\r\nContent-Length: 9\r\n"), 599, 9, false, true, false },
    { "both framings",
        ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 0, 0,
        false, false, false },
    { "lengths differ", ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n"), 0,
        0, false, false, false },
    { "length list", ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n"), 0, 0, false, false,
        false },
    { "length signed", ANSWER("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n"), 0, 0, false, false,
        false },
    { "coding gzip", ANSWER("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n"), 0, 0, false,
        false, false },
    { "coding in 1.0", ANSWER("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n"), 0, 0, false,
        false, false },
    { "switching protocols", ANSWER("HTTP/1.1 101 x\r\nUpgrade: y\r\nConnection: upgrade\r\n"), 101,
        -1, false, true, false },
    { "status 600", ANSWER("HTTP/1.1 600 x\r\n"), 0, 0, false, false, false },
    { "status 99", ANSWER("HTTP/1.1 99 x\r\n"), 0, 0, false, false, false },
    { "status of four digits", ANSWER("HTTP/1.1 2000 x\r\n"), 0, 0, false, false, false },
    { "status is no number", ANSWER("HTTP/1.1 2x0 x\r\n"), 0, 0, false, false, false },
    { "http/2", ANSWER("HTTP/2 200 OK\r\n"), 0, 0, false, false, false },
    { "icy", ANSWER("ICY 200 OK\r\n"), 0, 0, false, false, false },
    { "blank line before", ANSWER("\r\nHTTP/1.1 200 OK\r\n"), 0, 0, false, false, false },
    { "bare LF", ANSWER("HTTP/1.1 200 OK\nContent-Length: 5\n"), 0, 0, false, false, false },
    { "bare CR", ANSWER("HTTP/1.1 200 OK\r\nX: a\rb\r\n"), 0, 0, false, false, false },
    { "folded", ANSWER("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n"), 0, 0, false, false, false },
    { "blank before the colon", ANSWER("HTTP/1.1 200 OK\r\nX : a\r\n"), 0, 0, false, false, false },
    { "NUL", ANSWER("HTTP/1.1 200 OK\r\nX: a\0b\r\n"), 0, 0, false, false, false },
    { "bare CR in the reason", ANSWER("HTTP/1.1 200 O\rK\r\n"), 0, 0, false, false, false },
    { "NUL in the reason", ANSWER("HTTP/1.1 200 O\0K\r\n"), 0, 0, false, false, false },
    { "html", ANSWER("<html>\r\n\r\n"), 0, 0, false, false, false },
};

static enum err
take_answer(struct str bytes, size_t step, bool to_head, struct h1_head *ret)
{
    static struct http_field fields[FIELDS_ROOM];
    struct h1_scan scan = { .response = true };
    const char *why = "";
    size_t end = 0;

    for (size_t n = MIN(step, bytes.n);; n = MIN(n + step, bytes.n)) {
        enum err e = h1_scan(&scan, str_make(bytes.p, n), &limits, &end, &why);

        if (e != OK)
            return e;
        if (end != 0)
            return h1_parse_response(
                str_make(bytes.p, end), fields, FIELDS_ROOM, to_head, ret, &why);
        EXPECT(n < bytes.n);
    }
}

TEST(every_response_is_parsed_or_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        for (size_t step = 1; step <= answers[i].bytes.n; step += answers[i].bytes.n - 1) {
            const struct answer_case *a = &answers[i];
            struct h1_head head;
            enum err e = take_answer(a->bytes, step, false, &head);

            if ((e == OK) != (a->status != 0))
                print_error("%s\n", a->name);
            EXPECT_INT(e == OK, a->status != 0);
            if (e != OK)
                continue;
            EXPECT_INT(head.head.status, a->status);
            EXPECT_INT(head.head.content_length, a->length);
            EXPECT_INT(head.head.chunked, a->chunked);
            EXPECT_INT(head.head.keep_alive, a->keep_alive);
            EXPECT_INT(head.until_close, a->until_close);
        }
    }
}

TEST(an_answer_to_head_has_no_body)
{
    struct str bytes = S("HTTP/1.1 200 OK\r\n\r\n");
    struct h1_head head;

    EXPECT_INT(take_answer(bytes, bytes.n, true, &head), OK);
    EXPECT(!head.until_close);
    EXPECT(head.head.keep_alive);
}
