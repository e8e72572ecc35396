/* test_gateway.c - requests from the first stage to the last. */
#include "gateway/gateway.c"

#include "tests/unit/gateway/gateway_world.h"

#define KEYS                                                                                       \
    "auth:\n"                                                                                      \
    "  keys:\n"                                                                                    \
    "    - {name: ci, key: key-of-ci, models: [fast, \"mock/allowed*\"]}\n"                        \
    "    - {name: ops, key: key-of-ops}\n"                                                         \
    "models:\n"                                                                                    \
    "  fast: {targets: [mock/allowed-1]}\n"
#define CI "Authorization: Bearer key-of-ci\r\n"
#define OPS "x-api-key: key-of-ops\r\n"
#define JSON "Content-Type: application/json\r\n"

static struct gateway_world w;

static void
finish(void)
{
    gateway_world_stop(&w);
    gateway_world_forget(&w);
}

/* --- match --- */

TEST(health_metrics_and_routes_need_no_key)
{
    gateway_world_start(&w, KEYS);
    EXPECT_INT(gateway_world_ask(&w, "GET /livez", "", ""), 200);
    EXPECT_INT(gateway_world_ask(&w, "GET /healthz", "", ""), 200);
    EXPECT_INT(gateway_world_ask(&w, "GET /readyz?verbose", "", ""), 200);
    EXPECT(gateway_world_says(&w, "\"configuration_generation\":"));
    EXPECT_INT(gateway_world_ask(&w, "GET /metrics", "", ""), 200);
    EXPECT(gateway_world_says(&w, "Content-Type: text/plain; version=0.0.4"));
    EXPECT_INT(gateway_world_ask(&w, "GET /", "", ""), 200);
    EXPECT(gateway_world_says(&w, "\"POST /v1/messages\""));
    finish();
}

TEST(a_head_request_is_answered_like_get_and_without_a_body)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_ask(&w, "HEAD /livez", "", ""), 200);
    EXPECT(gateway_world_says(&w, "Content-Length: 16\r\n"));
    EXPECT_STR(gateway_world_body(&w), "");
    EXPECT_INT(gateway_world_ask(&w, "HEAD /nowhere", "", ""), 404);
    EXPECT_STR(gateway_world_body(&w), "");
    finish();
}

TEST(an_unknown_route_is_404_and_a_wrong_method_405)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_ask(&w, "GET /nowhere", "", ""), 404);
    EXPECT(gateway_world_says(&w, "\"code\":\"unknown_url\""));
    EXPECT(gateway_world_says(&w, "x-openclaw-error: no_route\r\n"));
    EXPECT(gateway_world_says(&w, "there is no route GET /nowhere; GET / lists all routes"));
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/Models", "", ""), 404);
    EXPECT(gateway_world_says(&w, "GET /v1/Models (paths are case-sensitive);"));
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/chat/completions", "", ""), 405);
    EXPECT(gateway_world_says(&w, "Allow: POST\r\n"));
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/messages", "", ""), 405);
    EXPECT(gateway_world_says(&w, "\"type\":\"error\""));
    EXPECT_INT(gateway_world_ask(&w, "DELETE /livez", "", ""), 405);
    EXPECT(gateway_world_says(&w, "Allow: GET, HEAD\r\n"));
    EXPECT_INT(gateway_world_ask(&w, "TRACE /v1/files", "", ""), 405);
    EXPECT(gateway_world_says(&w, "Allow: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"));
    EXPECT_INT(gateway_world_ask(&w, "OPTIONS /v1/chat/completions", "", ""), 405);
    finish();
}

TEST(anthropic_clients_get_anthropic_errors_on_shared_routes_too)
{
    static const char version[] = "anthropic-version: 2023-06-01\r\n";

    gateway_world_start(&w, KEYS);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models/unheard", version, ""), 401);
    EXPECT(
        gateway_world_says(&w, "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\""));
    EXPECT_INT(gateway_world_ask(&w, "GET /nowhere", version, ""), 404);
    EXPECT(gateway_world_says(&w, "\"type\":\"not_found_error\""));
    EXPECT_INT(gateway_world_chat(&w, "anthropic-version: 2023-06-01\r\n", "{}"), 401);
    EXPECT(gateway_world_says(&w, "{\"error\":{\"message\":"));
    finish();
}

/* --- authenticate --- */

