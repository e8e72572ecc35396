/* test_sticky.c - what belongs together goes to the same member. */
#include "route/sticky.c"

#include "catalog/price.h"
#include "tests/test.h"

enum { MOST = 8, KEYS = 20000 };

static struct member members[MOST];
static struct look looks[MOST];
static struct standing list[MOST];
static struct alias alias;
static struct ask ask;

static void
begin(size_t n)
{
    char name[32];

    for (size_t i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "lab/model-%zu", i);
        members[i] = (struct member){ .weight = 1, .hash = sticky_hash(str_c(name)) };
        looks[i] = (struct look){ .cost_nanousd = COST_UNKNOWN };
        list[i] = (struct standing){ .member = &members[i], .number = i, .look = &looks[i] };
    }
    alias = (struct alias){ .sticky_by = STICKY_CONVERSATION };
}

static size_t
choose(size_t n, uint64_t conversation)
{
    size_t first = 0;

    ask = (struct ask){ .known = ASK_NEEDS,
        .needs = { .conversation = conversation, .input_tokens = 4000 },
        .seed = conversation };
    strategy_sticky(&alias, list, n, &ask);
    for (size_t i = 1; i < n; i++)
        if (list[i].score < list[first].score)
            first = i;
    return first;
}

TEST(a_conversation_stays_and_many_are_divided_by_weight)
{
    size_t count[4] = { 0 };

    begin(4);
    members[3].weight = 3;
    for (uint64_t key = 1; key <= KEYS; key++) {
        size_t i = choose(4, key);

        EXPECT(choose(4, key) == i);
        count[i]++;
    }
    for (size_t i = 0; i < 3; i++)
        EXPECT(count[i] > KEYS / 6 * 0.93 && count[i] < KEYS / 6 * 1.07);
    EXPECT(count[3] > KEYS / 2 * 0.96 && count[3] < KEYS / 2 * 1.04);
}

TEST(when_a_member_leaves_only_its_conversations_move)
{
    size_t moved = 0, its = 0;

    begin(8);
    for (uint64_t key = 1; key <= KEYS; key++) {
        size_t before = choose(8, key), after = choose(7, key);

        its += before == 7;
        moved += before != after;
        EXPECT(before == 7 || before == after);
    }
    EXPECT_INT(moved, its);
    EXPECT(its > KEYS / 8 * 0.9 && its < KEYS / 8 * 1.1);
}

TEST(a_member_with_more_than_its_share_comes_after_the_others)
{
    begin(4);
    for (uint64_t key = 1; key < 200; key++) {
        size_t home = choose(4, key);

        looks[home].busy = 7;    /* few requests are never too many */
        EXPECT(choose(4, key) == home);
        for (size_t i = 0; i < 4; i++)
            looks[i].busy = 40;
        EXPECT(choose(4, key) == home);
        looks[home].busy = 70;
        EXPECT(choose(4, key) != home);
        for (size_t i = 0; i < 4; i++)
            looks[i].busy = 0;
    }
}

TEST(no_member_gets_more_than_a_quarter_above_its_share)
{
    begin(5);
    for (uint64_t i = 0; i < 5000; i++)    /* one conversation that never ends its requests */
        looks[choose(5, i % 3 + 1)].busy++;
    for (size_t i = 0; i < 5; i++)
        EXPECT(looks[i].busy <= 1250 + 1);
}

TEST(a_request_goes_where_its_prompt_is_in_the_cache)
{
    begin(4);
    for (uint64_t key = 1; key < 200; key++) {
        size_t home = choose(4, key), other = (home + 1) % 4, third = (home + 2) % 4;

        looks[other].warm_tokens = 3000;
        EXPECT(choose(4, key) == other);
        looks[third].warm_tokens = 3900;
        EXPECT(choose(4, key) == third);
        looks[home].warm_tokens = 3900;
        EXPECT(choose(4, key) == home);
        looks[home].warm_tokens = looks[other].warm_tokens = looks[third].warm_tokens = 0;
    }
}

TEST(it_moves_only_when_waiting_takes_longer_than_reading_again)
{
    begin(2);
    for (uint64_t key = 1; key < 200; key++) {
        size_t home = choose(2, key), warm = 1 - home;

        looks[warm].warm_tokens = 3900;
        looks[home].busy = 10;
        looks[warm].busy = 16;    /* more than its share, but reading again is worse */
        EXPECT(choose(2, key) == warm);
        looks[warm].busy = 400;
        EXPECT(choose(2, key) == home);
        /* As measured: the other one is much slower. */
        looks[warm].first_token_us = 200000;
        looks[home].first_token_us = 10000000;
        EXPECT(choose(2, key) == warm);
        memset(looks, 0, sizeof(looks));
    }
}

TEST(sessions_prefixes_and_keys_keep_requests_together)
{
    struct ask one = { .session = S("s-1"), .key = S("team"), .seed = 1 };
    struct ask same = { .session = S("s-1"), .key = S("team"), .seed = 2 };
    struct ask foreign = { .session = S("s-1"), .key = S("other"), .seed = 2 };

    begin(8);
    EXPECT(key_of(&alias, &one) == key_of(&alias, &same));
    EXPECT(key_of(&alias, &one) != key_of(&alias, &foreign));
    alias.sticky_by = STICKY_KEY;
    one.session = S("s-2");
    EXPECT(key_of(&alias, &one) == key_of(&alias, &same));
    alias.sticky_by = STICKY_PREFIX;
    one.known = same.known = ASK_NEEDS;
    one.needs.prefix = same.needs.prefix = 99;
    EXPECT(key_of(&alias, &one) == key_of(&alias, &same));
    one.needs.prefix = same.needs.prefix = 0;    /* each by itself */
    EXPECT(key_of(&alias, &one) != key_of(&alias, &same));
}

TEST(the_hash_of_a_name_is_the_same_everywhere)
{
    EXPECT(sticky_hash(S("openai/gpt-4o")) == UINT64_C(11040303977888126221));
    EXPECT(sticky_hash(S("openai/gpt-4")) == UINT64_C(16072264300701659587));
}
