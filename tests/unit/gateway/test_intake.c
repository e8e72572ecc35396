/* test_intake.c - a provider's answer is read from its head to its end: whole, in frames, failed, or
 * only passed through. */
#include "gateway/intake.c"

#include "tests/test.h"

#include <stdlib.h>

#define KEY "sk-proj-7fQ2aB9x4Lm0ZtY8W3cE6"
#define SHORT "a1b2c3d4"              /* as short as a secret may be */
#define WORDS "acme-research-team"    /* a secret that does not look random */

static struct intake in;
static struct secrets *secrets;
static struct conf_server limits;
static struct http_field fields[4];
static struct http_field more = { S_INIT("Date"), S_INIT("") };    /* of the next answer */
static struct event_sink events;
static struct buf said;      /* text of the events */
static struct buf passed;    /* the frames that went on */
static unsigned frames_n;
static unsigned usage_n;
static const struct wire *wire = &wire_openai_chat;
static int64_t length = -1;    /* as the next answer's head has it */

static void
on_said(struct event_sink *sink UNUSED, const struct llm_event *ev)
{
    buf_add(&said, ev->kind == EVENT_TEXT ? ev->text : S(""));
}

static void
on_passed(struct intake *from, struct str raw)
{
    EXPECT(raw.n != 0);
    buf_add(&passed, raw);
    frames_n++;
    usage_n += from->reader.frame_is_usage;
}

static void
begin(enum llm_op op, int status, const char *type, const char *encoding)
{
    struct http_head head = { .status = status, .content_length = length };

    fields[0] = (struct http_field){ S("Content-Type"), str_c(type) };
    fields[1] = (struct http_field){ S("Location"), S("/elsewhere") };
    fields[2] = (struct http_field){ S("Content-Encoding"), str_c(encoding) };
    fields[3] = more;
    head.fields = (struct http_fields){ fields, 4 };
    limits =
        (struct conf_server){ .limit_event_bytes = 64 * 1024, .limit_answer_bytes = 32 * 1024 };
    secrets = secrets_create();
    secrets_add(secrets, S(KEY));
    secrets_add(secrets, S(WORDS));
    secrets_add(secrets, S(SHORT));
    buf_init(&said, 1 << 20);
    buf_init(&passed, 1 << 20);
    frames_n = usage_n = 0;
    events.emit = on_said;
    in = (struct intake){ .secrets = secrets, .events = &events, .frame = on_passed };
    in.reader.wire = wire;
    in.frames = wire->framing;
    in.reader.op = op;
    in.reader.keep = arena_create(1 << 20);
    in.reader.scratch = arena_create(1 << 20);
    intake_begin(&in, &head, &limits);
}

static void
finish(void)
{
    intake_fini(&in);
    arena_destroy(in.reader.keep);
    arena_destroy(in.reader.scratch);
    secrets_destroy(secrets);
    buf_fini(&said);
    buf_fini(&passed);
}

/* Gives the text in pieces of `n` bytes, copied, so that a reader that looks at old bytes is noticed. */
static enum err
feed(const char *text, size_t n)
{
    struct str rest = str_c(text);
    enum err e = OK;

    while (rest.n != 0 && e == OK) {
        size_t take = MIN(n, rest.n);
        char *piece = malloc(take);

        CHECK(piece != NULL);
        memcpy(piece, rest.p, take);
        struct str bytes = str_make(piece, take);
        if (in.source == SOURCE_UNSURE)
            EXPECT(intake_tell(&in, bytes) == (in.source != SOURCE_UNSURE));
        e = intake_data(&in, bytes);
        free(piece);
        rest = str_skip(rest, take);
    }
    return e;
}

static enum err
feed_and_end(const char *text, size_t n)
{
    enum err e = feed(text, n);

    return e == OK ? intake_end(&in, true) : e;
}

/* --- when to come back --- */

