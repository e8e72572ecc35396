/* test_mock.c - the simulated provider, asked over a real connection. */
#include "mock/mock.c"
#include "tests/unit/mock/mock_kit.h"

#include "base/clock.h"

#define CHAT(model, rest)                                                                          \
    "{\"model\":\"" model "\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" rest "}"
#define TOOLS                                                                                      \
    ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":{"   \
    "\"type\":"                                                                                    \
    "\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}}}]"

static unsigned
count(struct str s, const char *what)
{
    unsigned n = 0;

    for (size_t at = str_find(s, str_c(what)); at < s.n; at = str_find(s, str_c(what))) {
        s = str_skip(s, at + 1);
        n++;
    }
    return n;
}

TEST(a_question_gets_the_greeting)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    EXPECT(mock_kit_post(&k, "/v1/chat/completions", CHAT("mock-gpt", "")) == PEER_CLOSED);
    EXPECT_INT(mock_kit_status(&k), 200);
    EXPECT(mock_kit_has(&k, "\"object\":\"chat.completion\""));
    EXPECT(mock_kit_has(&k, "simulated provider"));
    EXPECT(mock_kit_has(&k, "\"finish_reason\":\"stop\""));
    EXPECT(mock_kit_has(&k, "x-request-id: req_"));
    EXPECT(mock_kit_post(&k, "/chat/completions", CHAT("mock-gpt", "")) == PEER_CLOSED);
    EXPECT_INT(mock_kit_status(&k), 200);
    mock_kit_stop(&k);
}

TEST(a_stream_is_written_as_openai_writes_it)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(&k, "/v1/chat/completions", CHAT("m;tokens=3", ",\"stream\":true"));
    struct str body = mock_kit_body(&k);
    EXPECT(mock_kit_has(&k, "content-type: text/event-stream; charset=utf-8"));
    EXPECT_INT(count(body, "data: "), 1 + 3 + 1 + 1);
    EXPECT_INT(count(body, "\"role\":\"assistant\",\"content\":\"\""), 1);
    EXPECT_INT(count(body, "\"finish_reason\":\"stop\""), 1);
    EXPECT_INT(count(body, "usage"), 0);
    EXPECT(str_ends(body, S("\n\ndata: [DONE]\n\n")));

    mock_kit_post(&k, "/v1/chat/completions",
        CHAT("m;tokens=3", ",\"stream\":true,\"stream_options\":{\"include_usage\":true}"));
    body = mock_kit_body(&k);
    EXPECT_INT(count(body, "\"usage\":null"), 5);
    EXPECT_INT(count(body, "\"choices\":[],\"usage\":{"), 1);
    EXPECT_INT(count(body, "\"completion_tokens\":3"), 1);
    mock_kit_stop(&k);
}

TEST(a_stream_is_written_as_anthropic_writes_it)
{
    static const char *const order[] = { "event: message_start\n", "event: content_block_start\n",
        "event: ping\n", "event: content_block_delta\n", "event: content_block_stop\n",
        "event: message_delta\n", "event: message_stop\n" };
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(&k, "/v1/messages", CHAT("m;tokens=3", ",\"max_tokens\":50,\"stream\":true"));
    struct str body = mock_kit_body(&k);
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        size_t at = str_find(body, str_c(order[i]));
        EXPECT(at < body.n);
        body = str_skip(body, at);
    }
    EXPECT_INT(count(mock_kit_body(&k), "\"type\":\"text_delta\""), 3);
    EXPECT(mock_kit_has(&k, "\"stop_reason\":\"end_turn\""));
    EXPECT(mock_kit_has(&k, "\"output_tokens\":3}}"));
    mock_kit_stop(&k);
}

TEST(tools_are_called_with_arguments_from_their_schema)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(&k, "/v1/chat/completions", CHAT("tools-2", TOOLS));
    EXPECT_INT(count(mock_kit_body(&k), "\"name\":\"get_weather\""), 2);
    EXPECT(mock_kit_has(&k, "\"arguments\":\"{\\\"city\\\":\\\"tide\\\"}\""));
    EXPECT(mock_kit_has(&k, "\"finish_reason\":\"tool_calls\""));
    EXPECT(mock_kit_has(&k, "\"content\":null"));
    mock_kit_post(&k, "/v1/chat/completions", CHAT("m", TOOLS));
    EXPECT(!mock_kit_has(&k, "tool_calls"));
    mock_kit_post(&k, "/v1/chat/completions", CHAT("m", TOOLS ",\"tool_choice\":\"required\""));
    EXPECT_INT(count(mock_kit_body(&k), "\"name\":\"get_weather\""), 1);
    mock_kit_post(
        &k, "/v1/chat/completions", CHAT("tools-2", TOOLS ",\"parallel_tool_calls\":false"));
    EXPECT_INT(count(mock_kit_body(&k), "\"name\":\"get_weather\""), 1);
    mock_kit_stop(&k);
}

