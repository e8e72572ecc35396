/* test_written.c - the request that a provider receives. */
#include "gateway/written.c"

#include "tests/unit/gateway/gateway_world.h"

static struct gateway_world w;

static void
finish(void)
{
    gateway_world_stop(&w);
    gateway_world_forget(&w);
}

TEST(with_the_same_protocol_only_the_model_name_changes)
{
    gateway_world_start(&w, "models:\n  fast: {targets: [mock/real-name]}\n");
    EXPECT_INT(gateway_world_chat(&w, "",
                   "{ \"temperature\":1.0e0,\n\"model\" : \"fa\\u0073t\", "
                   "\"messages\":[{\"role\":\"user\","
                   "\"content\":\"h\\u00e9\"}],\"x_new\":[1,{\"y\":null}] }"),
        200);
    EXPECT_STR(gateway_world_received_body(&w),
        "{ \"temperature\":1.0e0,\n\"model\" : \"real-name\", \"messages\":[{\"role\":\"user\","
        "\"content\":\"h\\u00e9\"}],\"x_new\":[1,{\"y\":null}] }");
    finish();
}

TEST(usage_is_always_requested_and_hidden_from_clients_that_did_not_ask)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m", ",\"stream\":true")), 200);
    EXPECT(str_find(gateway_world_received_body(&w), S("\"include_usage\":true")) !=
           gateway_world_received_body(&w).n);
    EXPECT(!gateway_world_has(&w, "\"prompt_tokens\""));
    EXPECT(gateway_world_metric(&w, "openclaw_usage_estimated_total 0\n"));
    finish();
}

TEST(configured_params_override_and_extend_the_clients)
{
    gateway_world_start(&w,
        "models:\n"
        "  tuned: {targets: [{model: mock/m, params: {temperature: 0.25, user: gateway}}]}\n"
        "  turned: {targets: [{model: anth/m, params: {temperature: 0.25, top_k: 3}}]}\n");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("tuned", ",\"temperature\":1")), 200);
    EXPECT_STR(gateway_world_received_body(&w),
        "{\"user\":\"gateway\",\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}"
        "],\"temperature\":0.25}");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("turned", ",\"temperature\":1")), 200);
    const struct json *sent = json_parse(w.arena, gateway_world_received_body(&w), NULL, NULL);
    EXPECT_STR(json_raw(json_get(sent, S("temperature"))), "0.25");
    EXPECT_STR(json_raw(json_get(sent, S("top_k"))), "3");
    finish();
}

TEST(a_configured_param_that_the_gateway_also_adds_is_sent_once)
{
    gateway_world_start(&w, "models:\n  odd: {targets: [{model: mock/m, params: {stream_options: "
                            "{include_usage: true}}}]}\n");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("odd", ",\"stream\":true")), 200);
    EXPECT(json_parse(w.arena, gateway_world_received_body(&w), NULL, NULL) !=
           NULL);    /* keys twice are no JSON to us */
    EXPECT_INT(
        gateway_world_chat(&w, "",
            WORLD_CHAT("odd", ",\"stream\":true,\"stream_options\":{\"include_usage\":false}")),
        200);
    EXPECT(json_parse(w.arena, gateway_world_received_body(&w), NULL, NULL) != NULL);
    finish();
}

TEST(params_of_any_size_are_sent_complete)
{
    struct buf text;

    buf_init(&text, 256 * 1024);
    buf_add(&text, S("models:\n  big:\n    targets:\n      - model: mock/m\n        params:\n"));
    for (int i = 0; i < 20; i++)
        buf_printf(&text, "          p%d: \"%0*d\"\n", i, 2500, i);
    buf_add_c(&text, '\0');
    gateway_world_start(&w, "");
    struct snapshot *next = NULL;
    {
        struct conf_problems problems;
        struct str url = mock_address(w.mock);
        struct buf all;

        buf_init(&all, 512 * 1024);
        buf_printf(&all, "providers:\n  mock: {wire: openai-chat, base_url: \"http://%.*s/v1\"}\n",
            STR_ARG(url));
        buf_add(&all, buf_str(&text));
        conf_problems_init(&problems, w.arena);
        all.tail--;    /* its NUL */
        next = snapshot_build(conf_parse(buf_str(&all), S("t"), &problems), S(""), &problems);
        EXPECT_INT(problems.count, 0);
        buf_fini(&all);
    }
    worker_reload(w.worker, snapshot_ref(next), NULL);
    snapshot_unref(w.snapshot);
    w.snapshot = next;
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("big", ",\"p3\":1,\"p7\":{\"x\":[]}")), 200);
    const struct json *sent = json_parse(w.arena, gateway_world_received_body(&w), NULL, NULL);
    EXPECT_INT(json_count(sent), 22);
    for (int i = 0; i < 20; i++)
        EXPECT_INT(json_raw(json_get(sent, arena_printf(w.arena, "p%d", i))).n, 2502);
    buf_fini(&text);
    finish();
}