TEST(without_a_valid_key_nothing_is_proxied)
{
    static const char *const bad[] = { "", "Authorization: Bearer nope\r\n",
        "Authorization: Bearer\r\n", "x-api-key: \r\n", "Authorization: Basic key-of-ci\r\n" };

    gateway_world_start(&w, KEYS);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        EXPECT_INT(gateway_world_chat(&w, bad[i], WORLD_CHAT("fast", "")), 401);
        EXPECT(gateway_world_says(&w, "WWW-Authenticate: Bearer\r\n"));
        EXPECT(!gateway_world_has(&w, "nope"));
        EXPECT(gateway_world_says(&w, strstr(bad[i], "nope") != NULL
                                          ? "the API key is not one of this gateway's keys"
                                          : "no API key was sent"));
    }
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", "", ""), 401);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/files", "", ""), 401);
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"error\":\"invalid_api_key\""), ARRAY_LEN(bad) + 2);
    EXPECT_INT(gateway_world_logged(&w, "\"provider\""), 0);
    gateway_world_forget(&w);
}

TEST(after_too_many_wrong_keys_an_address_waits_but_a_right_key_does_not)
{
    static const char wrong[] = "x-api-key: key-of-nobody\r\n";

    gateway_world_start(&w, "  limits: {wrong_keys: 2}\n" KEYS);
    for (int i = 0; i < 5; i++)
        EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", "", ""), 401);    /* no key is no guess */
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", wrong, ""), 401);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", wrong, ""), 401);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", wrong, ""), 429);
    EXPECT(gateway_world_says(&w, "too many wrong API keys from this address"));
    EXPECT(gateway_world_says(&w, "Retry-After: "));
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", "", ""), 401);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", OPS, ""), 200);
    finish();
}

TEST(a_key_limited_to_models_may_use_only_those)
{
    gateway_world_start(&w, KEYS);
    EXPECT_INT(gateway_world_chat(&w, CI, WORLD_CHAT("fast", "")), 200);
    EXPECT_INT(gateway_world_chat(&w, CI, WORLD_CHAT("mock/allowed-2", "")), 200);
    EXPECT_INT(gateway_world_chat(&w, CI, WORLD_CHAT("mock/other", "")), 403);
    EXPECT_INT(gateway_world_chat(&w, CI, WORLD_CHAT("allowed-1", "")), 403);
    EXPECT_INT(gateway_world_chat(&w, OPS, WORLD_CHAT("mock/other", "")), 200);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/files", CI, ""), 403);
    EXPECT_INT(gateway_world_ask(&w, "POST /v1/moderations", CI JSON,
                   "{\"model\":\"mock/other\",\"input\":\"x\"}"),
        403);
    EXPECT_INT(gateway_world_ask(&w, "POST /v1/moderations", CI "Content-Type: text/plain\r\n",
                   "{\"model\":\"mock/other\",\"input\":\"x\"}"),
        403);
    EXPECT_INT(gateway_world_ask(
                   &w, "POST /v1/moderations", CI JSON, "{\"model\":\"fast\",\"input\":\"x\"}"),
        200);
    finish();
}

/* Asks with a Host field in place of the usual one. */
static int
ask_host(const char *line, const char *host, const char *fields)
{
    int fd = peer_connect(w.port);
    struct str text = arena_printf(
        w.arena, "%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", line, host, fields);

    buf_reset(&w.answer, SIZE_MAX);
    EXPECT(peer_send(fd, text));
    (void)peer_recv_all(fd, &w.answer);
    (void)close(fd);
    return atoi(buf_str(&w.answer).p + 9);
}

TEST(without_keys_a_foreign_host_is_refused_except_for_health_checks)
{
    static const char *const lines[] = { "GET /metrics", "GET /", "GET /v1/models",
        "HEAD /v1/models", "GET /v1/models/mock/m", "GET /v1/files", "DELETE /v1/files/f",
        "POST /v1/chat/completions", "GET /nowhere", "OPTIONS /v1/models" };
    static const char *const origins[] = { "", "Origin: http://evil.example\r\n",
        "Origin: https://app.example\r\n" };

    gateway_world_start(&w, "  cors_origins: https://app.example\n  hosts: [ours.example]\n");
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        for (size_t k = 0; k < ARRAY_LEN(origins); k++) {
            EXPECT_INT(ask_host(lines[i], "evil.example", origins[k]), 403);
            EXPECT(strncmp(lines[i], "HEAD", 4) == 0 || gateway_world_says(&w, "server.hosts"));
        }
        EXPECT(ask_host(lines[i], "OURS.example.:80", "") != 403);
    }
    EXPECT_INT(ask_host("GET /livez", "evil.example", ""), 200);
    EXPECT_INT(ask_host("GET /healthz", "evil.example", ""), 200);
    EXPECT_INT(ask_host("GET /readyz", "evil.example", origins[1]), 200);
    finish();
    gateway_world_start(&w, KEYS);
    EXPECT_INT(ask_host("GET /v1/models", "any.example", OPS), 200);
    EXPECT_INT(ask_host("GET /metrics", "any.example", ""), 200);
    finish();
}

