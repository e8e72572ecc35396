/* test_websocket.c - messages of a session, however they come. */
#include "http/websocket.c"

#include "tests/test.h"

static void
on_message(void *arg, struct str text)
{
    buf_add(arg, text);
    buf_add_c(arg, '|');
}

static void
expect_messages(struct str bytes, const char *expected)
{
    for (size_t step = 1; step <= bytes.n; step++) {
        struct ws_reader r;
        struct buf all;

        buf_init(&all, 64 * 1024);
        ws_reader_init(&r, 300);
        for (struct str left = bytes; left.n != 0; left = str_skip(left, MIN(step, left.n)))
            ws_reader_feed(&r, str_make(left.p, MIN(step, left.n)), on_message, &all);
        EXPECT_STR(buf_str(&all), expected);
        buf_fini(&all);
        ws_reader_fini(&r);
    }
}

TEST(whole_text_messages_are_told_and_others_are_not)
{
    expect_messages(S("\x81\x05hello\x82\x03"
                      "bin\x89\x02hi\x81\x02!?\x88\x02\x03\xe8"),
        "hello|!?|");
    expect_messages(S("\x81\x00\x81\x01x"), "|x|");
}

TEST(a_message_may_come_in_frames_with_others_between)
{
    expect_messages(S("\x01\x02he\x89\x04ping\x00\x01l\x80\x02lo\x81\x01x"), "hello|x|");
    expect_messages(S("\x02\x02he\x80\x02lo\x81\x01x"), "x|");
}

TEST(a_message_that_is_too_long_is_skipped)
{
    char room[1024];
    struct buf b;

    memset(room, 'a', sizeof(room));
    buf_init(&b, 4096);
    buf_add(&b, S("\x81\x7e\x01\x2c"));
    buf_add(&b, str_make(room, 300));
    buf_add(&b, S("\x81\x7e\x01\x2d"));
    buf_add(&b, str_make(room, 301));
    buf_add(&b, S("\x01\x7f\x00\x00\x00\x00\x00\x00\x01\x00"));
    buf_add(&b, str_make(room, 256));
    buf_add(&b, S("\x80\x7e\x01\x00"));
    buf_add(&b, str_make(room, 256));
    buf_add(&b, S("\x81\x01x"));
    room[300] = '|';
    room[301] = 'x';
    room[302] = '|';
    room[303] = '\0';
    expect_messages(buf_str(&b), room);
    buf_fini(&b);
}

TEST(what_no_server_sends_is_not_read)
{
    expect_messages(S("\x81\x01x\x81\x85xxxxhello\x81\x01y"), "x|");
}