TEST(answers_satisfy_the_schema_that_was_asked_for)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(&k, "/v1/chat/completions",
        CHAT("m", ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\","
                  "\"schema\":"
                  "{\"type\":\"object\",\"properties\":{\"ok\":{\"type\":\"boolean\"}}}}}"));
    EXPECT(mock_kit_has(&k, "\"content\":\"{\\\"ok\\\":true}\""));
    mock_kit_stop(&k);
}

TEST(several_choices_and_logprobs_are_given_when_asked_for)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(&k, "/v1/chat/completions",
        CHAT("m;tokens=2", ",\"n\":3,\"logprobs\":true,\"top_logprobs\":1"));
    EXPECT_INT(count(mock_kit_body(&k), "\"finish_reason\":\"stop\""), 3);
    EXPECT_INT(count(mock_kit_body(&k), "\"top_logprobs\":[{"), 6);
    EXPECT(mock_kit_has(&k, "\"completion_tokens\":6"));
    mock_kit_stop(&k);
}

TEST(other_routes_answer_as_the_provider_does)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(
        &k, "/v1/embeddings", "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"dimensions\":3}");
    EXPECT_INT(count(mock_kit_body(&k), "\"object\":\"embedding\""), 2);
    mock_kit_post(&k, "/v1/embeddings",
        "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":3,\"encoding_format\":\"base64\"}");
    struct str body = mock_kit_body(&k);
    size_t at = str_find(body, S("\"embedding\":\"")) + strlen("\"embedding\":\"");
    EXPECT_INT(str_chr(str_skip(body, at), '"'), 16);    /* three floats */
    mock_kit_post(&k, "/v1/embeddings", "{\"model\":\"m\"}");
    EXPECT_INT(mock_kit_status(&k), 400);
    mock_kit_post(&k, "/api/embed", "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"dimensions\":3}");
    EXPECT(str_starts(mock_kit_body(&k), S("{\"model\":\"m\",\"embeddings\":[[")));
    EXPECT_INT(count(mock_kit_body(&k), "],["), 1);
    mock_kit_post(&k, "/api/embeddings", "{\"model\":\"m\",\"prompt\":\"a\"}");
    EXPECT(str_starts(mock_kit_body(&k), S("{\"embedding\":[")));
    mock_kit_post(&k, "/api/embeddings", "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"]}");
    EXPECT_INT(mock_kit_status(&k), 400);
    mock_kit_post(
        &k, "/api/generate", "{\"model\":\"m;tokens=2\",\"prompt\":\"a\",\"stream\":false}");
    EXPECT(mock_kit_has(&k, "\"response\":\""));
    mock_kit_post(&k, "/v1/moderations", "{\"input\":\"I will kill this process\"}");
    EXPECT(mock_kit_has(&k, "\"flagged\":true"));
    mock_kit_post(&k, "/v1/completions", "{\"model\":\"m\",\"prompt\":\"once\"}");
    EXPECT(mock_kit_has(&k, "\"object\":\"text_completion\""));
    mock_kit_post(&k, "/v1/messages/count_tokens", CHAT("m", ""));
    EXPECT(str_starts(mock_kit_body(&k), S("{\"input_tokens\":")));
    mock_kit_ask(&k, "GET", "/v1/models", "", "");
    EXPECT(mock_kit_has(&k, "{\"id\":\"mock-gpt\",\"object\":\"model\""));
    mock_kit_ask(&k, "GET", "/v1/models/mock-gpt", "", "");
    EXPECT_INT(mock_kit_status(&k), 200);
    mock_kit_ask(&k, "GET", "/v1/models", "anthropic-version: 2023-06-01\r\n", "");
    EXPECT(mock_kit_has(&k, "\"has_more\":false"));
    mock_kit_ask(&k, "GET", "/api/tags", "", "");
    EXPECT(str_starts(mock_kit_body(&k), S("{\"models\":[{\"name\":\"mock-gpt\"")));
    mock_kit_ask(&k, "GET", "/v1/nothing", "", "");
    EXPECT_INT(mock_kit_status(&k), 404);
    mock_kit_stop(&k);
}

