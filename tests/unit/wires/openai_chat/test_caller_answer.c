#include "wires/openai_chat/caller_answer.c"
#include "tests/test.h"

static struct arena *arena;
static struct buf out;
static struct llm_request request;
static struct wire_writer w;

static void
begin(enum llm_op op, bool want_usage)
{
    arena = arena_create(1 << 20);
    buf_init(&out, 1 << 20);
    request = (struct llm_request){ .op = op, .wire = &wire_openai_chat, .want_usage = want_usage };
    w = (struct wire_writer){ .wire = &wire_openai_chat,
        .op = request.op,
        .want_usage = request.want_usage,
        .keep = arena,
        .out = &out,
        .id = S("rnd"),
        .model = S("asked"),
        .created_s = 1700000000 };
}

static void
end(void)
{
    buf_fini(&out);
    arena_destroy(arena);
}

static void
emit(struct llm_event ev)
{
    openai_write_event(&w, &ev);
}

static void
start(void)
{
    emit((struct llm_event){ .kind = EVENT_START, .id = S("i"), .model = S("m"), .created_s = 5 });
}

/* What was written since the last time. */
static void
expect_written(const char *expected)
{
    EXPECT_STR(buf_str(&out), expected);
    buf_reset(&out, SIZE_MAX);
}

#define HEAD                                                                                       \
    "data: "                                                                                       \
    "{\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"m\","            \
    "\"choices\":["
#define ROLE                                                                                       \
    "\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,"      \
    "\"finish_reason\":null}]"

TEST(usage_is_not_shown_to_callers_who_did_not_ask)
{
    begin(OP_CHAT, false);
    start();
    expect_written(HEAD "{\"index\":0," ROLE "}\n\n");
    emit((struct llm_event){ .kind = EVENT_USAGE,
        .usage = { .known = 1u << COUNT_INPUT | 1u << COUNT_OUTPUT, .input = 1, .output = 2 } });
    expect_written("");
    emit((struct llm_event){ .kind = EVENT_FINISH, .finish = FINISH_LENGTH });
    expect_written(
        HEAD "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}]}\n\n");
    emit((struct llm_event){ .kind = EVENT_END });
    expect_written("data: [DONE]\n\n");
    end();
}

TEST(a_provider_without_names_gets_ours)
{
    begin(OP_CHAT, false);
    emit((struct llm_event){ .kind = EVENT_START });
    expect_written(
        "data: "
        "{\"id\":\"chatcmpl-rnd\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
        "\"model\":\"asked\",\"choices\":[{\"index\":0," ROLE "}\n\n");
    end();
}

TEST(names_beyond_reason_are_replaced_by_ours)
{
    static char longest[100000];

    begin(OP_CHAT, false);
    memset(longest, 'x', sizeof(longest));
    emit((struct llm_event){ .kind = EVENT_START, .id = str_make(longest, sizeof(longest)) });
    EXPECT(str_starts(buf_str(&out), S("data: {\"id\":\"chatcmpl-rnd\"")));
    EXPECT(!out.overflow);
    end();
}

