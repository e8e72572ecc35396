/* import_litellm.c - deployments become providers and aliases.
 *
 * LiteLLM has a list of deployments, of which those with the same model_name share its requests, and
 * lists of fallbacks beside it. Here a provider is one address with its keys, and an alias has
 * targets: deployments of one name become an alias with the strategy weighted; one with fallbacks becomes an
 * alias with the strategy priority whose first target is that group.
 */
#include "app/import_litellm.h"

#include <stdlib.h>

#include "base/json.h"
#include "catalog/provider.h"

#define DEPLOYMENTS_MOST 2000u
#define NAMES_MOST 400u
#define KEYS_MOST 64u

/* What LiteLLM calls providers, and what we do. Those that are called the same are not in it. */
static const struct {
    struct str theirs, ours;
} names[] = {
    { S_INIT("vertex_ai"), S_INIT("vertex") },
    { S_INIT("vertex_ai_beta"), S_INIT("vertex") },
    { S_INIT("gemini"), S_INIT("google") },
    { S_INIT("bedrock_converse"), S_INIT("bedrock") },
    { S_INIT("azure_ai"), S_INIT("azure-ai") },
    { S_INIT("together_ai"), S_INIT("together") },
    { S_INIT("fireworks_ai"), S_INIT("fireworks") },
    { S_INIT("cohere_chat"), S_INIT("cohere") },
    { S_INIT("ollama_chat"), S_INIT("ollama") },
    { S_INIT("nvidia_nim"), S_INIT("nvidia") },
    { S_INIT("dashscope"), S_INIT("alibaba") },
    { S_INIT("hosted_vllm"), S_INIT("vllm") },
    { S_INIT("vllm"), S_INIT("vllm") },
    { S_INIT("lm_studio"), S_INIT("lmstudio") },
    { S_INIT("github"), S_INIT("github-models") },
    { S_INIT("text-completion-openai"), S_INIT("openai") },
    { S_INIT("custom_openai"), S_INIT("openai") },
    { S_INIT("openai_like"), S_INIT("openai") },
};

struct litellm_source {
    struct str id;     /* of our provider */
    struct str row;    /* the provider that it is like; empty: only its protocol is known */
    struct str base_url, api_version, region, project, location;
    struct str keys[KEYS_MOST];
    size_t key_count;
};

struct deployment {
    struct str name;    /* that callers ask for */
    struct litellm_source *source;
    struct str model;
    uint64_t weight;
    struct str timeout;    /* seconds, as written; empty: not said */
    struct buf params;     /* members of a JSON object */
};

struct converter {
    struct arena *a;
    struct import_report *report;
    const struct yaml *doc;
    struct litellm_source sources[NAMES_MOST];
    size_t source_count;
    struct deployment *list;
    size_t count;
    struct str strategy;
};

static struct str
text_of(const struct yaml *y)
{
    return y != NULL && y->type == YAML_SCALAR ? y->text : S("");
}

/* "os.environ/NAME" as we write it; '$' has a meaning here that it has not there. */
static struct str
reference(struct converter *c, struct str v)
{
    struct buf b;

    if (str_starts(v, S("os.environ/")))
        return arena_printf(c->a, "${" STR_FMT "}", STR_ARG(str_skip(v, 11)));
    buf_init(&b, YAML_BYTES_MAX);
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '$')
            buf_add_c(&b, '$');
        buf_add_c(&b, v.p[i]);
    }
    struct str s = arena_str(c->a, buf_str(&b));
    buf_fini(&b);
    return s;
}

/* --- providers --- */

/* "azure/gpt-4o" names a provider and a model; a name without one is OpenAI's, or that of the catalog. */
static struct str
find_row(struct converter *c, struct str *model, struct str said)
{
    struct str prefix, rest;
    bool cut = str_cut(*model, '/', &prefix, &rest);
    struct str theirs = said.n != 0 ? said : cut ? prefix : S("openai");
    struct str ours = theirs;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(names[i].theirs, theirs))
            ours = names[i].ours;
    if (provider_row(ours) == NULL && said.n == 0 && cut)
        ours = S("openai");    /* a model whose name has a slash */
    else if (cut && str_eq(prefix, theirs))
        *model = rest;
    if (str_eq(ours, S("openai")) && str_starts(*model, S("claude-")) && said.n == 0 && !cut)
        ours = S("anthropic");
    if (str_starts(*model, S("converse/")))
        *model = str_skip(*model, 9);
    if (str_eq(ours, S("vertex")) && str_starts(*model, S("claude")))
        ours = S("vertex-anthropic");
    return arena_str(c->a, ours);
}

