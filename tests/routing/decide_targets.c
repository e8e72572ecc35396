/* decide_targets.c STRATEGY [TARGETS [RULES]] - writes the CPU microseconds that a decision takes: reading
 * what the request needs, evaluating the rules, none of which holds, excluding, and ordering the targets of
 * one alias. For bench/run; under callgrind it counts instructions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "route/rules.h"
#include "route/warmth.h"
#include "llm/wire.h"

enum { ROUNDS = 20, TIMES = 500, LABS = 5 };

static const char request[] =
    "{\"model\":\"m\",\"stream\":true,\"max_tokens\":400,\"temperature\":0.2,\"messages\":[{\"role\":\"system\","
    "\"content\":\"You answer questions about a warehouse. Answer in one paragraph, and say what you do not know.\"},"
    "{\"role\":\"user\",\"content\":\"How many pallets of the article 4711 are left in hall 3, and when does the next "
    "delivery arrive? Compare the stock with that of the week before, and list the three customers who ordered most of it. "
    "If the delivery is late, write a short note to the purchasing department.\"}]}";

static struct str
configuration(struct arena *a, const char *strategy, size_t targets, size_t rules)
{
    struct buf b;

    buf_init(&b, 64 * 1024);
    buf_add(&b, S("providers:\n"));
    for (int i = 0; i < LABS; i++)
        buf_printf(
            &b, "  lab%d: {wire: openai-chat, base_url: \"http://h%d/v1\", api_key: k}\n", i, i);
    buf_printf(&b, "models:\n  m:\n    strategy: %s\n    targets:\n", strategy);
    for (size_t i = 0; i < targets; i++)
        buf_printf(&b, "      - {model: lab%zu/model-%zu, weight: %zu}\n", i % LABS, i, 1 + i % 3);
    if (rules != 0)
        buf_add(&b, S("rules:\n"));
    for (size_t i = 0; i < rules; i++)
        buf_printf(&b, "  - {when: 'tokens > %zu and key == \"team-%zu\"', use: m}\n", 100 + i, i);
    struct str text = arena_str(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

static void
measure(const struct alias *al, uint64_t now_us)
{
    for (size_t i = 0; i < al->count; i++) {
        struct load *load = health_load(al->targets[i]->health);
        struct load_sample s = { .us = 300000 + i * 20000, .input_tokens = 300 };

        load_note_time(load, &s, now_us);
        load_note_speed(load, 200, 2000000 + i * 10000, now_us);
        load_note_requests(
            load, health_key_name(al->targets[i]->breakers->keys[0]), 500, 60000, now_us);
    }
}

struct world {
    const struct route_table *table;
    struct rules_runner *runner;
    struct arena *arena;
    struct llm_request request;
};

static void
decide(struct world *w, uint64_t seed)
{
    struct ask ask = { .request = &w->request,
        .arena = w->arena,
        .known = ASK_HEADERS,
        .model = S("m"),
        .op = OP_CHAT,
        .wire = &wire_openai_chat,
        .stream = true,
        .key = S("somebody"),
        .now_us = clock_now_us(),
        .wall_ms = clock_wall_ms(),
        .seed = seed };
    struct rule_result result;
    struct route_found found;
    struct plan plan;
    struct str why;

    rules_run(w->runner, &ask, &result);
    CHECK(rules_find(&result, w->table, &ask, &found, &why) == OK);
    CHECK(route_plan(w->table, &found, &ask, &plan, &why) == OK);
}

/* The least of some rounds, so that what else the machine does counts little. */
static double
time_us(struct world *w)
{
    struct arena_mark mark = arena_mark(w->arena);
    double least = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        clock_t before = clock();

        for (uint64_t i = 0; i < TIMES; i++) {
            decide(w, i);
            arena_rewind(w->arena, mark);
        }
        double us = (double)(clock() - before) * 1e6 / CLOCKS_PER_SEC / TIMES;
        least = MIN(least, us);
    }
    return least;
}

int
main(int argc, char **argv)
{
    struct arena *a = arena_create(64 * 1024 * 1024);
    struct conf_problems problems;
    struct world w = { .arena = a };

    CHECK(argc > 1);
    size_t targets = argc > 2 ? (size_t)atoi(argv[2]) : 50,
           rules = argc > 3 ? (size_t)atoi(argv[3]) : 20;
    conf_problems_init(&problems, a);
    struct conf *c =
        conf_parse(configuration(a, argv[1], targets, rules), S("decide.yaml"), &problems);
    struct providers *providers = providers_create(c, S(""), &problems);
    struct route_table *table = table_create(c, providers, &problems);
    struct rules *all = rules_create(c, table, &problems);
    for (const struct conf_problem *p = problems.first; p != NULL; p = p->next)
        fprintf(stderr, STR_FMT "\n", STR_ARG(p->text));
    CHECK(problems.count == 0);
    w.table = table;
    w.runner = rules_runner_create(all);
    w.request = (struct llm_request){
        .arena = a, .op = OP_CHAT, .wire = &wire_openai_chat, .body = str_c(request)
    };
    w.request.doc = json_parse(a, w.request.body, NULL, NULL);
    measure(table_alias_at(table, 0), clock_now_us());
    printf("%.2f\n", time_us(&w));
    rules_runner_destroy(w.runner);
    rules_destroy(all);
    table_destroy(table);
    providers_destroy(providers);
    arena_destroy(a);
    return 0;
}
