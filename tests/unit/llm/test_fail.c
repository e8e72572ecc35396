/* test_fail.c - what a provider's failure says, in whatever form. */
#include "llm/fail.c"
#include "tests/test.h"

TEST(a_status_alone_tells_whose_fault_it_is)
{
    EXPECT_INT(fail_kind(400), ERR_BAD_REQUEST);
    EXPECT_INT(fail_kind(401), ERR_UPSTREAM_AUTH);
    EXPECT_INT(fail_kind(402), ERR_UPSTREAM_QUOTA);
    EXPECT_INT(fail_kind(403), ERR_UPSTREAM_FORBIDDEN);
    EXPECT_INT(fail_kind(407), ERR_UPSTREAM_AUTH);
    EXPECT_INT(fail_kind(404), ERR_UPSTREAM_NO_MODEL);
    EXPECT_INT(fail_kind(408), ERR_UPSTREAM_TIMEOUT);
    EXPECT_INT(fail_kind(413), ERR_TOO_LARGE);
    EXPECT_INT(fail_kind(422), ERR_BAD_REQUEST);
    EXPECT_INT(fail_kind(429), ERR_UPSTREAM_RATE_LIMIT);
    EXPECT_INT(fail_kind(500), ERR_UPSTREAM_ERROR);
    EXPECT_INT(fail_kind(503), ERR_UPSTREAM_OVERLOADED);
    EXPECT_INT(fail_kind(504), ERR_UPSTREAM_TIMEOUT);
    EXPECT_INT(fail_kind(529), ERR_UPSTREAM_OVERLOADED);
    EXPECT_INT(fail_kind(302), ERR_UPSTREAM_ERROR);
}

TEST(what_a_status_says_of_the_provider_is_not_blamed_on_the_caller)
{
    static const int theirs[] = { 409, 421, 424, 425, 499, 500, 501, 502, 520, 521, 523, 525, 526,
        527, 530, 599 };

    for (size_t i = 0; i < ARRAY_LEN(theirs); i++)
        EXPECT_INT(fail_kind(theirs[i]), ERR_UPSTREAM_ERROR);
    EXPECT_INT(fail_kind(522), ERR_UPSTREAM_TIMEOUT);
    EXPECT_INT(fail_kind(524), ERR_UPSTREAM_TIMEOUT);
    EXPECT_INT(fail_kind(415), ERR_BAD_REQUEST);
}

TEST(a_context_overflow_is_known_by_each_provider_s_wording)
{
    EXPECT(is_context_overflow(S("This model's maximum context length is 8192 tokens.")));
    EXPECT(is_context_overflow(S("prompt is too long: 200001 tokens > 200000 maximum")));
    EXPECT(is_context_overflow(S("The input token count (9) exceeds the maximum number")));
    EXPECT(is_context_overflow(S("Input is too long for requested model.")));
    EXPECT(is_context_overflow(S("prompt too long; exceeded max context length by 4 tokens")));
    EXPECT(is_context_overflow(S("the request exceeds the available context size")));
    EXPECT(!is_context_overflow(S("max_tokens is too large: 5000")));
    EXPECT(!is_context_overflow(S("Rate limit reached: too many tokens per minute")));
    EXPECT(!is_context_overflow(S("")));
}

static void
expect_scrubbed(struct str message, const char *expected)
{
    struct arena *a = arena_create(64 * 1024);

    EXPECT_STR(fail_scrub(a, message), expected);
    arena_destroy(a);
}

TEST(keys_and_tokens_are_starred_out)
{
    expect_scrubbed(S("bad key sk-proj-abc123DEF456."), "bad key ***.");
    expect_scrubbed(S("(sk-ant-api03-x_y-z)"), "(***)");
    expect_scrubbed(S("Authorization: Bearer abcdef123456"), "Authorization: Bearer ***");
    expect_scrubbed(S("GET /v1?key=AIzaSyA1234567&x=1"), "GET /v1?key=***&x=1");
    expect_scrubbed(S("api_key: 0123456789abcdef"), "api_key: ***");
    expect_scrubbed(S("Incorrect API key provided: ab**********yz. See"),
        "Incorrect API key provided: ***. See");
    expect_scrubbed(S("token eyJhbGciOiJIUzI1NiJ9.e30.abc"), "token ***");
}

TEST(ordinary_sentences_are_left_alone)
{
    expect_scrubbed(S("Unrecognized key: reasoning_effort"), "Unrecognized key: reasoning_effort");
    expect_scrubbed(S("Unexpected token: undefined"), "Unexpected token: undefined");
    expect_scrubbed(S("the task-force asks for sk-8 only"), "the task-force asks for sk-8 only");
}

TEST(control_characters_become_blanks)
{
    expect_scrubbed(S("\n a\x01"
                      "b\r\nc\x7f "),
        "a b  c");
}

TEST(a_long_message_is_cut_between_characters)
{
    struct arena *a = arena_create(64 * 1024);
    char text[3 * SCRUB_MAX];

    for (size_t i = 0; i < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3);

    struct str cut = fail_scrub(a, str_make(text, sizeof(text)));

    EXPECT_INT(cut.n, SCRUB_MAX / 3 * 3);
    EXPECT(memcmp(cut.p, text, cut.n) == 0);
    arena_destroy(a);
}

