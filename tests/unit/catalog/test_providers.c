/* test_providers.c - the set of active providers: from the configuration, from the environment, and what is wrong
 * with it. */
#include "catalog/providers.c"

#include "tests/unit/catalog/providers_world.h"
#include "tests/unit/llm/wire_names.h"

struct made {
    struct loaded l;
    struct providers *all;
    struct arena *a;
};

static struct made
make_with(const char *text, struct str simulated_url)
{
    struct made r = { .l = load(str_c(text)), .a = arena_create(1024 * 1024) };

    r.all = providers_create(r.l.conf, simulated_url, &r.l.problems);
    return r;
}

static struct made
make(const char *text)
{
    forget_environment();
    return make_with(text, S(""));
}

static void
drop(struct made *r)
{
    providers_destroy(r->all);
    arena_destroy(r->a);
    unload(&r->l);
}

static struct str
warnings_of(const struct made *r)
{
    struct conf_problems warnings;

    conf_problems_init(&warnings, r->a);
    providers_warnings(r->all, &warnings);
    return joined_warnings(&warnings, r->a);
}

TEST(a_known_provider_only_needs_its_key)
{
    struct made r =
        make("providers:\n  openai: {api_key: sk-1}\n  anthropic: {api_key: [sk-2, sk-3]}\n");
    const struct provider *p = providers_find(r.all, S("openai"));

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(p->origin->host, "api.openai.com");
    EXPECT_STR(p->address.base_path, "/v1");
    EXPECT_INT(p->credential_count, 1);
    EXPECT_STR(p->credentials[0], "Authorization: Bearer sk-1\r\n");
    p = providers_find(r.all, S("anthropic"));
    EXPECT(p->wire == &wire_anthropic);
    EXPECT_INT(p->credential_count, 2);
    EXPECT_STR(p->credentials[1], "x-api-key: sk-3\r\n");
    EXPECT(providers_find(r.all, S("mock")) == NULL);
    EXPECT(providers_at(r.all, 2) == NULL);
    EXPECT(!providers_simulated(r.all));
    drop(&r);
}

TEST(a_custom_provider_needs_a_wire_and_a_base_url)
{
    struct made r =
        make("providers:\n"
             "  lab: {wire: openai-chat, base_url: \"http://10.0.0.5:8000/v1/\", api_key: k}\n"
             "  lab2: {wire: anthropic-messages, base_url: \"http://10.0.0.6\", api_key: k}\n"
             "  lab3: {wire: openai-chat, base_url: \"http://10.0.0.7\"}\n");
    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(providers_find(r.all, S("lab"))->address.base_path, "/v1");
    EXPECT_STR(providers_find(r.all, S("lab"))->credentials[0], "Authorization: Bearer k\r\n");
    EXPECT_STR(providers_find(r.all, S("lab2"))->credentials[0], "x-api-key: k\r\n");
    EXPECT_INT(providers_find(r.all, S("lab3"))->credential_count, 0);
    drop(&r);
}