/* What a refusal says of it. */
static int64_t
hint_of(int status, const char *name, const char *value, const char *body)
{
    more = (struct http_field){ str_c(name), str_c(value) };
    begin(OP_CHAT, status, "application/json", "");
    enum err e = feed_and_end(body, 7);
    EXPECT(e != OK && in.error != NULL);
    int64_t ms = in.error->retry_after_ms;
    finish();
    more = (struct http_field){ S("Date"), S("") };
    return ms;
}

TEST(a_refusal_s_fields_say_when_to_come_back_else_its_words_else_the_limit_s_reset)
{
    const char *words = "{\"error\":{\"message\":\"Please try again in 20s.\"}}";
    const char *silent = "{\"error\":{\"message\":\"no\"}}";

    EXPECT_INT(hint_of(429, "Retry-After", "3", words), 3000);
    EXPECT_INT(hint_of(429, "x-ratelimit-reset", "4", words), 20000);
    EXPECT_INT(hint_of(429, "x-ratelimit-reset", "4", silent), 4000);
    EXPECT_INT(hint_of(529, "Retry-After", "3", ""), 3000);
    EXPECT_INT(hint_of(429, "x", "", silent), 0);
    EXPECT_INT(hint_of(400, "x", "", words), 0);    /* the words may be the caller's */
}

TEST(what_a_success_says_of_its_limits_is_not_about_an_error_in_it)
{
    const char *limited = "{\"error\":{\"code\":429,\"message\":\"Please try again in 20s.\"}}";

    EXPECT_INT(hint_of(200, "Retry-After", "3", limited), 20000);
    EXPECT_INT(hint_of(200, "x-ratelimit-reset", "3", "{\"error\":{\"code\":429}}"), 0);
}

/* --- the head --- */

TEST(the_head_says_how_an_answer_is_read)
{
    static const struct {
        enum llm_op op;
        int status;
        enum intake_source source;
    } rows[] = {
        { OP_CHAT, 199, SOURCE_ERROR },
        { OP_CHAT, 200, SOURCE_UNSURE },
        { OP_CHAT, 299, SOURCE_UNSURE },
        { OP_CHAT, 300, SOURCE_ERROR },
        { OP_RELAY, 200, SOURCE_RAW },
        { OP_RELAY, 399, SOURCE_RAW },
        { OP_RELAY, 400, SOURCE_ERROR },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin(rows[i].op, rows[i].status, "application/json", "");
        EXPECT_INT(in.source, rows[i].source);
        EXPECT_INT(in.status, rows[i].status);
        EXPECT_STR(in.location, rows[i].status >= 300 && rows[i].status < 400 ? "/elsewhere" : "");
        EXPECT(!in.encoded);
        EXPECT_INT(in.length, length);
        finish();
        length = 77;
    }
    length = -1;
}

TEST(a_content_type_with_a_secret_is_not_kept)
{
    begin(OP_CHAT, 200, "text/x; was=" KEY, "");
    EXPECT_STR(in.content_type, "");
    finish();
    begin(OP_CHAT, 200, "text/x; was=it", "");
    EXPECT_STR(in.content_type, "text/x; was=it");
    finish();
    begin(OP_CHAT, 200, "text/x", "");    /* too short for one */
    EXPECT_STR(in.content_type, "text/x");
    finish();
    begin(OP_CHAT, 200, SHORT, "");
    EXPECT_STR(in.content_type, "");
    finish();
}