/* --- every row of the table, every kind of key --- */

#define KINDS                                                                                      \
    "  limits: {wrong_keys: 0}\n"                                                                  \
    "auth:\n"                                                                                      \
    "  keys:\n"                                                                                    \
    "    - {name: limited, key: k-limited, models: [fast]}\n"                                      \
    "    - {name: both, key: k-both, models: [fast], routes: [\"*\"]}\n"                           \
    "    - {name: other, key: k-other, models: [fast], routes: [/nothing/*, \"PATCH *\"]}\n"       \
    "    - {name: path, key: k-path, models: [fast], routes: [\"GET /v1/*\"]}\n"                   \
    "    - {name: narrow, key: k-narrow, routes: [/nothing/*]}\n"                                  \
    "    - {name: admin, key: k-admin, routes: [admin]}\n"                                         \
    "    - {name: free, key: k-free}\n"                                                            \
    "models:\n"                                                                                    \
    "  fast: {targets: [mock/allowed-1]}\n"

/* Asks with a key for a model that is named in a JSON body, a form or the query. */
static int
ask_naming(const char *key, const char *method, struct str path, const char *model,
    enum endpoint_model where)
{
    bool query = where == MODEL_QUERY;
    bool json = where == MODEL_BODY;
    struct str line = arena_printf(w.arena, "%s " STR_FMT "?x=1%s%s%c", method, STR_ARG(path),
        query ? "&model=" : "", query ? model : "", 0);
    struct str fields =
        arena_printf(w.arena, "Authorization: Bearer %s\r\nContent-Type: %s\r\n%c", key,
            query  ? "text/plain"
            : json ? "application/json"
                   : "multipart/form-data; boundary=B",
            0);
    struct str body = S("");

    if (json)
        body = arena_printf(w.arena,
            "{\"model\":\"%s\",\"max_tokens\":9,\"input\":\"x\",\"prompt\":\"x\","
            "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}%c",
            model, 0);
    else if (!query)
        body = arena_printf(w.arena,
            "--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n%s\r\n--B--\r\n%c", model,
            0);
    return gateway_world_ask(&w, line.p, fields.p, body.p);
}

/* A path of the row: its stars are "x". */
static struct str
path_of(const struct endpoint *e)
{
    struct str rest, head = e->path;

    (void)str_cut(e->path, '*', &head, &rest);
    return head.n == e->path.n ? head : arena_printf(w.arena, STR_FMT "x", STR_ARG(head));
}

static bool
is_believed(const struct endpoint *e, enum endpoint_model where)
{
    return e->model == where || (e->model == MODEL_FORM && where == MODEL_BODY);
}

/* Where the row has its model, it decides; elsewhere it is as if none was named. */
static void
expect_model_decides(const struct endpoint *e, const char *method, struct str path)
{
    for (int i = MODEL_BODY; i <= MODEL_QUERY; i++) {
        enum endpoint_model where = (enum endpoint_model)i;

        EXPECT(ask_naming("k-free", method, path, "mock/other", where) != 403);
        EXPECT(ask_naming("k-narrow", method, path, "mock/other", where) != 403);
        if (is_believed(e, where)) {
            EXPECT(ask_naming("k-limited", method, path, "fast", where) != 403);
            EXPECT_INT(ask_naming("k-limited", method, path, "mock/other", where), 403);
            EXPECT_INT(ask_naming("k-both", method, path, "mock/other", where), 403);
        } else if (e->op == OP_RELAY) {
            EXPECT_INT(ask_naming("k-limited", method, path, "fast", where), 403);
            EXPECT(ask_naming("k-both", method, path, "mock/other", where) != 403);
        }
    }
}

/* It does not matter what such a request seems to name. */
static void
expect_routes_decide(const char *method, struct str path)
{
    bool get = strcmp(method, "GET") == 0;

    for (int i = MODEL_BODY; i <= MODEL_QUERY; i++) {
        enum endpoint_model where = (enum endpoint_model)i;

        EXPECT_INT(ask_naming("k-limited", method, path, "fast", where), 403);
        EXPECT_INT(ask_naming("k-other", method, path, "fast", where), 403);
        EXPECT_INT(ask_naming("k-narrow", method, path, "fast", where), 403);
        EXPECT((ask_naming("k-path", method, path, "fast", where) == 403) == !get);
        EXPECT(ask_naming("k-both", method, path, "fast", where) != 403);
        EXPECT(ask_naming("k-free", method, path, "mock/other", where) != 403);
    }
}

