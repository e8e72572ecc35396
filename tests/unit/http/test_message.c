/* test_message.c - fields, lists, media types. */
#include "http/message.c"

#include "tests/test.h"

static struct http_field list[] = {
    { S_INIT("Content-Type"), S_INIT("text/html") },
    { S_INIT("X-A"), S_INIT("1") },
    { S_INIT("x-a"), S_INIT("2") },
};
static const struct http_fields fields = { list, ARRAY_LEN(list) };

TEST(a_field_is_found_whatever_its_case)
{
    EXPECT_STR(http_field_get(&fields, S("content-TYPE")), "text/html");
    EXPECT_STR(http_field_get(&fields, S("x-a")), "1");
    EXPECT(http_field_get(&fields, S("x-b")).p == NULL);
}

TEST(a_token_is_found_in_a_list)
{
    EXPECT(http_list_has(S("a, b ,C"), S("c")));
    EXPECT(http_list_has(S("gzip;q=0.5, br"), S("gzip")));
    EXPECT(!http_list_has(S("closed, not-close"), S("close")));
    EXPECT(!http_list_has(S(""), S("close")));
}

TEST(a_media_type_is_compared_without_parameters)
{
    EXPECT(http_type_is(S("text/event-stream; charset=utf-8"), S("text/event-stream")));
    EXPECT(http_type_is(S("Text/Event-Stream"), S("text/event-stream")));
    EXPECT(!http_type_is(S("text/event-streams"), S("text/event-stream")));
    EXPECT(!http_type_is(S(""), S("text/event-stream")));
}

TEST(a_value_cannot_inject_another_field)
{
    struct buf b;

    buf_init(&b, 1000);
    http_add_field(&b, S("X"), S("a\r\nY: b"));
    http_add_field(&b, S("X"), S("c\nY: b"));
    http_add_field(&b, S("X"), S("d\0e"));
    EXPECT_STR(buf_str(&b), "X: a\r\nX: c\r\nX: d\r\n");
    buf_fini(&b);
}

TEST(a_status_has_its_reason_phrase)
{
    EXPECT_STR(str_c(http_reason(200)), "OK");
    EXPECT_STR(str_c(http_reason(404)), "Not Found");
    EXPECT_STR(str_c(http_reason(777)), "Unknown");
}

TEST(some_methods_send_something)
{
    EXPECT(http_is_sending_method(S("POST")) && http_is_sending_method(S("PUT")));
    EXPECT(http_is_sending_method(S("PATCH")));
    EXPECT(!http_is_sending_method(S("GET")) && !http_is_sending_method(S("DELETE")));
    EXPECT(!http_is_sending_method(S("post")) && !http_is_sending_method(S("")));
}