TEST(a_wrong_key_is_refused_in_the_providers_shape)
{
    struct mock_kit k = { .options = MOCK_OPTIONS_DEFAULT };

    k.options.key = S("sk-right");
    mock_kit_start(&k);
    mock_kit_ask(&k, "POST", "/v1/chat/completions", "Authorization: Bearer sk-wrong-key-9876\r\n",
        CHAT("m", ""));
    EXPECT_INT(mock_kit_status(&k), 401);
    EXPECT(mock_kit_has(&k, "\"code\":\"invalid_api_key\""));
    EXPECT(!mock_kit_has(&k, "sk-wrong-key-9876"));
    mock_kit_ask(
        &k, "POST", "/v1/chat/completions", "Authorization: Bearer sk-right\r\n", CHAT("m", ""));
    EXPECT_INT(mock_kit_status(&k), 200);
    mock_kit_post(&k, "/v1/messages", CHAT("m", ",\"max_tokens\":5"));
    EXPECT_INT(mock_kit_status(&k), 401);
    EXPECT(mock_kit_has(&k, "\"type\":\"authentication_error\""));
    mock_kit_ask(&k, "POST", "/v1/messages", "x-api-key: sk-right\r\nanthropic-version: 1\r\n",
        CHAT("m", ",\"max_tokens\":5"));
    EXPECT_INT(mock_kit_status(&k), 200);
    mock_kit_stop(&k);
}

TEST(when_models_are_named_others_do_not_exist)
{
    static const struct str models[] = { S_INIT("one"), S_INIT("two") };
    struct mock_kit k = { .options = MOCK_OPTIONS_DEFAULT };

    k.options.models = models;
    k.options.model_count = 2;
    mock_kit_start(&k);
    mock_kit_post(&k, "/v1/chat/completions", CHAT("two;tokens=2", ""));
    EXPECT_INT(mock_kit_status(&k), 200);
    mock_kit_post(&k, "/v1/chat/completions", CHAT("three", ""));
    EXPECT_INT(mock_kit_status(&k), 404);
    EXPECT(mock_kit_has(&k, "\"code\":\"model_not_found\""));
    mock_kit_stop(&k);
}

TEST(header_fields_and_the_query_set_knobs)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_ask(
        &k, "POST", "/v1/chat/completions", "X-Mock-Text: three small words\r\n", CHAT("m", ""));
    EXPECT(mock_kit_has(&k, "\"content\":\"three small words\""));
    mock_kit_post(&k, "/v1/chat/completions?x-mock-tokens=1", CHAT("m", ""));
    EXPECT(mock_kit_has(&k, "\"content\":\"The\""));
    mock_kit_ask(
        &k, "POST", "/v1/chat/completions", "x-mock-fault: 500\r\n", CHAT("m;fault=none", ""));
    EXPECT_INT(mock_kit_status(&k), 200);
    mock_kit_ask(&k, "POST", "/v1/chat/completions", "x-mock-nix: 1\r\n", CHAT("m", ""));
    EXPECT_INT(mock_kit_status(&k), 400);
    mock_kit_stop(&k);
}

TEST(invalid_bodies_are_refused)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(&k, "/v1/chat/completions", "{\"model\":");
    EXPECT_INT(mock_kit_status(&k), 400);
    mock_kit_post(&k, "/v1/chat/completions", "[]");
    EXPECT_INT(mock_kit_status(&k), 400);
    mock_kit_post(&k, "/v1/messages", "nonsense");
    EXPECT_INT(mock_kit_status(&k), 400);
    EXPECT(mock_kit_has(&k, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\""));
    mock_kit_stop(&k);
}