static void
add_key(struct litellm_source *s, struct str key)
{
    for (size_t i = 0; i < s->key_count; i++)
        if (str_eq(s->keys[i], key))
            return;
    if (key.n != 0 && s->key_count < KEYS_MOST)
        s->keys[s->key_count++] = key;
}

static bool
is_taken(const struct converter *c, struct str id)
{
    for (size_t i = 0; i < c->source_count; i++)
        if (str_eq(c->sources[i].id, id))
            return true;
    return false;
}

/* The provider of a deployment: one for each address. NULL: there are too many. */
static struct litellm_source *
find_source(struct converter *c, struct str row, const struct yaml *params)
{
    struct litellm_source want = { .row = row,
        .base_url = reference(c, text_of(yaml_get(params, S("api_base")))),
        .api_version = reference(c, text_of(yaml_get(params, S("api_version")))),
        .region = reference(c, text_of(yaml_get(params, S("aws_region_name")))),
        .project = reference(c, text_of(yaml_get(params, S("vertex_project")))),
        .location = reference(c, text_of(yaml_get(params, S("vertex_location")))) };

    for (size_t i = 0; i < c->source_count; i++) {
        struct litellm_source *s = &c->sources[i];

        if (str_eq(s->row, want.row) && str_eq(s->base_url, want.base_url) &&
            str_eq(s->api_version, want.api_version) && str_eq(s->region, want.region) &&
            str_eq(s->project, want.project) && str_eq(s->location, want.location))
            return s;
    }
    if (c->source_count == NAMES_MOST)
        return NULL;
    want.id = row;
    for (unsigned n = 2; is_taken(c, want.id); n++)
        want.id = arena_printf(c->a, STR_FMT "-%u", STR_ARG(row), n);
    c->sources[c->source_count] = want;
    return &c->sources[c->source_count++];
}

/* --- deployments --- */

/* Parameters that are sent with each request, whatever the caller says. */
static bool
is_parameter(struct str name)
{
    static const char *const list[] = { "temperature", "top_p", "max_tokens", "presence_penalty",
        "frequency_penalty", "seed", "stop", "user", "reasoning_effort", "n" };

    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        if (str_eq(name, str_c(list[i])))
            return true;
    return false;
}

static void
add_parameter(struct deployment *d, struct str name, const struct yaml *value)
{
    double number;
    char *end;

    if (buf_len(&d->params) != 0)
        buf_add(&d->params, S(", "));
    json_add_str(&d->params, name);
    buf_add(&d->params, S(": "));
    number = strtod(value->text.p, &end);
    if (!value->quoted && value->text.n != 0 && *end == '\0')
        json_add_f64(&d->params, number);
    else
        json_add_str(&d->params, value->text);
}