TEST(errors_in_a_provider_are_reported_with_their_position)
{
    static const struct {
        const char *text;
        const char *problem;
    } rows[] = {
        { "providers:\n  opnai: {api_key: k}\n",
            "2:3: providers.opnai: not a provider we know; did you mean 'openai'? For your own "
            "server add wire and "
            "base_url\n" },
        { "providers:\n  my-very-own: {api_key: k}\n",
            "2:3: providers.my-very-own: not a provider we know; add wire (for example "
            "openai-chat) and base_url\n" },
        { "providers:\n  perplexity: {}\n  openai: {}\n",
            "2:3: providers.perplexity: it has no key; write api_key: \"${PERPLEXITY_API_KEY}\", or set that "
            "variable\n"
            "3:3: providers.openai: it has no key; write api_key: \"${OPENAI_API_KEY}\", or set that variable\n" },
        { "providers:\n  lab: {wire: telnet, base_url: \"http://h\"}\n",
            "2:15: providers.lab.wire: 'telnet' is not a wire of this version; use WIRES\n" },
        { "providers:\n  cloudflare: {api_key: k}\n",
            "2:3: providers.cloudflare: base_url is missing; write base_url: https://...\n" },
        { "providers:\n  azure: {base_url: \"https://r.openai.azure.com\"}\n",
            "2:3: providers.azure: it has no key; write api_key: \"${AZURE_OPENAI_API_KEY}\", or set that "
            "variable\n" },
        { "providers:\n  azure: {api_key: k, base_url: \"https://r.openai.azure.com/openai/deployments/gpt\"}\n",
            "2:33: providers.azure.base_url: ends with a deployment; end it before '/deployments', and name "
            "the deployment as the model\n" },
        { "providers:\n  lab: {wire: openai-chat, host: aszure, base_url: \"http://h\"}\n",
            "2:34: providers.lab.host: 'aszure' is not a host of this version; use direct, azure, azure-ai, "
            "bedrock, bedrock-mantle, vertex, vertex-anthropic or vertex-openai\n" },
        { "providers:\n  openai: {api_key: k, api_version: 2024-10-21}\n",
            "2:37: providers.openai.api_version: the host 'direct' has no versions; remove it\n" },
        { "providers:\n  openai: {api_key: k, quirks: [slow]}\n",
            "2:33: providers.openai.quirks: there is no quirk 'slow'; use no_stream_options, "
            "max_tokens, no_developer "
            "or strict_keys\n" },
        { "providers:\n  openai: {api_key: k, traits: {no_developer: 1, slow: true}}\n",
            "2:3: providers.openai.traits: 'no_developer: 1' is not a trait; write true or false\n"
            "2:3: providers.openai.traits: 'slow: true' is not a trait; use one of "
            "no_stream_options, max_tokens, no_developer, strict_keys, mistral, nine_letter_ids, "
            "text_strings, system_first, reasoning_back, reasoning_details, responses, signed_thoughts, predicts, "
            "embedding, reasoning, sampling_fixed, "
            "no_prefill, no_forced_tools, schema_limits, no_finish_reason, takes_routing, thinking, "
            "thinking_switch, max_output\n" },
        { "providers:\n  openai: {api_key: k}\ndefault_provider: groq\n",
            "3:19: default_provider: no provider 'groq' is configured\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct made r = make(rows[i].text);
        EXPECT_STR(problem_lines(&r.l), wire_names_in(rows[i].problem));
        drop(&r);
    }
}

TEST(a_provider_at_another_address_or_with_fields_of_its_own_needs_no_key)
{
    struct made r = make("providers:\n"
                         "  openai: {base_url: \"http://10.0.0.5:8000/v1\"}\n"
                         "  groq: {headers: {x-key: secret}}\n"
                         "  xai: {disabled: true}\n");

    EXPECT_STR(problem_lines(&r.l), "");
    drop(&r);
}

TEST(the_key_goes_where_the_row_or_the_host_or_the_protocol_has_it)
{
    struct made r = make(
        "providers:\n"
        "  reka: {api_key: k}\n"
        "  azure: {api_key: k, base_url: \"http://r.openai.azure.com\"}\n"
        "  west: {wire: openai-chat, host: azure, api_key: k, base_url: \"http://w.openai.azure.com\"}\n"
        "  claude: {wire: anthropic-messages, api_key: k, base_url: \"http://h\"}\n"
        "  ollama: {api_key: k}\n");
    static const char *const want[][2] = {
        { "reka", "X-Api-Key: k\r\n" },
        { "azure", "api-key: k\r\n" },
        { "west", "api-key: k\r\n" },
        { "claude", "x-api-key: k\r\n" },
        { "ollama", "Authorization: Bearer k\r\n" },
    };

    EXPECT_STR(problem_lines(&r.l), "");
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        EXPECT_STR(providers_find(r.all, str_c(want[i][0]))->credentials[0], want[i][1]);
    EXPECT(
        providers_find(r.all, S("azure"))->offer == NULL);    /* it would list what is not deployed */
    EXPECT(providers_find(r.all, S("reka"))->offer != NULL);
    drop(&r);
}

TEST(a_disabled_provider_is_not_in_the_table)
{
    struct made r =
        make("providers:\n  openai: {api_key: k, disabled: true}\n  groq: {api_key: k}\n");

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT(providers_find(r.all, S("openai")) == NULL);
    EXPECT_STR(providers_at(r.all, 0)->id, "groq");
    drop(&r);
}

TEST(a_table_without_providers_is_valid_with_a_warning)
{
    struct made off = make("providers: {openai: {api_key: k, disabled: true}}\n");
    struct made on = make("providers: {openai: {api_key: k}}\n");
    struct made simulated = make_with("", S("http://127.0.0.1:1/v1"));

    EXPECT_STR(problem_lines(&off.l), "");
    EXPECT_STR(warnings_of(&off), "no provider is switched on: every request for a model fails; "
                                  "write one under providers, with its key");
    EXPECT_STR(warnings_of(&on), "");
    EXPECT_STR(warnings_of(&simulated), "");
    drop(&off);
    drop(&on);
    drop(&simulated);
}

TEST(quirks_in_the_file_replace_the_rows)
{
    struct made r = make("providers:\n"
                         "  groq: {api_key: k}\n"
                         "  mistral: {api_key: k, quirks: [no_developer]}\n"
                         "  xai: {api_key: k, quirks: []}\n");

    EXPECT_INT(providers_find(r.all, S("groq"))->traits.no_developer, YES);
    EXPECT_INT(providers_find(r.all, S("mistral"))->traits.no_developer, YES);
    EXPECT_INT(providers_find(r.all, S("mistral"))->traits.strict_keys, UNSAID);
    EXPECT_INT(providers_find(r.all, S("xai"))->traits.no_developer, UNSAID);
    drop(&r);
}

TEST(configured_header_fields_become_complete_lines)
{
    struct made r = make(
        "providers:\n  openai: {api_key: k, headers: {x-team: research, OpenAI-Project: p1}}\n");

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(
        providers_find(r.all, S("openai"))->fields, "x-team: research\r\nOpenAI-Project: p1\r\n");
    drop(&r);
}

TEST(the_maximum_number_of_configured_header_fields_is_sent)
{
    struct buf text;

    buf_init(&text, 64 * 1024);
    buf_add(&text, S("providers:\n  openai:\n    api_key: k\n    headers:\n"));
    for (int i = 0; i < 20; i++)
        buf_printf(&text, "      x-field-%02d: %0*d\n", i, 130, i);
    buf_add_c(&text, '\0');
    struct made r = make(buf_str(&text).p);
    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_INT(providers_find(r.all, S("openai"))->fields.n, 20 * (10 + 2 + 130 + 2));
    drop(&r);
    buf_fini(&text);
}

TEST(without_configured_providers_those_with_a_key_in_the_environment_are_enabled)
{
    forget_environment();
    setenv("GROQ_API_KEY", "gsk-1", 1);
    setenv("OPENAI_API_KEY", "sk-1", 1);
    setenv("PPLX_API_KEY", "", 1);
    struct made r = make_with("", S("http://127.0.0.1:1/v1"));

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_INT(r.all->count, 2);
    EXPECT_STR(providers_find(r.all, S("groq"))->credentials[0], "Authorization: Bearer gsk-1\r\n");
    EXPECT(!providers_simulated(r.all));
    drop(&r);
    forget_environment();
}

TEST(a_configured_provider_without_a_key_uses_the_one_in_the_environment)
{
    forget_environment();
    setenv("OPENAI_API_KEY", "sk-env", 1);
    struct made r = make_with("providers:\n  openai: {}\n  groq: {api_key: k}\n", S(""));

    EXPECT_STR(
        providers_find(r.all, S("openai"))->credentials[0], "Authorization: Bearer sk-env\r\n");
    drop(&r);
    r = make_with("providers:\n  openai: {api_key: sk-file}\n", S(""));
    EXPECT_INT(providers_find(r.all, S("openai"))->credential_count, 1);
    EXPECT_STR(
        providers_find(r.all, S("openai"))->credentials[0], "Authorization: Bearer sk-file\r\n");
    drop(&r);
    forget_environment();
}

TEST(a_key_in_the_environment_that_is_invalid_in_a_header_field_is_refused_and_never_shown)
{
    static char longest[2050];
    static const char *const bad[] = { "sk-canary\r\nX-Smuggled: 1", "sk-canary two",
        "sk-canary\x01", longest };

    memset(longest, 'a', sizeof(longest) - 1);
    forget_environment();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        setenv("PPLX_API_KEY", bad[i], 1);
        struct made r = make_with("", S(""));
        struct str said = problem_lines(&r.l);

        EXPECT(str_starts(said, S("providers.perplexity: the environment's PPLX_API_KEY ")));
        EXPECT(str_find(said, S("canary")) == said.n && str_find(said, S("aaaa")) == said.n);
        EXPECT_INT(providers_find(r.all, S("perplexity"))->credential_count, 0);
        drop(&r);
    }
    longest[2048] = '\0';
    setenv("PPLX_API_KEY", longest, 1);
    struct made r = make_with("", S(""));
    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_INT(providers_find(r.all, S("perplexity"))->credentials[0].n,
        sizeof("Authorization: Bearer \r\n") - 1 + 2048);
    drop(&r);
    forget_environment();
}