/* Neither a key that may use everything nor a pattern is enough. What a key that is may do, its role decides
 * (admin/routes.def). In this world there is no admin API to find. */
static void
expect_name_decides(const char *method, struct str path)
{
    EXPECT_INT(ask_naming("k-free", method, path, "fast", MODEL_BODY), 403);
    EXPECT_INT(ask_naming("k-both", method, path, "fast", MODEL_BODY), 403);
    EXPECT_INT(ask_naming("k-admin", method, path, "fast", MODEL_BODY), 404);
}

TEST(every_route_checks_the_permission_that_it_needs)
{
    static const char *const methods[] = { "GET", "POST", "DELETE", "PUT" };

    gateway_world_start(&w, KINDS);
    for (size_t i = 0; i < ENDPOINT_none; i++) {
        const struct endpoint *e = &endpoints[i];
        struct str path = path_of(e);

        for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
            struct http_path p = { .text = path };
            enum err why;

            if (endpoint_find(str_c(methods[m]), &p, &why) != e || why != OK)
                continue;
            int status = ask_naming("nobody", methods[m], path, "fast", MODEL_BODY);
            bool control = e->kind == ENDPOINT_IS_CONTROL;

            bool lacks_api =
                e == &endpoints[ENDPOINT_openapi];    /* it is the admin API's to answer */
            EXPECT_INT(status, endpoint_needs_key(e) || control ? 401 : lacks_api ? 404 : 200);
            if (control)
                expect_name_decides(methods[m], path);
            else if (e->kind == ENDPOINT_IS_PASSED)
                expect_routes_decide(methods[m], path);
            else if (endpoint_needs_key(e) && !e->local)
                expect_model_decides(e, methods[m], path);
        }
    }
    finish();
}

TEST(a_model_in_the_query_is_routed_and_renamed_and_must_be_unique)
{
    gateway_world_start(&w, KEYS);
    (void)gateway_world_ask(&w, "GET /v1/realtime?a=1&model=fast&b=%2f", CI, "");
    EXPECT(gateway_world_says(&w, "x-openclaw-model: allowed-1\r\n"));
    struct str got = gateway_world_received(&w);
    EXPECT(str_find(got, S("/v1/realtime?a=1&model=allowed-1&b=%2f")) != got.n);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/realtime?model=mock%2Fother", CI, ""), 403);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/realtime?a=fast", CI, ""), 403);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/realtime?model=fast&model=x", CI, ""), 400);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/realtime?model=fast&MODEL=x", CI, ""), 400);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/realtime?model=fast&%6dodel=x", CI, ""), 400);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/realtime?model=fast;model=x", CI, ""), 400);
    finish();
}

TEST(a_form_that_names_two_models_is_refused)
{
    static const char type[] = CI "Content-Type: multipart/form-data; boundary=B\r\n";

    gateway_world_start(&w, KEYS);
    EXPECT_INT(
        gateway_world_ask(&w, "POST /v1/audio/transcriptions", type,
            "--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nfast\r\n"
            "--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmock/other\r\n--B--\r\n"),
        400);
    EXPECT_INT(
        gateway_world_ask(&w, "POST /v1/audio/transcriptions", type,
            "--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmock/other\r\n--B--\r\n"),
        403);
    finish();
}

TEST(a_body_with_an_ambiguous_model_is_refused)
{
    static const char *const routes[] = { "POST /v1/chat/completions", "POST /v1/messages",
        "POST /v1/completions", "POST /v1/embeddings", "POST /v1/images/generations",
        "POST /v1/responses/compact", "POST /v1/audio/transcriptions" };
    static const char *const members[] = { "\"MODEL\":\"mock/other\"", "\"Model\":\"fast\"",
        "\"\\u004dodel\":\"x\"", "\"model\\u0000\":\"x\"", "\"\\u006dodel\":\"x\"",
        "\"\\u017ftream\":true", "\"Stream\":true" };
    static const char json[] = CI "Content-Type: application/json\r\n";

    gateway_world_start(&w, KEYS);
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        for (size_t m = 0; m < ARRAY_LEN(members); m++) {
            struct str body = arena_printf(w.arena,
                "{\"model\":\"fast\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\","
                "\"content\":\"x\"}],%s}%c",
                members[m], 0);

            EXPECT_INT(gateway_world_ask(&w, routes[i], json, body.p), 400);
        }
    EXPECT_INT(gateway_world_ask(&w, "POST /v1/chat/completions", json,
                   "{\"model\":\"fast\",\"MODEL\":\"mock/other\",\"messages\":[]}"),
        400);
    EXPECT(gateway_world_says(&w, "\"param\":\"model\""));
    finish();
}

