/* test_auth.c - keys, where callers put them, and what they may use. */
#include "policy/auth.c"

#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

static struct auth_table *
table(struct loaded *l, const char *text)
{
    *l = load(str_c(text));
    EXPECT_STR(problem_lines(l), "");
    return auth_create(l->conf, &l->problems);
}

static void
drop(struct loaded *l, struct auth_table *t)
{
    auth_destroy(t);
    unload(l);
}

static const char *const two_keys = "auth:\n"
                                    "  keys:\n"
                                    "    - {name: ci, key: key-of-ci, models: [fast, openai/*]}\n"
                                    "    - {name: ops, key: key-of-ops}\n";

TEST(a_key_is_identified_by_its_name_and_a_part_of_its_hash)
{
    struct loaded l;
    struct auth_table *t = table(&l, two_keys);
    struct principal *who = NULL;

    EXPECT(auth_identify(t, S("key-of-ci"), 0, &who) == OK);
    EXPECT_STR(who->name, "ci");
    EXPECT_INT(strlen(who->hash_hex), AUTH_HASH_HEX_BYTES);
    EXPECT(auth_identify(t, S("key-of-ops"), 0, &who) == OK);
    EXPECT_STR(who->name, "ops");
    EXPECT_INT(in_flight_count(who->in_flight), 0);
    drop(&l, t);
}

TEST(unknown_missing_and_almost_correct_keys_are_refused_alike)
{
    static const char *const wrong[] = { "", "key-of-c", "key-of-ci ", "key-of-cI",
        "Bearer key-of-ci", "ci" };
    struct loaded l;
    struct auth_table *t = table(&l, two_keys);
    struct principal *who = NULL;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        EXPECT(auth_identify(t, str_c(wrong[i]), 0, &who) == ERR_AUTH);
    drop(&l, t);
}

TEST(a_key_says_whose_it_is_and_where_it_may_be_used)
{
    struct loaded l;
    struct auth_table *t = table(&l, "auth:\n"
                                     "  keys:\n"
                                     "    - name: ci\n"
                                     "      key: key-of-ci\n"
                                     "      team: search\n"
                                     "      project: ranking\n"
                                     "      user: ada@example.com\n"
                                     "      organisation: acme\n"
                                     "      environment: production\n"
                                     "      tags: [beta, cost-center=42]\n"
                                     "      cidrs: [10.0.0.0/8, unix]\n"
                                     "      origins: [https://chat.example.com]\n"
                                     "      endpoints: [messages, \"GET /v1/models*\"]\n"
                                     "      providers: [openai]\n"
                                     "      expires: \"2027-01-31T00:00:00Z\"\n");
    const uint64_t expires_ms = UINT64_C(1801353600000);
    struct principal *who = NULL;

    EXPECT(auth_identify(t, S("key-of-ci"), expires_ms - 1, &who) == OK);
    EXPECT_STR(who->key_id, "file:ci");
    EXPECT_STR(who->team, "search");
    EXPECT_STR(who->project, "ranking");
    EXPECT_STR(who->user, "ada@example.com");
    EXPECT_STR(who->org, "acme");
    EXPECT_STR(who->environment, "production");
    EXPECT_STR(who->tags->name, "beta");
    EXPECT_STR(who->tags->next->name, "cost-center");
    EXPECT_STR(who->tags->next->value, "42");
    EXPECT(who->tags->next->next == NULL);
    EXPECT(auth_allows_address(who, S("10.1.2.3")));
    EXPECT(auth_allows_address(who, S("unix")));
    EXPECT(!auth_allows_address(who, S("11.1.2.3")));
    EXPECT(!auth_allows_address(who, S("fe80::1%eth0")));
    EXPECT(!auth_allows_address(who, S("")));
    EXPECT(auth_allows_origin(who, S("https://chat.example.com")));
    EXPECT(auth_allows_origin(who, S("")));
    EXPECT(!auth_allows_origin(who, S("https://example.com")));
    EXPECT(auth_allows_endpoint(who, S("messages"), S("POST"), S("/v1/messages")));
    EXPECT(auth_allows_endpoint(who, S("model"), S("GET"), S("/v1/models/gpt-5")));
    EXPECT(!auth_allows_endpoint(who, S("model"), S("DELETE"), S("/v1/models/gpt-5")));
    EXPECT(!auth_allows_endpoint(who, S("embeddings"), S("POST"), S("/v1/embeddings")));
    EXPECT(auth_allows_provider(who, S("openai")));
    EXPECT(!auth_allows_provider(who, S("anthropic")));
    EXPECT(auth_identify(t, S("key-of-ci"), expires_ms, &who) == ERR_AUTH);
    EXPECT(who == NULL);
    drop(&l, t);
}

