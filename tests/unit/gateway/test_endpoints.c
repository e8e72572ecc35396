/* test_endpoints.c - which route a request is for. */
#include "gateway/endpoints.c"

#include "tests/test.h"

static const struct endpoint *
find_one(const char *method, const char *path, enum err *ret)
{
    static char room[256];
    struct arena *a = arena_create(4096);
    struct http_path p;

    EXPECT(http_path_normalise(a, str_c(path), &p) == NULL);
    str_copy_c(room, sizeof(room), endpoint_path(p.text));
    p.text = str_c(room);
    arena_destroy(a);
    return endpoint_find(str_c(method), &p, ret);
}

TEST(a_star_in_the_middle_stands_for_any_text)
{
    static const struct {
        const char *pattern, *path;
        bool matches;
    } rows[] = {
        { "/v1beta/models/*:generateContent", "/v1beta/models/m:generateContent", true },
        { "/v1beta/models/*:generateContent", "/v1beta/models/a/b:1:generateContent", true },
        { "/v1beta/models/*:generateContent", "/v1beta/models/:generateContent", false },
        { "/v1beta/models/*:generateContent", "/v1beta/models:generateContent", false },
        { "/v1beta/models/*:generateContent", "/v1beta/models/m:countTokens", false },
        { "/v1beta/models/*:generateContent", "/v1beta/models/m:generateContent/", false },
        { "/model/*/converse", "/model/converse", false },
        { "/model/*/converse", "/model/a%2Fb/converse", true },
        { "/files/**", "/files", true },
        { "/files/**", "/files/a/b", true },
        { "/files/**", "/filesystem", false },
        { "/v1/*", "/v1/", false },
        { "/v1/*", "/v1/a", true },
    };
    static const struct endpoint row = { .path = S_INIT("/model/*/converse") };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT(path_matches(str_c(rows[i].pattern), str_c(rows[i].path), false) == rows[i].matches);
    EXPECT_STR(endpoint_star(&row, S("/model/a%2Fb/converse")), "a%2Fb");
}