TEST(what_was_received_is_remembered_when_asked_to)
{
    struct mock_kit k = { .options = MOCK_OPTIONS_DEFAULT };

    k.options.record = 2;
    mock_kit_start(&k);
    mock_kit_ask(
        &k, "POST", "/v1/chat/completions", "Authorization: Bearer one\r\n", CHAT("one", ""));
    mock_kit_ask(&k, "POST", "/v1/chat/completions", "", CHAT("two", ""));
    mock_kit_ask(
        &k, "POST", "/v1/chat/completions", "Authorization: Bearer 3\r\n", CHAT("three", ""));
    mock_kit_ask(&k, "GET", "/mock/requests", "", "");
    EXPECT_INT(count(mock_kit_body(&k), "\"target\":\"/v1/chat/completions\""), 2);
    EXPECT(!mock_kit_has(&k, "Bearer one"));
    mock_kit_ask(&k, "GET", "/mock/requests?last=1", "", "");
    EXPECT_INT(count(mock_kit_body(&k), "\"target\""), 1);
    EXPECT(mock_kit_has(&k, "[\"Authorization\",\"Bearer 3\"]"));
    EXPECT(mock_kit_has(&k, "\"body\":\"{\\\"model\\\":\\\"three\\\""));
    mock_kit_ask(&k, "POST", "/mock/reset", "", "");
    mock_kit_ask(&k, "GET", "/mock/requests", "", "");
    EXPECT_STR(mock_kit_body(&k), "[]");
    mock_kit_stop(&k);
}

TEST(faults_with_times_begin_again_after_a_reset)
{
    struct mock_kit k = { .options = MOCK_OPTIONS_DEFAULT };
    char why[256];

    EXPECT(mock_plan_set(&k.options.plan, S("fault"), S("503@10m-20m/frail"), WHY(why)));
    mock_kit_start(&k);
    mock_kit_post(&k, "/v1/chat/completions", CHAT("frail", ""));
    EXPECT(mock_kit_has(&k, " 200 "));
    atomic_store(&k.hub->began_us, clock_now_us() - UINT64_C(15) * 60 * 1000000);
    mock_kit_post(&k, "/v1/chat/completions", CHAT("frail", ""));
    EXPECT(mock_kit_has(&k, " 503 "));
    mock_kit_post(&k, "/v1/chat/completions", CHAT("frail;tokens=2", ""));
    EXPECT(mock_kit_has(&k, " 503 "));
    mock_kit_post(&k, "/v1/chat/completions", CHAT("sturdy", ""));
    EXPECT(mock_kit_has(&k, " 200 "));
    mock_kit_ask(&k, "POST", "/mock/reset", "", "");
    mock_kit_post(&k, "/v1/chat/completions", CHAT("frail", ""));
    EXPECT(mock_kit_has(&k, " 200 "));
    mock_kit_stop(&k);
}

TEST(nothing_is_remembered_unless_asked_to)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(&k, "/v1/chat/completions", CHAT("m", ""));
    mock_kit_ask(&k, "GET", "/mock/requests", "", "");
    EXPECT_STR(mock_kit_body(&k), "[]");
    mock_kit_stop(&k);
}

TEST(every_request_is_counted_in_exactly_one_way)
{
    struct mock_kit k = { 0 };

    mock_kit_start(&k);
    mock_kit_post(&k, "/v1/chat/completions", CHAT("m;tokens=5", ""));
    mock_kit_post(&k, "/v1/chat/completions", CHAT("m;tokens=5", ",\"stream\":true"));
    mock_kit_post(&k, "/v1/chat/completions", "{}");
    mock_kit_post(&k, "/v1/chat/completions", CHAT("fault-429", ""));
    mock_kit_post(&k, "/v1/chat/completions", CHAT("fault-reset-mid;after=2", ",\"stream\":true"));

    struct buf half;
    int fd = peer_connect(k.lb.port);
    const char *body = CHAT("m;tokens=100;tps=10", ",\"stream\":true");
    char head[128];
    snprintf(head, sizeof(head),
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
        strlen(body));
    buf_init(&half, 65536);
    EXPECT(peer_send(fd, str_c(head)) && peer_send(fd, str_c(body)));
    EXPECT(peer_await(fd, &half, "\"content\":\"The\""));
    mock_kit_ask(&k, "GET", "/mock/stats", "", "");
    EXPECT(mock_kit_has(&k, "\"requests\":6,\"open\":1,"));
    close(fd);
    buf_fini(&half);
    for (int i = 0; i < 1000 && !mock_kit_has(&k, "\"aborted\":1"); i++)
        mock_kit_ask(&k, "GET", "/mock/stats", "", "");
    EXPECT(mock_kit_has(
        &k, "\"requests\":6,\"open\":0,\"completed\":2,\"refused\":1,\"faulted\":2,\"aborted\":1"));
    EXPECT(mock_kit_has(&k, "\"faults\":{\"status\":1,\"reset-mid\":1}"));
    mock_kit_stop(&k);
}