TEST(invalid_json_is_refused_on_routes_with_the_model_in_the_body)
{
    gateway_world_start(&w, KEYS);
    EXPECT_INT(
        gateway_world_ask(&w, "POST /v1/images/generations", CI "Content-Type: text/plain\r\n",
            "{\"model\":\"fast\",\"model\":\"mock/other\"}"),
        400);
    finish();
}

TEST(the_list_of_models_contains_what_the_key_may_use)
{
    gateway_world_start(&w, KEYS);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models", CI, ""), 200);
    EXPECT(gateway_world_says(&w, "\"id\":\"fast\""));
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models/fast", CI, ""), 200);
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models/mock%2Fallowed-9", CI, ""), 200);
    EXPECT(gateway_world_says(&w, "\"id\":\"mock/allowed-9\""));
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/models/mock/other", CI, ""), 404);
    finish();
}

/* --- admit --- */

TEST(the_limit_of_concurrent_requests_per_key_counts_every_way_to_end)
{
    gateway_world_start(&w, "  limits: {streams_per_key: 1}\n" KEYS);
    int fd = peer_connect(w.port);
    EXPECT(peer_send(fd, gateway_world_text(&w, "POST /v1/chat/completions", OPS,
                             WORLD_CHAT("mock/m;head=30s", ""))));
    EXPECT(gateway_world_metric(&w, "openclaw_upstream_calls_open 1\n"));
    EXPECT_INT(gateway_world_chat(&w, OPS, WORLD_CHAT("mock/m", "")), 429);
    EXPECT(gateway_world_says(&w, "Retry-After: 1\r\n"));
    EXPECT_INT(gateway_world_chat(&w, CI, WORLD_CHAT("fast", "")), 200);
    (void)close(fd);    /* the caller leaves */
    EXPECT(gateway_world_metric(&w, "openclaw_upstream_calls_open 0\n"));
    EXPECT_INT(gateway_world_chat(&w, OPS, WORLD_CHAT("mock/m", "")), 200);
    EXPECT_INT(gateway_world_chat(&w, OPS, WORLD_CHAT("mock/fault-500", "")), 502);
    EXPECT_INT(gateway_world_chat(&w, OPS, "{"), 400);
    EXPECT_INT(
        gateway_world_chat(&w, OPS "x-openclaw-timeout: 50\r\n", WORLD_CHAT("mock/m;head=30s", "")),
        504);
    EXPECT_INT(
        gateway_world_chat(&w, OPS, WORLD_CHAT("mock/m;fault=reset-mid", ",\"stream\":true")), 200);
    EXPECT_INT(gateway_world_chat(&w, OPS, WORLD_CHAT("mock/m", "")), 200);
    finish();
}

