/* test_plan.c - which targets can take a request, and why others cannot. */
#include "route/plan.c"

#include "tests/test.h"

static struct provider chat = { .id = S_INIT("lab"), .wire = &wire_openai_chat };
static struct provider claude = { .id = S_INIT("claude"), .wire = &wire_anthropic };

TEST(what_cannot_take_the_request_is_excluded_and_the_rest_keeps_its_order)
{
    struct target a = { .provider = &claude }, b = { .provider = &chat };
    struct candidate list[] = { { .target = &a }, { .target = &b }, { .target = &a } };
    struct plan plan = { .list = list, .count = ARRAY_LEN(list) };
    static const struct {
        enum llm_op op;
        const struct wire *from;
        enum exclusion first, second;
        bool any, later;
    } rows[] = {
        { OP_CHAT, &wire_openai_chat, EXCLUDED_NOT, EXCLUDED_NOT, true, true },
        { OP_CHAT, &wire_anthropic, EXCLUDED_NOT, EXCLUDED_NOT, true, true },
        { OP_EMBED, &wire_openai_chat, EXCLUDED_OPERATION, EXCLUDED_NOT, true, false },
        { OP_COUNT_TOKENS, &wire_anthropic, EXCLUDED_NOT, EXCLUDED_OPERATION, true, true },
        { OP_RELAY, &wire_openai_chat, EXCLUDED_WIRE, EXCLUDED_NOT, true, false },
        { OP_RELAY, &wire_anthropic, EXCLUDED_NOT, EXCLUDED_WIRE, true, true },
        { OP_RELAY, &wire_ollama, EXCLUDED_WIRE, EXCLUDED_WIRE, false, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < plan.count; k++)
            list[k].excluded = constraint_kind(list[k].target, rows[i].op, rows[i].from);
        EXPECT_INT(plan.list[0].excluded, rows[i].first);
        EXPECT_INT(plan.list[1].excluded, rows[i].second);
        EXPECT_INT(plan.list[2].excluded, rows[i].first);
        EXPECT_INT(plan_has_fresh(&plan), rows[i].any);
    }
}

TEST(the_reason_is_told_with_the_provider)
{
    struct arena *a = arena_create(64 * 1024);
    struct target t = { .provider = &claude };

    EXPECT_STR(constraint_kind_text(&t, EXCLUDED_WIRE, OP_RELAY, &wire_openai_chat, a),
        "this route needs a provider with the protocol openai-chat; claude uses anthropic-messages");
    EXPECT_STR(constraint_kind_text(&t, EXCLUDED_OPERATION, OP_EMBED, &wire_openai_chat, a),
        "the provider claude has no embeddings");
    EXPECT_STR(constraint_kind_text(&t, EXCLUDED_OPERATION, OP_COMPLETE, &wire_openai_chat, a),
        "the provider claude has no such operation");
    arena_destroy(a);
}

/* --- what an operator has switched off --- */

enum { WELL = 2 };    /* of three candidates the last one is at a provider of its own */

struct off_world {
    struct health_table *tables[2];
    struct health *keys[2];
    struct breakers breakers[2];
    struct provider providers[2];
    struct target targets[3];
    struct candidate list[3];
    struct plan plan;
};

/* A provider with two keys and two models, and another one. */
static void
off_world_begin(struct off_world *w, bool insist)
{
    static _Atomic uint32_t turn;

    *w = (struct off_world){ .tables = {
                                 health_table_hold(S("one")), health_table_hold(S("two")) } };
    for (size_t i = 0; i < 2; i++) {
        w->keys[i] = health_key(w->tables[0], i == 0 ? S("a: x\r\n") : S("a: y\r\n"));
        w->breakers[i] = (struct breakers){ .table = w->tables[i], .keys = w->keys };
        w->providers[i] = chat;
    }
    w->providers[0].credential_count = 2;
    w->providers[0].turn = &turn;
    for (size_t i = 0; i < 3; i++) {
        size_t p = i == WELL;

        w->targets[i] = (struct target){ .provider = &w->providers[p],
            .breakers = &w->breakers[p],
            .health = health_target(w->tables[p], i == 1 ? S("n") : S("m")) };
        w->list[i].target = &w->targets[i];
    }
    w->plan = (struct plan){ .list = w->list, .count = 3, .insist = insist };
}

static void
off_world_end(struct off_world *w)
{
    health_table_drop(w->tables[0]);
    health_table_drop(w->tables[1]);
}

