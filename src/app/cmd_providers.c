/* cmd_providers.c - `openclaw providers` and `openclaw models`: known and configured providers, and
 * the model names that can be used, with or without a configuration. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/app.h"
#include "app/config_flags.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "catalog/catalog.h"
#include "catalog/entry.h"
#include "gateway/models.h"
#include "net/dns.h"
#include "net/timer.h"

#define LINE "%-14.*s %-3s %-18.*s %-42.*s %.*s\n"

enum { OUTPUT_MAX = 16 * 1024 * 1024, TICK_MS = 50 };

struct listing {
    struct config_flags config;
    bool json;
    bool known;    /* do not query providers */
    struct arena *arena;
    struct snapshot *snapshot;
    struct buf out;
    size_t count;
};

/* Parses the flags and builds the snapshot. Returns -1 to continue, else the exit status. */
static int
begin(struct listing *k, const char *usage, const char *about, bool asks, int argc, char **argv)
{
    const struct flag list[] = {
        { "config", 'c', FLAG_TEXT, "FILE", "the configuration file (from OPENCLAW_CONFIG)",
            &k->config.path, NULL },
        { "set", 's', FLAG_CALL, "KEY=VALUE", "a setting put over the file; may be given again",
            &k->config, config_flags_set },
        { "json", 0, FLAG_BOOL, NULL, "print the result as JSON", &k->json, NULL },
        { "known", 0, FLAG_BOOL, NULL, "do not ask providers for their models", &k->known, NULL },
    };
    const struct flags flags = {
        .usage = usage, .about = about, .list = list, .count = ARRAY_LEN(list) - !asks
    };
    struct conf_problems problems;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, NULL);

    if (verdict != FLAGS_OK)
        return verdict;
    config_flags_from_environment(&k->config);
    k->arena = arena_create(OUTPUT_MAX);
    conf_problems_init(&problems, k->arena);
    struct conf *c = config_flags_load(&k->config, &problems);
    /* a placeholder address for the built-in provider, which only `serve` starts */
    k->snapshot =
        snapshot_build(c, c->provider_count == 0 ? S("http://127.0.0.1:1/v1") : S(""), &problems);
    buf_init(&k->out, OUTPUT_MAX);
    if (problems.count == 0)
        return -1;
    conf_problems_print(
        &problems, str_c(k->config.path != NULL ? k->config.path : "(built in)"), STDERR_FILENO);
    return 2;
}

static int
end(struct listing *k, int status)
{
    if (status < 0) {
        output_print(&k->out);
        status = 0;
    } else {
        buf_fini(&k->out);
    }
    snapshot_unref(k->snapshot);
    arena_destroy(k->arena);
    config_flags_fini(&k->config);
    return status;
}

/* An object of the list that --json prints, one a line. */
static struct json_out
begin_row(struct listing *k)
{
    struct json_out o = json_out(&k->out);

    buf_add(&k->out, k->count++ == 0 ? S("[") : S(",\n "));
    out_object(&o);
    return o;
}

/* --- providers --- */

static void
print_provider(struct listing *k, struct str id, const struct provider_row *row)
{
    const struct provider *p = providers_find(k->snapshot->providers, id);
    const struct wire *wire = p != NULL ? p->wire : row != NULL ? row->wire : NULL;
    struct str why = providers_why(k->snapshot->providers, k->arena, id);
    struct str wire_name = wire != NULL ? wire->name : S("?");
    struct str left = row != NULL ? row->env : S(""), name;    /* the variables that hold its key */
    bool shared;

    if (!k->json) {
        struct buf variables;

        buf_init(&variables, 4096);
        while (provider_env_next(&left, &name, &shared)) {
            buf_add(&variables, buf_len(&variables) != 0 ? S(" ") : S(""));
            buf_add(&variables, name);
        }
        if (k->count++ == 0)
            buf_printf(&k->out, LINE, STR_ARG(S("PROVIDER")), "", STR_ARG(S("WIRE")),
                STR_ARG(S("VARIABLES")), STR_ARG(S("WHY, OR HOW TO SWITCH IT ON")));
        buf_printf(&k->out, LINE, STR_ARG(id), p != NULL ? "on" : "off", STR_ARG(wire_name),
            STR_ARG(buf_str(&variables)), STR_ARG(why));
        buf_fini(&variables);
        return;
    }
    struct json_out o = begin_row(k);

    out_text(&o, "id", id);
    out_text(&o, "name", row != NULL ? row->name : id);
    out_text(&o, "wire", wire_name);
    out_key_array(&o, "variables");
    while (provider_env_next(&left, &name, &shared))
        out_text_value(&o, name);
    out_end_array(&o);
    out_bool(&o, "on", p != NULL);
    out_text(&o, "why", why);
    out_end(&o);
}

