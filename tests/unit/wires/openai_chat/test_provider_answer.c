#include "wires/openai_chat/provider_answer.c"
#include "tests/test.h"

/* Golden conversations in tests/wire/openai-chat show what becomes of answers; here are the
 * corners. */

struct fixture {
    struct event_sink sink;
    struct arena *keep;
    struct arena *scratch;
    struct wire_reader r;
    unsigned counts[EVENT_END + 1];
    struct llm_usage usage;
    enum err error;
};

static struct fixture f;

static void
count(struct event_sink *sink, const struct llm_event *ev)
{
    (void)sink;
    f.counts[ev->kind]++;
    if (ev->kind == EVENT_USAGE)
        f.usage = ev->usage;
    if (ev->kind == EVENT_ERROR)
        f.error = ev->error->kind;
}

static void
begin(enum llm_op op)
{
    f = (struct fixture){ .sink = { .emit = count } };
    f.keep = arena_create(1 << 20);
    f.scratch = arena_create(1 << 20);
    f.r = (struct wire_reader){ .wire = &wire_openai_chat,
        .op = op,
        .stream = true,
        .keep = f.keep,
        .scratch = f.scratch,
        .sink = &f.sink };
}

static void
end(void)
{
    arena_destroy(f.keep);
    arena_destroy(f.scratch);
}

static enum err
feed(const char *data)
{
    struct arena_mark mark = arena_mark(f.scratch);
    enum err e = openai_read_event(&f.r, S(""), str_c(data));

    arena_rewind(f.scratch, mark);
    return e;
}

TEST(only_a_frame_that_is_nothing_but_usage_is_hidden)
{
    begin(OP_CHAT);
    EXPECT(feed("{\"choices\":[],\"id\":\"\",\"prompt_filter_results\":[]}") == OK);
    EXPECT(!f.r.frame_is_usage);
    EXPECT(
        feed(
            "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],"
            "\"usage\":{\"prompt_tokens\":1}}") == OK);
    EXPECT(!f.r.frame_is_usage);
    EXPECT(feed("{\"choices\":[],\"usage\":null}") == OK);
    EXPECT(!f.r.frame_is_usage);
    EXPECT(feed("{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}") == OK);
    EXPECT(f.r.frame_is_usage);
    EXPECT(feed("[DONE]") == OK);
    EXPECT(!f.r.frame_is_usage);
    EXPECT(f.r.complete && f.r.finished);
    end();
}

TEST(usage_is_found_wherever_a_host_puts_it)
{
    static const char *const chunks[] = {
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}",
        "{\"choices\":[],\"x_groq\":{\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}}",
        "{\"choices\":[{\"index\":0,\"delta\":{},\"usage\":{\"prompt_tokens\":7,"
        "\"completion_tokens\":3}}]}",
    };

    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        begin(OP_CHAT);
        EXPECT(feed(chunks[i]) == OK);
        EXPECT_INT(f.usage.input, 7);
        EXPECT_INT(f.usage.output, 3);
        end();
    }
}

TEST(the_service_tier_of_an_answer_is_kept_for_the_bill)
{
    static const struct {
        const char *chunk;
        enum llm_service service;
    } rows[] = {
        { "{\"choices\":[],\"service_tier\":\"flex\",\"usage\":{\"prompt_tokens\":7}}",
            SERVICE_FLEX },
        { "{\"choices\":[],\"service_tier\":\"priority\",\"usage\":{\"prompt_tokens\":7}}",
            SERVICE_PRIORITY },
        { "{\"choices\":[],\"service_tier\":\"default\",\"usage\":{\"prompt_tokens\":7}}",
            SERVICE_STANDARD },
        { "{\"choices\":[],\"service_tier\":null,\"usage\":{\"prompt_tokens\":7}}",
            SERVICE_STANDARD },
        { "{\"choices\":[],\"service_tier\":\"\\u0066lex\",\"usage\":{\"prompt_tokens\":7}}",
            SERVICE_STANDARD },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin(OP_CHAT);
        EXPECT(feed(rows[i].chunk) == OK);
        EXPECT_INT(f.usage.input, 7);
        EXPECT_INT(f.usage.service, rows[i].service);
        end();
    }
}