static void
read_params(struct converter *c, struct deployment *d, const struct yaml *params, struct str at)
{
    static const char *const done[] = { "model", "api_key", "api_base", "api_version", "weight",
        "custom_llm_provider", "aws_region_name", "vertex_project", "vertex_location" };

    for (const struct yaml_entry *e = params->first; e != NULL; e = e->next) {
        struct str where = arena_printf(c->a, STR_FMT "." STR_FMT, STR_ARG(at), STR_ARG(e->key));
        bool known = false;

        for (size_t i = 0; i < ARRAY_LEN(done); i++)
            known = known || str_eq(e->key, str_c(done[i]));
        if (known || is_parameter(e->key)) {
            import_say(c->report, IMPORT_EXACT, where, " ");
            if (!known && e->value->type == YAML_SCALAR)
                add_parameter(d, e->key, e->value);
        } else if (str_eq(e->key, S("timeout")) || str_eq(e->key, S("stream_timeout"))) {
            d->timeout = text_of(e->value);
            import_say(c->report, IMPORT_CLOSE, where, "became timeouts.total of the target");
        } else if (str_eq(e->key, S("rpm")) || str_eq(e->key, S("tpm"))) {
            import_say(c->report, IMPORT_NOT, where,
                "how much a provider allows is learnt from its answers; to set a limit, add limits: [{for: "
                "\"model:" STR_FMT "/" STR_FMT "\", " STR_FMT ": " STR_FMT "}]",
                STR_ARG(d->source->id), STR_ARG(d->model), STR_ARG(e->key),
                STR_ARG(text_of(e->value)));
        } else if (str_starts(e->key, S("aws_")) || str_starts(e->key, S("vertex_")) ||
                   str_starts(e->key, S("azure_")) || str_eq(e->key, S("tenant_id")) ||
                   str_eq(e->key, S("client_id")) || str_eq(e->key, S("client_secret"))) {
            import_say(c->report, IMPORT_NOT, where,
                "write it under providers." STR_FMT ", as docs/clouds.md says",
                STR_ARG(d->source->id));
        } else if (str_eq(e->key, S("max_retries")) || str_eq(e->key, S("num_retries"))) {
            import_say(
                c->report, IMPORT_CLOSE, where, "retries follow each kind of error (retry:)");
        } else {
            import_say(c->report, IMPORT_NOT, where, "there is nothing like it here");
        }
    }
}

static void
read_deployment(struct converter *c, const struct yaml *entry, size_t number)
{
    const struct yaml *params = yaml_get(entry, S("litellm_params"));
    struct str at = arena_printf(c->a, "model_list[%zu]", number);
    struct str model = text_of(yaml_get(params, S("model")));
    struct deployment *d = &c->list[c->count];
    uint64_t weight;

    *d = (struct deployment){ .name = text_of(yaml_get(entry, S("model_name"))), .weight = 1 };
    if (d->name.n == 0 || model.n == 0) {
        import_say(c->report, IMPORT_NOT, at, "it has no model_name, or no litellm_params.model");
        return;
    }
    struct str row = find_row(c, &model, text_of(yaml_get(params, S("custom_llm_provider"))));
    d->source = find_source(c, row, params);
    d->model = model;
    if (d->source == NULL) {
        import_say(c->report, IMPORT_NOT, at, "there are more than %u providers", NAMES_MOST);
        return;
    }
    if (str_u64(text_of(yaml_get(params, S("weight"))), &weight) && weight > 0)
        d->weight = MIN(weight, 1000u);
    add_key(d->source, reference(c, text_of(yaml_get(params, S("api_key")))));
    buf_init(&d->params, YAML_BYTES_MAX);
    read_params(c, d, params, arena_printf(c->a, STR_FMT ".litellm_params", STR_ARG(at)));
    if (yaml_get(entry, S("model_info")) != NULL)
        import_say(c->report, IMPORT_CLOSE, arena_printf(c->a, STR_FMT ".model_info", STR_ARG(at)),
            "prices and limits come from the catalog; for others see catalog.models");
    import_say(c->report, IMPORT_EXACT, at, " ");
    c->count++;
}

/* --- writing --- */

static void
add_setting(struct buf *out, bool *first, const char *name, struct str value)
{
    if (value.n == 0)
        return;
    buf_printf(out, "%s%s: ", *first ? "" : ", ", name);
    json_add_str(out, value);
    *first = false;
}