TEST(each_choice_begins_with_its_role)
{
    begin(OP_CHAT, false);
    start();
    buf_reset(&out, SIZE_MAX);
    emit((struct llm_event){ .kind = EVENT_TEXT, .choice = 1, .text = S("b") });
    expect_written(
        HEAD "{\"index\":1," ROLE "}\n\n" HEAD "{\"index\":1,\"delta\":{\"content\":\"b\"},"
             "\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    end();
}

TEST(proofs_of_reasoning_have_a_place_that_clients_send_back)
{
    begin(OP_CHAT, false);
    start();
    buf_reset(&out, SIZE_MAX);
    emit((struct llm_event){ .kind = EVENT_REASONING, .text = S("hm") });
    expect_written(HEAD "{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"},\"logprobs\":null,"
                        "\"finish_reason\":null}]}\n\n");
    emit((struct llm_event){ .kind = EVENT_SIGNATURE, .signature = S("sig") });
    expect_written(HEAD "{\"index\":0,\"delta\":{\"reasoning_details\":[{\"type\":\"reasoning."
                        "text\",\"text\":\"\",\"signature\":\"sig\",\"id\":\"openclaw_0\","
                        "\"format\":\"anthropic-claude-"
                        "v1\",\"index\":0}]},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    emit((struct llm_event){ .kind = EVENT_REDACTED, .text = S("enc") });
    expect_written(HEAD "{\"index\":0,\"delta\":{\"reasoning_details\":[{\"type\":\"reasoning."
                        "encrypted\",\"data\":\"enc\",\"id\":\"openclaw_1\","
                        "\"format\":\"anthropic-claude-v1\",\"index\":"
                        "1}]},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    end();
}

TEST(a_free_form_call_has_input_and_no_arguments)
{
    begin(OP_CHAT, false);
    start();
    buf_reset(&out, SIZE_MAX);
    emit((struct llm_event){
        .kind = EVENT_TOOL_START, .id = S("c"), .name = S("f"), .custom = true });
    emit((struct llm_event){ .kind = EVENT_TOOL_ARGS, .text = S("4+4"), .custom = true });
    emit((struct llm_event){ .kind = EVENT_TOOL_END });
    expect_written(HEAD "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\","
                        "\"type\":\"custom\",\"custom\":{\"name\":\"f\",\"input\":\"\"}}]},"
                        "\"logprobs\":null,\"finish_reason\":null}]}\n\n" HEAD
                        "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"custom\":{"
                        "\"input\":\"4+4\"}}]},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    end();
}

TEST(text_completions_have_their_own_shape)
{
    begin(OP_COMPLETE, true);
    emit((struct llm_event){ .kind = EVENT_START });
    expect_written("");
    emit((struct llm_event){ .kind = EVENT_TEXT, .text = S("a") });
    expect_written("data: "
                   "{\"id\":\"cmpl-rnd\",\"object\":\"text_completion\",\"created\":1700000000,"
                   "\"model\":\"asked\",\"choices\":[{\"index\":0,\"text\":\"a\",\"logprobs\":null,"
                   "\"finish_reason\":null}],\"usage\":null}\n\n");
    emit((struct llm_event){ .kind = EVENT_REASONING, .text = S("no place") });
    expect_written("");
    emit((struct llm_event){ .kind = EVENT_FINISH, .finish = FINISH_STOP });
    expect_written("data: "
                   "{\"id\":\"cmpl-rnd\",\"object\":\"text_completion\",\"created\":1700000000,"
                   "\"model\":\"asked\",\"choices\":[{\"index\":0,\"text\":\"\",\"logprobs\":null,"
                   "\"finish_reason\":\"stop\"}],\"usage\":null}\n\n");
    end();
}

TEST(an_error_is_the_last_word)
{
    struct llm_error e = { .kind = ERR_UPSTREAM_TRUNCATED };

    begin(OP_CHAT, true);
    start();
    buf_reset(&out, SIZE_MAX);
    emit((struct llm_event){ .kind = EVENT_ERROR, .error = &e });
    expect_written("data: {\"error\":{\"message\":\"the provider's answer ended before it was "
                   "complete\",\"type\":\"server_error\",\"param\":null,\"code\":\"upstream_"
                   "truncated\"}}\n\n");
    emit((struct llm_event){ .kind = EVENT_TEXT, .text = S("more") });
    emit((struct llm_event){ .kind = EVENT_END });
    expect_written("");
    end();
}

TEST(an_error_before_anything_else_needs_no_start)
{
    struct llm_error e = { .kind = ERR_RATE_LIMIT, .message = S("slow \"down\"") };

    begin(OP_CHAT, true);
    emit((struct llm_event){ .kind = EVENT_ERROR, .error = &e });
    expect_written("data: {\"error\":{\"message\":\"slow "
                   "\\\"down\\\"\",\"type\":\"rate_limit_exceeded\",\"param\":null,\"code\":\"rate_"
                   "limit_exceeded\"}}\n\n");
    end();
}

TEST(a_long_stream_allocates_nothing)
{
    begin(OP_CHAT, true);
    start();
    emit((struct llm_event){ .kind = EVENT_TOOL_START, .id = S("c"), .name = S("f") });

    size_t held = arena_held_bytes(arena);

    for (int i = 0; i < 10000; i++) {
        emit((struct llm_event){ .kind = EVENT_TEXT, .text = S("token") });
        emit((struct llm_event){ .kind = EVENT_TOOL_ARGS, .text = S("frag") });
        buf_reset(&out, SIZE_MAX);
    }
    EXPECT_INT(arena_held_bytes(arena), held);
    end();
}

static void
expect_error(struct llm_error e, const char *expected)
{
    buf_init(&out, 4096);
    openai_write_error(&out, &e, S("req-1"));
    EXPECT_STR(buf_str(&out), expected);
    buf_fini(&out);
}

TEST(an_error_always_has_all_four_members)
{
    expect_error((struct llm_error){ .kind = ERR_AUTH },
        "{\"error\":{\"message\":\"the API key is missing or "
        "invalid\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"invalid_api_key\"}}");
    expect_error(
        (struct llm_error){ .kind = ERR_BAD_REQUEST, .message = S("bad"), .param = S("n") },
        "{\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\",\"param\":\"n\","
        "\"code\":null}}");
}

TEST(a_provider_s_words_stay_when_they_blame_the_caller)
{
    expect_error((struct llm_error){ .kind = ERR_BAD_REQUEST,
                     .status = 400,
                     .message = S("m"),
                     .type = S("image_error"),
                     .code = S("image_parse_error"),
                     .param = S("p") },
        "{\"error\":{\"message\":\"m\",\"type\":\"image_error\",\"param\":\"p\",\"code\":\"image_"
        "parse_error\"}}");
    expect_error((struct llm_error){ .kind = ERR_UPSTREAM_ERROR,
                     .status = 500,
                     .message = S("m"),
                     .type = S("their_type"),
                     .code = S("their_code") },
        "{\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"param\":null,\"code\":"
        "\"upstream_error\"}}");
}

TEST(a_whole_answer_gives_reasoning_back_with_its_proofs)
{
    struct llm_answer ans;

    begin(OP_CHAT, false);
    answer_init(&ans, arena);
    struct event_sink *sink = &ans.sink;
    sink->emit(sink,
        &(struct llm_event){ .kind = EVENT_START, .id = S("i"), .model = S("m"), .created_s = 5 });
    sink->emit(sink, &(struct llm_event){ .kind = EVENT_REASONING, .text = S("hm") });
    sink->emit(sink, &(struct llm_event){ .kind = EVENT_SIGNATURE, .signature = S("sig") });
    sink->emit(sink, &(struct llm_event){ .kind = EVENT_REDACTED, .text = S("enc") });
    sink->emit(
        sink, &(struct llm_event){ .kind = EVENT_CITATION,
                  .citation = &(struct llm_citation){ .title = S("a document of the request") } });
    sink->emit(sink, &(struct llm_event){ .kind = EVENT_USAGE,
                         .usage = { .known = 0x1f,
                             .input = 100,
                             .cached = 60,
                             .cache_write = 30,
                             .output = 9,
                             .reasoning = 4 } });
    sink->emit(sink, &(struct llm_event){
                         .kind = EVENT_FINISH, .finish = FINISH_FILTER, .native = S("refusal") });
    openai_write_answer(&w, &ans);
    expect_written(
        "{\"id\":\"i\",\"object\":\"chat.completion\",\"created\":5,\"model\":\"m\",\"choices\":[{"
        "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null,"
        "\"reasoning_content\":\"hm\",\"reasoning_details\":["
        "{\"type\":\"reasoning.text\",\"text\":\"hm\",\"signature\":\"sig\",\"id\":\"openclaw_0\","
        "\"format\":\"anthropic-"
        "claude-v1\",\"index\":0},"
        "{\"type\":\"reasoning.encrypted\",\"data\":\"enc\",\"id\":\"openclaw_1\","
        "\"format\":\"anthropic-claude-v1\","
        "\"index\":1}]},\"logprobs\":null,\"finish_reason\":\"content_filter\"}],"
        "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":9,\"total_tokens\":109,\"prompt_"
        "tokens_details\":{\"cached_tokens\":60,\"cache_write_tokens\":30,\"audio_tokens\":0},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":4,\"audio_tokens\":0}}}");
    end();
}

#define ANNOTATION                                                                                 \
    "\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"url\":\"https://a.example\"," \
    "\"title\":\"A\",\"start_index\":0,\"end_index\":0}}]"

TEST(a_page_that_another_protocol_cites_is_an_annotation)
{
    const struct llm_event cites = { .kind = EVENT_CITATION,
        .citation = &(struct llm_citation){
            .url = S("https://a.example"), .title = S("A"), .quote = S("words") } };
    struct llm_answer ans;

    begin(OP_CHAT, false);
    start();
    buf_reset(&out, SIZE_MAX);
    emit(cites);
    expect_written(HEAD "{\"index\":0,\"delta\":{" ANNOTATION
                        "},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    answer_init(&ans, arena);
    ans.sink.emit(&ans.sink, &cites);
    openai_write_answer(&w, &ans);
    EXPECT(str_find(buf_str(&out), S("\"refusal\":null," ANNOTATION "}")) < buf_len(&out));
    end();
}

TEST(log_probabilities_that_came_in_pieces_are_all_there)
{
    static const char *const pieces[] = {
        "{\"content\":[{\"token\":\"a\"}, {\"token\":\"b\"}],\"refusal\":null}",
        "{\"content\":[],\"refusal\":null}",
        "{\"content\":[ {\"token\":\"c\"}],\"refusal\":null}",
    };

    for (size_t n = 1; n <= ARRAY_LEN(pieces); n += 2) {
        struct llm_answer ans;

        begin(OP_CHAT, false);
        answer_init(&ans, arena);
        for (size_t i = 0; i < n; i++)
            ans.sink.emit(
                &ans.sink, &(struct llm_event){ .kind = EVENT_LOGPROBS, .raw = str_c(pieces[i]) });
        openai_write_answer(&w, &ans);
        EXPECT(str_find(buf_str(&out),
                   n == 1 ? S("\"logprobs\":{\"content\":[{\"token\":\"a\"}, "
                              "{\"token\":\"b\"}],\"refusal\":null},")
                          : S("\"logprobs\":{\"content\":[{\"token\":\"a\"}, {\"token\":\"b\"}, "
                              "{\"token\":\"c\"}],\"refusal\":null},")) < buf_len(&out));
        end();
    }
}

TEST(an_answer_of_nothing_is_an_empty_text)
{
    struct llm_answer ans;

    begin(OP_CHAT, false);
    answer_init(&ans, arena);
    openai_write_answer(&w, &ans);
    expect_written(
        "{\"id\":\"chatcmpl-rnd\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":"
        "\"asked\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"\","
        "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}]}");
    end();
}
