/* rules_world.h - a configuration's rules, and asks that a test fills in. */
#pragma once

#include "route/rules.h"
#include "tests/unit/catalog/providers_world.h"

/* What asks can find out (the test has renamed ask_know()): everything unless a test takes something away. */
static unsigned fake_knowable = ASK_NEEDS | ASK_ANALYSIS | ASK_HEADERS;

static unsigned fake_found[3];    /* how often each was found out */

bool
fake_ask_know(struct ask *ask, enum ask_fact fact)
{
    if ((ask->known & fact) != 0)
        return true;
    if ((fake_knowable & fact) == 0)
        return false;
    ask->known |= fact;
    fake_found[fact == ASK_NEEDS ? 0 : fact == ASK_ANALYSIS ? 1 : 2]++;
    return true;
}

struct ruled {
    struct loaded l;
    struct providers *all;
    struct route_table *t;
    struct rules *rules;
    struct rules_runner *runner;
    struct arena *a;
    struct ask ask;
    struct rule_result result;
};

#define WORLD_OF_RULES                                                                             \
    "providers:\n"                                                                                 \
    "  openai: {api_key: k}\n"                                                                     \
    "models:\n"                                                                                    \
    "  fast: {targets: [openai/small]}\n"                                                          \
    "  smart: {targets: [openai/large]}\n"

/* `rules` is the YAML text of the list, with its problems. */
static struct ruled
rules_world(const char *rules)
{
    struct arena *a = arena_create(1024 * 1024);
    struct ruled r = { .a = a };
    char text[8192];

    forget_environment();
    (void)snprintf(text, sizeof(text), WORLD_OF_RULES "rules:\n%s", rules);
    r.l = load(str_c(text));
    r.all = providers_create(r.l.conf, S(""), &r.l.problems);
    r.t = table_create(r.l.conf, r.all, &r.l.problems);
    r.rules = rules_create(r.l.conf, r.t, &r.l.problems);
    r.runner = rules_runner_create(r.rules);
    r.ask = (struct ask){ .arena = a,
        .known = ASK_HEADERS,
        .model = S("fast"),
        .op = OP_CHAT,
        .needs = { .bits = NEED_BIT(TOOLS), .input_tokens = 5000, .messages = 3 },
        .key = S("ci") };
    fake_knowable = ASK_NEEDS | ASK_ANALYSIS | ASK_HEADERS;
    memset(fake_found, 0, sizeof(fake_found));
    return r;
}

static void
rules_world_end(struct ruled *r)
{
    rules_runner_destroy(r->runner);
    rules_destroy(r->rules);
    table_destroy(r->t);
    providers_destroy(r->all);
    unload(&r->l);
    arena_destroy(r->a);
}
