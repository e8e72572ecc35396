/* test_framing.c - frames come out the same however the bytes are cut. */
#include "llm/framing.c"

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
hear(void *arg, const struct frame *frame)
{
    struct heard *h = arg;

    note(h, S("["));
    note(h, frame->event);
    note(h, S("|"));
    note(h, frame->has_data ? frame->data : S("-"));
    note(h, S("]"));
    memcpy(h->raw + h->raw_n, frame->raw.p, frame->raw.n);
    h->raw_n += frame->raw.n;
    h->frames++;
    return h->frames != h->stop_after;
}

static enum err
read_stream(struct heard *h, const struct framing *f, struct str bytes, size_t step, size_t limit)
{
    struct framing_reader r;
    enum err e = OK;

    framing_init(&r, f, limit);
    while (e == OK && bytes.n != 0) {
        size_t n = MIN(step, bytes.n);
        char *copy = malloc(n);    /* exactly so much, so that reading beyond it shows */

        memcpy(copy, bytes.p, n);
        e = framing_feed(&r, str_make(copy, n), hear, h);
        free(copy);
        bytes = str_skip(bytes, n);
    }
    if (e == OK && (h->stop_after == 0 || h->frames < h->stop_after))
        e = framing_end(&r, hear, h);
    framing_fini(&r);
    return e;
}

enum { SSE, NDJSON, ARRAY, AWS };

static const struct framing *const framings[] = { [SSE] = &framing_sse,
    [NDJSON] = &framing_ndjson,
    [ARRAY] = &framing_json_array,
    [AWS] = &framing_aws_events };

/* Two messages that AWS publishes with their CRCs. */
#define AWS_EMPTY "\0\0\0\020\0\0\0\0\005\302\110\353\175\230\310\377"
#define AWS_PAYLOAD "\0\0\0\035\0\0\0\0\375\122\214\132{'foo':'bar'}\303\145\071\066"

#define AWS_EVENT                                                                                  \
    "\000\000\000v\000\000\000R\226\325\372\336\013:event-type\007\000\014messageStart"            \
    "\015:content-type\007\000\020application/json\015:message-type\007\000\005event"              \
    "{\"role\":\"assistant\"}o\250\305\231"
#define AWS_EXCEPTION                                                                              \
    "\000\000\000b\000\000\000@\360\014\272\324\017:exception-type\007\000\023throttlingException" \
    "\015:message-type\007\000\011exception{\"message\":\"slow\"}c\351`v"
#define AWS_ERROR                                                                                  \
    "\000\000\000\\\000\000\000L\347\253\360\030\015:message-type\007\000\005error"                \
    "\013:error-code\007\000\015InternalError\016:error-message\007\000\010it broke\300\302\036\343"
/* A header of each type. */
#define AWS_TYPES                                                                                  \
    "\000\000\000k\000\000\000Z\000~!\337\001a\000\001b\001\001c\002x\001d\003xx\001e\004xxxx"     \
    "\001f\005xxxxxxxx\001g\006\000\003xyz\001h\010xxxxxxxx\001i\011xxxxxxxxxxxxxxxx"              \
    "\013:event-type\007\000\004lastp\270\362\277d"