TEST(above_the_limit_of_requests_a_worker_refuses_immediately)
{
    gateway_world_start(&w, "  limits: {requests: 1}\n");
    int fd = peer_connect(w.port);
    EXPECT(peer_send(fd, gateway_world_text(&w, "POST /v1/chat/completions", "",
                             WORLD_CHAT("mock/m;head=30s", ""))));
    EXPECT(gateway_world_metric(&w, "openclaw_upstream_calls_open 1\n"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m", "")), 503);
    EXPECT(gateway_world_says(&w, "x-openclaw-error: overloaded\r\n"));
    EXPECT_INT(gateway_world_ask(&w, "GET /livez", "", ""), 200);
    (void)close(fd);
    finish();
}

/* --- receive and decode --- */

TEST(invalid_bodies_get_a_specific_error)
{
    static const struct {
        const char *body;
        int status;
        const char *says;
    } rows[] = {
        { "", 400, "the body cannot be parsed as JSON" },
        { "{", 400, "the body cannot be parsed as JSON" },
        { "[]", 400, "the body must be a JSON object" },
        { "{\"model\":\"a\",\"model\":\"b\"}", 400, "the body cannot be parsed as JSON" },
        { "{\"messages\":[]}", 400, "model" },
        { "{\"model\":\"m\\u0000\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 200,
            "" },
    };

    gateway_world_start(&w, "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_INT(gateway_world_chat(&w, JSON, rows[i].body), rows[i].status);
        EXPECT(gateway_world_says(&w, rows[i].says));
    }
    finish();
}

TEST(a_body_above_the_limits_is_413)
{
    static char deep[2000];

    gateway_world_start(&w, "  limits: {body: 1KB, json_depth: 8}\n");
    memset(deep, ' ', sizeof(deep) - 1);
    EXPECT_INT(gateway_world_chat(&w, JSON, deep), 413);
    strcpy(deep, "{\"model\":\"m\",\"messages\":[[[[[[[[[[[]]]]]]]]]]]}");
    EXPECT_INT(gateway_world_chat(&w, JSON, deep), 413);
    finish();
}

/* --- route --- */

TEST(a_passed_through_path_cannot_leave_the_base_url)
{
    static const char *const bad[] = { "GET /v1/../secret", "GET /v1/files/..",
        "GET /v1/%2e%2e/secret", "GET /v1/a/%2E./b", "GET /v1/..%2fsecret", "GET /v1/..%5csecret",
        "GET /v1/./files", "GET /v1/%zz/../x", "POST /v1//chat/completions", "POST //v1/messages",
        "POST /v1/chat%2Fcompletions", "POST /v1/chat/completions//", "POST /v1/chat/completions;a",
        "GET /v1/files/%00", "GET /v1/files/%c0%af", "GET http://localhost/v1//files" };

    gateway_world_start(&w, "");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int status = gateway_world_ask(&w, bad[i], "", "");
        if (status != 400)
            print_error("%s\n", bad[i]);
        EXPECT_INT(status, 400);
    }
    EXPECT_INT(
        /* the provider's own */
        gateway_world_ask(&w, "GET /v1/files/a..b?x=/../y", "", ""), 404);
    EXPECT(gateway_world_says(&w, "x-openclaw-provider: mock\r\n"));
    EXPECT_INT(gateway_world_ask(&w, "GET http://localhost/v1/files?limit=1", "", ""), 404);
    EXPECT_INT(
        gateway_world_ask(&w, "POST /v1/moderations", "", "{\"model\":\"mock/m\",\"input\":\"x\"}"),
        200);
    finish();
}

TEST(every_spelling_of_a_path_matches_the_same_route)
{
    static const char *const paths[] = { "/v1/chat/completions", "/v1/%63hat/completions",
        "/v1/chat/completions/", "/chat/completions", "/chat/completion%73/",
        "/v1/v1/chat/completions", "http://localhost/v1/cha%74/completions/" };
    static const char *const none[] = { "/V1/chat/completions", "/v1/Chat/Completions",
        "/v1/chat/COMPLETIONS/", "/CHAT/completions" };

    gateway_world_start(&w, "");
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        const char *line = arena_printf(w.arena, "POST %s%c", paths[i], 0).p;
        EXPECT_INT(gateway_world_ask(&w, line, JSON, WORLD_CHAT("mock/m", "")), 200);
    }
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        const char *line = arena_printf(w.arena, "POST %s%c", none[i], 0).p;
        EXPECT_INT(gateway_world_ask(&w, line, JSON, WORLD_CHAT("mock/m", "")), 404);
        EXPECT(!gateway_world_has(&w, "x-openclaw-provider"));
    }
    gateway_world_ask(&w, "GET /v1/%66iles/a%3ab/?limit=1&x=%2f", "", "");
    struct str got = gateway_world_received(&w);
    EXPECT(str_find(got, S("/v1/files/a%3Ab?limit=1&x=%2f")) != got.n);
    static char longest[7000] = "GET /files/a?x=";
    memset(longest + 15, 'y', sizeof(longest) - 16);
    int fd = peer_connect(w.port);
    EXPECT(peer_send(fd, str_c(longest)) &&
           peer_send(fd, S(" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")));
    (void)peer_recv_all(fd, &w.answer);
    (void)close(fd);
    got = gateway_world_received(&w);
    EXPECT(str_find(got, str_c(longest + 11)) != got.n);
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"endpoint\":\"chat_completions\""), ARRAY_LEN(paths));
    EXPECT_INT(gateway_world_logged(&w, "\"path\":\"/v1/files/a%3Ab\""), 1);
    gateway_world_forget(&w);
}

/* --- what an error tells an SDK to do --- */

