/* test_delivery.c - drafts: what is kept, what refers to the bytes that came, what is too much. */
#include "gateway/delivery.c"

#include "tests/test.h"

#include <stdlib.h>

#define KEY "sk-proj-7fQ2aB9x4Lm0ZtY8W3cE6"

static struct draft d;
static const struct llm_usage no_usage;
static struct arena *arena;

static void
begin(enum draft_form form, size_t limit_bytes)
{
    d = (struct draft){ .form = DRAFT_NONE };
    arena = arena_create(64 * 1024);
    draft_begin(&d, limit_bytes);
    d.form = form;
    d.writer.wire = &wire_openai_chat;
    d.writer.op = OP_CHAT;
    d.writer.keep = arena;
    d.writer.id = S("1");
    d.writer.model = S("m");
}

static void
finish(void)
{
    buf_fini(&d.out);
    arena_destroy(arena);
}

static void
say(enum llm_event_kind kind, const char *text)
{
    struct llm_event ev = { .kind = kind, .text = str_c(text) };

    d.sink.emit(&d.sink, &ev);
}

/* --- the head --- */

TEST(only_fields_that_mean_something_to_the_caller_pass)
{
    static const struct {
        const char *name, *value;
        bool passes, of_resource;
    } rows[] = {
        { "x-ratelimit-remaining-tokens", "10", true, true },
        { "X-RateLimit-Limit", "10", true, true },
        { "Anthropic-RateLimit-Requests-Limit", "10", true, true },
        { "openai-processing-ms", "10", true, true },
        { "Retry-After", "10", true, true },
        { "retry-after-ms", "10", true, true },
        { "Content-Disposition", "attachment", true, true },
        { "Content-Encoding", "gzip", true, true },
        { "Accept-Ranges", "bytes", false, true },
        { "Content-Range", "bytes 0-1/2", false, true },
        { "ETag", "\"a\"", false, true },
        { "Last-Modified", "Sat, 21 Nov 2026 10:55:00 GMT", false, true },
        { "ETagged", "\"a\"", false, false },
        { "Set-Cookie", "a=b", false, false },
        { "Server", "x", false, false },
        { "Content-Length", "2", false, false },
        { "Location", "/v1/files/f", false, true },
        { "Location", "/outside", false, false },
        { "x-ratelimit-limit", KEY, false, false },
        { "openai-" KEY, "1", false, false },
        { "openai-canaryword0", "1", false, false },
        { "openai-canaryword9", "1", false, false },
        { "openai-version", "a1b2c3d4", false, false },
        { "retry-after", "1", true, true },
        { "etag", KEY, false, false },
    };
    struct secrets *secrets = secrets_create();
    struct origin origin = { .scheme = S("https"), .host_header = S("api.test") };
    struct provider resource = { .origin = &origin, .address.base_path = S("/v1") };
    struct buf text;

    secrets_add(secrets, S(KEY));
    secrets_add(secrets, S("canaryword0"));
    secrets_add(secrets, S("canaryword9"));
    secrets_add(secrets, S("a1b2c3d4"));    /* as short as a secret may be */
    buf_init(&text, 64 * 1024);
    arena = arena_create(64 * 1024);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_field field = { str_c(rows[i].name), str_c(rows[i].value) };
        struct http_head head = { .fields = { &field, 1 } };
        const char *line = arena_printf(arena, "%s: %s\r\n", rows[i].name, rows[i].value).p;

        EXPECT_STR(
            draft_passed_fields(&head, NULL, secrets, &text, arena), rows[i].passes ? line : "");
        EXPECT_STR(draft_passed_fields(&head, &resource, secrets, &text, arena),
            rows[i].of_resource ? line : "");
    }
    buf_fini(&text);
    secrets_destroy(secrets);
    arena_destroy(arena);
}

/* --- forwarding --- */