TEST(cached_tokens_have_many_names)
{
    static const char *const usages[] = { "\"prompt_cache_hit_tokens\":5",
        "\"num_cached_tokens\":5", "\"cached_tokens\":5",
        "\"prompt_tokens_details\":{\"cached_tokens\":5}" };
    char chunk[200];

    for (size_t i = 0; i < ARRAY_LEN(usages); i++) {
        begin(OP_CHAT);
        snprintf(
            chunk, sizeof(chunk), "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,%s}}", usages[i]);
        EXPECT(feed(chunk) == OK);
        EXPECT_INT(f.usage.cached, 5);
        end();
    }
}

TEST(odd_counts_do_no_harm)
{
    begin(OP_CHAT);
    EXPECT(feed("{\"choices\":[],\"usage\":{\"prompt_tokens\":-4,\"completion_tokens\":\"7\","
                "\"prompt_tokens_details\":[],\"completion_tokens_details\":{\"reasoning_tokens\":"
                "1e99}}}") == OK);
    EXPECT_INT(f.usage.input, 0);
    EXPECT(!usage_has(&f.usage, COUNT_OUTPUT));
    EXPECT(f.usage.reasoning > 0);
    end();
}

TEST(the_same_usage_again_is_no_news)
{
    begin(OP_CHAT);
    for (int i = 0; i < 3; i++)
        EXPECT(
            feed("{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}") == OK);
    EXPECT_INT(f.counts[EVENT_USAGE], 1);
    end();
}

TEST(what_is_no_chunk_is_a_broken_protocol)
{
    static const char *const chunks[] = { "{\"choices\":", "[]", "17", "hello",
        "{\"choices\":[{\"index\":128,\"delta\":{}}]}",
        "{\"choices\":[{\"index\":-1,\"delta\":{}}]}", "{\"choices\":[5]}" };

    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        begin(OP_CHAT);
        EXPECT_INT(feed(chunks[i]), ERR_UPSTREAM_PROTOCOL);
        EXPECT_INT(f.counts[EVENT_END], 0);
        end();
    }
}

TEST(unknown_members_and_empty_data_are_nothing)
{
    begin(OP_CHAT);
    EXPECT(feed("") == OK);
    EXPECT(feed("  ") == OK);
    EXPECT(
        feed("{\"obfuscation\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"new\":[1]}}]}") == OK);
    EXPECT_INT(f.counts[EVENT_START], 1);
    EXPECT_INT(f.counts[EVENT_TEXT], 0);
    end();
}

TEST(nothing_is_emitted_after_the_end)
{
    begin(OP_CHAT);
    EXPECT(feed("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":"
                "\"stop\"}]}") == OK);
    EXPECT(feed("[DONE]") == OK);
    EXPECT(feed("[DONE]") == OK);
    EXPECT(feed("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}]}") == OK);
    openai_read_end(&f.r);
    EXPECT_INT(f.counts[EVENT_TEXT], 1);
    EXPECT_INT(f.counts[EVENT_END], 1);
    end();
}

TEST(a_call_with_too_many_siblings_breaks_off)
{
    char chunk[200];
    enum err e = OK;

    begin(OP_CHAT);
    for (int i = 0; i < 2 * 1024 && e == OK; i++) {
        snprintf(chunk, sizeof(chunk),
            "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":%d,\"id\":\"c%d\","
            "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}",
            i, i);
        e = feed(chunk);
    }
    EXPECT_INT(e, ERR_UPSTREAM_PROTOCOL);
    EXPECT_INT(f.counts[EVENT_TOOL_START], 1024);
    end();
}

TEST(ids_that_we_invent_differ)
{
    struct llm_answer ans;
    struct str body = S("{\"choices\":[{\"message\":{\"tool_calls\":["
                        "{\"function\":{\"name\":\"f\",\"arguments\":{}}},"
                        "{\"function\":{\"name\":\"f\",\"arguments\":{}}}]}}]}");

    begin(OP_CHAT);
    answer_init(&ans, f.keep);
    f.r.sink = &ans.sink;
    EXPECT(openai_read_answer(&f.r, body) == OK);

    const struct llm_part *call = ans.choices->parts;

    EXPECT(call->id.n > 5 && call->next->id.n > 5);
    EXPECT(!str_eq(call->id, call->next->id));
    EXPECT_STR(call->args, "{}");
    EXPECT_INT(ans.choices->finish, FINISH_TOOLS);
    end();
}