TEST(the_beginning_of_a_document_says_what_it_looks_like)
{
    static const struct {
        const char *type, *text;
        bool json, html;
    } rows[] = {
        { "text/html", "{", true, false },
        { "text/html", "[", true, false },
        { "", " \n[", true, false },
        { "", "x", false, false },
        { "", "\"x\"", false, false },
        { "text/html", "x<html", false, false },
        { "text/html", "<", false, true },
        { "text/html", "<p>", false, true },
        { "text/plain", "<p>", false, false },
        { "text/plain", " <HTML>", false, true },
        { "", "<!DOCTYPE html>", false, true },
        { "", "<!doctype xml>", false, false },
        { "", "!<html", false, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin(OP_CHAT, 200, rows[i].type, "");
        EXPECT_INT(feed(rows[i].text, 1000), OK);
        EXPECT_INT(in.source, SOURCE_WHOLE);
        EXPECT(in.json == rows[i].json && in.html == rows[i].html);
        EXPECT(in.heard_us != 0);
        finish();
    }
}

/* --- what is only passed through --- */

#define EVENT(text) "data: {\"text\":\"" text "\"}\n\n"

TEST(whole_events_of_a_passed_stream_go_on_one_by_one)
{
    for (size_t n = 1; n < 100; n += 7) {
        begin(OP_RELAY, 200, "text/event-stream", "");
        EXPECT_INT(feed_and_end(EVENT("a") ": note\n\n" EVENT("b") "data: c", n), OK);
        EXPECT_STR(buf_str(&passed), EVENT("a") ": note\n\n" EVENT("b") "data: c");
        EXPECT_INT(frames_n, 4);
        EXPECT_INT(in.raw->count, 3);    /* a comment is not one */
        EXPECT(in.heard_us != 0);
        finish();
    }
}

TEST(a_passed_stream_has_the_framing_of_streams_whatever_its_wire_has)
{
    wire = &wire_ollama;
    begin(OP_RELAY, 200, "text/event-stream", "");
    EXPECT(in.raw->events);
    EXPECT_INT(feed_and_end("data: a\ndata: b\n\n", 3), OK);
    EXPECT_INT(frames_n, 1);
    finish();
    begin(OP_CHAT, 200, "application/x-ndjson", "");
    EXPECT(in.says_stream);
    EXPECT_INT(feed_and_end("{\"message\":{\"content\":\"a\"}}\n{\"message\":{\"content\":\"b\"},"
                            "\"done\":true,\"done_reason\":\"stop\"}\n",
                   3),
        OK);
    EXPECT_STR(buf_str(&said), "ab");
    finish();
    wire = &wire_openai_chat;
}

TEST(an_event_of_a_passed_stream_with_a_secret_ends_it)
{
    for (size_t n = 1; n < 100; n += 7) {
        begin(OP_RELAY, 200, "text/event-stream", "");
        EXPECT_INT(feed_and_end(EVENT("a") EVENT(KEY) EVENT("b"), n), ERR_UPSTREAM_ERROR);
        EXPECT_STR(buf_str(&passed), EVENT("a"));
        EXPECT_INT(in.error->kind, ERR_UPSTREAM_ERROR);
        EXPECT(str_find(in.error->message, S("withheld")) != in.error->message.n);
        EXPECT_INT(in.raw->count, 1);
        finish();
    }
    begin(OP_RELAY, 200, "text/event-stream", "");    /* the last one, which lacks its end */
    EXPECT_INT(feed_and_end(EVENT("a") "data: " KEY, 1000), ERR_UPSTREAM_ERROR);
    EXPECT_STR(buf_str(&passed), EVENT("a"));
    finish();
}

TEST(a_secret_in_several_words_of_passed_text_is_not_completed)
{
    begin(OP_RELAY, 200, "text/plain", "");
    EXPECT_INT(feed_and_end("key: sk-proj-7fQ2a B9x4Lm0Zt Y8W3cE6", 5), ERR_UPSTREAM_ERROR);
    EXPECT_STR(buf_str(&passed), "key: ");
    finish();
}

TEST(a_word_that_is_a_secret_counts_once_a_passed_stream_has_failed)
{
    begin(OP_RELAY, 200, "text/event-stream", "");
    EXPECT_INT(feed_and_end(EVENT(WORDS), 1000), OK);
    EXPECT_STR(buf_str(&passed), EVENT(WORDS));
    finish();
    begin(OP_RELAY, 200, "text/event-stream", "");
    EXPECT_INT(
        feed_and_end("event: error\ndata: {\"error\":{\"message\":\"no\"}}\n\n" EVENT(WORDS), 1000),
        ERR_UPSTREAM_ERROR);
    EXPECT_INT(frames_n, 1);
    finish();
    begin(OP_RELAY, 200, "application/json", "");    /* a document that speaks of errors */
    EXPECT_INT(feed_and_end("{\"error\":{\"message\":\"" WORDS "\"}}", 1000), OK);
    finish();
}

TEST(only_plain_streams_are_passed_on_event_by_event)
{
    begin(OP_RELAY, 200, "text/event-stream", "gzip");
    EXPECT(in.encoded && !in.raw->events);
    finish();
    begin(OP_RELAY, 201, "text/event-stream", "");
    EXPECT(!in.raw->events);
    finish();
    begin(OP_RELAY, 200, "text/plain", "");
    EXPECT(!in.raw->events && in.raw->text);
    finish();
}

TEST(what_may_begin_a_secret_waits_for_the_next_bytes)
{
    begin(OP_RELAY, 200, "text/plain", "");
    EXPECT_INT(feed("hello sk-proj-7fQ", 100), OK);
    EXPECT_STR(buf_str(&passed), "");
    EXPECT_INT(feed(" and more words", 100), OK);
    EXPECT_STR(buf_str(&passed), "hello sk-proj-7fQ and more words");
    EXPECT_INT(feed(" sk-proj-7fQ", 100), OK);
    EXPECT_INT(intake_end(&in, true), OK);
    EXPECT_STR(buf_str(&passed), "hello sk-proj-7fQ and more words sk-proj-7fQ");
    finish();
}

TEST(of_a_long_piece_only_the_tail_waits)
{
    static char text[1000];
    const size_t tail = RAW_TAIL_BYTES;

    memset(text, ' ', sizeof(text));
    memcpy(text + sizeof(text) - 13, "sk-proj-7fQ2", 13);
    begin(OP_RELAY, 200, "text/plain", "");
    EXPECT_INT(feed(text, sizeof(text)), OK);
    EXPECT_INT(buf_len(&passed), strlen(text) - tail);
    EXPECT_INT(buf_len(&in.body), tail);
    EXPECT_INT(feed("...", 3), OK);    /* still pending: the tail moves on, and is bounded */
    EXPECT_INT(feed("!  ", 3), OK);
    EXPECT(buf_len(&in.body) <= RAW_TAIL_BYTES + 6);
    EXPECT_INT(feed(" yes", 4), OK);
    EXPECT_INT(intake_end(&in, true), OK);
    EXPECT_INT(buf_len(&passed), strlen(text) + 10);
    EXPECT(str_ends(buf_str(&passed), S("sk-proj-7fQ2...!   yes")));
    finish();
    begin(OP_RELAY, 200, "text/plain", "");
    EXPECT_INT(feed("sk-proj-7fQ", 100), OK);
    text[0] = '!';    /* no longer the beginning of one, but the end may be */
    EXPECT_INT(feed(text, sizeof(text)), OK);
    EXPECT(str_starts(buf_str(&passed), S("sk-proj-7fQ!")));
    EXPECT_INT(buf_len(&passed), 11 + strlen(text) - tail);
    EXPECT_INT(intake_end(&in, true), OK);
    EXPECT_INT(buf_len(&passed), 11 + strlen(text));
    finish();
}

TEST(binary_content_is_not_searched)
{
    static const char *const binary[] = { "audio/mpeg", "IMAGE/png", "video/mp4", "font/woff",
        "application/octet-stream", "application/pdf", "application/zip", "application/gzip" };

    for (size_t i = 0; i < ARRAY_LEN(binary); i++) {
        begin(OP_RELAY, 200, binary[i], "");
        EXPECT_INT(feed_and_end("x " KEY, 100), OK);
        EXPECT_STR(buf_str(&passed), "x " KEY);
        EXPECT(in.heard_us != 0);
        finish();
    }
}

/* --- errors --- */

TEST(a_refusal_that_quotes_a_secret_loses_its_words)
{
    begin(OP_RELAY, 400, "application/json", "");
    EXPECT_INT(feed_and_end("{\"error\":{\"message\":\"wrong: " KEY "\",\"type\":\"t\"}}", 10),
        in.error != NULL ? in.error->kind : ERR_BAD_REQUEST);
    EXPECT_STR(in.error->message, "");
    EXPECT_STR(in.error->type, "");
    EXPECT(in.error->quotes && !in.error->as_is);
    EXPECT_INT(in.error->status, 400);
    finish();
}

TEST(a_refusal_passes_as_it_is_only_if_it_is_whole_plain_and_not_about_our_credentials)
{
    static const char text[] =
        "{\"error\":{\"message\":\"no such file\",\"type\":\"t\",\"code\":\"c\","
        "\"param\":\"p\"}}";

    begin(OP_RELAY, 400, "application/json", "");
    EXPECT_INT(feed(text, 7), OK);
    EXPECT(intake_end(&in, true) != OK && in.error->as_is && in.json && !in.html);
    EXPECT_STR(in.error->message, "no such file");
    EXPECT_STR(in.error->type, "t");
    EXPECT_STR(in.error->code, "c");
    EXPECT_STR(in.error->param, "p");
    finish();
    begin(OP_RELAY, 400, "application/json", "");
    EXPECT_INT(feed(text, 7), OK);
    EXPECT(intake_end(&in, false) != OK && !in.error->as_is);    /* cut */
    finish();
    begin(OP_RELAY, 400, "application/json", "br");
    EXPECT_INT(feed(text, 7), OK);
    EXPECT(intake_end(&in, true) != OK && !in.error->as_is);
    finish();
    begin(OP_RELAY, 401, "application/json", "");
    EXPECT_INT(feed(text, 7), OK);
    EXPECT_INT(intake_end(&in, true), ERR_UPSTREAM_AUTH);
    EXPECT(!in.error->as_is);
    finish();
    begin(OP_RELAY, 403, "application/json", "");
    EXPECT_INT(feed(text, 7), OK);
    EXPECT_INT(intake_end(&in, true), ERR_UPSTREAM_FORBIDDEN);
    EXPECT(!in.error->as_is);
    finish();
    begin(OP_CHAT, 400, "application/json", "");
    EXPECT_INT(feed(text, 7), OK);
    EXPECT(intake_end(&in, true) != OK && !in.error->as_is);
    finish();
    begin(OP_RELAY, 404, "text/html", "");
    EXPECT_INT(feed(" <p>nothing", 3), OK);
    EXPECT(intake_end(&in, true) != OK && in.html && !in.json);
    finish();
}

TEST(a_long_refusal_is_cut_and_does_not_pass_as_it_is)
{
    static char text[ERROR_BODY_BYTES + 2];

    memset(text, 'x', sizeof(text) - 1);
    begin(OP_RELAY, 400, "text/plain", "");
    EXPECT_INT(feed(text, sizeof(text)), OK);
    EXPECT(intake_end(&in, true) != OK && !in.error->as_is);
    finish();
    text[ERROR_BODY_BYTES] = '\0';
    begin(OP_RELAY, 400, "text/plain", "");
    EXPECT_INT(feed(text, sizeof(text)), OK);
    EXPECT(intake_end(&in, true) != OK && in.error->as_is);
    finish();
}

TEST(where_the_request_names_no_model_its_absence_is_the_callers_mistake)
{
    static const char text[] =
        "{\"error\":{\"message\":\"gone\",\"type\":\"invalid_request_error\",\"code\":"
        "\"model_not_found\"}}";

    begin(OP_RELAY, 404, "application/json", "");
    EXPECT_INT(feed(text, 1000), OK);
    EXPECT_INT(intake_end(&in, true), ERR_UPSTREAM_NO_MODEL);
    finish();
    begin(OP_RELAY, 404, "application/json", "");
    in.names_no_model = true;
    EXPECT_INT(feed(text, 1000), OK);
    EXPECT_INT(intake_end(&in, true), ERR_BAD_REQUEST);
    finish();
}

/* --- streams and documents --- */

#define CHUNK(text)                                                                                \
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define STOP                                                                                       \
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define DONE "data: [DONE]\n\n"

TEST(blanks_may_stand_before_a_stream)
{
    for (size_t n = 1; n < 100; n += 9) {
        begin(OP_CHAT, 200, "text/event-stream", "");
        EXPECT_INT(feed_and_end("\n \n" CHUNK("a") CHUNK("b") STOP DONE, n), OK);
        EXPECT_STR(buf_str(&said), "ab");
        EXPECT_STR(buf_str(&passed), "\n \n" CHUNK("a") CHUNK("b") STOP DONE);
        EXPECT(in.terminated && !in.trailing);
        finish();
        begin(OP_CHAT, 200, "text/event-stream", "");
        EXPECT_INT(feed_and_end("\n" CHUNK("a") STOP DONE, n), OK);
        EXPECT_STR(buf_str(&passed), "\n" CHUNK("a") STOP DONE);
        finish();
    }
}

TEST(one_frame_tells_nothing_of_the_next)
{
    begin(OP_CHAT, 200, "text/event-stream", "");
    EXPECT_INT(feed_and_end(CHUNK("a") STOP "data: {\"id\":\"c\",\"choices\":[],\"usage\":{"
                                            "\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"
                                            ": note\n\n" DONE,
                   1000),
        OK);
    EXPECT_INT(frames_n, 5);
    EXPECT_INT(usage_n, 1);
    finish();
    begin(OP_CHAT, 200, "text/event-stream", "");    /* nor keeps it memory */
    for (int i = 0; i < 10000; i++)
        EXPECT_INT(feed(CHUNK("a"), 1000), OK);
    EXPECT_INT(buf_len(&said), 10000);
    finish();
}

TEST(data_behind_the_terminator_is_noticed_and_not_read)
{
    static const struct {
        const char *after;
        bool trailing;
    } rows[] = { { "", false }, { "\n", false }, { DONE, false }, { "data:  [DONE] \n\n", false },
        { ": note\n\n", false }, { ": note\n\n" CHUNK("x"), true }, { CHUNK("x"), true },
        { "data: x", true }, { ": n", true } };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t n = 1; n < 1000; n = n * 5 + 3) {
            struct str text = str_c(rows[i].after);

            begin(OP_CHAT, 200, "text/event-stream", "");
            EXPECT_INT(feed(CHUNK("a") STOP DONE, n), OK);
            if (text.n != 0)
                EXPECT_INT(feed(rows[i].after, 1000), OK);
            EXPECT(in.trailing == rows[i].trailing);
            EXPECT_STR(buf_str(&said), "a");
            EXPECT_STR(buf_str(&passed), CHUNK("a") STOP DONE);
            finish();
        }
    }
}