TEST(frames_that_lie_together_are_one_run_and_not_copied)
{
    static const char bytes[] = "aaaabbbbcccc";

    begin(DRAFT_FORWARD, 1000);
    d.chunk = str_c(bytes);
    draft_forward(&d, str_make(bytes, 4));
    draft_forward(&d, str_make(bytes + 4, 4));
    EXPECT(d.run.p == bytes && d.run.n == 8 && buf_len(&d.out) == 0);
    draft_forward(&d, str_make(bytes + 8, 4));    /* to the very end */
    EXPECT(d.run.p == bytes && d.run.n == 12 && buf_len(&d.out) == 0);
    draft_keep(&d);
    EXPECT(d.run.n == 0);
    EXPECT_STR(buf_str(&d.out), bytes);
    draft_drop(&d);
    EXPECT(buf_len(&d.out) == 0);
    draft_forward(&d, str_make(bytes, 4));
    draft_forward(&d, str_make(bytes + 8, 4));    /* one between them was left out */
    EXPECT_STR(buf_str(&d.out), "aaaa");
    EXPECT(d.run.p == bytes + 8 && d.run.n == 4);
    draft_drop(&d);
    EXPECT(buf_len(&d.out) == 0 && d.run.n == 0);
    finish();
}

TEST(a_frame_that_was_put_together_elsewhere_is_copied_in_its_place)
{
    static const char bytes[] = "ndbbbb";
    char joined[] = "aa-end";

    begin(DRAFT_FORWARD, 1000);
    d.chunk = str_c(bytes);
    draft_forward(&d, str_c(joined));
    draft_forward(&d, str_make(bytes + 2, 4));
    memset(joined, 'x', sizeof(joined) - 1);    /* the reader uses its memory again */
    EXPECT_STR(buf_str(&d.out), "aa-end");
    EXPECT(d.run.p == bytes + 2 && d.run.n == 4);
    draft_forward(&d, str_c(joined));
    EXPECT(d.run.n == 0);
    EXPECT_STR(str_make(buf_str(&d.out).p, 10), "aa-endbbbb");
    finish();
}

TEST(a_closed_draft_ends_its_last_event_before_the_terminator)
{
    begin(DRAFT_FORWARD, 1000);
    buf_add(&d.out, S("data: a\n\n"));
    draft_close(&d, &framing_sse, buf_len(&d.out), S("data: [DONE]\n\n"));
    EXPECT_STR(buf_str(&d.out), "data: a\n\ndata: [DONE]\n\n");
    buf_reset(&d.out, 1000);
    buf_add(&d.out, S("data: a"));
    draft_close(&d, &framing_sse, 0, S("data: [DONE]\n\n"));
    EXPECT_STR(buf_str(&d.out), "data: a\n\ndata: [DONE]\n\n");
    finish();
}

/* --- events --- */

TEST(a_draft_may_be_sent_once_a_token_is_in_it)
{
    static const enum draft_form forms[] = { DRAFT_NONE, DRAFT_FORWARD, DRAFT_EVENTS, DRAFT_FOLD };

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        begin(forms[i], 1000);
        if (forms[i] == DRAFT_FOLD)
            draft_fold(&d, arena, 1000);
        say(EVENT_START, "");
        say(EVENT_USAGE, "");
        EXPECT(!d.content);
        say(EVENT_TEXT, "hello");
        EXPECT(d.content);
        say(EVENT_FINISH, "");
        EXPECT(d.content);
        EXPECT((buf_len(&d.out) != 0) == (forms[i] == DRAFT_EVENTS));
        EXPECT(forms[i] != DRAFT_FOLD || str_eq(d.answer->choices->parts->text, S("hello")));
        finish();
    }
}

