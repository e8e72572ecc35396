/* test_route.c - the table of providers and aliases, what is wrong with it, and what it answers. */
#include "route/route.c"

#include <unistd.h>

#include "tests/test.h"
#include "tests/unit/conf/conf_test.h"

struct routed {
    struct loaded l;
    struct route_table *t;
    struct arena *a;
};

/* The tests must not depend on the environment that they run in. */
static void
forget_environment(void)
{
    const struct provider_row *row;

    for (size_t i = 0; (row = provider_row_at(i)) != NULL; i++) {
        struct str left = row->env, name;
        char name_c[64];
        bool shared;

        while (provider_env_next(&left, &name, &shared)) {
            str_copy_c(name_c, sizeof(name_c), name);
            unsetenv(name_c);
        }
    }
}

static struct routed
make_with(const char *text, struct str simulated_url)
{
    struct routed r = { .l = load(str_c(text)), .a = arena_create(1024 * 1024) };

    r.t = route_create(r.l.conf, simulated_url, &r.l.problems);
    return r;
}

static struct routed
make(const char *text)
{
    forget_environment();
    return make_with(text, S(""));
}

static void
drop(struct routed *r)
{
    route_destroy(r->t);
    arena_destroy(r->a);
    unload(&r->l);
}

/* "provider/model provider/model" of the plan for a name, or "-" and why there is none. */
static struct str
plan_of(struct routed *r, const char *model)
{
    struct plan plan;
    struct str why = S(""), all = S("");

    if (route_plan(r->t, r->a, str_c(model), &plan, &why) != OK)
        return arena_printf(r->a, "- " STR_FMT, STR_ARG(why));
    for (size_t i = 0; i < plan.count; i++)
        all = arena_printf(r->a, STR_FMT "%s" STR_FMT "/" STR_FMT, STR_ARG(all), i != 0 ? " " : "",
            STR_ARG(plan.targets[i]->provider->id), STR_ARG(plan.targets[i]->wire.model));
    return all;
}

/* All warnings, joined. */
static struct str
warnings_of(const struct routed *r)
{
    struct conf_problems warnings;
    struct str all = S("");

    conf_problems_init(&warnings, r->a);
    route_warnings(r->t, &warnings);
    for (const struct conf_problem *p = warnings.first_warning; p != NULL; p = p->next)
        all = arena_printf(
            r->a, STR_FMT "%s" STR_FMT, STR_ARG(all), all.n != 0 ? "\n" : "", STR_ARG(p->text));
    return all;
}

/* --- providers --- */

TEST(a_known_provider_only_needs_its_key)
{
    struct routed r =
        make("providers:\n  openai: {api_key: sk-1}\n  anthropic: {api_key: [sk-2, sk-3]}\n");
    const struct provider *p = route_provider(r.t, S("openai"));

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(p->origin->host, "api.openai.com");
    EXPECT_STR(p->base_path, "/v1");
    EXPECT_INT(p->credential_count, 1);
    EXPECT_STR(p->credentials[0], "Authorization: Bearer sk-1\r\n");
    p = route_provider(r.t, S("anthropic"));
    EXPECT(p->wire == &wire_anthropic);
    EXPECT_INT(p->credential_count, 2);
    EXPECT_STR(p->credentials[1], "x-api-key: sk-3\r\n");
    EXPECT(route_provider(r.t, S("mock")) == NULL);
    EXPECT(route_provider_at(r.t, 2) == NULL);
    EXPECT(!route_simulated(r.t));
    drop(&r);
}