int
cmd_providers(int argc, char **argv)
{
    struct listing k = { .json = false };
    const struct provider_row *row;
    int status = begin(&k, "openclaw providers [-c FILE] [options]",
        "Lists the providers that can be used, those that OpenClaw knows and those of the "
        "configuration: whether each is on, its protocol, and why it is on or how to "
        "switch it on.",
        false, argc, argv);

    if (k.arena == NULL)
        return status;
    const struct conf *c = k.snapshot->conf;
    for (size_t i = 0; status < 0 && (row = provider_row_at(i)) != NULL; i++)
        print_provider(&k, row->id, row);
    for (size_t i = 0; status < 0 && i < c->provider_count; i++)
        if (provider_row(c->providers[i].id.v) == NULL)
            print_provider(&k, c->providers[i].id.v, NULL);
    if (providers_simulated(k.snapshot->providers))
        print_provider(&k, S("mock"), NULL);
    if (k.json)
        buf_add(&k.out, S("]\n"));
    return end(&k, status);
}

/* --- models --- */

static void
print_model(void *arg, struct str id, struct str owner)
{
    struct listing *k = arg;

    if (!k->json) {
        buf_add(&k->out, id);
        buf_add_c(&k->out, '\n');
        return;
    }
    struct json_out o = begin_row(k);

    out_text(&o, "id", id);
    if (str_eq(owner, S("openclaw")))
        out_null(&o, "provider");
    else
        out_text(&o, "provider", owner);
    const struct model_row *facts = catalog_model(providers_catalog(k->snapshot->providers), id);
    if (facts != NULL) {
        out_key(&o, "facts");
        entry_write(&o, facts);
    }
    out_end(&o);
}

struct asking {
    struct loop *loop;
    struct timer tick;
    struct models_asker asker;
};

static void
on_tick(void *arg)
{
    struct asking *q = arg;

    if (q->asker.first == NULL)
        loop_stop(q->loop);
    else
        timer_set(&q->tick, TICK_MS);
}

/* Queries all providers and waits for their answers. */
static void
ask_providers(struct snapshot *s)
{
    const struct conf_strs *dns = &s->conf->server.dns;
    struct client_limits limits = { .head_bytes = 64 * 1024, .fields = 200 };
    struct asking q = { .loop = loop_create() };
    struct str *servers = check_alloc(calloc(dns->count + 1, sizeof(*servers)));

    for (size_t i = 0; i < dns->count; i++)
        servers[i] = dns->list[i].v;
    dns_use_servers(q.loop, servers, dns->count);
    free(servers);
    q.asker.loop = q.loop;
    q.asker.client = client_create(q.loop, &limits);
    timer_init(&q.tick, q.loop, on_tick, &q);
    (void)models_ask(&q.asker, s);
    timer_set(&q.tick, TICK_MS);
    loop_run(q.loop);
    models_stop(&q.asker);
    timer_stop(&q.tick);
    client_destroy(q.asker.client);
    loop_destroy(q.loop);
}

int
cmd_models(int argc, char **argv)
{
    struct listing k = { .json = false };
    int status = begin(&k, "openclaw models [-c FILE] [options]",
        "Lists the names that clients can use now: aliases, and for each provider that is on "
        "what the configuration says, or what the provider answers when it is asked, or else what "
        "OpenClaw knows of it. Any other provider/model is passed on as well.",
        true, argc, argv);

    if (k.arena == NULL)
        return status;
    if (status < 0 && !k.known)
        ask_providers(k.snapshot);
    if (status < 0)
        models_each(k.snapshot, print_model, &k);
    if (k.json)
        buf_add(&k.out, k.count == 0 ? S("[]\n") : S("]\n"));
    return end(&k, status);
}
