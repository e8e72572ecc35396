/* test_learned.c - predicted quality. */
#include "route/learned.c"

#include "tests/test.h"

static float
predict(int general, int agentic, struct ask *ask)
{
    const struct model_base base = { .quality_permille = general,
        .quality_agentic_permille = agentic };
    const struct model_row row = { .base = &base };

    return learned_quality(&row, ask);
}

TEST(better_models_are_predicted_to_answer_better)
{
    struct ask ask = { .known = 0 };
    float last = 0;

    for (int prior = 1; prior <= 1000; prior++) {
        float q = predict(prior, 0, &ask);

        EXPECT(q > last && q < 100);
        last = q;
    }
}

TEST(the_harder_the_request_the_more_better_models_stand_out)
{
    struct analysis analysis = { .complexity_permille = 0 };
    struct ask ask = { .known = ASK_ANALYSIS, .analysis = &analysis };
    float last_small = 101, last_ratio = 1;

    for (unsigned hard = 20; hard <= 980; hard += 20) {
        analysis.complexity_permille = (uint16_t)hard;
        float small = predict(200, 0, &ask), large = predict(950, 0, &ask);

        EXPECT(small < last_small && large > small);
        EXPECT(large / small > last_ratio);
        /* Of a small model the analysis says how often it fails. */
        EXPECT(small > 99 - (float)hard / 10 && small < 101 - (float)hard / 10);
        last_small = small;
        last_ratio = large / small;
    }
    analysis.complexity_permille = 1000;    /* never quite hopeless */
    EXPECT(predict(200, 0, &ask) > 1);
}

TEST(nothing_is_predicted_of_a_model_without_a_prior)
{
    const struct model_row row = { .base = NULL };
    struct ask ask = { .known = 0 };

    EXPECT(learned_quality(NULL, &ask) < 0);
    EXPECT(learned_quality(&row, &ask) < 0);
    EXPECT(predict(0, 0, &ask) < 0);
}

TEST(a_request_with_tools_goes_by_what_the_model_does_with_tools)
{
    struct ask tools = { .known = ASK_NEEDS, .needs.bits = NEED_BIT(TOOLS) };
    struct ask plain = { .known = ASK_NEEDS };

    EXPECT(predict(500, 900, &tools) > predict(500, 900, &plain));
    EXPECT(predict(500, 0, &tools) == predict(500, 0, &plain));
}