TEST(a_custom_provider_needs_a_wire_and_a_base_url)
{
    struct routed r =
        make("providers:\n"
             "  lab: {wire: openai-chat, base_url: \"http://10.0.0.5:8000/v1/\", api_key: k}\n"
             "  lab2: {wire: anthropic-messages, base_url: \"http://10.0.0.6\", api_key: k}\n"
             "  lab3: {wire: openai-chat, base_url: \"http://10.0.0.7\"}\n");
    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(route_provider(r.t, S("lab"))->base_path, "/v1");
    EXPECT_STR(route_provider(r.t, S("lab"))->credentials[0], "Authorization: Bearer k\r\n");
    EXPECT_STR(route_provider(r.t, S("lab2"))->credentials[0], "x-api-key: k\r\n");
    EXPECT_INT(route_provider(r.t, S("lab3"))->credential_count, 0);
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
            "2:15: providers.lab.wire: 'telnet' is not a wire of this version; use openai-chat, "
            "anthropic-messages or ollama\n" },
        { "providers:\n  cloudflare: {api_key: k}\n",
            "2:3: providers.cloudflare: base_url is missing; write base_url: https://...\n" },
        { "providers:\n  openai: {api_key: k, quirks: [slow]}\n",
            "2:33: providers.openai.quirks: there is no quirk 'slow'; use no_stream_options, "
            "max_tokens, no_developer "
            "or strict_keys\n" },
        { "providers:\n  openai: {api_key: k, traits: {no_developer: 1, slow: true}}\n",
            "2:3: providers.openai.traits: 'no_developer: 1' is not a trait; write true or false\n"
            "2:3: providers.openai.traits: 'slow: true' is not a trait; use one of "
            "no_stream_options, max_tokens, no_developer, strict_keys, embedding, reasoning, "
            "sampling_fixed, thinking, max_output\n" },
        { "providers:\n  openai: {api_key: k}\nmodels:\n  a: {targets: [{model: openai/x, traits: "
          "{max_output: -1, thinking: deep}}]}\n",
            "4:17: target 'openai/x'.traits: 'max_output: -1' is not a trait; write a whole number; 0: "
            "not known\n"
            "4:17: target 'openai/x'.traits: 'thinking: deep' is not a trait; write one of "
            "budget|adaptive\n" },
        { "providers:\n  openai: {api_key: k}\ndefault_provider: groq\n",
            "3:19: default_provider: no provider 'groq' is configured\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct routed r = make(rows[i].text);
        EXPECT_STR(problem_lines(&r.l), rows[i].problem);
        drop(&r);
    }
}

TEST(a_provider_at_another_address_or_with_fields_of_its_own_needs_no_key)
{
    struct routed r = make("providers:\n"
                           "  openai: {base_url: \"http://10.0.0.5:8000/v1\"}\n"
                           "  groq: {headers: {x-key: secret}}\n"
                           "  xai: {disabled: true}\n");

    EXPECT_STR(problem_lines(&r.l), "");
    drop(&r);
}

TEST(a_disabled_provider_is_not_in_the_table)
{
    struct routed r =
        make("providers:\n  openai: {api_key: k, disabled: true}\n  groq: {api_key: k}\n");

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT(route_provider(r.t, S("openai")) == NULL);
    EXPECT_STR(route_provider_at(r.t, 0)->id, "groq");
    drop(&r);
}

TEST(a_table_without_providers_is_valid_with_a_warning)
{
    struct routed off = make("providers: {openai: {api_key: k, disabled: true}}\n");
    struct routed on = make("providers: {openai: {api_key: k}}\n");
    struct routed simulated = make_with("", S("http://127.0.0.1:1/v1"));

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
    struct routed r = make("providers:\n"
                           "  groq: {api_key: k}\n"
                           "  mistral: {api_key: k, quirks: [no_developer]}\n"
                           "  xai: {api_key: k, quirks: []}\n");

    EXPECT_INT(route_provider(r.t, S("groq"))->traits.no_developer, YES);
    EXPECT_INT(route_provider(r.t, S("mistral"))->traits.no_developer, YES);
    EXPECT_INT(route_provider(r.t, S("mistral"))->traits.strict_keys, UNSAID);
    EXPECT_INT(route_provider(r.t, S("xai"))->traits.no_developer, UNSAID);
    drop(&r);
}

TEST(traits_of_the_file_come_after_what_the_catalog_knows)
{
    struct routed r = make("providers:\n"
                           "  openai: {api_key: k, traits: {max_output: 7, strict_keys: true}}\n"
                           "  mistral: {api_key: k, traits: {strict_keys: false}}\n"
                           "models:\n"
                           "  a: {targets: [{model: openai/gpt-5, traits: {max_output: 9}}]}\n");
    struct plan plan;
    struct str why;

    EXPECT_INT(route_provider(r.t, S("mistral"))->traits.strict_keys, NO);
    EXPECT_INT(route_provider(r.t, S("mistral"))->traits.max_tokens, YES);
    EXPECT(route_plan(r.t, r.a, S("openai/unheard-of"), &plan, &why) == OK);
    EXPECT_INT(plan.targets[0]->wire.traits.max_output, 7);
    EXPECT(route_plan(r.t, r.a, S("openai/gpt-5"), &plan, &why) == OK);
    EXPECT_INT(plan.targets[0]->wire.traits.max_output, 128000);
    EXPECT_INT(plan.targets[0]->wire.traits.strict_keys, YES);
    EXPECT(route_plan(r.t, r.a, S("a"), &plan, &why) == OK);
    EXPECT_INT(plan.targets[0]->wire.traits.max_output, 9);
    EXPECT_INT(plan.targets[0]->wire.traits.reasoning, YES);
    drop(&r);
}

