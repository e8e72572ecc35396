/* snapshot.c - builds, counts and frees snapshots. */
#include "gateway/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "gateway/endpoints.h"
#include "policy/entries.h"

/* Collects the secrets of a configuration. */
static struct secrets *
collect_secrets(const struct conf *c, const struct providers *providers)
{
    struct secrets *s = secrets_create();
    const struct provider *p;

    for (size_t i = 0; i < c->auth.key_count; i++)
        secrets_add(s, c->auth.keys[i].key.v);
    secrets_add(s, c->auth.pepper.v);
    for (size_t i = 0; (p = providers_at(providers, i)) != NULL; i++) {
        for (size_t k = 0; k < p->credential_count; k++)
            secrets_add_lines(s, p->credentials[k]);
        secrets_add_lines(s, p->fields);
        if (p->identity != NULL) {
            secrets_add(s, identity_settings(p->identity)->v[SOURCE_SECRET]);
            secrets_add(s, identity_settings(p->identity)->v[SOURCE_SESSION]);
        }
        if (p->origin != NULL)
            secrets_add(s, p->origin->proxy_auth);
    }
    return s;
}

/* What the arms of experiments use must be something that can be asked for. */
static void
check_arms(const struct snapshot *s, struct conf_problems *problems)
{
    const struct experiment *e;
    struct route_found found;
    struct str why;

    for (size_t i = 0; (e = experiments_at(s->experiments, i)) != NULL; i++)
        for (size_t k = 0; k < e->arm_count; k++)
            if (e->arms[k].use.n != 0 &&
                route_find(s->routes, problems->arena, e->arms[k].use, &found, &why) != OK)
                conf_problem(problems, e->arms[k].mark,
                    "experiments." STR_FMT ", arm '" STR_FMT "': " STR_FMT, STR_ARG(e->name),
                    STR_ARG(e->arms[k].name), STR_ARG(why));
}

struct snapshot *
snapshot_build(struct conf *c, struct str simulated_url, struct conf_problems *problems)
{
    struct snapshot *s = check_alloc(calloc(1, sizeof(*s)));

    s->conf = c;
    s->auth = auth_create(c, problems);
    s->tokens = tokens_create(c, problems);
    s->providers = providers_create(c, simulated_url, problems);
    s->routes = table_create(c, s->providers, problems);
    s->rules = rules_create(c, s->routes, problems);
    s->experiments = experiments_create(c, problems);
    if (problems->count == 0)
        check_arms(s, problems);
    endpoint_check_keys(&c->auth, problems);
    entries_check(c, problems);
    s->secrets = collect_secrets(c, s->providers);
    s->generation = 1;
    atomic_store(&s->refs, 1);
    return s;
}

struct snapshot *
snapshot_ref(struct snapshot *s)
{
    (void)atomic_fetch_add(&s->refs, 1);
    return s;
}

void
snapshot_unref(struct snapshot *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    rules_destroy(s->rules);
    table_destroy(s->routes);
    experiments_destroy(s->experiments);
    providers_destroy(s->providers);
    tokens_destroy(s->tokens);
    auth_destroy(s->auth);
    secrets_destroy(s->secrets);
    conf_destroy(s->conf);
    free(s);
}

struct snapshot_hold *
snapshot_hold_create(struct snapshot *s)
{
    struct snapshot_hold *h = check_alloc(calloc(1, sizeof(*h)));

    h->snapshot = s;
    h->users = 1;
    h->rules = rules_runner_create(s->rules);
    return h;
}

void
snapshot_hold_drop(struct snapshot_hold *h)
{
    if (h == NULL || --h->users != 0)
        return;
    rules_runner_destroy(h->rules);
    snapshot_unref(h->snapshot);
    free(h);
}
