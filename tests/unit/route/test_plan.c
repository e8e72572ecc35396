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
        plan_judge(&plan, rows[i].op, rows[i].from);
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

    EXPECT_STR(target_exclusion_text(&t, EXCLUDED_WIRE, OP_RELAY, &wire_openai_chat, a),
        "this route needs a provider with the protocol openai-chat; claude uses anthropic-messages");
    EXPECT_STR(target_exclusion_text(&t, EXCLUDED_OPERATION, OP_EMBED, &wire_openai_chat, a),
        "the provider claude has no embeddings");
    EXPECT_STR(target_exclusion_text(&t, EXCLUDED_OPERATION, OP_COMPLETE, &wire_openai_chat, a),
        "the provider claude has no such operation");
    arena_destroy(a);
}
