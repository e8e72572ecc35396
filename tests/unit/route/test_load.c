/* test_load.c - expected times, speed, and what is left of limits. */
#include "route/load.c"

#include <pthread.h>

#include "tests/test.h"

#define SECOND UINT64_C(1000000)

static uint64_t now_us;

static void
note(struct load *l, uint64_t ms)
{
    load_note_time(l, &(struct load_sample){ .us = ms * 1000 }, now_us);
}

static uint32_t
expected_ms(const struct load *l)
{
    uint64_t age_ms;

    return (load_first_token_us(l, false, 0, now_us, &age_ms) + 500) / 1000;
}

TEST(a_target_that_was_never_asked_is_not_known)
{
    struct load l = { .speed = { 0 } };
    uint64_t age_ms = 1;

    EXPECT_INT(load_first_token_us(&l, false, 1000, SECOND, &age_ms), 0);
    EXPECT_INT(age_ms, 0);
    EXPECT(load_tokens_per_s(&l) == 0);
    EXPECT(!load_is_exhausted(&l, 7, 1000000, SECOND, &age_ms));
}

TEST(a_slow_answer_raises_it_at_once_and_is_forgotten_with_time)
{
    struct load l = { .speed = { 0 } };

    for (now_us = SECOND; now_us < 60 * SECOND; now_us += SECOND / 2)
        note(&l, 400);
    EXPECT_INT(expected_ms(&l), 400);
    note(&l, 5000);
    EXPECT_INT(expected_ms(&l), 5000);
    now_us += 5 * SECOND;
    EXPECT(expected_ms(&l) > 1500 && expected_ms(&l) < 2600);
    now_us += 50 * SECOND;
    EXPECT(expected_ms(&l) < 700);
    EXPECT(expected_ms(&l) >= 400);
}

TEST(quick_answers_lower_it_gradually)
{
    struct load l = { .speed = { 0 } };

    for (now_us = SECOND; now_us < 60 * SECOND; now_us += SECOND / 2)
        note(&l, 2000);
    note(&l, 200);
    EXPECT(expected_ms(&l) > 1700);
    for (uint64_t end_us = now_us + 60 * SECOND; now_us < end_us; now_us += SECOND / 2)
        note(&l, 200);
    EXPECT(expected_ms(&l) < 300);
}

TEST(long_prompts_do_not_make_a_target_look_slow)
{
    struct load l = { .speed = { 0 } };
    uint64_t age_ms;

    now_us = SECOND;
    for (int i = 0; i < 20; i++, now_us += SECOND)
        load_note_time(
            &l, &(struct load_sample){ .us = 400000 * 11, .input_tokens = 40000 }, now_us);
    EXPECT_INT(expected_ms(&l), 400);
    EXPECT_INT(load_first_token_us(&l, false, 40000, now_us, &age_ms) / 1000, 4400);
    EXPECT_INT(age_ms, 1000);
}

TEST(an_attempt_that_was_cut_can_only_raise_it)
{
    struct load l = { .speed = { 0 } };

    now_us = SECOND;
    note(&l, 1000);
    load_note_time(&l, &(struct load_sample){ .us = 100000, .at_least = true }, now_us);
    EXPECT_INT(expected_ms(&l), 1000);
    load_note_time(&l, &(struct load_sample){ .us = 3000000, .at_least = true }, now_us);
    EXPECT_INT(expected_ms(&l), 3000);
}

TEST(whole_answers_are_compared_by_their_length_and_stand_in_for_streams)
{
    struct load l = { .speed = { 0 } };
    uint64_t age_ms;

    now_us = SECOND;
    load_note_time(
        &l, &(struct load_sample){ .us = 4400000, .output_tokens = 500, .whole = true }, now_us);
    EXPECT_INT(load_first_token_us(&l, true, 0, now_us, &age_ms), 400000);
    EXPECT_INT(load_first_token_us(&l, false, 0, now_us, &age_ms), 400000);
    note(&l, 250);
    EXPECT_INT(load_first_token_us(&l, false, 0, now_us, &age_ms), 250000);
    EXPECT_INT(load_first_token_us(&l, true, 0, now_us, &age_ms), 400000);
}

TEST(speed_is_that_of_answers_with_enough_tokens)
{
    struct load l = { .speed = { 0 } };

    load_note_speed(&l, SPEED_LEAST_TOKENS - 1, SECOND, SECOND);
    EXPECT(load_tokens_per_s(&l) == 0);
    load_note_speed(&l, 100, 0, SECOND);
    EXPECT(load_tokens_per_s(&l) == 0);
    for (uint64_t t = 1; t < 100; t++)
        load_note_speed(&l, 240, 2 * SECOND, t * SECOND);
    EXPECT(load_tokens_per_s(&l) > 119 && load_tokens_per_s(&l) < 121);
}

