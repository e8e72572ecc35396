/* resource_link.c - asks over the local socket, or does on the store what a gateway would do. */
#include "app/resource_link.h"

#include <stdio.h>
#include <unistd.h>

#include "app/harden.h"
#include "app/state.h"
#include "control/pepper.h"
#include "store/place.h"

#define WHERE_BYTES 1024

/* Loads the configuration for its store; false after saying what is wrong with it. */
static bool
load(struct resource_link *l)
{
    struct conf_problems problems;

    conf_problems_init(&problems, l->client.arena);
    config_flags_from_environment(&l->config);
    l->conf = config_flags_load(&l->config, &problems);
    if (problems.count == 0)
        return true;
    conf_problems_print(&problems, str_c(l->config.path), STDERR_FILENO);
    return false;
}

/* Opens the store that `openclaw serve` would use. */
static bool
open_store(struct resource_link *l)
{
    const struct conf *c = l->conf;
    bool of_system = c->server.user.v.n != 0 && harden_is_root();
    struct str url = place_store(l->client.arena, c->store.url.v, of_system);
    char why[WHERE_BYTES];

    l->store = store_open(url, WHY(why));
    if (l->store == NULL) {
        (void)fprintf(stderr, "openclaw %s: store.url: %s\n", l->client.command, why);
        return false;
    }
    if (store_is_off(l->store))
        (void)fprintf(stderr,
            "openclaw %s: no gateway answers on this machine, and there is no store (store.url); name a "
            "gateway with --socket or --url, or a configuration with --config\n",
            l->client.command);
    else if (store_connect(l->store) != STORE_OK || store_migrate(l->store) != STORE_OK)
        (void)fprintf(stderr, "openclaw %s: " STR_FMT ": %s\n", l->client.command,
            STR_ARG(store_name(l->store)), store_why(l->store));
    else
        return true;
    return false;
}

/* No gateway runs. */
static bool
without_gateway(struct admin_client *c, void *arg UNUSED)
{
    struct resource_link *l = CONTAINER_OF(c, struct resource_link, client);

    if (!load(l) || !open_store(l))
        return false;
    bool of_system = l->conf->server.user.v.n != 0 && harden_is_root();

    l->pepper = state_pepper(l->conf, of_system, c->arena).text;
    l->audit = state_audit(l->conf, of_system);
    if (l->pepper.n != 0 && pepper_check(l->store, l->pepper) == STORE_CONFLICT) {
        (void)fprintf(stderr,
            "openclaw %s: the keys of this store were made with another pepper; set auth.pepper, or copy "
            "the file pepper of the gateway that made them\n",
            c->command);
        return false;
    }
    (void)fprintf(stderr, "openclaw %s: without a gateway, in the store " STR_FMT "\n", c->command,
        STR_ARG(store_name(l->store)));
    return l->act(l, l->arg);
}

static bool
with_gateway(struct admin_client *c, void *arg UNUSED)
{
    struct resource_link *l = CONTAINER_OF(c, struct resource_link, client);

    return l->act(l, l->arg);
}

int
resource_link_run(
    struct resource_link *l, bool (*act)(struct resource_link *l, void *arg), void *arg)
{
    l->act = act;
    l->arg = arg;
    l->client.without = without_gateway;
    int status = admin_client_run(&l->client, with_gateway, NULL);

    store_close(l->store);
    audit_log_destroy(l->audit);
    if (l->conf != NULL)
        conf_destroy(l->conf);
    config_flags_fini(&l->config);
    return status;
}

/* What a gateway's steward would do. */
static const struct json *
ask_store(struct resource_link *l, struct str method, const char *path, struct str body,
    struct str *ret_text)
{
    const struct api api = { .audit = l->audit, .pepper = l->pepper };
    struct arena *a = l->client.arena;
    struct api_answer answer;
    struct api_request q = {
        .method = method, .body = body, .actor = { .role = ROLE_owner, .id = S("local") }
    };

    (void)str_cut(str_c(path), '?', &q.path, &q.query);
    api_answer(&api, l->store, &q, a, &answer);
    struct str text = admin_shown_json(&l->client, str_trim(buf_str(&answer.body)));
    const struct json *doc = json_parse(a, text.n != 0 ? text : S("{}"), NULL, NULL);

    buf_fini(&answer.body);
    if (answer.status >= 400) {
        (void)fprintf(stderr, "openclaw %s: " STR_FMT "\n", l->client.command,
            STR_ARG(admin_problem(&l->client, doc, answer.status)));
        return NULL;
    }
    *ret_text = text;
    return doc;
}

const struct json *
resource_link_ask(struct resource_link *l, struct str method, const char *path, struct str body,
    struct str *ret_text)
{
    return l->store != NULL ? ask_store(l, method, path, body, ret_text)
                            : admin_client_send(&l->client, method, path, body, ret_text);
}