TEST(a_provider_gets_its_own_key_and_only_the_allowed_client_headers)
{
    gateway_world_start(&w, "auth: {keys: [{name: a, key: key-of-a}]}\n");
    EXPECT_INT(gateway_world_chat(&w,
                   "Authorization: Bearer key-of-a\r\nCookie: c=1\r\nOpenAI-Organization: "
                   "theirs\r\nOpenAI-Beta: b=1\r\n"
                   "X-Forwarded-For: 1.2.3.4\r\nProxy-Authorization: x\r\n",
                   WORLD_CHAT("mock/m", "")),
        200);
    struct str got = gateway_world_received(&w);
    static const char *const absent[] = { "key-of-a", "c=1", "theirs", "1.2.3.4", "Proxy-Auth",
        "curl" };
    for (size_t i = 0; i < ARRAY_LEN(absent); i++)
        EXPECT(str_find(got, str_c(absent[i])) == got.n);
    EXPECT(str_find(got, S("Bearer sk-canary-key")) != got.n);
    EXPECT(str_find(got, S("b=1")) != got.n);
    EXPECT(str_find(got, S("traceparent")) != got.n);
    finish();
}

static bool
was_sent(const char *text)
{
    struct str got = buf_str(&w.played);

    return str_find(got, str_c(text)) != got.n;
}

TEST(what_asks_for_a_part_of_a_resource_is_passed_on_where_nothing_is_translated)
{
    static const char *const conditions[] = { "Range: bytes=0-1\r\n", "If-Range: \"a\"\r\n",
        "If-Match: \"b\"\r\n", "If-None-Match: \"c\"\r\n",
        "If-Modified-Since: Sat, 21 Nov 2026 10:55:00 GMT\r\n",
        "If-Unmodified-Since: Sat, 21 Nov 2026 10:56:00 GMT\r\n" };
    static const char *const answer[] = { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", NULL };
    struct buf all;

    gateway_world_start(&w, "");
    buf_init(&all, 64 * 1024);
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
        buf_add(&all, str_c(conditions[i]));
    buf_add(&all, S("Content-Type: application/json\r\nAccept: text/x\r\n"));
    const char *fields = arena_printf(w.arena, STR_FMT, STR_ARG(buf_str(&all))).p;
    EXPECT_INT(gateway_world_play(
                   &w, "POST /v1/responses/compact", fields, "{\"model\":\"raw/m\"}", answer),
        200);
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
        EXPECT(was_sent(conditions[i]));
    EXPECT(was_sent("Content-Type: application/json\r\n") && was_sent("Accept: text/x\r\n"));
    EXPECT_INT(
        gateway_world_play(&w, "POST /v1/responses/compact", "", "{\"model\":\"raw/m\"}", answer),
        200);
    EXPECT(was_sent("Accept: */*\r\n") && !was_sent("Range") && !was_sent("If-"));
    (void)gateway_world_play(
        &w, "POST /v1/chat/completions", fields, WORLD_CHAT("raw/m", ""), answer);
    EXPECT(!was_sent("Range") && !was_sent("If-") && was_sent("Accept: application/json\r\n"));
    buf_fini(&all);
    finish();
}

TEST(a_version_of_the_protocol_is_the_clients_or_else_ours_and_said_once)
{
    static const struct {
        const char *fields, *version;
    } rows[] = { { "anthropic-version: 2024-01-01\r\n", "2024-01-01" }, { "", "2023-06-01" } };

    gateway_world_start(&w, "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_INT(gateway_world_ask(
                       &w, "POST /v1/messages", rows[i].fields, WORLD_MESSAGES("anth/m", "")),
            200);
        struct str got = gateway_world_received(&w);
        got = str_skip(got, str_find(got, S("anthropic-version")));
        size_t at = str_find(got, str_c(rows[i].version));
        EXPECT(at < sizeof("anthropic-version\", \""));    /* right behind the name */
        got = str_skip(got, 1);
        EXPECT(str_find(got, S("anthropic-version")) == got.n);
    }
    finish();
}