TEST(the_usual_length_of_answers_is_learnt)
{
    struct load l = { .speed = { 0 } };

    EXPECT_INT(load_output_tokens(&l), 0);
    for (uint64_t t = 1; t < 200; t++)
        load_note_output(&l, t % 2 == 0 ? 100 : 300, t * SECOND);
    EXPECT(load_output_tokens(&l) > 180 && load_output_tokens(&l) < 220);
    load_note_output(&l, -7, 300 * SECOND);
    EXPECT(load_output_tokens(&l) >= 1);
}

TEST(times_of_any_size_stay_in_range)
{
    static const uint64_t times[] = { 0, 1, UINT32_MAX, UINT64_MAX / 2, UINT64_MAX };
    struct load l = { .speed = { 0 } };
    uint64_t age_ms;

    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        now_us = SECOND;
        load_note_time(
            &l, &(struct load_sample){ .us = times[i], .input_tokens = INT64_MAX }, now_us);
        load_note_time(&l, &(struct load_sample){ .us = times[i], .input_tokens = -5 }, 0);
        EXPECT(load_first_token_us(&l, false, INT64_MAX, now_us, &age_ms) >= 1);
        EXPECT(load_first_token_us(&l, false, -1, now_us, &age_ms) >= 1);
    }
}

TEST(a_limit_is_used_up_by_what_is_sent_until_the_provider_says_more)
{
    struct load l = { .speed = { 0 } };
    uint64_t until_ms;

    load_note_requests(&l, 7, 2, 30000, SECOND);
    EXPECT(!load_is_exhausted(&l, 7, 1, SECOND, &until_ms));
    for (int i = 0; i < 3; i++)
        load_take(&l, 7);
    EXPECT(load_is_exhausted(&l, 7, 1, SECOND, &until_ms));
    EXPECT_INT(until_ms, 31000);
    EXPECT(!load_is_exhausted(&l, 8, 1, SECOND, &until_ms));
    EXPECT(load_is_exhausted(&l, 7, 1, 31 * SECOND - 1000, &until_ms));
    EXPECT(!load_is_exhausted(&l, 7, 1, 31 * SECOND, &until_ms));
    load_note_requests(&l, 7, 1, 30000, 2 * SECOND);
    EXPECT(!load_is_exhausted(&l, 7, 1, 2 * SECOND, &until_ms));
    load_note_requests(&l, 7, -1, 30000, 2 * SECOND);    /* not said */
    EXPECT_INT(load_left(&l, 7, 2 * SECOND).requests, 1);
}

TEST(a_prompt_must_fit_into_the_tokens_that_are_left)
{
    struct load l = { .speed = { 0 } };
    uint64_t until_ms;

    load_note_tokens(&l, 7, 5000, 60000, SECOND);
    EXPECT(!load_is_exhausted(&l, 7, 5000, SECOND, &until_ms));
    EXPECT(load_is_exhausted(&l, 7, 5001, SECOND, &until_ms));
    EXPECT_INT(until_ms, 61000);
    load_note_tokens(&l, 7, 0, 60000, SECOND);
    EXPECT(load_is_exhausted(&l, 7, 0, SECOND, &until_ms));
}

TEST(of_more_keys_than_there_is_room_for_the_one_whose_limits_end_first_is_forgotten)
{
    struct load l = { .speed = { 0 } };
    uint64_t until_ms;

    for (uint64_t key = 1; key <= LOAD_KEYS; key++)
        load_note_requests(&l, key, 0, (int64_t)(100 - key) * 1000, SECOND);
    load_note_requests(&l, 100, 0, 500000, SECOND);
    EXPECT(load_is_exhausted(&l, 100, 0, SECOND, &until_ms));
    EXPECT(!load_is_exhausted(&l, LOAD_KEYS, 0, SECOND, &until_ms));
    for (uint64_t key = 1; key < LOAD_KEYS; key++)
        EXPECT(load_is_exhausted(&l, key, 0, SECOND, &until_ms));
}

static struct load shared;

static void *
note_many(void *arg)
{
    (void)arg;
    for (uint64_t i = 1; i < 20000; i++) {
        load_note_time(&shared, &(struct load_sample){ .us = 300000 }, i * 1000);
        load_note_requests(&shared, 1 + i % 12, 5, 1000, i * 1000);
        load_take(&shared, 1 + i % 12);
    }
    return NULL;
}

TEST(threads_may_note_at_once)
{
    pthread_t threads[4];
    uint64_t age_ms;

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        EXPECT(pthread_create(&threads[i], NULL, note_many, NULL) == 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    EXPECT_INT(load_first_token_us(&shared, false, 0, 20 * SECOND, &age_ms), 300000);
    for (uint64_t key = 1; key <= 12; key++)
        EXPECT(load_left(&shared, key, 19 * SECOND).requests <= 5);
}