TEST(a_key_that_says_nothing_may_be_used_everywhere_and_for_everything)
{
    struct loaded l;
    struct auth_table *t = table(&l, two_keys);
    struct principal *who = NULL;

    EXPECT(auth_identify(t, S("key-of-ops"), UINT64_MAX, &who) == OK);
    EXPECT(auth_allows_address(who, S("203.0.113.9")) && auth_allows_address(who, S("unix")));
    EXPECT(auth_allows_origin(who, S("https://example.com")));
    EXPECT(auth_allows_endpoint(who, S("relay"), S("PUT"), S("/v1/anything")));
    EXPECT(auth_allows_provider(who, S("any")));
    drop(&l, t);
}

TEST(networks_and_times_that_are_none_are_problems)
{
    struct loaded l = load(S("auth: {keys: [{name: a, key: key-of-a, cidrs: [10.0.0.0/8, "
                             "10.0.0.1/8], expires: tomorrow}]}\n"));
    struct auth_table *t = auth_create(l.conf, &l.problems);

    EXPECT_STR(problem_lines(&l),
        "1:60: auth.keys.cidrs: '10.0.0.1/8' is not a network; write one such as 10.0.0.0/8 (bits after the "
        "prefix are zero), an address, or unix\n"
        "1:82: auth.keys.expires: write a time such as 2027-01-31T00:00:00Z\n");
    drop(&l, t);
}

TEST(the_table_stores_no_key_in_plain_text)
{
    struct loaded l;
    struct auth_table *t = table(&l, two_keys);

    for (size_t i = 0; i < t->count; i++)
        EXPECT(str_find(str_make((const char *)&t->list[i], sizeof(t->list[i])), S("key-of")) ==
               sizeof(t->list[i]));
    drop(&l, t);
}

TEST(without_configured_keys_every_client_is_anonymous_whatever_it_sends)
{
    struct loaded l;
    struct auth_table *t = table(&l, "auth: {mode: none}\n");
    struct principal *who = NULL;

    EXPECT(auth_identify(t, S(""), 0, &who) == OK);
    EXPECT_STR(who->name, "anonymous");
    EXPECT_STR(str_c(who->hash_hex), "");
    EXPECT(auth_identify(t, S("sk-anything"), 0, &who) == OK);
    EXPECT_STR(who->name, "anonymous");
    EXPECT(auth_allows_model(who, S("any/model")));
    drop(&l, t);
}

TEST(the_same_key_under_two_names_is_a_mistake)
{
    struct loaded l = load(S("auth:\n"
                             "  keys:\n"
                             "    - {name: a, key: the-same-key}\n"
                             "    - {name: b, key: the-same-key}\n"));
    struct auth_table *t = auth_create(l.conf, &l.problems);

    EXPECT_STR(
        problem_lines(&l), "4:7: auth.keys: two entries have the same key; give each its own\n");
    drop(&l, t);
}

static struct str
credential_in(const char *name, const char *value, const char *name2, const char *value2)
{
    struct http_field list[] = { { str_c(name), str_c(value) }, { str_c(name2), str_c(value2) } };
    struct http_fields fields = { list, ARRAY_LEN(list) };

    return auth_credential(&fields);
}

TEST(a_key_is_found_in_every_header_field_that_clients_use)
{
    EXPECT_STR(credential_in("Authorization", "Bearer k1", "x", ""), "k1");
    EXPECT_STR(credential_in("authorization", "bearer   k1  ", "x", ""), "k1");
    EXPECT_STR(credential_in("X-Api-Key", "k2", "x", ""), "k2");
    EXPECT_STR(credential_in("api-key", "k3", "x", ""), "k3");
    EXPECT_STR(credential_in("x-goog-api-key", "k4", "x", ""), "k4");
    EXPECT_STR(credential_in("x-api-key", "k2", "Authorization", "Bearer k1"), "k1");
    EXPECT_STR(credential_in("x-api-key", "k2", "Authorization", "Basic dTpw"), "k2");
    EXPECT_STR(credential_in("Authorization", "Basic dTpw", "x", ""), "");
    EXPECT_STR(credential_in("Cookie", "k", "x", ""), "");
}