TEST(paths_and_methods_lead_to_their_row)
{
    static const struct {
        const char *method, *path;
        enum endpoint_id id;
        enum err e;
    } rows[] = {
        { "POST", "/v1/chat/completions", ENDPOINT_chat_completions, OK },
        { "POST", "/chat/completions", ENDPOINT_chat_completions, OK },
        { "POST", "/v1/messages", ENDPOINT_messages, OK },
        { "POST", "/messages", ENDPOINT_messages, OK },
        { "POST", "/v1/messages/count_tokens", ENDPOINT_count_tokens, OK },
        { "GET", "/v1/models", ENDPOINT_models, OK },
        { "HEAD", "/v1/models", ENDPOINT_models, OK },
        { "GET", "/v1/models/gpt-4o", ENDPOINT_model, OK },
        { "GET", "/v1/models/openai/gpt-4o", ENDPOINT_model, OK },
        { "POST", "/api/chat", ENDPOINT_ollama_chat, OK },
        { "POST", "/v1/api/chat", ENDPOINT_relay, OK },
        { "GET", "/api/tags", ENDPOINT_ollama_tags, OK },
        { "GET", "/api/chat", ENDPOINT_ollama_chat, ERR_METHOD },
        { "POST", "/v2/chat", ENDPOINT_cohere_chat, OK },
        { "POST", "/chat", ENDPOINT_cohere_chat, OK },
        { "POST", "/v1/chat", ENDPOINT_relay, OK },
        { "POST", "/v2/rerank", ENDPOINT_cohere_rerank, OK },
        { "POST", "/rerank", ENDPOINT_rerank, OK },
        { "GET", "/v2/chat", ENDPOINT_cohere_chat, ERR_METHOD },
        { "POST", "/api/v1/chat/completions", ENDPOINT_router_chat, OK },
        { "POST", "/api/v1/messages", ENDPOINT_router_messages, OK },
        { "GET", "/api/v1/models", ENDPOINT_router_models, OK },
        { "GET", "/api/v1/models/count", ENDPOINT_router_models_count, OK },
        { "GET", "/api/v1/key", ENDPOINT_router_key, OK },
        { "GET", "/api/v1/chat/completions", ENDPOINT_router_chat, ERR_METHOD },
        { "GET", "/key", ENDPOINT_none, ERR_NO_ROUTE },
        { "GET", "/v1/key", ENDPOINT_relay, OK },
        { "GET", "/livez", ENDPOINT_livez, OK },
        { "GET", "/", ENDPOINT_root, OK },
        { "POST", "/v1/messages/batches", ENDPOINT_message_batches, OK },
        { "GET", "/v1/messages/batches/b/results", ENDPOINT_message_batches, OK },
        { "POST", "/v1/messages/other", ENDPOINT_relay_messages, OK },
        { "POST", "/v1/responses", ENDPOINT_responses, OK },
        { "POST", "/responses/", ENDPOINT_responses, OK },
        { "GET", "/v1/responses", ENDPOINT_responses, ERR_METHOD },
        { "GET", "/v1/responses/r-1", ENDPOINT_stored_responses, OK },
        { "POST", "/v1/responses/r-1/cancel", ENDPOINT_stored_responses, OK },
        { "POST", "/v1/Responses", ENDPOINT_relay, ERR_NO_ROUTE },
        { "POST", "/v1/responses/Compact", ENDPOINT_stored_responses, ERR_NO_ROUTE },
        { "DELETE", "/v1/files/f-1", ENDPOINT_files, OK },
        { "GET", "/v1/files", ENDPOINT_files, OK },
        { "GET", "/v1/filesystem", ENDPOINT_relay, OK },
        { "GET", "/v1/fileS", ENDPOINT_relay, ERR_NO_ROUTE },
        { "GET", "/files/f-1", ENDPOINT_files, OK },
        { "GET", "/models/a", ENDPOINT_model, OK },
        { "POST", "/unheard", ENDPOINT_none, ERR_NO_ROUTE },
        { "GET", "/v1/chat/completions", ENDPOINT_chat_completions, ERR_METHOD },
        { "POST", "/v1/models", ENDPOINT_models, ERR_METHOD },
        { "POST", "/livez", ENDPOINT_livez, ERR_METHOD },
        { "POST", "/metrics", ENDPOINT_metrics, ERR_METHOD },
        { "GET", "/chat/completions", ENDPOINT_chat_completions, ERR_METHOD },
        { "TRACE", "/v1/files", ENDPOINT_files, ERR_METHOD },
        { "PROPFIND", "/v1/files", ENDPOINT_files, ERR_METHOD },
        { "OPTIONS", "/v1/files", ENDPOINT_files, ERR_METHOD },
        { "OPTIONS", "*", ENDPOINT_none, ERR_NO_ROUTE },
        { "PATCH", "/v1/assistants/a", ENDPOINT_relay, OK },
        { "GET", "/v1", ENDPOINT_none, ERR_NO_ROUTE },
        { "GET", "/v1/", ENDPOINT_none, ERR_NO_ROUTE },
        { "GET", "/v2/models", ENDPOINT_none, ERR_NO_ROUTE },
        { "POST", "/files", ENDPOINT_files, OK },
        { "POST", "/V1/chat/completions", ENDPOINT_none, ERR_NO_ROUTE },
        { "POST", "/v1/%63hat/completions", ENDPOINT_chat_completions, OK },
        { "POST", "/v1/chat/completions/", ENDPOINT_chat_completions, OK },
        { "POST", "/chat/completion%73/", ENDPOINT_chat_completions, OK },
        { "POST", "/v1/v1/messages", ENDPOINT_messages, OK },
        { "POST", "/v1/v1/v1/chat/completions", ENDPOINT_chat_completions, OK },
        { "GET", "/v1/models/", ENDPOINT_models, OK },
        { "GET", "/v1/models/a%2Fb", ENDPOINT_model, OK },
        { "POST", "/v1/Chat/Completions", ENDPOINT_relay, ERR_NO_ROUTE },
        { "POST", "/v1/chat/completionS", ENDPOINT_relay, ERR_NO_ROUTE },
        { "GET", "/v1/MODELS", ENDPOINT_relay, ERR_NO_ROUTE },
        { "GET", "/v1/Models/a", ENDPOINT_relay, ERR_NO_ROUTE },
        { "POST", "/v1/Messages/batches", ENDPOINT_relay, ERR_NO_ROUTE },
        { "POST", "/v1/messages/Count_Tokens", ENDPOINT_relay_messages, ERR_NO_ROUTE },
        { "POST", "/v1/chat%2Fcompletions", ENDPOINT_relay, ERR_BAD_REQUEST },
        { "POST", "/v1/chat%5ccompletions", ENDPOINT_relay, ERR_BAD_REQUEST },
        { "POST", "/v1/chat/completions;a=b", ENDPOINT_relay, ERR_BAD_REQUEST },
        { "POST", "/v1/chat;a/completions", ENDPOINT_relay, ERR_BAD_REQUEST },
        { "POST", "/v1/chat/completions%3Fa", ENDPOINT_relay, ERR_BAD_REQUEST },
        { "POST", "/v1/messages%2fbatches", ENDPOINT_relay, ERR_BAD_REQUEST },
        { "POST", "/v1/chat%252Fcompletions", ENDPOINT_relay, OK },
        { "post", "/v1/chat/completions", ENDPOINT_chat_completions, ERR_METHOD },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum err e = ERR_DEADLINE;    /* whatever was there */
        const struct endpoint *found = find_one(rows[i].method, rows[i].path, &e);

        if (found != &endpoints[rows[i].id] || e != rows[i].e)
            print_error("%s %s: %s\n", rows[i].method, rows[i].path, found->id);
        EXPECT(found == &endpoints[rows[i].id]);
        EXPECT_INT(e, rows[i].e);
    }
}