TEST(a_folded_answer_becomes_one_document)
{
    begin(DRAFT_NONE, 1000);
    draft_fold(&d, arena, 1000);
    say(EVENT_START, "");
    say(EVENT_TEXT, "hello");
    EXPECT_INT(draft_verdict(&d), OK);
    EXPECT_INT(draft_write_document(&d, S(""), &no_usage), OK);
    EXPECT(str_find(buf_str(&d.out), S("\"content\":\"hello\"")) != buf_len(&d.out));
    EXPECT_STR(d.content_type, "application/json");
    finish();
    begin(DRAFT_NONE, 1000);
    draft_fold(&d, arena, 4);
    say(EVENT_TEXT, "hello");
    EXPECT_INT(draft_verdict(&d), ERR_UPSTREAM_TOO_LARGE);
    EXPECT_INT(draft_write_document(&d, S(""), &no_usage), ERR_UPSTREAM_TOO_LARGE);
    EXPECT_INT(buf_len(&d.out), 0);
    finish();
}

TEST(a_fold_without_memory_is_our_own_failure)
{
    char *text = calloc(1, 100001);
    struct quota quota = { .limit = 10000 };    /* of the process */
    struct quota_share share = { .quota = &quota };

    CHECK(text != NULL);
    memset(text, 'x', 100000);
    begin(DRAFT_NONE, 1000000);
    arena_destroy(arena);
    arena = arena_create(1000000);
    arena_count_in(arena, &share);
    draft_fold(&d, arena, 1000000);
    say(EVENT_TEXT, text);
    EXPECT_INT(draft_verdict(&d), ERR_OVERLOADED);
    finish();
    free(text);
}

TEST(a_document_of_the_same_protocol_is_forwarded_where_it_lies)
{
    struct str body = S("{\"a\":1}");

    begin(DRAFT_FORWARD, 1000);
    EXPECT_INT(draft_write_document(&d, body, &no_usage), OK);
    EXPECT(d.run.p == body.p && d.run.n == body.n && d.content);
    EXPECT_INT(buf_len(&d.out), 0);
    finish();
}

TEST(what_is_kept_is_bounded)
{
    char *text = calloc(1, KEPT_BYTES + 1);

    CHECK(text != NULL);
    begin(DRAFT_FORWARD, 1);
    buf_add(&d.out, str_make(text, KEPT_BYTES));
    EXPECT_INT(draft_verdict(&d), OK);
    buf_add(&d.out, S("x"));
    EXPECT_INT(draft_verdict(&d), ERR_UPSTREAM_TOO_LARGE);
    finish();
    begin(DRAFT_FORWARD, KEPT_BYTES);    /* escapes may make it twice as long */
    buf_add(&d.out, str_make(text, KEPT_BYTES));
    buf_add(&d.out, str_make(text, KEPT_BYTES));
    EXPECT_INT(draft_verdict(&d), OK);
    buf_add(&d.out, S("x"));
    EXPECT_INT(draft_verdict(&d), ERR_UPSTREAM_TOO_LARGE);
    finish();
    free(text);
}

/* --- an answer that was kept --- */

