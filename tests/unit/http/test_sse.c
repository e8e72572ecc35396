/* test_sse.c - events come out the same however the bytes are cut. */
#include "http/sse.c"

#include "tests/test.h"

#include <stdlib.h>

enum { TEXT_ROOM = 4096 };

/* What was emitted, written down: "[event|data]" for each frame, '-' for data that is not there. */
struct heard {
    char text[TEXT_ROOM];
    size_t text_n;
    char raw[TEXT_ROOM];
    size_t raw_n;
    unsigned frames;
    unsigned stop_after;
};

static void
note(struct heard *h, struct str s)
{
    if (s.n != 0)
        memcpy(h->text + h->text_n, s.p, s.n);
    h->text_n += s.n;
}

static bool
hear(void *arg, const struct sse_frame *frame)
{
    struct heard *h = arg;

    note(h, S("["));
    note(h, frame->event);
    note(h, S("|"));
    note(h, frame->has_data ? frame->data : S("-"));
    if (frame->error.n != 0) {
        note(h, S("|"));
        note(h, frame->error);
    }
    note(h, S("]"));
    memcpy(h->raw + h->raw_n, frame->raw.p, frame->raw.n);
    h->raw_n += frame->raw.n;
    h->frames++;
    return h->frames != h->stop_after;
}

static enum err
read_stream(struct heard *h, struct str bytes, size_t step, size_t limit)
{
    struct sse_reader r;
    enum err e = OK;

    sse_init(&r, limit);
    while (e == OK && bytes.n != 0) {
        size_t n = MIN(step, bytes.n);
        char *copy = malloc(n);    /* exactly so much, so that reading beyond it shows */

        memcpy(copy, bytes.p, n);
        e = sse_feed(&r, str_make(copy, n), hear, h);
        free(copy);
        bytes = str_skip(bytes, n);
    }
    if (e == OK && (h->stop_after == 0 || h->frames < h->stop_after))
        e = sse_end(&r, hear, h);
    sse_fini(&r);
    return e;
}

static const struct {
    const char *name;
    struct str bytes;
    const char *frames;
} streams[] = {
    { "LF", S_INIT("data: a\n\ndata: b\n\n"), "[|a][|b]" },
    { "CRLF", S_INIT("data: a\r\n\r\ndata: b\r\n\r\n"), "[|a][|b]" },
    { "CR", S_INIT("data: a\r\rdata: b\r\r"), "[|a][|b]" },
    { "mixed", S_INIT("data: a\n\r\ndata: b\r\n\ndata: c\r\r\ndata: d\n\rdata: e\r\n\r"),
        "[|a][|b][|c][|d][|e]" },
    { "no blank", S_INIT("data:a\n\n"), "[|a]" },
    { "one blank only is taken away", S_INIT("data:  a \n\n"), "[| a ]" },
    { "joined", S_INIT("data: a\ndata: b\ndata:\ndata: c\n\n"), "[|a\nb\n\nc]" },
    { "empty data", S_INIT("data:\n\ndata\n\n"), "[|][|]" },
    { "event", S_INIT("event: x\ndata: a\n\ndata: b\n\n"), "[x|a][|b]" },
    { "event behind the data", S_INIT("data: a\nevent: x\n\n"), "[x|a]" },
    { "comments", S_INIT(": hi\n\ndata: a\n: there\n\n"), "[|-][|a]" },
    { "other fields", S_INIT("id: 1\nretry: 10\ndata: a\n\nid: 2\n\n"), "[|a][|-]" },
    { "unknown fields", S_INIT("datax: 1\n data: 2\nDATA: 3\n\n"), "[|-]" },
    { "byte-order mark",
        S_INIT("\xEF\xBB\xBF"
               "data: a\n\n\xEF\xBB\xBF"
               "data: b\n\n"),
        "[|a][|-]" },
    { "last without blank line", S_INIT("data: a\n\ndata: b\n"), "[|a][|b]" },
    { "last without line end", S_INIT("data: a\n\ndata: b"), "[|a][|b]" },
    { "last CR", S_INIT("data: a\r\n\r"), "[|a]" },
    { "error field", S_INIT("error: {\"x\":1}\n\n"), "[|-|{\"x\":1}]" },
    { "blank lines before", S_INIT("\n\n\r\n\rdata: a\n\n"), "[|a]" },
    { "blank lines between", S_INIT("data: a\n\n\n\ndata: b\n\n"), "[|a][|b]" },
    { "blank lines at the end", S_INIT("data: a\n\n\n"), "[|a][|-]" },
    { "colons in the data", S_INIT("data: a: b:c\n\n"), "[|a: b:c]" },
    { "UTF-8", S_INIT("data: \xC3\xA9\xF0\x9F\x99\x82\n\n"), "[|\xC3\xA9\xF0\x9F\x99\x82]" },
    { "done", S_INIT("data: {\"a\":1}\n\ndata: [DONE]\n\n"), "[|{\"a\":1}][|[DONE]]" },
    { "nothing", S_INIT(""), "" },
};

