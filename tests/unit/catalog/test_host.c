/* test_host.c - the URLs of each host. */
#include "catalog/host.c"

#include "tests/unit/catalog/providers_world.h"

struct asked {
    const char *base;
    const char *version;
    enum llm_op op;
    const char *route;    /* of OP_RELAY, with its query */
    const char *query;
    const char *path;    /* wanted; NULL: there can be no such deployment */
};

static void
expect_path_of(const char *host, const struct asked *q, const char *model)
{
    struct arena *a = arena_create(1024 * 1024);
    struct str version =
        q->version != NULL ? arena_printf(a, ", api_version: %s", q->version) : S("");
    struct loaded l = load(arena_printf(a,
        "providers: {lab: {wire: openai-chat, host: %s, api_key: k, base_url: \"http://h%s\"" STR_FMT
        "}}\n",
        host, q->base, STR_ARG(version)));
    struct providers *all = providers_create(l.conf, S(""), &l.problems);
    const struct wire_target t = { .model = str_c(model) };
    struct llm_request r = {
        .arena = a, .op = q->op, .path = q->route != NULL ? str_c(q->route) : S("")
    };
    struct buf out;

    EXPECT_STR(problem_lines(&l), "");
    buf_init(&out, 4096);
    buf_add(&out, S("before"));    /* of another's */
    bool ok = host_write_path(&out, &providers_find(all, S("lab"))->address, &wire_openai_chat, &r,
        &t, q->query != NULL ? str_c(q->query) : S(""));
    EXPECT(ok == (q->path != NULL));
    if (ok)
        EXPECT_STR(str_skip(buf_str(&out), 6), q->path);
    buf_fini(&out);
    providers_destroy(all);
    unload(&l);
    arena_destroy(a);
}

static void
expect_path(const char *host, const struct asked *q)
{
    expect_path_of(host, q, "gpt 4o");
}

TEST(a_direct_host_has_the_paths_of_the_protocol)
{
    static const struct asked rows[] = {
        { "/v1", NULL, OP_CHAT, NULL, NULL, "/v1/chat/completions" },
        { "/v1/", NULL, OP_EMBED, NULL, "api-version=1&x", "/v1/embeddings?api-version=1&x" },
        { "", NULL, OP_RELAY, "/files?limit=2", NULL, "/files?limit=2" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_path("direct", &rows[i]);
}

TEST(azure_s_v1_api_has_the_paths_of_openai)
{
    static const struct asked rows[] = {
        { "", NULL, OP_CHAT, NULL, NULL, "/openai/v1/chat/completions" },
        { "/openai", NULL, OP_CHAT, NULL, NULL, "/openai/v1/chat/completions" },
        { "/openai/v1/", NULL, OP_CHAT, NULL, NULL, "/openai/v1/chat/completions" },
        { "/apim/openai/v1", NULL, OP_EMBED, NULL, "x=1", "/apim/openai/v1/embeddings?x=1" },
        { "", "preview", OP_CHAT, NULL, NULL, "/openai/v1/chat/completions?api-version=preview" },
        { "/openai/v1", "2025-04-01-preview", OP_RELAY, "/responses?include=a", NULL,
            "/openai/v1/responses?api-version=2025-04-01-preview&include=a" },
        { "", NULL, OP_RELAY, "/audio/speech", NULL, "/openai/v1/audio/speech" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_path("azure", &rows[i]);
}

TEST(azure_s_dated_api_names_the_deployment_in_the_path_and_the_version_in_the_query)
{
    static const struct asked rows[] = {
        { "", "2024-10-21", OP_CHAT, NULL, NULL,
            "/openai/deployments/gpt%204o/chat/completions?api-version=2024-10-21" },
        { "/openai/", "2024-10-21", OP_EMBED, NULL, "x=1&api-version=2020-01-01&y",
            "/openai/deployments/gpt%204o/embeddings?api-version=2024-10-21&x=1&y" },
        { "/apim", "2024-10-21", OP_COMPLETE, NULL, "api-version=2020-01-01",
            "/apim/openai/deployments/gpt%204o/completions?api-version=2024-10-21" },
        { "", "2024-10-21", OP_RELAY, "/images/generations", NULL,
            "/openai/deployments/gpt%204o/images/generations?api-version=2024-10-21" },
        { "", "2024-10-21", OP_RELAY, "/audio/transcriptions?api-versions=1", NULL,
            "/openai/deployments/gpt%204o/audio/transcriptions?api-version=2024-10-21&api-versions=1" },
        { "", "2024-10-21", OP_RELAY, "/files/f1?limit=2", NULL,
            "/openai/files/f1?api-version=2024-10-21&limit=2" },
        { "", "2024-10-21", OP_RELAY, "/responses", NULL,
            "/openai/responses?api-version=2024-10-21" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_path("azure", &rows[i]);
}

TEST(models_of_other_makers_at_microsoft_have_a_version_in_the_query)
{
    static const struct asked rows[] = {
        { "/models", NULL, OP_CHAT, NULL, NULL,
            "/models/chat/completions?api-version=2024-05-01-preview" },
        { "/models", "2025-04-01", OP_EMBED, NULL, "x=1",
            "/models/embeddings?api-version=2025-04-01&x=1" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_path("azure-ai", &rows[i]);
}

TEST(a_caller_s_own_version_goes_however_it_is_written)
{
    static const struct asked row = { "/openai", "1", OP_CHAT, NULL,
        "api%2Dversion=2&x=1;API-Version=3&y=2;z=3&api-version",
        "/openai/deployments/gpt%204o/chat/completions?api-version=1&x=1&y=2;z=3" };

    expect_path("azure", &row);
}

TEST(a_deployment_has_a_name_that_cannot_be_taken_for_a_path)
{
    static const char *const bad[] = { ".", "..", "a/b", "gpt-x/../secret", "a\\b" };

    static const struct asked refused = { "/openai", "1", OP_CHAT, NULL, NULL, NULL };
    static const struct asked dots = { "/openai", "1", OP_CHAT, NULL, NULL,
        "/openai/deployments/.../chat/completions?api-version=1" };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_path_of("azure", &refused, bad[i]);
    expect_path_of("azure", &dots, "...");
}

TEST(a_model_in_the_query_is_replaced_at_every_host)
{
    struct arena *a = arena_create(64 * 1024);
    struct str path = S("/realtime?x=1&model=azure%2Fm&y=2");
    struct llm_request r = { .arena = a, .op = OP_RELAY, .path = path };
    struct host_address at = {
        .host = &host_azure, .base_path = S("/openai"), .query = S("api-version=1")
    };
    const struct wire_target t = { .model = S("m/1") };
    struct buf out;

    r.path_model = str_make(path.p + str_find(path, S("azure")), S("azure%2Fm").n);
    buf_init(&out, 4096);
    EXPECT(host_write_path(&out, &at, &wire_openai_chat, &r, &t, S("")));
    EXPECT_STR(buf_str(&out), "/openai/realtime?api-version=1&x=1&model=m%2F1&y=2");
    at.query = S("");
    buf_truncate(&out, 0);
    EXPECT(host_write_path(&out, &at, &wire_openai_chat, &r, &t, S("")));
    EXPECT_STR(buf_str(&out), "/openai/realtime?x=1&model=m%2F1&y=2");
    buf_fini(&out);
    arena_destroy(a);
}