TEST(configured_header_fields_become_complete_lines)
{
    struct routed r = make(
        "providers:\n  openai: {api_key: k, headers: {x-team: research, OpenAI-Project: p1}}\n");

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(
        route_provider(r.t, S("openai"))->fields, "x-team: research\r\nOpenAI-Project: p1\r\n");
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
    struct routed r = make(buf_str(&text).p);
    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_INT(route_provider(r.t, S("openai"))->fields.n, 20 * (10 + 2 + 130 + 2));
    drop(&r);
    buf_fini(&text);
}

/* --- the environment --- */

TEST(without_configured_providers_those_with_a_key_in_the_environment_are_enabled)
{
    forget_environment();
    setenv("GROQ_API_KEY", "gsk-1", 1);
    setenv("OPENAI_API_KEY", "sk-1", 1);
    setenv("PPLX_API_KEY", "", 1);
    struct routed r = make_with("", S("http://127.0.0.1:1/v1"));

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_INT(r.t->provider_count, 2);
    EXPECT_STR(route_provider(r.t, S("groq"))->credentials[0], "Authorization: Bearer gsk-1\r\n");
    EXPECT(!route_simulated(r.t));
    drop(&r);
    forget_environment();
}

TEST(without_any_key_the_simulated_provider_answers_everything)
{
    forget_environment();
    struct routed r = make_with("", S("http://127.0.0.1:1/v1"));

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT(route_simulated(r.t));
    EXPECT_STR(plan_of(&r, "gpt-4o-mini"), "mock/gpt-4o-mini");
    EXPECT_STR(plan_of(&r, "mock/simulated"), "mock/simulated");
    EXPECT_STR(plan_of(&r, "openai/gpt-4o"), "mock/openai/gpt-4o");
    drop(&r);
}

TEST(a_configured_provider_without_a_key_uses_the_one_in_the_environment)
{
    forget_environment();
    setenv("OPENAI_API_KEY", "sk-env", 1);
    struct routed r = make_with("providers:\n  openai: {}\n  groq: {api_key: k}\n", S(""));

    EXPECT_STR(
        route_provider(r.t, S("openai"))->credentials[0], "Authorization: Bearer sk-env\r\n");
    drop(&r);
    r = make_with("providers:\n  openai: {api_key: sk-file}\n", S(""));
    EXPECT_INT(route_provider(r.t, S("openai"))->credential_count, 1);
    EXPECT_STR(
        route_provider(r.t, S("openai"))->credentials[0], "Authorization: Bearer sk-file\r\n");
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
        struct routed r = make_with("", S(""));
        struct str said = problem_lines(&r.l);

        EXPECT(str_starts(said, S("providers.perplexity: the environment's PPLX_API_KEY ")));
        EXPECT(str_find(said, S("canary")) == said.n && str_find(said, S("aaaa")) == said.n);
        EXPECT_INT(route_provider(r.t, S("perplexity"))->credential_count, 0);
        drop(&r);
    }
    longest[2048] = '\0';
    setenv("PPLX_API_KEY", longest, 1);
    struct routed r = make_with("", S(""));
    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_INT(route_provider(r.t, S("perplexity"))->credentials[0].n,
        sizeof("Authorization: Bearer \r\n") - 1 + 2048);
    drop(&r);
    forget_environment();
}

/* --- plans --- */

static const char *const town =
    "providers:\n"
    "  openai: {api_key: k, timeouts: {first_token: 7s}}\n"
    "  groq: {api_key: k, models: [llama-local, odd/name]}\n"
    "models:\n"
    "  fast:\n"
    "    targets:\n"
    "      - groq/llama-3.3-70b-versatile\n"
    "      - {model: openai/gpt-4o-mini, params: {temperature: 0.2}, timeouts: {total: 9s}}\n"
    "  both: {targets: [fast, openai/gpt-4o]}\n";

TEST(an_alias_is_a_list_of_targets_and_may_name_another)
{
    struct routed r = make(town);

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(plan_of(&r, "fast"), "groq/llama-3.3-70b-versatile openai/gpt-4o-mini");
    EXPECT_STR(
        plan_of(&r, "both"), "groq/llama-3.3-70b-versatile openai/gpt-4o-mini openai/gpt-4o");
    EXPECT_STR(route_alias_at(r.t, 0)->name, "fast");
    EXPECT(route_alias_at(r.t, 2) == NULL);
    drop(&r);
}