TEST(every_stream_is_parsed_the_same_however_it_is_split)
{
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        for (size_t step = 1; step <= streams[i].bytes.n + 1; step++) {
            struct heard h = { .frames = 0 };

            if (read_stream(&h, streams[i].bytes, step, 1024) != OK)
                print_error("%s at %zu\n", streams[i].name, step);
            EXPECT_STR(str_make(h.text, h.text_n), streams[i].frames);
            EXPECT(str_eq(str_make(h.raw, h.raw_n), streams[i].bytes));
        }
    }
}

TEST(an_event_is_emitted_as_soon_as_it_is_complete)
{
    static const struct str events[] = { S_INIT("data: a\n\n"), S_INIT("data: a\r\n\r\n"),
        S_INIT("data: a\r\r") };

    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        struct heard h = { .frames = 0 };
        struct sse_reader r;

        sse_init(&r, 100);
        EXPECT_INT(sse_feed(&r, events[i], hear, &h), OK);
        EXPECT_INT(h.frames, 1);
        sse_fini(&r);
    }
}

TEST(an_event_in_one_piece_is_not_copied)
{
    struct heard h = { .frames = 0 };
    struct sse_reader r;

    sse_init(&r, 100);
    EXPECT_INT(sse_feed(&r, S("data: a\n\ndata: b\n\n"), hear, &h), OK);
    EXPECT_INT(h.frames, 2);
    EXPECT(r.pending.p == NULL && r.joined.p == NULL);
    sse_fini(&r);
}

TEST(an_event_above_the_limit_is_an_error_however_it_is_split)
{
    struct str fits = S("data: 12345678\n\n");    /* 16 bytes */
    struct str large = S("data: a\n\ndata: 123456789\n\n");

    for (size_t step = 1; step <= large.n; step++) {
        struct heard h = { .frames = 0 };

        EXPECT_INT(read_stream(&h, fits, step, 16), OK);
        EXPECT_INT(read_stream(&h, large, step, 16), ERR_UPSTREAM_TOO_LARGE);
    }
}

TEST(an_endless_line_is_an_error)
{
    struct heard h = { .frames = 0 };
    struct sse_reader r;
    enum err e = OK;

    sse_init(&r, 1000);
    for (int i = 0; i < 200 && e == OK; i++)
        e = sse_feed(&r, S("data: 12345"), hear, &h);
    EXPECT_INT(e, ERR_UPSTREAM_TOO_LARGE);
    EXPECT_INT(h.frames, 0);
    sse_fini(&r);
}

TEST(the_callback_may_stop_the_parser)
{
    struct heard h = { .stop_after = 2 };

    EXPECT_INT(read_stream(&h, S("data: a\n\ndata: b\n\ndata: c\n\n"), 100, 100), OK);
    EXPECT_STR(str_make(h.text, h.text_n), "[|a][|b]");
}

TEST(lines_that_end_with_cr_alone_take_linear_time)
{
    struct heard h = { .frames = 0 };
    struct sse_reader r;
    struct buf b;

    buf_init(&b, 1 << 22);
    for (int i = 0; i < 1000000; i++)
        buf_add(&b, S("x\r"));
    buf_add(&b, S("\r"));
    sse_init(&r, 1 << 22);
    struct sse_search search = { 0 };
    EXPECT_INT(find_event_end(buf_str(&b), &search), buf_len(&b));
    sse_fini(&r);
    buf_fini(&b);
    (void)h;
}