static void
write_source(struct converter *c, struct buf *out, const struct litellm_source *s)
{
    const struct provider_row *row = provider_row(s->row);
    bool first = true, own = !str_eq(s->id, s->row);
    struct str base = s->base_url.n != 0 ? s->base_url : own && row != NULL ? row->base_url : S("");

    buf_add(out, S("  "));
    json_add_str(out, s->id);
    buf_add(out, S(": {"));
    if (own && row != NULL) {
        add_setting(out, &first, "wire", row->wire->name);
        if (!str_eq(row->host->name, S("direct")))
            add_setting(out, &first, "host", row->host->name);
    }
    add_setting(out, &first, "base_url", base);
    add_setting(out, &first, "api_version", s->api_version);
    if (s->region.n != 0) {
        buf_printf(out, "%saws: {region: ", first ? "" : ", ");
        json_add_str(out, s->region);
        buf_add_c(out, '}');
        first = false;
    }
    if (s->project.n != 0 || s->location.n != 0) {
        bool inner = true;

        buf_printf(out, "%sgoogle: {", first ? "" : ", ");
        add_setting(out, &inner, "project", s->project);
        add_setting(out, &inner, "location", s->location);
        buf_add_c(out, '}');
        first = false;
    }
    if (s->key_count != 0)
        buf_printf(out, "%sapi_key: %s", first ? "" : ", ", s->key_count > 1 ? "[" : "");
    for (size_t i = 0; i < s->key_count; i++) {
        buf_add(out, i != 0 ? S(", ") : S(""));
        json_add_str(out, s->keys[i]);
    }
    buf_add(out, s->key_count > 1 ? S("]}\n") : S("}\n"));
    if (s->key_count > 1)
        import_say(c->report, IMPORT_CLOSE, s->id,
            "deployments at the same address with different keys became one provider that uses them in "
            "turn");
}

static void
write_target(struct buf *out, const struct deployment *d)
{
    buf_add(out, S("      - {model: "));
    struct buf name;

    buf_init(&name, YAML_BYTES_MAX);
    buf_printf(&name, STR_FMT "/" STR_FMT, STR_ARG(d->source->id), STR_ARG(d->model));
    json_add_str(out, buf_str(&name));
    buf_fini(&name);
    if (d->weight != 1)
        buf_printf(out, ", weight: %llu", (unsigned long long)d->weight);
    if (buf_len(&d->params) != 0)
        buf_printf(out, ", params: {" STR_FMT "}", STR_ARG(buf_str(&d->params)));
    if (d->timeout.n != 0 && str_chr(d->timeout, '.') == d->timeout.n)
        buf_printf(out, ", timeouts: {total: " STR_FMT "s}", STR_ARG(d->timeout));
    buf_add(out, S("}\n"));
}

/* The fallbacks of a name in a list of {name: [others]}; NULL: there are none. */
static const struct yaml *
fallbacks_in(const struct yaml *list, struct str name)
{
    for (const struct yaml_entry *e = list != NULL ? list->first : NULL; e != NULL; e = e->next) {
        const struct yaml *others = yaml_get(e->value, name);

        if (others != NULL && others->type == YAML_LIST)
            return others;
    }
    return NULL;
}

static const struct yaml *
fallbacks_of(const struct converter *c, struct str name)
{
    const struct yaml *litellm = yaml_get(c->doc, S("litellm_settings"));
    const struct yaml *router = yaml_get(c->doc, S("router_settings"));
    const struct yaml *found = fallbacks_in(yaml_get(router, S("fallbacks")), name);

    if (found == NULL)
        found = fallbacks_in(yaml_get(litellm, S("fallbacks")), name);
    if (found == NULL)
        found = yaml_get(litellm, S("default_fallbacks"));
    return found != NULL && found->type == YAML_LIST && found->count != 0 ? found : NULL;
}

/* An alias; a name with '*' takes its models through. */
static void
write_alias(struct converter *c, struct buf *out, size_t first)
{
    struct str name = c->list[first].name;
    const struct yaml *others = fallbacks_of(c, name);
    size_t count = 0;

    for (size_t i = first; i < c->count; i++)
        count += str_eq(c->list[i].name, name);
    if (others != NULL && count > 1) {
        buf_add(out, S("  "));
        json_add_str(out, arena_printf(c->a, STR_FMT "-deployments", STR_ARG(name)));
        buf_printf(out, ":\n    strategy: " STR_FMT "\n    targets:\n", STR_ARG(c->strategy));
        for (size_t i = first; i < c->count; i++)
            if (str_eq(c->list[i].name, name))
                write_target(out, &c->list[i]);
    }
    buf_add(out, S("  "));
    json_add_str(out, name);
    buf_add(out, S(":\n"));
    if (others == NULL && count > 1)
        buf_printf(out, "    strategy: " STR_FMT "\n", STR_ARG(c->strategy));
    buf_add(out, S("    targets:\n"));
    if (others != NULL && count > 1) {
        buf_add(out, S("      - "));
        json_add_str(out, arena_printf(c->a, STR_FMT "-deployments", STR_ARG(name)));
        buf_add_c(out, '\n');
    }
    for (size_t i = first; i < c->count && (others == NULL || count == 1); i++)
        if (str_eq(c->list[i].name, name))
            write_target(out, &c->list[i]);
    for (const struct yaml_entry *e = others != NULL ? others->first : NULL; e != NULL;
         e = e->next) {
        if (str_eq(text_of(e->value), name) || text_of(e->value).n == 0)
            continue;
        buf_add(out, S("      - "));
        json_add_str(out, text_of(e->value));
        buf_add_c(out, '\n');
    }
}