TEST(embeddings_are_an_answer_with_usage_alone)
{
    begin(OP_EMBED);
    EXPECT(
        openai_read_embed(&f.r,
            S("{\"object\":\"list\",\"data\":[{\"embedding\":[0.1],\"index\":0}],\"model\":\"e\","
              "\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}")) == OK);
    EXPECT_INT(f.usage.input, 8);
    EXPECT_INT(f.usage.output, 0);
    EXPECT(f.r.complete);
    end();
}

TEST(vectors_beyond_counting_do_not_hide_their_usage)
{
    struct buf body;

    begin(OP_EMBED);
    buf_init(&body, 8 << 20);
    buf_add(&body, S("{\"object\":\"list\",\"data\":[{\"embedding\":[0"));
    for (int i = 0; i < JSON_VALUES_DEFAULT; i++)
        buf_add(&body, S(",0"));
    buf_add(&body, S("]}],\"model\":\"e\",\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}"));
    EXPECT(openai_read_embed(&f.r, buf_str(&body)) == OK);
    EXPECT_INT(f.usage.input, 8);
    EXPECT(f.r.complete);
    buf_fini(&body);
    end();
}

TEST(text_completions_stream_their_text)
{
    begin(OP_COMPLETE);
    EXPECT(feed("{\"id\":\"cmpl-1\",\"choices\":[{\"text\":\"a\",\"index\":0,\"finish_reason\":"
                "null}]}") == OK);
    EXPECT(feed("{\"id\":\"cmpl-1\",\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":"
                "\"length\"}]}") == OK);
    EXPECT(feed("[DONE]") == OK);
    EXPECT_INT(f.counts[EVENT_TEXT], 1);
    EXPECT_INT(f.counts[EVENT_END], 1);
    end();
}

TEST(a_relayed_answer_may_be_anything)
{
    begin(OP_RELAY);
    EXPECT(openai_read_answer(&f.r, S("\xff\xfb not json")) == OK);
    EXPECT(f.r.complete);
    end();
    begin(OP_RELAY);
    EXPECT(openai_read_answer(&f.r, S("{\"results\":[],\"id\":\"modr-1\"}")) == OK);
    EXPECT(f.r.complete);
    end();
}

TEST(a_whole_answer_without_choices_is_none)
{
    static const char *const bodies[] = { "", "{}", "<html>", "{\"choices\":{}}",
        "{\"Output\":{\"__type\":\"UnknownOperationException\"}}" };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        begin(OP_CHAT);
        EXPECT_INT(openai_read_answer(&f.r, str_c(bodies[i])), ERR_UPSTREAM_PROTOCOL);
        EXPECT_INT(f.counts[EVENT_END], 0);
        end();
    }
}

TEST(a_failure_without_a_kind_is_the_provider_s)
{
    begin(OP_CHAT);
    EXPECT(openai_read_answer(&f.r, S("{\"error\":{}}")) == OK);
    EXPECT_INT(f.error, ERR_UPSTREAM_ERROR);
    EXPECT(f.r.failed);
    end();
    begin(OP_CHAT);
    EXPECT(feed("{\"error\":\"boom\"}") == OK);
    EXPECT_INT(f.error, ERR_UPSTREAM_ERROR);
    end();
}

TEST(no_text_is_lost_for_want_of_memory_without_a_word)
{
    bool failed = true;

    for (unsigned n = 1; failed; n++) {
        begin(OP_CHAT);
        arena_fail_after_for_tests(n);

        enum err e =
            feed("{\"id\":\"a\\u0062\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\\ny\","
                 "\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\","
                 "\"arguments\":\"{\\\"a\\\":1}\"}}]},\"finish_reason\":\"tool_calls\"}]}");

        failed = !arena_fail_after_for_tests(0);
        EXPECT(e == OK || e == ERR_UPSTREAM_PROTOCOL || e == ERR_UPSTREAM_TOO_LARGE);
        if (e == OK)
            EXPECT(f.counts[EVENT_TEXT] == 1 && f.counts[EVENT_TOOL_ARGS] == 1);
        EXPECT(n < 100);
        end();
    }
}