static const struct {
    int framing;
    const char *name;
    struct str bytes;
    const char *frames;
} streams[] = {
    { SSE, "LF", S_INIT("data: a\n\ndata: b\n\n"), "[|a][|b]" },
    { SSE, "CRLF", S_INIT("data: a\r\n\r\ndata: b\r\n\r\n"), "[|a][|b]" },
    { SSE, "CR", S_INIT("data: a\r\rdata: b\r\r"), "[|a][|b]" },
    { SSE, "mixed", S_INIT("data: a\n\r\ndata: b\r\n\ndata: c\r\r\ndata: d\n\rdata: e\r\n\r"),
        "[|a][|b][|c][|d][|e]" },
    { SSE, "no blank", S_INIT("data:a\n\n"), "[|a]" },
    { SSE, "one blank only is taken away", S_INIT("data:  a \n\n"), "[| a ]" },
    { SSE, "joined", S_INIT("data: a\ndata: b\ndata:\ndata: c\n\n"), "[|a\nb\n\nc]" },
    { SSE, "empty data", S_INIT("data:\n\ndata\n\n"), "[|][|]" },
    { SSE, "event", S_INIT("event: x\ndata: a\n\ndata: b\n\n"), "[x|a][|b]" },
    { SSE, "event behind the data", S_INIT("data: a\nevent: x\n\n"), "[x|a]" },
    { SSE, "comments", S_INIT(": hi\n\ndata: a\n: there\n\n"), "[|-][|a]" },
    { SSE, "other fields", S_INIT("id: 1\nretry: 10\ndata: a\n\nid: 2\n\n"), "[|a][|-]" },
    { SSE, "unknown fields", S_INIT("datax: 1\n data: 2\nDATA: 3\n\n"), "[|-]" },
    { SSE, "byte-order mark",
        S_INIT("\xEF\xBB\xBF"
               "data: a\n\n\xEF\xBB\xBF"
               "data: b\n\n"),
        "[|a][|-]" },
    { SSE, "last without blank line", S_INIT("data: a\n\ndata: b\n"), "[|a][|b]" },
    { SSE, "last without line end", S_INIT("data: a\n\ndata: b"), "[|a][|b]" },
    { SSE, "last CR", S_INIT("data: a\r\n\r"), "[|a]" },
    { SSE, "error field", S_INIT("error: {\"x\":1}\n\n"), "[error|{\"x\":1}]" },
    { SSE, "blank lines before", S_INIT("\n\n\r\n\rdata: a\n\n"), "[|a]" },
    { SSE, "blank lines between", S_INIT("data: a\n\n\n\ndata: b\n\n"), "[|a][|b]" },
    { SSE, "blank lines at the end", S_INIT("data: a\n\n\n"), "[|a][|-]" },
    { SSE, "colons in the data", S_INIT("data: a: b:c\n\n"), "[|a: b:c]" },
    { SSE, "UTF-8", S_INIT("data: \xC3\xA9\xF0\x9F\x99\x82\n\n"), "[|\xC3\xA9\xF0\x9F\x99\x82]" },
    { SSE, "done", S_INIT("data: {\"a\":1}\n\ndata: [DONE]\n\n"), "[|{\"a\":1}][|[DONE]]" },
    { SSE, "nothing", S_INIT(""), "" },
    { NDJSON, "lines", S_INIT("{\"a\":1}\n{\"b\":2}\n"), "[|{\"a\":1}][|{\"b\":2}]" },
    { NDJSON, "CRLF", S_INIT("{}\r\n{}\r\n"), "[|{}][|{}]" },
    { NDJSON, "last without line end", S_INIT("{}\n{\"a\":1}"), "[|{}][|{\"a\":1}]" },
    { NDJSON, "blank lines", S_INIT("\n \n{}\n\n"), "[|-][|-][|{}][|-]" },
    { NDJSON, "keep-alives", S_INIT("  {} \n   {}\n "), "[|{}][|{}][|-]" },
    { NDJSON, "nothing", S_INIT(""), "" },
    { ARRAY, "elements", S_INIT("[{\"a\":1},{\"b\":[{}]}]"), "[|{\"a\":1}][|{\"b\":[{}]}][|-]" },
    { ARRAY, "blanks", S_INIT(" [ {} \r\n,\n {}\t]\n\n"), NULL },
    { ARRAY, "brackets in strings", S_INIT("[{\"}\\\"]\\\\\":\"\\\\\"},{\"[\":\"{\"}]"),
        "[|{\"}\\\"]\\\\\":\"\\\\\"}][|{\"[\":\"{\"}][|-]" },
    { ARRAY, "empty", S_INIT("[]"), "[|-]" },
    { ARRAY, "without its end", S_INIT("[{}"), "[|{}]" },
    { ARRAY, "nothing", S_INIT(""), "" },
    { AWS, "published", S_INIT(AWS_EMPTY AWS_PAYLOAD), "[|][|{'foo':'bar'}]" },
    { AWS, "an event", S_INIT(AWS_EVENT), "[messageStart|{\"role\":\"assistant\"}]" },
    { AWS, "an exception", S_INIT(AWS_EVENT AWS_EXCEPTION),
        "[messageStart|{\"role\":\"assistant\"}][throttlingException|{\"message\":\"slow\"}]" },
    { AWS, "an error", S_INIT(AWS_ERROR), "[error|it broke]" },
    { AWS, "headers of all types", S_INIT(AWS_TYPES), "[last|p]" },
    { AWS, "nothing", S_INIT(""), "" },
};