TEST(the_base_is_added_to_a_path_that_lacks_it)
{
    EXPECT_STR(
        endpoint_lacks(&endpoints[ENDPOINT_chat_completions], S("/chat/completions")), "/v1");
    EXPECT_STR(
        endpoint_lacks(&endpoints[ENDPOINT_chat_completions], S("/v1/chat/completions")), "");
    EXPECT_STR(endpoint_lacks(&endpoints[ENDPOINT_files], S("/files/v1/")), "/v1");
    EXPECT_STR(endpoint_lacks(&endpoints[ENDPOINT_livez], S("/livez")), "");
}

TEST(the_methods_of_a_route_are_named)
{
    EXPECT_STR(endpoint_methods(&endpoints[ENDPOINT_relay]), "GET, HEAD, POST, PUT, PATCH, DELETE");
    EXPECT_STR(endpoint_methods(&endpoints[ENDPOINT_models]), "GET, HEAD");
    EXPECT_STR(endpoint_methods(&endpoints[ENDPOINT_messages]), "POST");
}

TEST(each_endpoint_has_a_name)
{
    for (unsigned i = 0; i < ENDPOINT_COUNT; i++) {
        EXPECT(strcmp(endpoints[i].id, endpoint_names[i]) == 0);
        EXPECT_INT(endpoint_number(&endpoints[i]), i);
        EXPECT(endpoints[i].wire->caller != NULL);
    }
}

TEST(a_keys_routes_must_exist)
{
    static const struct {
        const char *text;
        const char *problem;
    } rows[] = {
        { "files", NULL },
        { "/v1/files/*", NULL },
        { "GET /v1/files", NULL },
        { "*", NULL },
        { "file", "there is no route 'file'; did you mean 'files'?" },
        { "livez", "there is no route 'livez'" },
        { "none", "there is no route 'none'" },
        { "zzzzzzzz", "there is no route 'zzzzzzzz'; write an id, or a path like /v1/files/*" },
    };
    struct arena *a = arena_create(64 * 1024);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct conf_str route = { .v = str_c(rows[i].text) };
        struct conf_key key = { .routes = { &route, 1 } };
        struct conf_auth auth = { .keys = &key, .key_count = 1 };
        struct conf_problems problems;

        conf_problems_init(&problems, a);
        endpoint_check_keys(&auth, &problems);
        EXPECT_INT(problems.count, rows[i].problem != NULL);
        if (rows[i].problem != NULL) {
            struct str text = problems.first->text;
            EXPECT(str_find(text, str_c(rows[i].problem)) != text.n);
        }
    }
    arena_destroy(a);
}

TEST(what_a_client_says_of_itself_selects_a_dialect_or_the_form_of_a_list)
{
    struct http_field mistral = { S("User-Agent"),
        S("speakeasy-sdk/python 3.7.0 1.0.0 mistralai") };
    struct http_field cohere = { S("X-Fern-SDK-Name"), S("cohere") };
    struct http_field other = { S("X-Fern-SDK-Name"), S("elsewhere") };
    struct http_head from_mistral = { .fields = { &mistral, 1 } };
    struct http_head from_cohere = { .fields = { &cohere, 1 } };
    struct http_head from_other = { .fields = { &other, 1 } };
    const struct wire *dialect = wire_openai_chat.dialect;

    EXPECT(endpoint_wire(&endpoints[ENDPOINT_chat_completions], &from_mistral) == dialect);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_models], &from_mistral) == dialect);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_embeddings], &from_mistral) == dialect);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_completions], &from_mistral) == &wire_openai_chat);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_router_chat], &from_mistral) == &wire_openai_chat);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_messages], &from_mistral) == &wire_anthropic);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_models], &from_cohere) == &wire_cohere);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_models], &from_other) == &wire_openai_chat);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_rerank], &from_cohere) == &wire_openai_chat);
}

TEST(an_anthropic_version_field_selects_the_protocol_on_shared_routes)
{
    struct http_field field = { S("Anthropic-Version"), S("2023-06-01") };
    struct http_head with = { .fields = { &field, 1 } }, without = { .fields = { NULL, 0 } };

    EXPECT(endpoint_wire(&endpoints[ENDPOINT_models], &with) == &wire_anthropic);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_models], &without) == &wire_openai_chat);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_relay], &with) == &wire_anthropic);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_none], &with) == &wire_anthropic);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_chat_completions], &with) == &wire_openai_chat);
    EXPECT(endpoint_wire(&endpoints[ENDPOINT_messages], &without) == &wire_anthropic);
}