TEST(an_event_that_nobody_understands_passes_unless_it_holds_a_secret)
{
    begin(OP_CHAT, 200, "text/event-stream", "");
    EXPECT_INT(feed_and_end(CHUNK("a") ": " KEY "\n\n"
                                       ": words\n\n" STOP DONE,
                   1000),
        OK);
    EXPECT_STR(buf_str(&passed), CHUNK("a") ": words\n\n" STOP DONE);
    finish();
    begin(OP_CHAT, 200, "text/event-stream", "");    /* a model may say what it likes */
    EXPECT_INT(feed_and_end(CHUNK(KEY) STOP DONE, 1000), OK);
    EXPECT_STR(buf_str(&passed), CHUNK(KEY) STOP DONE);
    finish();
}

TEST(an_error_in_a_stream_ends_it)
{
    begin(OP_CHAT, 200, "text/event-stream", "");
    EXPECT(
        feed_and_end(CHUNK("a") "data: {\"error\":{\"message\":\"no " WORDS "\"}}\n\n" CHUNK("b"),
            1000) != OK);
    EXPECT(in.error != NULL && in.error->quotes);
    EXPECT_STR(in.error->message, "");    /* it quoted a secret */
    EXPECT_STR(buf_str(&said), "a");
    EXPECT_STR(buf_str(&passed), CHUNK("a"));
    finish();
}