TEST(every_stream_is_parsed_the_same_however_it_is_split)
{
    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        for (size_t step = 1; step <= streams[i].bytes.n + 1; step++) {
            struct heard h = { .frames = 0 };

            if (read_stream(&h, framings[streams[i].framing], streams[i].bytes, step, 1024) != OK)
                print_error("%s at %zu\n", streams[i].name, step);
            if (streams[i].frames != NULL)    /* blanks alone may come as several frames */
                EXPECT_STR(str_make(h.text, h.text_n), streams[i].frames);
            EXPECT(str_eq(str_make(h.raw, h.raw_n), streams[i].bytes));
        }
    }
}

TEST(blanks_between_elements_are_not_data)
{
    struct heard h = { .frames = 0 };

    EXPECT_INT(read_stream(&h, &framing_json_array, S(" [ {} \r\n,\n {}\t]\n\n"), 99, 99), OK);
    EXPECT_STR(str_make(h.text, h.text_n), "[|{}][|{}][|-][|-]");
}

/* What is not of its framing, or was cut. */
TEST(a_malformed_stream_is_an_error_however_it_is_split)
{
    static const struct {
        int framing;
        struct str bytes;
        enum err e;
    } cases[] = {
        { ARRAY, S_INIT("{}"), ERR_UPSTREAM_PROTOCOL },
        { ARRAY, S_INIT("[1]"), ERR_UPSTREAM_PROTOCOL },
        { ARRAY, S_INIT("[[]]"), ERR_UPSTREAM_PROTOCOL },
        { ARRAY, S_INIT("[,{}]"), ERR_UPSTREAM_PROTOCOL },
        { ARRAY, S_INIT("[{},]"), ERR_UPSTREAM_PROTOCOL },
        { ARRAY, S_INIT("[{}{}]"), ERR_UPSTREAM_PROTOCOL },
        { ARRAY, S_INIT("[{}]]"), ERR_UPSTREAM_PROTOCOL },
        { ARRAY, S_INIT("[{}],"), ERR_UPSTREAM_PROTOCOL },
        { ARRAY, S_INIT("[{\"a\":"), ERR_UPSTREAM_TRUNCATED },
        { ARRAY, S_INIT("[{},"), ERR_UPSTREAM_TRUNCATED },
        { AWS, S_INIT(AWS_EVENT "\0"), ERR_UPSTREAM_TRUNCATED },
        { AWS, S_INIT("\000\000\000\023\000\000\000\003\333kc\201\001a\012\377\253\226\""),
            ERR_UPSTREAM_PROTOCOL },    /* a header of no known type */
        { AWS, S_INIT("\000\000\000\026\000\000\000\006c\341\030~\001a\007\000\011x\220g\022&"),
            ERR_UPSTREAM_PROTOCOL },    /* a header longer than all headers */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t step = 1; step <= cases[i].bytes.n; step++) {
            struct heard h = { .frames = 0 };

            EXPECT_INT(read_stream(&h, framings[cases[i].framing], cases[i].bytes, step, 1024),
                cases[i].e);
        }
}

TEST(messages_are_written_as_they_are_read)
{
    struct heard h = { .frames = 0 };
    struct buf out;
    size_t begun;

    buf_init(&out, 1024);
    begun = framing_aws_begin(&out, S("event"), S("messageStart"));
    buf_add(&out, S("{\"role\":\"assistant\"}"));
    framing_aws_end(&out, begun);
    EXPECT(str_eq(buf_str(&out), S(AWS_EVENT)));
    begun = framing_aws_begin(&out, S("exception"), S("throttlingException"));
    framing_aws_end(&out, begun);
    EXPECT_INT(read_stream(&h, &framing_aws_events, buf_str(&out), 3, 1024), OK);
    EXPECT_INT(h.frames, 2);
    buf_fini(&out);

    buf_init(&out, 64);    /* no room for all of it: nothing is written outside */
    begun = framing_aws_begin(&out, S("event"), S("contentBlockDelta"));
    framing_aws_end(&out, begun);
    EXPECT(out.overflow);
    buf_fini(&out);
}