/* The number of the candidate that is picked; -1: none, because all is switched off. */
static int
picked(struct off_world *w, struct pick *ret)
{
    const struct health_verdict fine = { .outcome = OK };
    enum pick_when when = plan_pick(&w->plan, false, 1000 * 1000 * 1000, ret);

    if (when == PICK_NEVER) {
        EXPECT_INT(ret->why, ERR_SWITCHED_OFF);
        return -1;
    }
    EXPECT_INT(when, PICK_NOW);
    health_leave(&ret->pass, &fine, 1000 * 1000);
    return (int)(ret->candidate - w->list);
}

TEST(what_is_switched_off_is_not_asked_even_where_breakers_are_not_used)
{
    for (int insist = 0; insist < 2; insist++) {
        struct off_world w;
        struct pick pick;

        off_world_begin(&w, insist != 0);
        EXPECT_INT(picked(&w, &pick), 0);
        health_switch(w.targets[0].health, true, 1000);
        EXPECT_INT(picked(&w, &pick), 1);    /* its sibling */
        health_switch(health_provider(w.tables[0]), true, 1000);
        EXPECT_INT(picked(&w, &pick), WELL);
        health_switch(health_provider(w.tables[1]), true, 1000);
        EXPECT_INT(picked(&w, &pick), -1);
        health_switch(health_provider(w.tables[0]), false, 1000);
        EXPECT_INT(picked(&w, &pick), 1);
        off_world_end(&w);
    }
}

TEST(of_a_providers_keys_one_that_is_not_switched_off_is_used)
{
    for (int insist = 0; insist < 2; insist++) {
        struct off_world w;
        struct pick pick;

        off_world_begin(&w, insist != 0);
        health_switch(w.keys[0], true, 1000);
        for (int i = 0; i < 4; i++) {
            EXPECT_INT(picked(&w, &pick), 0);
            EXPECT_INT(pick.credential, 1);
        }
        health_switch(w.keys[1], true, 1000);
        EXPECT_INT(picked(&w, &pick), WELL);
        off_world_end(&w);
    }
}

/* --- what may be repeated --- */

/* How many repetitions of the target are left. */
static unsigned
repetitions(struct health *h, uint64_t now_ms)
{
    unsigned n = 0;

    while (health_take_retry(h, 20, now_ms))
        n++;
    return n;
}

TEST(what_is_repeated_only_if_there_is_no_other_costs_nothing_until_it_is_asked)
{
    struct off_world w;
    struct pick pick;
    uint64_t now_us = 3600000000;
    unsigned all;

    off_world_begin(&w, false);
    w.plan.retry_percent = 20;
    all = repetitions(w.targets[0].health, now_us / 1000);
    EXPECT(all > 2);
    now_us += 60000000;

    /* another target is there: it is asked */
    w.list[0] = (struct candidate){
        .target = &w.targets[0], .state = CANDIDATE_SPARE, .unpaid = true, .again_us = now_us
    };
    w.list[1].state = CANDIDATE_CLOSED;
    EXPECT_INT(plan_pick(&w.plan, false, now_us, &pick), PICK_NOW);
    EXPECT(pick.candidate == &w.list[2]);
    health_leave(&pick.pass, &(struct health_verdict){ .outcome = OK }, now_us / 1000);
    EXPECT_INT(repetitions(w.targets[0].health, now_us / 1000), all);
    now_us += 60000000;

    /* it is the only one that is left: it is waited for, and asked, for one of them */
    w.list[2].state = CANDIDATE_CLOSED;
    w.list[0].again_us = now_us + 1000;
    EXPECT_INT(plan_pick(&w.plan, false, now_us, &pick), PICK_LATER);
    EXPECT(pick.at_us == now_us + 1000 && !w.list[0].unpaid);
    EXPECT_INT(plan_pick(&w.plan, false, now_us + 1000, &pick), PICK_NOW);
    EXPECT(pick.candidate == &w.list[0]);
    health_leave(&pick.pass, &(struct health_verdict){ .outcome = OK }, now_us / 1000);
    EXPECT_INT(repetitions(w.targets[0].health, now_us / 1000), all - 1);

    /* there is none left */
    w.list[0].unpaid = true;
    w.list[0].again_us = now_us + 1000;
    EXPECT_INT(plan_pick(&w.plan, false, now_us, &pick), PICK_NEVER);
    EXPECT_INT(w.list[0].state, CANDIDATE_CLOSED);
    off_world_end(&w);
}