static enum err
kind_for(bool trusted, int status, const char *body)
{
    static const struct fail_word rows[] = {
        { S_INIT("bad"), ERR_BAD_REQUEST },
        { S_INIT("busy"), ERR_UPSTREAM_OVERLOADED },
        { S_INIT("broke"), ERR_UPSTREAM_QUOTA },
    };
    struct fail_words words = { .rows = rows, .count = ARRAY_LEN(rows), .trusted = trusted };
    struct arena *a = arena_create(64 * 1024);
    struct llm_error e;

    fail_read(a, &words, status, str_c(body), &e);
    EXPECT(e.message.n > 0);
    EXPECT_INT(e.status, status);
    EXPECT_INT(e.retry_after_ms, 0);
    arena_destroy(a);
    return e.kind;
}

TEST(a_word_refines_a_status_that_blames_the_caller)
{
    for (int trusted = 0; trusted < 2; trusted++) {
        EXPECT_INT(
            kind_for(trusted, 400, "{\"error\":{\"type\":\"BUSY\"}}"), ERR_UPSTREAM_OVERLOADED);
        EXPECT_INT(kind_for(trusted, 429, "{\"error\":{\"code\":\"broke\"}}"), ERR_UPSTREAM_QUOTA);
        EXPECT_INT(kind_for(trusted, 500, "{\"error\":{\"type\":\"bad\"}}"), ERR_UPSTREAM_ERROR);
        EXPECT_INT(kind_for(trusted, 200, "{\"error\":{\"type\":\"bad\"}}"), ERR_BAD_REQUEST);
    }
}

TEST(a_word_overrules_another_status_only_where_words_are_trusted)
{
    EXPECT_INT(kind_for(true, 500, "{\"error\":{\"type\":\"busy\"}}"), ERR_UPSTREAM_OVERLOADED);
    EXPECT_INT(kind_for(false, 500, "{\"error\":{\"type\":\"busy\"}}"), ERR_UPSTREAM_ERROR);
}

TEST(only_what_may_pass_says_when)
{
    static const struct {
        int status;
        int64_t ms;
    } rows[] = { { 429, 2000 }, { 503, 2000 }, { 500, 2000 }, { 400, 0 }, { 401, 0 }, { 402, 0 } };
    static const struct fail_words none = { .count = 0 };
    struct arena *a = arena_create(64 * 1024);
    struct llm_error e;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fail_read(a, &none, rows[i].status, S("{\"error\":{\"message\":\"retry in 2s\"}}"), &e);
        EXPECT_INT(e.retry_after_ms, rows[i].ms);
        fail_read(a, &none, rows[i].status,
            S("[{\"error\":{\"details\":[{\"retryDelay\":\"2s\"}]}}]"), &e);
        EXPECT_INT(e.retry_after_ms, rows[i].ms);
        fail_read(a, &none, rows[i].status, S("slow down, retry in 2s"), &e);
        EXPECT_INT(e.retry_after_ms, rows[i].ms);
    }
    arena_destroy(a);
}

TEST(the_status_inside_counts_where_the_answer_s_own_is_a_success)
{
    EXPECT_INT(kind_for(false, 200, "{\"error\":{\"code\":429}}"), ERR_UPSTREAM_RATE_LIMIT);
    EXPECT_INT(kind_for(false, 404, "{\"error\":{\"code\":429}}"), ERR_UPSTREAM_NO_MODEL);
}

TEST(a_code_is_found_where_anthropic_puts_it_and_a_bare_error_has_no_type)
{
    static const struct fail_words none = { .count = 0 };
    struct arena *a = arena_create(64 * 1024);
    struct llm_error e;

    fail_read(a, &none, 400, S("{\"error\":{\"details\":{\"error_code\":\"c\"}}}"), &e);
    EXPECT_STR(e.code, "c");
    fail_read(a, &none, 400, S("{\"type\":\"error\",\"error\":\"slow down\"}"), &e);
    EXPECT_STR(e.message, "slow down");
    EXPECT_INT(e.type.n, 0);
    fail_read_document(a, &none, 0, NULL, &e);
    EXPECT_INT(e.kind, ERR_UPSTREAM_ERROR);
    arena_destroy(a);
}

TEST(the_first_detail_of_a_list_is_the_message_if_there_is_one)
{
    static const struct fail_words none = { .count = 0 };
    struct arena *a = arena_create(64 * 1024);
    struct llm_error e;

    fail_read(a, &none, 422, S("{\"detail\":[{\"msg\":\"bad\",\"loc\":[\"a\",1]}]}"), &e);
    EXPECT_STR(e.message, "bad [\"a\",1]");
    fail_read(a, &none, 422, S("{\"detail\":[]}"), &e);    /* nothing behind its end is read */
    EXPECT_STR(e.message, err_row(ERR_BAD_REQUEST)->sentence);
    arena_destroy(a);
}
