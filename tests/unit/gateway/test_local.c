/* test_local.c - routes that the gateway answers itself. */
#include "gateway/local.c"

#include "tests/unit/gateway/gateway_world.h"

#define KEY "x-api-key: key-of-five\r\n"
#define VERSION "anthropic-version: 2023-06-01\r\n" KEY

static struct gateway_world w;

static void
finish(void)
{
    gateway_world_stop(&w);
    gateway_world_forget(&w);
}

static const char *const five = "auth:\n"
                                "  keys:\n"
                                "    - {name: five, key: key-of-five, models: [a, b, c, d, e]}\n"
                                "models:\n"
                                "  a: {targets: [mock/m]}\n"
                                "  b: {targets: [mock/m]}\n"
                                "  c: {targets: [mock/m]}\n"
                                "  d: {targets: [mock/m]}\n"
                                "  e: {targets: [mock/m]}\n";

/* "a b c|more" of a page. */
static struct str
page(const char *query)
{
    struct str line = arena_printf(w.arena, "GET /v1/models%s", query), all = S("");

    EXPECT_INT(gateway_world_ask(&w, line.p, VERSION, ""), 200);
    const struct json *doc = json_parse(w.arena, gateway_world_body(&w), NULL, NULL);
    struct json_iter it = json_iter(json_get(doc, S("data")));
    while (json_next(&it))
        all = arena_printf(w.arena, STR_FMT "%s" STR_FMT, STR_ARG(all), all.n != 0 ? " " : "",
            STR_ARG(json_str(w.arena, json_get(it.value, S("id")))));
    return arena_printf(w.arena, STR_FMT "%s", STR_ARG(all),
        json_bool(json_get(doc, S("has_more")), false) ? "|more" : "");
}

TEST(anthropic_pagination_works_in_both_directions)
{
    gateway_world_start(&w, five);
    EXPECT_STR(page(""), "a b c d e");
    EXPECT_STR(page("?limit=2"), "a b|more");
    EXPECT_STR(page("?limit=2&after_id=b"), "c d|more");
    EXPECT_STR(page("?limit=2&after_id=d"), "e");
    EXPECT_STR(page("?limit=2&after_id=e"), "");
    EXPECT_STR(page("?limit=2&before_id=e"), "c d|more");
    EXPECT_STR(page("?limit=2&before_id=b"), "a");
    EXPECT_STR(page("?limit=nonsense"), "a b c d e");
    EXPECT_STR(page("?limit=99999999999999999999"), "a b c d e");
    finish();
}

TEST(openai_clients_get_the_complete_list)
{
    gateway_world_start(&w, five);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models?limit=2", KEY, ""), 200);
    EXPECT(gateway_world_says(
        &w, "{\"object\":\"list\",\"data\":[{\"id\":\"a\",\"object\":\"model\""));
    EXPECT(gateway_world_says(&w, "\"id\":\"e\""));
    finish();
}

TEST(a_single_model_is_described_in_the_clients_protocol)
{
    gateway_world_start(&w, five);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models/a", KEY, ""), 200);
    EXPECT(gateway_world_says(&w, "{\"id\":\"a\",\"object\":\"model\""));
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models/a", VERSION, ""), 200);
    EXPECT(gateway_world_says(&w, "{\"type\":\"model\",\"id\":\"a\""));
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models/a%zz", KEY, ""), 400);
    finish();
}

TEST(a_model_name_may_be_percent_encoded)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models/nobody%2Fhas%20it", "", ""), 200);
    EXPECT(gateway_world_says(&w, "{\"id\":\"nobody/has it\""));
    finish();
}

TEST(the_list_contains_what_each_provider_reports)
{
    gateway_world_start(&w,
        "auth:\n"
        "  keys:\n"
        "    - {name: all, key: key-of-all}\n"
        "    - {name: some, key: key-of-some, models: [\"anth/*\", \"mock/tools-1\"]}\n");
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", "x-api-key: key-of-all\r\n", ""), 200);
    EXPECT(gateway_world_says(&w, "\"id\":\"mock/mock-gpt\""));
    EXPECT(gateway_world_says(&w, "\"owned_by\":\"mock\""));
    EXPECT(gateway_world_says(&w, "\"id\":\"anth/mock-claude\""));
    EXPECT(!gateway_world_has(&w, "\"id\":\"dead/"));
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", "x-api-key: key-of-some\r\n", ""), 200);
    EXPECT(gateway_world_says(&w, "\"id\":\"mock/tools-1\""));
    EXPECT(gateway_world_says(&w, "\"id\":\"anth/mock-claude\""));
    EXPECT(!gateway_world_has(&w, "mock/mock-gpt"));
    finish();
}

TEST(metrics_can_be_disabled)
{
    gateway_world_start(&w, "observe: {metrics: false}\n");
    EXPECT_INT(gateway_world_ask(&w, "GET /metrics", "", ""), 404);
    finish();
}

TEST(tokens_are_counted_by_the_gateway_if_no_provider_can)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_ask(&w, "POST /v1/messages/count_tokens", VERSION,
                   "{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\",\"content\":\"some "
                   "words to count\"}]}"),
        200);
    EXPECT(gateway_world_says(&w, "{\"input_tokens\":"));
    EXPECT(gateway_world_says(&w, "x-openclaw-tokenizer: other; estimated\r\n"));
    EXPECT_INT(
        gateway_world_ask(&w, "POST /v1/messages/count_tokens", VERSION,
            "{\"model\":\"mock/gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"),
        200);
    EXPECT(gateway_world_says(&w, "x-openclaw-tokenizer: o200k\r\n"));
    EXPECT(gateway_world_says(&w, "{\"input_tokens\":8}"));
    EXPECT_INT(gateway_world_ask(&w, "POST /v1/messages/count_tokens", VERSION,
                   "{\"model\":\"mock/m\",\"messages\":7}"),
        400);
    EXPECT(gateway_world_says(&w, "\"type\":\"invalid_request_error\""));
    finish();
}

TEST(providers_are_asked_for_their_models_with_their_own_key)
{
    static const char *const good[] = { "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n",
        "{\"data\":[{\"id\":\"special\"},{\"id\":\"b c\"}]}", NULL };
    static const char *const failed[] = { "HTTP/1.1 500 Oops\r\nContent-Length: 40\r\n\r\n",
        "{\"data\":[{\"id\":\"special\"},{\"id\":\"b c\"}]}", NULL };
    static const char *const sent[] = { "GET /v1/models HTTP/1.1\r\n", "User-Agent: openclaw\r\n",
        "Authorization: Bearer sk-canary-key\r\n", "Accept: application/json\r\n" };

    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_play(&w, "GET /v1/models", "", "", good), 200);
    EXPECT(gateway_world_says(&w, "\"id\":\"raw/special\""));
    EXPECT(!gateway_world_has(&w, "b c"));
    for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
        struct str got = buf_str(&w.played);

        EXPECT(str_find(got, str_c(sent[i])) != got.n);
    }
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", "", ""), 200);    /* nobody is asked again */
    EXPECT(gateway_world_says(&w, "\"id\":\"raw/special\""));
    finish();
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_play(&w, "GET /v1/models", "", "", failed), 200);
    EXPECT(gateway_world_says(&w, "\"id\":\"mock/"));
    EXPECT(!gateway_world_has(&w, "special"));
    finish();
}