TEST(an_empty_bearer_does_not_hide_the_key_in_another_field)
{
    EXPECT_STR(credential_in("Authorization", "Bearer ", "x-api-key", "k2"), "k2");
    EXPECT_STR(credential_in("Authorization", "Bearer", "x-api-key", "k2"), "k2");
}

TEST(a_star_matches_any_bytes)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        { "", "", true },
        { "", "a", false },
        { "*", "", true },
        { "*", "anything/at:all", true },
        { "openai/*", "openai/gpt-4o", true },
        { "openai/*", "openai/", true },
        { "openai/*", "openai", false },
        { "openai/*", "xopenai/gpt", false },
        { "*-mini", "gpt-4o-mini", true },
        { "*-mini", "gpt-4o-minimal", false },
        { "a*b*c", "a-b-b-c", true },
        { "a*b*c", "a-c-b", false },
        { "**", "x", true },
        { "fast", "FAST", false },
        { "fast", "faster", false },
        { "gpt-?", "gpt-4", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool matches = auth_glob(str_c(rows[i].pattern), str_c(rows[i].text));
        if (matches != rows[i].matches)
            print_error("pattern '%s' text '%s'\n", rows[i].pattern, rows[i].text);
        EXPECT(matches == rows[i].matches);
    }
}

TEST(a_hostile_name_cannot_make_a_pattern_slow)
{
    static char text[4096];

    memset(text, 'a', sizeof(text));
    EXPECT(!auth_glob(S("*a*a*a*a*a*a*a*a*b"), str_make(text, sizeof(text))));
}

TEST(a_key_with_a_list_of_models_may_use_only_those)
{
    struct loaded l;
    struct auth_table *t = table(&l, two_keys);
    struct principal *ci = NULL, *ops = NULL;

    EXPECT(auth_identify(t, S("key-of-ci"), 0, &ci) == OK &&
           auth_identify(t, S("key-of-ops"), 0, &ops) == OK);
    EXPECT(auth_allows_model(ci, S("fast")));
    EXPECT(auth_allows_model(ci, S("openai/gpt-4o")));
    EXPECT(!auth_allows_model(ci, S("smart")));
    EXPECT(!auth_allows_model(ci, S("")));
    EXPECT(auth_allows_model(ops, S("")));
    EXPECT(auth_allows_model(ops, S("smart")));
    drop(&l, t);
}

TEST(a_route_is_allowed_by_its_id_its_path_or_its_method_and_path)
{
    static struct conf_str models[] = { { .v = S_INIT("fast") } };
    static struct conf_str routes[] = { { .v = S_INIT("batches") },
        { .v = S_INIT("GET /v1/files/*") }, { .v = S_INIT("/v1/evals*") } };
    const struct principal limited = { .models = { models, 1 } }, free = { .models = { NULL, 0 } };
    const struct principal p = { .models = { models, 1 }, .routes = { routes, 3 } };

    EXPECT(auth_allows_route(&p, S("batches"), S("POST"), S("/v1/batches/b/cancel")));
    EXPECT(auth_allows_route(&p, S("files"), S("GET"), S("/v1/files/f/content")));
    EXPECT(!auth_allows_route(&p, S("files"), S("DELETE"), S("/v1/files/f")));
    EXPECT(!auth_allows_route(&p, S("files"), S("GET"), S("/v1/files")));
    EXPECT(auth_allows_route(&p, S("relay"), S("POST"), S("/v1/evals/e/runs")));
    EXPECT(!auth_allows_route(&p, S("relay"), S("POST"), S("/v1/vector_stores")));
    EXPECT(!auth_allows_route(&limited, S("files"), S("GET"), S("/v1/files")));
    EXPECT(auth_allows_route(&free, S("files"), S("DELETE"), S("/v1/files/f")));
}
