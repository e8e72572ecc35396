#include "base/json_out.h"
#include "tests/test.h"

static struct buf b;

static const char *
text(void)
{
    static char room[512];

    str_copy_c(room, sizeof(room), buf_str(&b));
    buf_fini(&b);
    return room;
}

static struct json_out
begin(void)
{
    buf_init(&b, 4096);
    return json_out(&b);
}

TEST(commas_stand_between_members_and_between_elements)
{
    struct json_out o = begin();

    out_object(&o);
    out_text(&o, "a", S("x\"y"));
    out_key_array(&o, "list");
    out_i64_value(&o, -1);
    out_text_value(&o, S("two"));
    out_object(&o);
    out_end(&o);
    out_array(&o);
    out_end_array(&o);
    out_raw_value(&o, S("null"));
    out_end_array(&o);
    out_key_object(&o, "o");
    out_bool(&o, "yes", true);
    out_bool(&o, "no", false);
    out_null(&o, "nothing");
    out_i64(&o, "n", 7);
    out_end(&o);
    out_raw(&o, "raw", S("{\"k\":[]}"));
    out_end(&o);
    assert_string_equal(text(),
        "{\"a\":\"x\\\"y\",\"list\":[-1,\"two\",{},[],null],\"o\":{\"yes\":true,\"no\":false,"
        "\"nothing\":null,\"n\":7},\"raw\":{\"k\":[]}}");
}

TEST(constant_members_and_names_made_at_run_time_take_commas_too)
{
    struct json_out o = begin();

    out_object(&o);
    out_const(&o, "\"role\":\"user\"");
    out_const(&o, "\"content\":null");
    out_key_str(&o, S("q\"k"));
    out_i64_value(&o, 1);
    out_text_if(&o, "empty", S(""));
    out_text_if(&o, "full", S("f"));
    out_end(&o);
    assert_string_equal(text(), "{\"role\":\"user\",\"content\":null,\"q\\\"k\":1,\"full\":\"f\"}");
}

TEST(a_string_may_be_put_together_from_pieces)
{
    struct json_out o = begin();

    out_array(&o);
    out_string(&o);
    out_piece(&o, S("a\n"));
    out_piece(&o, S(""));
    out_piece(&o, S("b"));
    out_end_string(&o);
    out_string(&o);
    out_end_string(&o);
    out_end_array(&o);
    assert_string_equal(text(), "[\"a\\nb\",\"\"]");
}