/* A name for all models of a provider, written as it is here: that needs no alias. */
static bool
is_direct(const struct converter *c, const struct deployment *d)
{
    return str_eq(d->name, arena_printf(c->a, STR_FMT "/" STR_FMT, STR_ARG(d->source->id),
                               STR_ARG(d->model))) &&
           fallbacks_of(c, d->name) == NULL;
}

static bool
is_first(const struct converter *c, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (str_eq(c->list[k].name, c->list[i].name))
            return false;
    return true;
}

/* --- the other settings --- */

static const struct {
    const char *section, *name;
    enum import_verdict verdict;
    const char *why;
} settings[] = {
    { "litellm_settings", "fallbacks", IMPORT_EXACT, " " },
    { "litellm_settings", "default_fallbacks", IMPORT_EXACT, " " },
    { "litellm_settings", "context_window_fallbacks", IMPORT_CLOSE,
        "after a context_length error only targets that fit are asked, without a list" },
    { "litellm_settings", "content_policy_fallbacks", IMPORT_CLOSE,
        "models.NAME.on_error: {content_filter: move} asks the next target" },
    { "litellm_settings", "num_retries", IMPORT_CLOSE,
        "retries follow each kind of error (retry:)" },
    { "litellm_settings", "request_timeout", IMPORT_CLOSE, "see timeouts.total" },
    { "litellm_settings", "drop_params", IMPORT_CLOSE,
        "what a target cannot express is always left out, and named in x-openclaw-dropped" },
    { "litellm_settings", "set_verbose", IMPORT_CLOSE, "see observe.log.level" },
    { "litellm_settings", "json_logs", IMPORT_CLOSE, "logs are JSON unless they go to a terminal" },
    { "litellm_settings", "callbacks", IMPORT_NOT, "there are the access log and /metrics" },
    { "litellm_settings", "success_callback", IMPORT_NOT, "there are the access log and /metrics" },
    { "litellm_settings", "failure_callback", IMPORT_NOT, "there are the access log and /metrics" },
    { "litellm_settings", "cache", IMPORT_NOT, "answers are not cached" },
    { "litellm_settings", "max_budget", IMPORT_CLOSE, "write budgets: [{for: all, usd: ...}]" },
    { "router_settings", "fallbacks", IMPORT_EXACT, " " },
    { "router_settings", "routing_strategy", IMPORT_EXACT, " " },
    { "router_settings", "model_group_alias", IMPORT_EXACT, " " },
    { "router_settings", "num_retries", IMPORT_CLOSE,
        "retries follow each kind of error (retry:)" },
    { "router_settings", "timeout", IMPORT_CLOSE, "see timeouts.total" },
    { "router_settings", "allowed_fails", IMPORT_CLOSE,
        "circuit breakers decide by the share of failures" },
    { "router_settings", "cooldown_time", IMPORT_CLOSE,
        "circuit breakers probe, at growing intervals" },
    { "router_settings", "retry_policy", IMPORT_CLOSE, "see models.NAME.on_error" },
    { "general_settings", "master_key", IMPORT_CLOSE,
        "it works for models; for the admin API make a key: openclaw keys create --kind admin --role admin" },
    { "general_settings", "database_url", IMPORT_CLOSE,
        "its keys are imported with --database; the store of this gateway is store.url" },
    { "general_settings", "max_parallel_requests", IMPORT_CLOSE,
        "see limits: [{for: \"key:*\", concurrent: N}]" },
    { "general_settings", "global_max_parallel_requests", IMPORT_CLOSE,
        "see server.limits.requests" },
};