TEST(a_target_carries_its_parameters_and_the_narrowest_timeouts)
{
    struct routed r = make(town);
    struct plan plan;
    struct str why;

    EXPECT(route_plan(r.t, r.a, S("fast"), &plan, &why) == OK);
    EXPECT_STR(plan.alias, "fast");
    EXPECT_STR(plan.targets[0]->params, "");
    EXPECT_STR(plan.targets[1]->params, "{\"temperature\":0.2}");
    EXPECT_INT(plan.targets[0]->timeouts.first_token_ms, 60000);
    EXPECT_INT(plan.targets[1]->timeouts.first_token_ms, 7000);
    EXPECT_INT(plan.targets[1]->timeouts.total_ms, 9000);
    EXPECT_INT(plan.targets[1]->timeouts.connect_ms, 5000);
    EXPECT_INT(plan.targets[1]->timeouts.first_byte_ms, 0);
    EXPECT(plan.targets[1]->listed);
    drop(&r);
}

TEST(provider_slash_model_goes_to_that_provider_whatever_the_model)
{
    struct routed r = make(town);

    EXPECT_STR(plan_of(&r, "openai/gpt-4o"), "openai/gpt-4o");
    EXPECT_STR(plan_of(&r, "openai/gpt-99-unheard-of"), "openai/gpt-99-unheard-of");
    EXPECT_STR(plan_of(&r, "groq/meta-llama/llama-4"), "groq/meta-llama/llama-4");
    drop(&r);
}

TEST(a_name_without_a_provider_goes_to_the_first_provider_that_lists_it)
{
    struct routed r = make(town);

    EXPECT_STR(plan_of(&r, "gpt-4o"), "openai/gpt-4o");
    EXPECT_STR(plan_of(&r, "llama-local"), "groq/llama-local");
    EXPECT_STR(plan_of(&r, "odd/name"), "groq/odd/name");
    drop(&r);
}

TEST(an_unknown_name_is_an_error_with_a_hint)
{
    struct routed r = make(town);

    EXPECT_STR(plan_of(&r, "fsat"), "- there is no model 'fsat'; did you mean 'fast'?");
    EXPECT_STR(plan_of(&r, "anthropic/claude-x"),
        "- the provider 'anthropic' of the model 'anthropic/claude-x' is not switched on; write "
        "providers: {anthropic: {api_key: \"${ANTHROPIC_API_KEY}\"}}");
    EXPECT_STR(plan_of(&r, "qqqqqqqqqq"),
        "- there is no model 'qqqqqqqqqq'; name one of GET /v1/models, or provider/model");
    EXPECT_STR(plan_of(&r, "openai/"),
        "- there is no model 'openai/'; name one of GET /v1/models, or provider/model");
    drop(&r);
}