TEST(variables_that_are_set_for_other_programs_enable_no_provider)
{
    const struct provider_row *row;
    struct made r;

    forget_environment();
    setenv("HF_TOKEN", "hf-1", 1);
    setenv("WANDB_API_KEY", "w-1", 1);
    setenv("MODEL_ACCESS_KEY", "m-1", 1);
    setenv("GITHUB_TOKEN", "g-1", 1);
    setenv("AWS_ACCESS_KEY_ID", "a-1", 1);
    r = make_with("", S("http://127.0.0.1:1/v1"));
    EXPECT(providers_simulated(r.all));
    drop(&r);
    r = make_with("providers:\n  huggingface: {}\n  wandb: {}\n", S(""));
    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(
        providers_find(r.all, S("huggingface"))->credentials[0], "Authorization: Bearer hf-1\r\n");
    drop(&r);
    for (size_t i = 0; (row = provider_row_at(i)) != NULL; i++)
        EXPECT(!provider_env_is_on(row));
    forget_environment();
}

TEST(providers_with_http_2_share_a_tls_context_and_those_without_it_have_their_own)
{
    struct made r =
        make("providers:\n"
             "  a: {wire: openai-chat, base_url: https://a.example/v1, api_key: k}\n"
             "  b: {wire: openai-chat, base_url: https://b.example/v1, api_key: k, http: auto}\n"
             "  c: {wire: openai-chat, base_url: https://c.example/v1, api_key: k, http: 1}\n");

    EXPECT_INT(r.l.problems.count, 0);
    EXPECT(
        providers_find(r.all, S("a"))->origin->tls == providers_find(r.all, S("b"))->origin->tls);
    EXPECT(
        providers_find(r.all, S("c"))->origin->tls != providers_find(r.all, S("a"))->origin->tls);
    drop(&r);
}