TEST(every_error_has_x_should_retry)
{
    static const struct {
        const char *line, *fields, *body;
        int status;
        bool retry;
    } rows[] = {
        { "POST /v1/chat/completions", "", WORLD_CHAT("fast", ""), 401, false },
        { "POST /v1/messages", "", WORLD_MESSAGES("fast", ""), 401, false },
        { "POST /v1/chat/completions", CI, WORLD_CHAT("mock/other", ""), 403, false },
        { "GET /v1/files", CI, "", 403, false },
        { "GET /nowhere", OPS, "", 404, false },
        { "GET /v1/models/mock/x", CI, "", 404, false },
        { "DELETE /livez", "", "", 405, false },
        { "GET /v1//files", OPS, "", 400, false },
        { "POST /v1/chat/completions", OPS, "{", 400, false },
        { "POST /v1/chat/completions", OPS, "{}", 400, false },
        { "POST /v1/chat/completions", OPS, WORLD_CHAT("mock/fault-400", ""), 400, false },
        { "POST /v1/chat/completions", OPS, WORLD_CHAT("mock/fault-401", ""), 502, false },
        { "POST /v1/chat/completions", OPS, WORLD_CHAT("mock/fault-429", ""), 429, true },
        { "POST /v1/chat/completions", OPS, WORLD_CHAT("mock/fault-500", ""), 502, false },
        { "POST /v1/chat/completions", OPS, WORLD_CHAT("mock/fault-503", ""), 503, true },
        { "POST /v1/messages", OPS, WORLD_MESSAGES("anth/fault-529", ""), 529, true },
        { "POST /v1/chat/completions", OPS, WORLD_CHAT("dead/m", ""), 502, false },
        { "POST /v1/moderations", OPS, "{\"model\":\"mock/fault-400\",\"input\":\"x\"}", 400,
            false },
        { "POST /v1/moderations", OPS, "{\"model\":\"mock/fault-503\",\"input\":\"x\"}", 503,
            true },
        { "GET /livez HTTP/3", "", "", 400, false },
        { "GET /livez", "Content-Length: 0\r\n", "", 400, false },
    };

    gateway_world_start(&w, KEYS);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int status = gateway_world_ask(&w, rows[i].line, rows[i].fields, rows[i].body);

        if (status != rows[i].status)
            print_error("%s %s\n", rows[i].line, rows[i].body);
        EXPECT_INT(status, rows[i].status);
        EXPECT(gateway_world_says(
            &w, rows[i].retry ? "x-should-retry: true\r\n" : "x-should-retry: false\r\n"));
        EXPECT(gateway_world_has(&w, "Retry-After: ") || gateway_world_has(&w, "retry-after: ") ||
               (status != 429 && status != 503 && status != 529));
    }
    EXPECT_INT(gateway_world_chat(&w, OPS, WORLD_CHAT("mock/m", "")), 200);
    EXPECT(!gateway_world_has(&w, "x-should-retry"));
    finish();
}

TEST(without_a_model_and_a_default_provider_the_error_names_the_setting)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/files", "", ""), 404);
    EXPECT(gateway_world_says(&w, "x-openclaw-provider: mock\r\n"));
    EXPECT_INT(gateway_world_ask(&w, "GET /v1/files", "anthropic-version: 1\r\n", ""), 404);
    EXPECT(gateway_world_says(&w, "x-openclaw-provider: anth\r\n"));
    finish();
}

/* --- attempt and relay --- */

TEST(every_response_names_its_provider_and_every_request_is_logged_once)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_chat(&w, "x-request-id: mine-1\r\n", WORLD_CHAT("mock/m", "")), 200);
    EXPECT(gateway_world_says(&w, "x-request-id: mine-1\r\n"));
    EXPECT(gateway_world_says(&w, "x-openclaw-provider: mock\r\n"));
    EXPECT(gateway_world_says(&w, "x-openclaw-model: m\r\n"));
    EXPECT(gateway_world_says(&w, "x-openclaw-attempts: 1\r\n"));
    EXPECT(gateway_world_says(&w, "X-Content-Type-Options: nosniff\r\n"));
    EXPECT_INT(gateway_world_ask(
                   &w, "POST /v1/messages", "", WORLD_MESSAGES("mock/m", ",\"stream\":true")),
        200);
    EXPECT(gateway_world_says(&w, "event: message_stop"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("anth/m", ",\"stream\":true")), 200);
    EXPECT(gateway_world_says(&w, "data: [DONE]"));
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"status\":200"), 3);
    EXPECT_INT(gateway_world_logged(&w, "\"request_id\":\"mine-1\""), 1);
    EXPECT_INT(gateway_world_logged(&w, "sk-canary"), 0);
    gateway_world_forget(&w);
}

TEST(a_failure_before_the_first_token_falls_back_unnoticed)
{
    gateway_world_start(&w, "models:\n  safe: {targets: [dead/m, \"mock/fault-503\", "
                            "\"mock/m;fault=reset-before\", anth/m]}\n");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("safe", "")), 200);
    EXPECT(gateway_world_says(&w, "x-openclaw-attempts: 5\r\n"));    /* the third was lost: again */
    EXPECT(gateway_world_says(&w, "x-openclaw-provider: anth\r\n"));
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("safe", ",\"stream\":true")), 200);
    EXPECT(gateway_world_says(&w, "data: [DONE]"));
    gateway_world_stop(&w);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"upstream_connect\""), 2);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"upstream_overloaded\""), 2);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"upstream_stale\""), 2);
    EXPECT_INT(gateway_world_logged(&w, "\"outcome\":\"upstream_reset\""), 2);
    gateway_world_forget(&w);
}

