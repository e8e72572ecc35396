/* test_route.c - the table of aliases, what is wrong with it, and what it answers. */
#include "route/table.c"

#include "route/route.c"

#include "tests/unit/catalog/providers_world.h"

struct routed {
    struct loaded l;
    struct providers *all;
    struct route_table *t;
    struct arena *a;
    uint64_t seed;    /* of the next decision */
};

static struct routed
make_with(const char *text, struct str simulated_url)
{
    struct routed r = { .l = load(str_c(text)), .a = arena_create(1024 * 1024) };

    r.all = providers_create(r.l.conf, simulated_url, &r.l.problems);
    r.t = table_create(r.l.conf, r.all, &r.l.problems);
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
    table_destroy(r->t);
    providers_destroy(r->all);
    arena_destroy(r->a);
    unload(&r->l);
}

/* The plan for a chat that names the model. */
static enum err
plan_named(struct routed *r, struct str model, struct plan *plan, struct str *ret_why)
{
    struct llm_request request = { .arena = r->a, .op = OP_CHAT };
    struct ask ask = { .request = &request,
        .arena = r->a,
        .op = OP_CHAT,
        .wire = &wire_openai_chat,
        .seed = r->seed++ };
    struct route_found found;
    enum err e = route_find(r->t, r->a, model, &found, ret_why);

    *plan = (struct plan){ .count = 0 };
    return e == OK ? route_plan(r->t, &found, &ask, plan, ret_why) : e;
}

/* "provider/model provider/model" of the plan for a name, or "-" and why there is none. */
static struct str
plan_of(struct routed *r, const char *model)
{
    struct plan plan;
    struct str why = S(""), all = S("");

    if (plan_named(r, str_c(model), &plan, &why) != OK)
        return arena_printf(r->a, "- " STR_FMT, STR_ARG(why));
    for (size_t i = 0; i < plan.count; i++)
        all = arena_printf(r->a, STR_FMT "%s" STR_FMT "/" STR_FMT, STR_ARG(all), i != 0 ? " " : "",
            STR_ARG(plan.list[i].target->provider->id), STR_ARG(plan.list[i].target->wire.model));
    return all;
}

static struct str
warnings_of(const struct routed *r)
{
    struct conf_problems warnings;

    conf_problems_init(&warnings, r->a);
    providers_warnings(r->all, &warnings);
    table_warnings(r->t, &warnings);
    return joined_warnings(&warnings, r->a);
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

    EXPECT_INT(providers_find(r.all, S("mistral"))->traits.strict_keys, NO);
    EXPECT_INT(providers_find(r.all, S("mistral"))->traits.max_tokens, YES);
    EXPECT(plan_named(&r, S("openai/unheard-of"), &plan, &why) == OK);
    EXPECT_INT(plan.list[0].target->wire.traits.max_output, 7);
    EXPECT(plan_named(&r, S("openai/gpt-5"), &plan, &why) == OK);
    EXPECT_INT(plan.list[0].target->wire.traits.max_output, 128000);
    EXPECT_INT(plan.list[0].target->wire.traits.strict_keys, YES);
    EXPECT(plan_named(&r, S("a"), &plan, &why) == OK);
    EXPECT_INT(plan.list[0].target->wire.traits.max_output, 9);
    EXPECT_INT(plan.list[0].target->wire.traits.reasoning, YES);
    drop(&r);
}

TEST(without_any_key_the_simulated_provider_answers_everything)
{
    forget_environment();
    struct routed r = make_with("", S("http://127.0.0.1:1/v1"));

    EXPECT_STR(problem_lines(&r.l), "");
    EXPECT(providers_simulated(r.all));
    EXPECT_STR(plan_of(&r, "gpt-4o-mini"), "mock/gpt-4o-mini");
    EXPECT_STR(plan_of(&r, "mock/simulated"), "mock/simulated");
    EXPECT_STR(plan_of(&r, "openai/gpt-4o"), "mock/openai/gpt-4o");
    drop(&r);
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
    EXPECT_STR(table_alias_at(r.t, 0)->name, "fast");
    EXPECT(table_alias_at(r.t, 2) == NULL);
    drop(&r);
}