static void
report_settings(struct converter *c, const char *section)
{
    const struct yaml *all = yaml_get(c->doc, str_c(section));

    for (const struct yaml_entry *e = all != NULL ? all->first : NULL; e != NULL; e = e->next) {
        struct str where = arena_printf(c->a, "%s." STR_FMT, section, STR_ARG(e->key));
        size_t i = 0;

        while (i < ARRAY_LEN(settings) && (!str_eq(str_c(settings[i].section), str_c(section)) ||
                                              !str_eq(e->key, str_c(settings[i].name))))
            i++;
        if (i < ARRAY_LEN(settings))
            import_say(c->report, settings[i].verdict, where, "%s", settings[i].why);
        else
            import_say(c->report, IMPORT_NOT, where, "there is nothing like it here");
    }
}

static struct str
strategy_of(struct str theirs)
{
    static const struct {
        struct str theirs, ours;
    } list[] = {
        { S_INIT("least-busy"), S_INIT("least_busy") },
        { S_INIT("latency-based-routing"), S_INIT("latency") },
        { S_INIT("usage-based-routing"), S_INIT("least_busy") },
        { S_INIT("usage-based-routing-v2"), S_INIT("least_busy") },
        { S_INIT("cost-based-routing"), S_INIT("cost") },
    };

    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        if (str_eq(list[i].theirs, theirs))
            return list[i].ours;
    return S("weighted");    /* simple-shuffle */
}

static void
write_group_aliases(struct converter *c, struct buf *out)
{
    const struct yaml *all =
        yaml_get(yaml_get(c->doc, S("router_settings")), S("model_group_alias"));

    for (const struct yaml_entry *e = all != NULL ? all->first : NULL; e != NULL; e = e->next) {
        struct str to = e->value->type == YAML_MAP ? text_of(yaml_get(e->value, S("model")))
                                                   : text_of(e->value);
        if (to.n == 0)
            continue;
        buf_add(out, S("  "));
        json_add_str(out, e->key);
        buf_add(out, S(": {targets: ["));
        json_add_str(out, to);
        buf_add(out, S("]}\n"));
    }
}

static void
write_all(struct converter *c, struct buf *out)
{
    struct str master = text_of(yaml_get(yaml_get(c->doc, S("general_settings")), S("master_key")));

    buf_add(out, S("# Made by `openclaw import litellm`; `openclaw check` says what it lacks.\n"));
    if (master.n != 0) {
        buf_add(out, S("auth:\n  keys:\n    - {name: master, key: "));
        json_add_str(out, reference(c, master));
        buf_add(out, S("}\n"));
    }
    buf_add(out, S("providers:\n"));
    for (size_t i = 0; i < c->source_count; i++)
        write_source(c, out, &c->sources[i]);
    buf_add(out, S("models:\n"));
    for (size_t i = 0; i < c->count; i++)
        if (is_first(c, i) && !is_direct(c, &c->list[i]))
            write_alias(c, out, i);
    write_group_aliases(c, out);
}

bool
litellm_convert(const struct yaml *doc, struct buf *out, struct import_report *report)
{
    struct converter *c = arena_new(report->arena, struct converter);
    const struct yaml *models = yaml_get(doc, S("model_list"));
    size_t number = 0;

    c->a = report->arena;
    c->report = report;
    c->doc = doc;
    if (models == NULL || models->type != YAML_LIST || models->count > DEPLOYMENTS_MOST) {
        import_say(report, IMPORT_NOT, S("model_list"),
            "it is missing, or not a list of at most %u deployments", DEPLOYMENTS_MOST);
        return false;
    }
    c->list = arena_array(c->a, struct deployment, models->count + 1);
    c->strategy =
        strategy_of(text_of(yaml_get(yaml_get(doc, S("router_settings")), S("routing_strategy"))));
    for (const struct yaml_entry *e = models->first; e != NULL; e = e->next)
        read_deployment(c, e->value, number++);
    report_settings(c, "litellm_settings");
    report_settings(c, "router_settings");
    report_settings(c, "general_settings");
    write_all(c, out);
    for (size_t i = 0; i < c->count; i++)
        buf_fini(&c->list[i].params);
    return c->count != 0;
}