TEST(when_all_targets_fail_the_error_names_them)
{
    gateway_world_start(&w, "models:\n  doomed: {targets: [dead/m, \"mock/fault-500\"]}\n");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("doomed", "")), 502);
    EXPECT(
        gateway_world_says(&w, "(tried dead/m: upstream_connect; mock/fault-500: upstream_error)"));
    finish();
}

TEST(a_broken_stream_ends_with_an_error_in_the_clients_protocol)
{
    gateway_world_start(&w, "");
    EXPECT_INT(
        gateway_world_chat(&w, "", WORLD_CHAT("mock/m;fault=reset-mid", ",\"stream\":true")), 200);
    EXPECT(gateway_world_says(&w, "\"code\":\"upstream_truncated\""));
    EXPECT(!gateway_world_has(&w, "\"finish_reason\":\"stop\""));
    EXPECT_INT(gateway_world_ask(&w, "POST /v1/messages", "",
                   WORLD_MESSAGES("mock/m;fault=reset-mid", ",\"stream\":true")),
        200);
    EXPECT(gateway_world_says(&w, "event: error\n"));
    EXPECT(!gateway_world_has(&w, "message_stop"));
    finish();
}

/* --- time --- */

TEST(the_clients_deadline_ends_a_longer_answer)
{
    gateway_world_start(&w, "");
    uint64_t from = clock_now_ms();
    EXPECT_INT(
        gateway_world_chat(&w, "x-openclaw-timeout: 150\r\n", WORLD_CHAT("mock/m;head=30s", "")),
        504);
    EXPECT(gateway_world_says(&w, "x-openclaw-error: deadline_exceeded\r\n"));
    EXPECT_INT(gateway_world_chat(&w, "x-openclaw-timeout: 150ms\r\n",
                   WORLD_CHAT("mock/m;tps=10;tokens=300", ",\"stream\":true")),
        200);
    EXPECT(gateway_world_says(&w, "deadline has passed"));
    EXPECT(clock_now_ms() - from < 10000);
    finish();
}

TEST(the_sdk_timeout_only_covers_the_start_of_an_answer)
{
    gateway_world_start(&w, "");
    EXPECT_INT(
        gateway_world_chat(&w, "x-stainless-timeout: 0.1\r\n", WORLD_CHAT("mock/m;head=30s", "")),
        504);
    EXPECT_INT(gateway_world_chat(&w, "x-stainless-read-timeout: 0.1\r\n",
                   WORLD_CHAT("mock/m;tps=10;tokens=15", ",\"stream\":true")),
        200);
    EXPECT(gateway_world_says(&w, "data: [DONE]"));
    finish();
}

TEST(a_client_deadline_cannot_exceed_the_configured_one)
{
    gateway_world_start(&w, "timeouts: {total: 100ms}\n");
    EXPECT_INT(
        gateway_world_chat(&w, "x-openclaw-timeout: 1h\r\n", WORLD_CHAT("mock/m;head=30s", "")),
        504);
    finish();
}

TEST(an_invalid_deadline_is_refused)
{
    gateway_world_start(&w, "");
    EXPECT_INT(
        gateway_world_chat(&w, "x-openclaw-timeout: soon\r\n", WORLD_CHAT("mock/m", "")), 400);
    EXPECT(gateway_world_says(&w, "x-openclaw-timeout is not a duration"));
    finish();
}

TEST(while_the_deadline_has_not_passed_another_target_is_asked_beside_a_slow_one)
{
    gateway_world_start(&w, "models:\n  slow: {targets: [\"mock/m;head=30s\", mock/m]}\n");
    EXPECT_INT(gateway_world_chat(&w, "x-openclaw-timeout: 500\r\n", WORLD_CHAT("slow", "")), 200);
    EXPECT(gateway_world_says(&w, "x-openclaw-attempts: 2\r\n"));
    finish();
}

TEST(after_the_deadline_no_further_target_is_tried)
{
    gateway_world_start(&w, "models:\n  slow: {targets: [\"mock/m;head=30s\", mock/m]}\ntimeouts: "
                            "{first_byte: 200ms}\nretry: {slow: 0s}\n");
    EXPECT_INT(gateway_world_chat(&w, "x-openclaw-timeout: 100\r\n", WORLD_CHAT("slow", "")), 504);
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("slow", "")), 200);
    EXPECT(gateway_world_says(&w, "x-openclaw-attempts: 2\r\n"));
    finish();
}