TEST(a_flipped_bit_anywhere_in_a_message_is_noticed)
{
    struct str message = S(AWS_EVENT);
    char copy[sizeof(AWS_EVENT)];

    for (size_t bit = 0; bit < message.n * 8; bit++) {
        struct heard h = { .frames = 0 };

        memcpy(copy, message.p, message.n);
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        EXPECT_INT(read_stream(&h, &framing_aws_events, str_make(copy, message.n), 7, 1024),
            ERR_UPSTREAM_PROTOCOL);
        EXPECT_INT(h.frames, 0);
    }
}

TEST(a_message_above_the_limit_is_refused_by_its_length_alone)
{
    struct heard h = { .frames = 0 };
    struct framing_reader r;

    framing_init(&r, &framing_aws_events, sizeof(AWS_EVENT) - 2);
    EXPECT_INT(framing_feed(&r, str_make(AWS_EVENT, 12), hear, &h), ERR_UPSTREAM_TOO_LARGE);
    framing_fini(&r);
    EXPECT_INT(read_stream(&h, &framing_aws_events, S(AWS_EVENT), 5, sizeof(AWS_EVENT) - 1), OK);
}

TEST(the_first_byte_tells_a_document_from_a_stream)
{
    static const struct {
        int framing;
        const char *first;
        bool says, asked;
        enum framing_shape shape;
    } cases[] = {
        { SSE, " \r\n", true, true, SHAPE_UNSURE },
        { SSE, "\n{\"a\"", true, true, SHAPE_DOCUMENT },
        { SSE, "[", true, true, SHAPE_DOCUMENT },
        { SSE, "<html>", true, true, SHAPE_DOCUMENT },
        { SSE, "data: {}", false, false, SHAPE_STREAM },
        { SSE, ": OPENROUTER", false, false, SHAPE_STREAM },
        { SSE, "\xEF\xBB\xBF", true, false, SHAPE_STREAM },
        { SSE, "\xEF\xBB\xBF", false, true, SHAPE_DOCUMENT },
        { NDJSON, "{", true, false, SHAPE_STREAM },
        { NDJSON, "{", false, true, SHAPE_STREAM },
        { NDJSON, "{", false, false, SHAPE_DOCUMENT },
        { NDJSON, "<", true, true, SHAPE_DOCUMENT },
        { ARRAY, "[", false, false, SHAPE_STREAM },
        { ARRAY, "{", true, true, SHAPE_DOCUMENT },
        { AWS, "{", true, true, SHAPE_DOCUMENT },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        EXPECT_INT(framing_tell(framings[cases[i].framing], str_c(cases[i].first), cases[i].says,
                       cases[i].asked),
            cases[i].shape);
    EXPECT_INT(framing_tell(&framing_aws_events, S(AWS_EMPTY), true, true), SHAPE_STREAM);
    EXPECT_INT(framing_tell(&framing_sse, S("\0"), false, true), SHAPE_DOCUMENT);
}

TEST(a_keep_alive_between_two_frames_changes_nothing)
{
    static const char *const halves[][2] = {
        [SSE] = { "data: a\n\n", "data: b\n\n" },
        [NDJSON] = { "{}\n", "{}\n" },
        [ARRAY] = { "[{}", ",{}]" },
    };

    for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
        struct heard with = { .frames = 0 };
        struct heard without = { .frames = 0 };
        struct buf b;

        buf_init(&b, 1000);
        buf_add(&b, str_c(halves[i][0]));
        buf_add(&b, str_c(halves[i][1]));
        EXPECT_INT(read_stream(&without, framings[i], buf_str(&b), 99, 99), OK);
        buf_reset(&b, 0);
        buf_add(&b, str_c(halves[i][0]));
        buf_add(&b, framings[i]->keepalive);
        buf_add(&b, str_c(halves[i][1]));
        EXPECT_INT(read_stream(&with, framings[i], buf_str(&b), 99, 99), OK);
        buf_fini(&b);
        EXPECT(with.frames == without.frames + (i == SSE));    /* a comment is a frame */
    }
}

