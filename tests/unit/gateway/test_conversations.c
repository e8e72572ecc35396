#include "gateway/conversations.c"    /* white box: the unit under test itself */
#include "tests/test.h"

static struct conversation_turn
turn(const char *id, const char *owner)
{
    return (struct conversation_turn){ .id = str_c(id),
        .owner = str_c(owner),
        .previous = S("resp_0"),
        .input = S("{\"role\":\"user\"}"),
        .answer = S("{\"output\":[]}"),
        .provider = S("") };
}

TEST(a_turn_is_its_owner_s_until_its_time_is_over)
{
    struct conversations *c = conversations_create();
    struct arena *a = arena_create(1 << 20);
    struct conversation_turn t = turn("resp_1", "me"), got;

    conversations_put(c, &t, 1 << 20, 1000, 5000);
    EXPECT_INT(conversations_get(c, a, S("resp_1"), S("me"), 5999, &got), TURN_KEPT);
    EXPECT_STR(got.previous, "resp_0");
    EXPECT_STR(got.input, "{\"role\":\"user\"}");
    EXPECT_STR(got.answer, "{\"output\":[]}");
    EXPECT_INT(conversations_get(c, a, S("resp_1"), S("you"), 5999, &got), TURN_ANOTHERS);
    EXPECT_INT(conversations_get(c, a, S("resp_2"), S("me"), 5999, &got), TURN_UNKNOWN);
    EXPECT_INT(conversations_get(c, a, S("resp_1"), S("me"), 6000, &got), TURN_UNKNOWN);
    EXPECT(!conversations_remove(c, S("resp_1"), S("you")));
    EXPECT(conversations_remove(c, S("resp_1"), S("me")));
    EXPECT(!conversations_remove(c, S("resp_1"), S("me")));
    arena_destroy(a);
    conversations_destroy(c);
}

TEST(the_oldest_turns_make_room)
{
    struct conversations *c = conversations_create();
    struct arena *a = arena_create(1 << 24);
    struct conversation_turn got;
    unsigned kept = 0;
    uint64_t held = 0;

    for (unsigned i = 0; i < 2000; i++) {
        char id[32];

        snprintf(id, sizeof(id), "resp_%u", i);

        struct conversation_turn t = turn(id, "me");

        conversations_put(c, &t, 64 * 1024, 1000, 0);
        EXPECT_INT(conversations_get(c, a, str_c(id), S("me"), 0, &got), TURN_KEPT);
    }
    for (unsigned i = 0; i < 2000; i++) {
        char id[32];

        snprintf(id, sizeof(id), "resp_%u", i);
        kept += conversations_get(c, a, str_c(id), S("me"), 0, &got) == TURN_KEPT;
    }
    for (size_t i = 0; i < SHARDS; i++)
        held += c->shards[i].held;
    EXPECT(kept > 16 && held <= 64 * 1024);
    arena_destroy(a);
    conversations_destroy(c);
}

TEST(what_is_too_large_is_not_kept_and_nothing_is_kept_nowhere)
{
    struct conversations *c = conversations_create();
    struct arena *a = arena_create(1 << 20);
    struct conversation_turn t = turn("resp_1", ""), got;

    conversations_put(c, &t, 16 * 8 * 100, 1000, 0);
    EXPECT_INT(conversations_get(c, a, t.id, S(""), 0, &got), TURN_UNKNOWN);
    conversations_put(c, &t, 0, 1000, 0);
    conversations_put(NULL, &t, 1 << 20, 1000, 0);
    EXPECT_INT(conversations_get(NULL, a, t.id, S(""), 0, &got), TURN_UNKNOWN);
    EXPECT(!conversations_remove(NULL, t.id, S("")));
    conversations_put(c, &t, 1 << 20, 1000, 0);
    conversations_put(c, &t, 1 << 20, 1000, 0);    /* replaces it */
    EXPECT_INT(conversations_get(c, a, t.id, S(""), 0, &got), TURN_KEPT);
    arena_destroy(a);
    conversations_destroy(c);
}