TEST(the_rotation_of_keys_continues_after_a_reload)
{
    static const char text[] = "providers: {lab: {wire: openai-chat, base_url: \"http://a/v1\", "
                               "api_key: [one, two]}}\n";
    static const char moved[] = "providers: {lab: {wire: openai-chat, base_url: \"http://b/v1\", "
                                "api_key: [one, two]}}\n";
    struct made old = make(text);

    *providers_find(old.all, S("lab"))->turn = 7;
    struct made next = make(text), elsewhere = make(moved);
    drop(&old);
    EXPECT_INT(*providers_find(next.all, S("lab"))->turn, 7);
    EXPECT_INT(*providers_find(elsewhere.all, S("lab"))->turn, 0);
    drop(&next);
    drop(&elsewhere);
    EXPECT_INT(registry_count(&turn_kind), 0);
}

TEST(where_a_provider_is_and_what_it_keeps_are_known_or_said_or_unknown)
{
    struct made r =
        make("providers:\n"
             "  openai: {api_key: k}\n"
             "  groq: {api_key: k}\n"
             "  mistral: {api_key: k, region: fr, data: {retention: none, training: false}}\n"
             "  xai: {api_key: k, data: {retention: 7d, training: true}}\n"
             "  anthropic: {api_key: k, data: {retention: unknown, training: unknown}}\n");
    const struct provider *openai = providers_find(r.all, S("openai"));
    const struct provider *groq = providers_find(r.all, S("groq"));
    const struct provider *mistral = providers_find(r.all, S("mistral"));
    const struct provider *xai = providers_find(r.all, S("xai"));
    const struct provider *anthropic = providers_find(r.all, S("anthropic"));

    EXPECT_INT(r.l.problems.count, 0);
    EXPECT_STR(openai->region, "global");
    EXPECT(
        openai->data.training == NO && openai->data.keeps == YES && openai->data.keeps_days == 30);
    EXPECT(groq->region.n == 0 && groq->data.training == UNSAID && groq->data.keeps == UNSAID);
    EXPECT_STR(mistral->region, "fr");
    EXPECT(mistral->data.training == NO && mistral->data.keeps == NO);
    EXPECT(xai->data.training == YES && xai->data.keeps == YES && xai->data.keeps_days == 7);
    EXPECT(anthropic->data.training == UNSAID && anthropic->data.keeps == UNSAID);
    drop(&r);
}

TEST(what_a_provider_keeps_is_none_unknown_or_days)
{
    static const char *const wrong[] = { "retention: forever", "retention: 0d", "retention: 30",
        "retention: d", "training: maybe" };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char text[128];

        snprintf(text, sizeof(text), "providers: {openai: {api_key: k, data: {%s}}}\n", wrong[i]);
        struct made r = make(text);
        EXPECT_INT(r.l.problems.count, 1);
        drop(&r);
    }
}