TEST(a_last_frame_gets_the_end_that_it_lacks)
{
    static const struct {
        int framing;
        const char *bytes, *closed;
    } cases[] = {
        { SSE, "data: a", "data: a\n\n" },
        { SSE, "data: a\n", "data: a\n\n" },
        { NDJSON, "{}", "{}\n" },
        { NDJSON, "{}\n", "{}\n" },
        { ARRAY, "[{}", "[{}" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;

        buf_init(&b, 100);
        buf_add(&b, str_c(cases[i].bytes));
        framing_close(framings[cases[i].framing], &b);
        EXPECT_STR(buf_str(&b), cases[i].closed);
        buf_fini(&b);
    }
}

TEST(an_event_is_emitted_as_soon_as_it_is_complete)
{
    static const struct str events[] = { S_INIT("data: a\n\n"), S_INIT("data: a\r\n\r\n"),
        S_INIT("data: a\r\r") };

    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        struct heard h = { .frames = 0 };
        struct framing_reader r;

        framing_init(&r, &framing_sse, 100);
        EXPECT_INT(framing_feed(&r, events[i], hear, &h), OK);
        EXPECT_INT(h.frames, 1);
        framing_fini(&r);
    }
}

TEST(an_event_in_one_piece_is_not_copied)
{
    struct heard h = { .frames = 0 };
    struct framing_reader r;

    framing_init(&r, &framing_sse, 100);
    EXPECT_INT(framing_feed(&r, S("data: a\n\ndata: b\n\n"), hear, &h), OK);
    EXPECT_INT(h.frames, 2);
    EXPECT(r.pending.p == NULL && r.joined.p == NULL);
    framing_fini(&r);
}

TEST(an_event_above_the_limit_is_an_error_however_it_is_split)
{
    struct str fits = S("data: 12345678\n\n");    /* 16 bytes */
    struct str large = S("data: a\n\ndata: 123456789\n\n");

    for (size_t step = 1; step <= large.n; step++) {
        struct heard h = { .frames = 0 };

        EXPECT_INT(read_stream(&h, &framing_sse, fits, step, 16), OK);
        EXPECT_INT(read_stream(&h, &framing_sse, large, step, 16), ERR_UPSTREAM_TOO_LARGE);
    }
}

TEST(an_endless_line_is_an_error)
{
    struct heard h = { .frames = 0 };
    struct framing_reader r;
    enum err e = OK;

    framing_init(&r, &framing_sse, 1000);
    for (int i = 0; i < 200 && e == OK; i++)
        e = framing_feed(&r, S("data: 12345"), hear, &h);
    EXPECT_INT(e, ERR_UPSTREAM_TOO_LARGE);
    EXPECT_INT(h.frames, 0);
    framing_fini(&r);
}

TEST(the_callback_may_stop_the_parser)
{
    struct heard h = { .stop_after = 2 };

    EXPECT_INT(read_stream(&h, &framing_sse, S("data: a\n\ndata: b\n\ndata: c\n\n"), 100, 100), OK);
    EXPECT_STR(str_make(h.text, h.text_n), "[|a][|b]");
}

TEST(lines_that_end_with_cr_alone_take_linear_time)
{
    struct framing_reader r;
    struct buf b;

    buf_init(&b, 1 << 22);
    for (int i = 0; i < 1000000; i++)
        buf_add(&b, S("x\r"));
    buf_add(&b, S("\r"));
    framing_init(&r, &framing_sse, 1 << 22);
    enum err e = OK;
    EXPECT_INT(sse_find_end(&r, buf_str(&b), &e), buf_len(&b));
    framing_fini(&r);
    buf_fini(&b);
}