TEST(an_answer_that_was_kept_can_be_replayed_as_a_stream_or_as_a_document)
{
    static const enum draft_form forms[] = { DRAFT_EVENTS, DRAFT_FOLD };
    static const struct wire *const wires[] = { &wire_openai_chat, &wire_anthropic, &wire_ollama };
    static const struct llm_event events[] = {
        { .kind = EVENT_START, .id = S_INIT("kept"), .model = S_INIT("m") },
        { .kind = EVENT_TEXT, .text = S_INIT("hel") },
        { .kind = EVENT_TEXT, .text = S_INIT("lo") },
        { .kind = EVENT_TOOL_START, .id = S_INIT("call_1"), .name = S_INIT("weather") },
        { .kind = EVENT_TOOL_ARGS, .text = S_INIT("{\"at\":1}") },
        { .kind = EVENT_TOOL_END },
        { .kind = EVENT_FINISH, .finish = FINISH_TOOLS },
        { .kind = EVENT_END },
    };
    struct arena *kept = arena_create(64 * 1024);
    struct llm_answer answer;

    answer_init(&answer, kept);
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        answer.sink.emit(&answer.sink, &events[i]);
    for (size_t i = 0; i < ARRAY_LEN(wires); i++)
        for (size_t k = 0; k < ARRAY_LEN(forms); k++) {
            begin(forms[k], 1024 * 1024);
            d.writer.wire = wires[i];
            if (forms[k] == DRAFT_FOLD)
                draft_fold(&d, arena, 1024 * 1024);
            answer_unfold(&answer, &d.sink);
            EXPECT(d.content);
            if (forms[k] == DRAFT_FOLD)
                EXPECT(draft_write_document(&d, S(""), &no_usage) == OK);
            struct str out = buf_str(&d.out);
            EXPECT(str_find(out, S("\"hello\"")) != out.n);
            EXPECT(str_find(out, S("weather")) != out.n);
            EXPECT(str_find(out, S("at")) != out.n);
            finish();
        }
    arena_destroy(kept);
}

static int64_t
cost(const void *arg, const struct llm_usage *u UNUSED)
{
    return *(const int64_t *)arg;
}

/* What a provider's document becomes on a route of OpenRouter's API. */
static struct str
annotated(const char *text, int64_t nanousd)
{
    begin(DRAFT_FORWARD, 100000);
    d.writer.provider = S("Acme");
    d.writer.cost = cost;
    d.writer.cost_arg = &nanousd;
    EXPECT_INT(draft_write_document(&d, str_c(text), &no_usage), OK);
    draft_keep(&d);
    return buf_str(&d.out);
}

TEST(openrouters_callers_are_told_who_answered_and_what_it_cost)
{
    static const struct {
        const char *given, *sent;
        int64_t nanousd;
    } rows[] = {
        { "{\"id\":1,\"usage\":{\"total_tokens\":3}}",
            "{\"provider\":\"Acme\",\"id\":1,\"usage\":{\"total_tokens\":3,\"cost\":0.00015}}",
            150000 },
        { " {\"usage\":{}, \"x\":[]}\n",
            " {\"provider\":\"Acme\",\"usage\":{\"cost\":0}, \"x\":[]}\n", 0 },
        { "{\"id\":1,\"usage\":{\"total_tokens\":3}}",
            "{\"provider\":\"Acme\",\"id\":1,\"usage\":{\"total_tokens\":3}}", -1 },
        { "{\"provider\":\"X\",\"usage\":{\"cost\":5}}",
            "{\"provider\":\"X\",\"usage\":{\"cost\":5}}", 1 },
        { "{\"provider\":\"X\",\"usage\":null}", "{\"provider\":\"X\",\"usage\":null}", 1 },
        { "[1]", "[1]", 1 },
        { "{\"broken\"", "{\"broken\"", 1 },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_STR(annotated(rows[i].given, rows[i].nanousd), rows[i].sent);
        buf_fini(&d.out);
        arena_destroy(arena);
    }
}

TEST(the_frame_with_the_usage_is_annotated_where_it_stands)
{
    int64_t nanousd = 2500000;

    begin(DRAFT_FORWARD, 100000);
    d.writer.provider = S("Acme");
    d.writer.cost = cost;
    d.writer.cost_arg = &nanousd;
    draft_forward(&d, S("data: {\"a\":1}\n\n"));
    draft_forward_usage(&d, S("data: {\"usage\":{\"n\":1}}\n\n"), &no_usage);
    draft_forward(&d, S("data: [DONE]\n\n"));
    draft_keep(&d);
    EXPECT_STR(buf_str(&d.out),
        "data: {\"a\":1}\n\ndata: {\"provider\":\"Acme\",\"usage\":{\"n\":1,\"cost\":"
        "0.0025}}\n\ndata: [DONE]\n\n");
    buf_fini(&d.out);
    arena_destroy(arena);
}