TEST(a_model_that_an_alias_lists_is_known_under_each_of_its_names)
{
    struct routed r =
        make("providers:\n"
             "  openai: {api_key: k}\n"
             "  lab: {wire: openai-chat, base_url: \"http://10.0.0.5/v1\", models: [own]}\n"
             "default_provider: lab\n"
             "models:\n"
             "  fast: {targets: [lab/quick, openai/ours]}\n"
             "  deep: {targets: [fast]}\n");
    static const struct {
        const char *model;
        bool listed;
    } cases[] = {
        { "fast", true },
        { "deep", true },
        { "lab/quick", true },
        { "quick", true },    /* at the default provider */
        { "openai/ours", true },
        { "lab/own", true },
        { "lab/ours", false },    /* it is another's */
        { "openai/quick", false },
        { "lab/quick2", false },
        { "lab/quic", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plan plan;
        struct str why = S("");

        EXPECT(route_plan(r.t, r.a, str_c(cases[i].model), &plan, &why) == OK);
        EXPECT_INT(plan.targets[0]->listed, cases[i].listed);
    }
    drop(&r);
}

TEST(a_hostile_name_is_treated_as_any_other_name)
{
    static char huge[100000];
    struct routed r = make(town);
    struct plan plan;
    struct str why = S("");

    memset(huge, 'a', sizeof(huge));
    EXPECT(route_plan(r.t, r.a, str_make(huge, sizeof(huge)), &plan, &why) == ERR_NO_MODEL);
    huge[6] = '/';
    memcpy(huge, "openai", 6);
    EXPECT(route_plan(r.t, r.a, str_make(huge, sizeof(huge)), &plan, &why) == OK);
    EXPECT(plan.targets[0]->facts == NULL && !plan.targets[0]->listed);
    EXPECT(route_plan(r.t, r.a, str_make("a\0b", 3), &plan, &why) == ERR_NO_MODEL);
    drop(&r);
}

TEST(names_that_no_provider_lists_go_to_the_default_provider)
{
    struct routed r =
        make("providers:\n  openai: {api_key: k}\n  groq: {api_key: k}\ndefault_provider: groq\n");

    EXPECT_STR(plan_of(&r, "whatever"), "groq/whatever");
    EXPECT_STR(plan_of(&r, "nobody/whatever"), "groq/nobody/whatever");
    drop(&r);
    r = make("providers:\n  openai: {api_key: k}\n");
    EXPECT_STR(plan_of(&r, "whatever"), "openai/whatever");
    drop(&r);
}

TEST(models_of_a_known_provider_are_never_requested_from_another)
{
    struct routed r = make(
        "providers:\n  openai: {api_key: k}\n  groq: {api_key: k, disabled: true}\n"
        "  lab: {wire: openai-chat, base_url: \"http://h/v1\", models: [nvidia/listed], disabled: false}\n"
        "default_provider: openai\n");

    EXPECT_STR(plan_of(&r, "anthropic/claude-x"),
        "- the provider 'anthropic' of the model 'anthropic/claude-x' is not switched on; write "
        "providers: {anthropic: {api_key: \"${ANTHROPIC_API_KEY}\"}}");
    EXPECT_STR(plan_of(&r, "groq/m"),
        "- the provider 'groq' of the model 'groq/m' is not switched on; remove "
        "providers.groq.disabled");
    EXPECT_STR(plan_of(&r, "vllm/m"),
        "- the provider 'vllm' of the model 'vllm/m' is not switched on; write providers: {vllm: {}}");
    EXPECT_STR(plan_of(&r, "databricks/m"),
        "- the provider 'databricks' of the model 'databricks/m' is not switched on; write "
        "providers: {databricks: {base_url: \"https://...\", api_key: ...}}");
    EXPECT(str_starts(plan_of(&r, "anthropic/"), S("- the provider 'anthropic'")));
    EXPECT_STR(plan_of(&r, "nvidia/listed"), "lab/nvidia/listed");    /* the configuration says so */
    EXPECT(str_starts(plan_of(&r, "nvidia/other"), S("- the provider 'nvidia'")));
    EXPECT_STR(plan_of(&r, "openai/anthropic/x"), "openai/anthropic/x");
    EXPECT_STR(plan_of(&r, "some-org/model"), "openai/some-org/model");
    drop(&r);

    forget_environment();
    setenv("OPENAI_API_KEY", "sk-1", 1);
    r = make_with("", S(""));
    EXPECT_STR(plan_of(&r, "anthropic/claude-x"),
        "- the provider 'anthropic' of the model 'anthropic/claude-x' is not switched on; set "
        "ANTHROPIC_API_KEY where the gateway is started");
    EXPECT_STR(plan_of(&r, "wandb/m"),
        "- the provider 'wandb' of the model 'wandb/m' is not switched on; write providers: {wandb: "
        "{api_key: \"${WANDB_API_KEY}\"}}");
    drop(&r);
    forget_environment();
}

TEST(variables_that_are_set_for_other_programs_enable_no_provider)
{
    const struct provider_row *row;
    struct routed r;

    forget_environment();
    setenv("HF_TOKEN", "hf-1", 1);
    setenv("WANDB_API_KEY", "w-1", 1);
    setenv("MODEL_ACCESS_KEY", "m-1", 1);
    setenv("GITHUB_TOKEN", "g-1", 1);
    setenv("AWS_ACCESS_KEY_ID", "a-1", 1);
    r = make_with("", S("http://127.0.0.1:1/v1"));
    EXPECT(route_simulated(r.t));
    drop(&r);
    r = make_with("providers:\n  huggingface: {}\n  wandb: {}\n", S(""));
    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(
        route_provider(r.t, S("huggingface"))->credentials[0], "Authorization: Bearer hf-1\r\n");
    drop(&r);
    for (size_t i = 0; (row = provider_row_at(i)) != NULL; i++)
        EXPECT(!provider_env_is_on(row));
    forget_environment();
}

TEST(a_misspelt_alias_is_not_sent_to_the_default_provider)
{
    struct routed r = make("providers:\n  openai: {api_key: k}\n  mistral: {api_key: k}\n"
                           "default_provider: openai\n"
                           "models:\n"
                           "  fast: {targets: [openai/gpt-4o-mini]}\n"
                           "  embeddings-large: {targets: [openai/text-embedding-3-large]}\n"
                           "  team-5.1: {targets: [openai/gpt-4o]}\n");
    static const char *const meant[][2] = { { "fsat", "fast" }, { "fas", "fast" },
        { "fastt", "fast" }, { "Fast", "fast" }, { "embedings-large", "embeddings-large" },
        { "embeddngs-larg", "embeddings-large" }, { "opnai/gpt-9", "openai/gpt-9" },
        { "openia/gpt-9", "openai/gpt-9" }, { "mistrla/m", "mistral/m" } };
    static const char *const others[] = { "team-5.2", "team-5", "team-6.10", "fortune", "gpt-9",
        "mistralai/Mixtral-8x7B", "fa", "embeddings", "openaicompatible/x", "a/fast" };

    for (size_t i = 0; i < ARRAY_LEN(meant); i++) {
        struct str want = arena_printf(
            r.a, "- there is no model '%s'; did you mean '%s'?%c", meant[i][0], meant[i][1], 0);
        EXPECT_STR(plan_of(&r, meant[i][0]), want.p);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct str want = arena_printf(r.a, "openai/%s%c", others[i], 0);
        EXPECT_STR(plan_of(&r, others[i]), want.p);
    }
    drop(&r);
}

TEST(targets_at_a_disabled_provider_are_skipped)
{
    struct routed r = make("providers:\n  openai: {api_key: k}\n"
                           "  groq: {api_key: k, disabled: true}\n"
                           "models:\n"
                           "  fast: {targets: [groq/a, openai/b]}\n"
                           "  gone: {targets: [groq/a]}\n"
                           "  outer: {targets: [gone, fast]}\n"
                           "  lost: {targets: [gone]}\n"
                           "default_provider: groq\n");

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT_STR(plan_of(&r, "fast"), "openai/b");
    EXPECT_STR(plan_of(&r, "outer"), "openai/b");
    EXPECT_STR(plan_of(&r, "gone"),
        "- every target of the model 'gone' is at a provider that is disabled");
    EXPECT_STR(plan_of(&r, "lost"),
        "- every target of the model 'lost' is at a provider that is disabled");
    EXPECT_STR(plan_of(&r, "groq/a"),
        "- the provider 'groq' of the model 'groq/a' is not switched on; remove "
        "providers.groq.disabled");
    EXPECT_STR(warnings_of(&r),
        "models.gone: all its targets are at providers that are disabled: every request for it fails\n"
        "models.lost: all its targets are at providers that are disabled: every request for it fails\n"
        "default_provider: 'groq' is disabled: what names no provider fails");
    drop(&r);
}

/* Where a request that names no model goes, or "- why". */
static struct str
default_of(const struct routed *r, const struct wire *wire)
{
    struct str why = S("");
    struct target *t = route_default(r->t, r->a, wire, &why);

    return t != NULL ? t->provider->id : arena_printf(r->a, "- " STR_FMT, STR_ARG(why));
}

TEST(a_request_without_a_model_goes_to_the_default_or_the_only_provider_of_its_protocol)
{
    struct routed r = make(
        "providers:\n  openai: {api_key: k}\n  groq: {api_key: k}\n  anthropic: {api_key: k}\n");

    EXPECT_STR(default_of(&r, &wire_openai_chat),
        "- this request names no model, and 2 providers here could take it; set default_provider in "
        "the configuration");
    EXPECT_STR(default_of(&r, &wire_anthropic), "anthropic");
    drop(&r);
    r = make("providers:\n  openai: {api_key: k}\n  groq: {api_key: k}\n  anthropic: {api_key: k}\n"
             "default_provider: groq\n");
    EXPECT_STR(default_of(&r, &wire_openai_chat), "groq");
    EXPECT_STR(default_of(&r, &wire_anthropic), "anthropic");
    drop(&r);
    r = make("providers:\n  openai: {api_key: k}\n");
    EXPECT_STR(default_of(&r, &wire_anthropic),
        "- this request names no model, and no provider here speaks the protocol of its route, "
        "anthropic-messages");
    drop(&r);
}

TEST(catalog_data_about_a_model_is_given_to_its_wire)
{
    struct routed r = make("providers:\n  openai: {api_key: k}\n");
    struct plan plan;
    struct str why;

    EXPECT(route_plan(r.t, r.a, S("openai/gpt-4o"), &plan, &why) == OK);
    EXPECT(
        plan.targets[0]->facts == model_row(S("openai/gpt-4o")) && plan.targets[0]->facts != NULL);
    EXPECT_INT(plan.targets[0]->wire.traits.max_output, plan.targets[0]->facts->output_tokens);
    EXPECT_INT(plan.targets[0]->wire.traits.reasoning, UNSAID);
    EXPECT(route_plan(r.t, r.a, S("openai/gpt-5"), &plan, &why) == OK);
    EXPECT_INT(plan.targets[0]->wire.traits.reasoning, YES);
    drop(&r);
}

/* --- mistakes in aliases --- */

TEST(an_unknown_target_is_reported_with_its_position)
{
    struct routed r = make(
        "providers:\n  openai: {api_key: k}\nmodels:\n  fast: {targets: [opnai/gpt-4o, fsat]}\n");

    EXPECT_STR(problem_lines(&r.l),
        "4:20: target 'opnai/gpt-4o': no provider or alias 'opnai' is configured; did you mean "
        "'openai'?\n"
        "4:34: target 'fsat': no provider or alias 'fsat' is configured; did you mean 'fast'?\n");
    drop(&r);
}

TEST(aliases_that_form_a_cycle_are_reported)
{
    struct routed r = make("providers:\n  openai: {api_key: k}\n"
                           "models:\n"
                           "  a: {targets: [b]}\n"
                           "  b: {targets: [a]}\n"
                           "  c: {targets: [c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c]}\n");

    EXPECT_STR(problem_lines(&r.l),
        "4:3: models.a: aliases name each other in a circle: a -> b -> a; let one of them name a "
        "provider/model instead\n"
        "6:3: models.c: aliases name each other in a circle: c -> c; let one of them name a "
        "provider/model instead\n");
    drop(&r);
}

TEST(a_cycle_of_aliases_is_reported_once_however_it_is_entered)
{
    struct routed r = make("providers:\n  openai: {api_key: k}\n"
                           "models:\n"
                           "  in: {targets: [c]}\n"
                           "  b: {targets: [c]}\n"
                           "  c: {targets: [openai/x, a]}\n"
                           "  a: {targets: [b]}\n");

    EXPECT_STR(problem_lines(&r.l),
        "5:3: models.b: aliases name each other in a circle: b -> c -> a -> b; let one of them "
        "name a provider/model instead\n");
    drop(&r);
}

TEST(the_report_of_aliases_nested_too_deeply_shows_the_chain)
{
    struct routed r = make("providers:\n  openai: {api_key: k}\n"
                           "models:\n"
                           "  a: {targets: [b]}\n  b: {targets: [c]}\n  c: {targets: [d]}\n"
                           "  d: {targets: [e]}\n  e: {targets: [f]}\n  f: {targets: [g]}\n"
                           "  g: {targets: [h]}\n  h: {targets: [i]}\n  i: {targets: [j]}\n"
                           "  j: {targets: [openai/x]}\n");

    EXPECT_STR(problem_lines(&r.l), "4:3: models.a: aliases name each other more than 8 deep: "
                                    "a -> b -> c -> d -> e -> f -> g -> h -> i -> j\n");
    drop(&r);
}

/* Errors that only follow from an unreadable value are not reported. */
TEST(one_mistake_in_a_provider_is_reported_in_one_line)
{
    static const struct {
        const char *text;
        const char *problem;
    } rows[] = {
        { "providers:\n  lab: {wire: openai-chat, base_url: \"htp://x\"}\n"
          "default_provider: lab\nmodels:\n  m: {targets: [lab/x, openai]}\n  openai: {targets: [lab/y]}\n",
            "2:38: 'providers.lab.base_url' is not a URL; write https://host/path, or http:// for "
            "a server without TLS\n" },
        { "providers:\n  lab: {wier: openai-chat, base_url: \"http://h\"}\nmodels: {m: {targets: [lab/x]}}\n",
            "2:9: 'providers.lab.wier' is unknown; did you mean 'wire'?\n" },
        { "providers:\n  lab: {wire: openai-chat, base_ulr: \"http://h\"}\nmodels: {m: {targets: [lab/x]}}\n",
            "2:28: 'providers.lab.base_ulr' is unknown; did you mean 'base_url'?\n" },
        { "providers:\n  openai: {base_url: \"openai.example\"}\nmodels: {m: {targets: [openai/x]}}\n",
            "2:22: 'providers.openai.base_url' is not a URL; write https://host/path, or http:// "
            "for a server without TLS\n" },
        { "providers:\n  openai: {api_kye: k}\n",
            "2:12: 'providers.openai.api_kye' is unknown; did you mean 'api_key'?\n" },
        { "providers:\n  lab: {wire: telnet, base_url: \"http://h\"}\nmodels: {m: {targets: [lab/x]}}\n",
            "2:15: providers.lab.wire: 'telnet' is not a wire of this version; use openai-chat, "
            "anthropic-messages or ollama\n" },
        { "providers:\n  openai: {api_key: k}\nmodels: {m: {targets: [{modl: openai/x}]}}\n",
            "3:25: 'models.m.targets[0].modl' is unknown; did you mean 'model'?\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct routed r = make(rows[i].text);
        EXPECT_STR(problem_lines(&r.l), rows[i].problem);
        drop(&r);
    }
}

TEST(an_unknown_target_behind_many_aliases_is_reported_once_and_quickly)
{
    struct buf text;

    buf_init(&text, 64 * 1024);
    buf_add(&text, S("providers:\n  openai: {api_key: k}\nmodels:\n"));
    for (int i = 0; i < 8; i++)
        buf_printf(&text, "  a%d: {targets: [a%d, a%d, a%d, a%d, a%d, a%d, a%d, a%d]}\n", i, i + 1,
            i + 1, i + 1, i + 1, i + 1, i + 1, i + 1, i + 1);
    buf_add(&text, S("  a8: {targets: [qqqqqqqq/x]}\n"));
    buf_add_c(&text, '\0');
    struct routed r = make(buf_str(&text).p);
    EXPECT_STR(problem_lines(&r.l), "12:18: target 'qqqqqqqq/x': no provider or alias 'qqqqqqqq' "
                                    "is configured; write provider/model\n");
    drop(&r);
    buf_fini(&text);
}

TEST(the_number_of_targets_of_an_alias_is_limited)
{
    struct buf text;

    buf_init(&text, 64 * 1024);
    buf_add(&text, S("providers:\n  openai: {api_key: k}\nmodels:\n  many:\n    targets:\n"));
    for (int i = 0; i < ROUTE_TARGETS + 1; i++)
        buf_printf(&text, "      - openai/m%d\n", i);
    buf_add_c(&text, '\0');
    struct routed r = make(buf_str(&text).p);
    EXPECT_STR(problem_lines(&r.l), "22:9: models.many: more than 16 targets\n");
    drop(&r);
    buf_fini(&text);
}

TEST(providers_with_http_2_share_a_tls_context_and_those_without_it_have_their_own)
{
    struct routed r =
        make("providers:\n"
             "  a: {wire: openai-chat, base_url: https://a.example/v1, api_key: k}\n"
             "  b: {wire: openai-chat, base_url: https://b.example/v1, api_key: k, http: auto}\n"
             "  c: {wire: openai-chat, base_url: https://c.example/v1, api_key: k, http: 1}\n");

    EXPECT_INT(r.l.problems.count, 0);
    EXPECT(route_provider(r.t, S("a"))->origin->tls == route_provider(r.t, S("b"))->origin->tls);
    EXPECT(route_provider(r.t, S("c"))->origin->tls != route_provider(r.t, S("a"))->origin->tls);
    drop(&r);
}

TEST(parameters_that_the_gateway_decides_are_refused)
{
    struct routed r = make("providers:\n  openai: {api_key: k}\n"
                           "models:\n  a:\n    targets: [{model: openai/m, params: {stream: true, "
                           "model: x, top_p: 1}}]\n");

    EXPECT_STR(problem_lines(&r.l),
        "5:15: target 'openai/m': params cannot set 'model'; the target decides that\n"
        "5:15: target 'openai/m': params cannot set 'stream'; the caller decides that\n");
    drop(&r);
}

TEST(settings_of_a_target_that_is_an_alias_are_refused)
{
    struct routed r = make("providers:\n  openai: {api_key: k}\n"
                           "models:\n  a:\n    targets: [openai/m]\n"
                           "  b:\n    targets: [{model: a, params: {top_p: 1}}]\n"
                           "  c:\n    targets: [{model: a, timeouts: {connect: 1s}}]\n"
                           "  d:\n    targets: [{model: a}]\n");

    EXPECT_STR(problem_lines(&r.l),
        "7:15: target 'a' is an alias; write params, traits and timeouts at its own targets\n"
        "9:15: target 'a' is an alias; write params, traits and timeouts at its own targets\n");
    drop(&r);
}

TEST(the_rotation_of_keys_continues_after_a_reload)
{
    static const char text[] = "providers: {lab: {wire: openai-chat, base_url: \"http://a/v1\", "
                               "api_key: [one, two]}}\n";
    static const char moved[] = "providers: {lab: {wire: openai-chat, base_url: \"http://b/v1\", "
                                "api_key: [one, two]}}\n";
    struct routed old = make(text);

    *route_provider(old.t, S("lab"))->turn = 7;
    struct routed next = make(text), elsewhere = make(moved);
    drop(&old);
    EXPECT_INT(*route_provider(next.t, S("lab"))->turn, 7);
    EXPECT_INT(*route_provider(elsewhere.t, S("lab"))->turn, 0);
    drop(&next);
    drop(&elsewhere);
    EXPECT_INT(registry_count(&turn_kind), 0);
}
