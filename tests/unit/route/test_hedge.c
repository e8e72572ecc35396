/* test_hedge.c - the budget of hedged requests. */
#include "route/hedge.c"

#include "tests/test.h"

static struct hedge
make(void)
{
    return (struct hedge){ .permille = 950, .share_percent = 5, .cost_percent = 5 };
}

TEST(hedges_are_a_share_of_the_requests)
{
    struct hedge h = make();
    unsigned taken = 0;

    EXPECT(!hedge_take(&h));
    for (unsigned i = 0; i < 10000; i++) {
        hedge_note_request(&h);
        taken += hedge_take(&h);
    }
    EXPECT_INT(taken, 500);
}

TEST(what_can_be_saved_up_is_bounded)
{
    struct hedge h = make();
    unsigned taken = 0;

    for (unsigned i = 0; i < 100000; i++)
        hedge_note_request(&h);
    while (hedge_take(&h))
        taken++;
    EXPECT_INT(taken, MOST / ONE);
}

TEST(what_is_spent_in_vain_is_a_share_of_the_cost)
{
    struct hedge h = make();

    for (unsigned i = 0; i < 100; i++)
        hedge_note_request(&h);
    hedge_note_cost(&h, 100 * FREE_NANOUSD, 5 * FREE_NANOUSD);
    EXPECT(hedge_take(&h));
    hedge_note_cost(&h, -1, FREE_NANOUSD);
    EXPECT(!hedge_take(&h));
    hedge_note_cost(&h, 20 * FREE_NANOUSD, 0);
    EXPECT(hedge_take(&h));
}