TEST(a_target_carries_its_parameters_and_the_narrowest_timeouts)
{
    struct routed r = make(town);
    struct plan plan;
    struct str why;

    EXPECT(plan_named(&r, S("fast"), &plan, &why) == OK);
    EXPECT_STR(plan.alias->name, "fast");
    EXPECT_STR(plan.list[0].target->params, "");
    EXPECT_STR(plan.list[1].target->params, "{\"temperature\":0.2}");
    EXPECT_INT(plan.list[0].target->timeouts.first_token_ms, 60000);
    EXPECT_INT(plan.list[1].target->timeouts.first_token_ms, 7000);
    EXPECT_INT(plan.list[1].target->timeouts.total_ms, 9000);
    EXPECT_INT(plan.list[1].target->timeouts.connect_ms, 5000);
    EXPECT_INT(plan.list[1].target->timeouts.first_byte_ms, 0);
    EXPECT(plan.list[1].target->listed);
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

        EXPECT(plan_named(&r, str_c(cases[i].model), &plan, &why) == OK);
        EXPECT_INT(plan.list[0].target->listed, cases[i].listed);
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
    EXPECT(plan_named(&r, str_make(huge, sizeof(huge)), &plan, &why) == ERR_NO_MODEL);
    huge[6] = '/';
    memcpy(huge, "openai", 6);
    EXPECT(plan_named(&r, str_make(huge, sizeof(huge)), &plan, &why) == OK);
    EXPECT(plan.list[0].target->facts == NULL && !plan.list[0].target->listed);
    EXPECT(plan_named(&r, str_make("a\0b", 3), &plan, &why) == ERR_NO_MODEL);
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

    EXPECT(plan_named(&r, S("openai/gpt-4o"), &plan, &why) == OK);
    EXPECT(plan.list[0].target->facts == model_row(S("openai/gpt-4o")) &&
           plan.list[0].target->facts != NULL);
    EXPECT_INT(
        plan.list[0].target->wire.traits.max_output, plan.list[0].target->facts->output_tokens);
    EXPECT_INT(plan.list[0].target->wire.traits.reasoning, UNSAID);
    EXPECT(plan_named(&r, S("openai/gpt-5"), &plan, &why) == OK);
    EXPECT_INT(plan.list[0].target->wire.traits.reasoning, YES);
    drop(&r);
}

/* --- mistakes in aliases --- */

TEST(a_deployment_that_is_named_as_a_model_of_openai_has_its_traits_but_its_price_only_at_azure)
{
    struct routed r = make("providers:\n"
                           "  azure: {api_key: k, base_url: \"https://r.openai.azure.com\"}\n"
                           "  west: {wire: openai-chat, host: azure, api_key: k, base_url: "
                           "\"https://w.openai.azure.com\"}\n"
                           "  lab: {wire: openai-chat, api_key: k, base_url: \"https://h\"}\n");
    static const struct {
        const char *model;
        enum llm_tri reasoning;
        int64_t output;
        bool known;    /* what it costs */
    } rows[] = {
        { "azure/gpt-5", YES, 128000, true },
        { "west/gpt-5", YES, 128000, false },
        { "azure/ours", UNSAID, 0, false },
        { "lab/gpt-5", UNSAID, 0, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct plan plan;
        struct str why;

        EXPECT(plan_named(&r, str_c(rows[i].model), &plan, &why) == OK);
        EXPECT_INT(plan.list[0].target->wire.traits.reasoning, rows[i].reasoning);
        EXPECT_INT(plan.list[0].target->wire.traits.max_output, rows[i].output);
        EXPECT((plan.list[0].target->facts != NULL) == rows[i].known);
    }
    drop(&r);
}

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

TEST(traits_of_a_target_that_do_not_exist_are_reported)
{
    struct routed r =
        make("providers:\n  openai: {api_key: k}\nmodels:\n"
             "  a: {targets: [{model: openai/x, traits: {max_output: -1, thinking: deep}}]}\n");

    EXPECT_STR(problem_lines(&r.l),
        "4:17: target 'openai/x'.traits: 'max_output: -1' is not a trait; write a whole number; 0: "
        "not known\n"
        "4:17: target 'openai/x'.traits: 'thinking: deep' is not a trait; write one of "
        "budget|adaptive\n");
    drop(&r);
}

TEST(rules_of_an_alias_that_make_no_sense_are_reported)
{
    struct routed r = make("providers:\n  openai: {api_key: k}\nmodels:\n"
                           "  a: {targets: [openai/x], on_error: {no_route: move}}\n"
                           "  b: {targets: [openai/x], on_error: {upstream_error: 1}}\n");

    EXPECT_STR(problem_lines(&r.l),
        "4:3: models.a.on_error: 'no_route' is not an error that an attempt ends with; "
        "docs/errors.md lists them\n"
        "5:3: models.b.on_error: '' is none of return, again, same, other, move, key, larger\n");
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
            "2:15: providers.lab.wire: 'telnet' is not a wire of this version; use " },
        { "providers:\n  openai: {api_key: k}\nmodels: {m: {targets: [{modl: openai/x}]}}\n",
            "3:25: 'models.m.targets[0].modl' is unknown; did you mean 'model'?\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct routed r = make(rows[i].text);
        if (str_ends(str_c(rows[i].problem), S("; use ")))    /* and the names of all wires */
            EXPECT(str_starts(problem_lines(&r.l), str_c(rows[i].problem)));
        else
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
    for (int i = 0; i < PLAN_CANDIDATES + 1; i++)
        buf_printf(&text, "      - openai/m%d\n", i);
    buf_add_c(&text, '\0');
    struct routed r = make(buf_str(&text).p);
    EXPECT_STR(problem_lines(&r.l), "70:9: models.many: more than 64 targets\n");
    drop(&r);
    buf_fini(&text);
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