TEST(an_error_loses_its_words_if_a_secret_stands_anywhere_beside_it)
{
    static const char text[] = "{\"error\":{\"message\":\"no\"},\"hint\":\"" KEY "\"}";

    begin(OP_CHAT, 200, "text/event-stream", "");
    EXPECT(feed_and_end("data: {\"error\":{\"message\":\"no\"},\"hint\":\"" KEY "\"}\n\n", 1000) !=
           OK);
    EXPECT_STR(in.error->message, "");
    finish();
    begin(OP_CHAT, 200, "application/json", "");
    EXPECT(feed_and_end(text, 1000) != OK);
    EXPECT_STR(in.error->message, "");
    finish();
    begin(OP_CHAT, 200, "application/json", "");
    EXPECT(feed_and_end("{\"error\":{\"message\":\"no\"}}", 1000) != OK);
    EXPECT_STR(in.error->message, "no");
    finish();
}

TEST(a_stream_that_makes_no_sense_or_ends_early_is_not_complete)
{
    begin(OP_CHAT, 200, "text/event-stream", "");
    EXPECT_INT(feed_and_end(CHUNK("a") "data: {no\n\n" CHUNK("b"), 1000), ERR_UPSTREAM_PROTOCOL);
    EXPECT_STR(buf_str(&said), "a");
    finish();
    begin(OP_CHAT, 200, "text/event-stream", "");
    EXPECT_INT(feed_and_end(CHUNK("a"), 1000), ERR_UPSTREAM_TRUNCATED);
    finish();
    begin(OP_CHAT, 200, "text/event-stream", "");
    EXPECT_INT(feed_and_end(CHUNK("a") STOP, 1000), OK);    /* without its terminator */
    EXPECT(!in.terminated && in.reader.complete);
    finish();
    begin(OP_CHAT, 200, "text/event-stream", "");
    EXPECT_INT(feed_and_end(" \n", 1000), ERR_UPSTREAM_TRUNCATED);
    finish();
}

TEST(a_document_in_one_piece_is_read_at_once_and_one_in_pieces_at_its_end)
{
    static const char text[] =
        "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"hi\"},"
        "\"finish_reason\":\"stop\"}]}";

    for (size_t n = 1; n <= strlen(text); n += strlen(text) - 1) {
        begin(OP_CHAT, 200, "application/json", "");
        in.length = (int64_t)strlen(text);
        EXPECT_INT(feed(text, n), OK);
        EXPECT(in.read == (n >= strlen(text)));
        EXPECT_INT(intake_end(&in, true), OK);
        EXPECT(in.read);
        EXPECT_STR(buf_str(&said), "hi");
        finish();
    }
    begin(OP_CHAT, 200, "application/json", "");
    in.length = 32 * 1024;    /* exactly what is allowed */
    EXPECT_INT(feed(text, 1000), OK);
    finish();
    begin(OP_CHAT, 200, "application/json", "");
    in.length = 32 * 1024 + 1;
    EXPECT_INT(feed(text, 1000), ERR_UPSTREAM_TOO_LARGE);
    finish();
}
