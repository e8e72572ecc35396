/* test_lines.c - who waits, who is served next, and who is refused. */
#include "policy/lines.c"

#include "tests/test.h"

#define S_US UINT64_C(1000000)

static const struct lines_limits limits = { 100, 100, 10 * S_US };

/* One that waits, with a name to tell it by. */
struct waiter {
    struct lines_link link;
    char name;
    const void *key;
};

/* Puts one in line for itself; it is called ' '. */
static enum lines_verdict
add_to(struct lines *q, struct waiter *w, const void *key, enum priority p,
    const struct lines_limits *to, uint64_t now_us)
{
    *w = (struct waiter){ .name = ' ', .key = key };
    return lines_add(q, &w->link, key, p, to, now_us);
}

static const char key_a, key_b, key_c;
static const void *refused;    /* may() says no to this key */

static bool
may(void *arg, struct lines_link *l)
{
    unsigned *asked = arg;

    (*asked)++;
    return refused == NULL || CONTAINER_OF(l, struct waiter, link)->key != refused;
}

static enum lines_verdict
add(struct lines *q, struct waiter *w, char name, const void *key, enum priority p)
{
    *w = (struct waiter){ .name = name, .key = key };
    return lines_add(q, &w->link, key, p, &limits, 0);
}

/* The names in the order in which they are served. */
static const char *
serve(struct lines *q)
{
    static char names[128];
    struct lines_link *l;
    unsigned asked = 0;
    size_t n = 0;

    while ((l = lines_next(q, may, &asked, 0)) != NULL)
        names[n++] = CONTAINER_OF(l, struct waiter, link)->name;
    names[n] = '\0';
    return names;
}

TEST(the_first_to_come_is_the_first_to_be_served)
{
    struct lines *q = lines_create();
    struct waiter w[4];

    for (int i = 0; i < 4; i++)
        EXPECT_INT(add(q, &w[i], (char)('a' + i), &key_a, PRIORITY_NORMAL), LINES_WAITS);
    EXPECT_INT(lines_count(q), 4);
    EXPECT(lines_has_key(q, &key_a) && !lines_has_key(q, &key_b));
    EXPECT_STR(str_c(serve(q)), "abcd");
    EXPECT(!lines_has_key(q, &key_a));
    lines_destroy(q);
}

TEST(the_highest_priority_is_served_first)
{
    struct lines *q = lines_create();
    struct waiter w[6];

    EXPECT_INT(add(q, &w[0], 'l', &key_a, PRIORITY_LOW), LINES_WAITS);
    EXPECT_INT(add(q, &w[1], 'n', &key_a, PRIORITY_NORMAL), LINES_WAITS);
    EXPECT_INT(add(q, &w[2], 'h', &key_b, PRIORITY_HIGH), LINES_WAITS);
    EXPECT_INT(add(q, &w[3], 'm', &key_c, PRIORITY_NORMAL), LINES_WAITS);
    EXPECT_INT(add(q, &w[4], 'k', &key_b, PRIORITY_LOW), LINES_WAITS);
    EXPECT_INT(add(q, &w[5], 'i', &key_a, PRIORITY_HIGH), LINES_WAITS);
    EXPECT_STR(str_c(serve(q)), "hinmlk");
    lines_destroy(q);
}

TEST(keys_take_turns)
{
    struct lines *q = lines_create();
    struct waiter w[6];

    for (int i = 0; i < 4; i++)
        EXPECT_INT(add(q, &w[i], (char)('a' + i), &key_a, PRIORITY_NORMAL), LINES_WAITS);
    EXPECT_INT(add(q, &w[4], 'x', &key_b, PRIORITY_NORMAL), LINES_WAITS);
    EXPECT_INT(add(q, &w[5], 'y', &key_b, PRIORITY_NORMAL), LINES_WAITS);
    EXPECT_STR(str_c(serve(q)), "axbycd");
    lines_destroy(q);
}

TEST(one_who_leaves_is_not_served)
{
    struct lines *q = lines_create();
    struct waiter w[5];

    for (int i = 0; i < 5; i++)
        EXPECT_INT(
            add(q, &w[i], (char)('a' + i), i == 4 ? &key_b : &key_a, PRIORITY_NORMAL), LINES_WAITS);
    lines_remove(q, &w[0].link);
    lines_remove(q, &w[2].link);
    lines_remove(q, &w[4].link);
    EXPECT(!lines_has_key(q, &key_b));
    lines_remove(q, &w[3].link);
    EXPECT_STR(str_c(serve(q)), "b");
    lines_destroy(q);
}

TEST(a_key_that_must_wait_does_not_delay_others)
{
    struct lines *q = lines_create();
    struct waiter w[3];

    refused = &key_a;
    EXPECT_INT(add(q, &w[0], 'a', &key_a, PRIORITY_HIGH), LINES_WAITS);
    EXPECT_INT(add(q, &w[1], 'b', &key_b, PRIORITY_NORMAL), LINES_WAITS);
    EXPECT_INT(add(q, &w[2], 'c', &key_a, PRIORITY_NORMAL), LINES_WAITS);
    EXPECT_STR(str_c(serve(q)), "b");
    refused = NULL;
    EXPECT_STR(str_c(serve(q)), "ac");
    lines_destroy(q);
}

TEST(a_bounded_number_of_keys_are_asked_at_a_time_and_all_in_the_end)
{
    enum { KEYS = 100 };
    static const char keys[KEYS];
    struct lines *q = lines_create();
    struct waiter w[KEYS];
    unsigned asked = 0;

    for (int i = 0; i < KEYS; i++)
        EXPECT_INT(add_to(q, &w[i], &keys[i], PRIORITY_NORMAL,
                       &(struct lines_limits){ 1000, 100, S_US }, 0),
            LINES_WAITS);
    for (int i = 0; i < KEYS - 1; i++)    /* the last in line may */
        w[i].key = &key_a;
    refused = &key_a;
    EXPECT(lines_next(q, may, &asked, 0) == NULL);
    EXPECT_INT(asked, KEYS_ASKED_MOST);
    for (int i = 0; i < 3; i++)
        EXPECT((lines_next(q, may, &asked, 0) != NULL) == (i == 2));
    refused = NULL;
    while (lines_next(q, may, &asked, 0) != NULL)
        continue;
    lines_destroy(q);
}

TEST(room_is_kept_for_higher_priorities)
{
    static const struct {
        enum priority p;
        int most;
    } cases[] = { { PRIORITY_LOW, 50 }, { PRIORITY_NORMAL, 90 }, { PRIORITY_HIGH, 100 } };
    struct lines *q = lines_create();
    struct waiter w[101];
    int n = 0;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (; n < cases[i].most; n++)
            EXPECT_INT(add(q, &w[n], 'a', &key_a, cases[i].p), LINES_WAITS);
        EXPECT_INT(add(q, &w[n], 'a', &key_a, cases[i].p), LINES_FULL);
    }
    (void)serve(q);
    lines_destroy(q);
}

TEST(the_smallest_queue_has_room_for_every_priority)
{
    struct lines *q = lines_create();
    struct waiter w = { .key = &key_a };

    for (int p = 0; p < PRIORITIES; p++) {
        EXPECT_INT(lines_add(q, &w.link, &key_a, (enum priority)p,
                       &(struct lines_limits){ 1, 50, S_US }, 0),
            LINES_WAITS);
        lines_remove(q, &w.link);
    }
    EXPECT_INT(
        lines_add(q, &w.link, &key_a, PRIORITY_HIGH, &(struct lines_limits){ 0, 100, S_US }, 0),
        LINES_FULL);
    lines_destroy(q);
}

TEST(one_key_cannot_fill_the_queue)
{
    const struct lines_limits half = { 10, 50, 10 * S_US };
    struct lines *q = lines_create();
    struct waiter w[8];

    for (int i = 0; i < 8; i++)
        w[i] = (struct waiter){ .key = &key_a };
    for (int i = 0; i < 5; i++)
        EXPECT_INT(lines_add(q, &w[i].link, &key_a, i % 2 != 0 ? PRIORITY_HIGH : PRIORITY_NORMAL,
                       &half, 0),
            LINES_WAITS);
    EXPECT_INT(lines_add(q, &w[5].link, &key_a, PRIORITY_HIGH, &half, 0), LINES_KEY_FULL);
    EXPECT_INT(lines_add(q, &w[6].link, &key_b, PRIORITY_NORMAL, &half, 0), LINES_WAITS);
    (void)serve(q);
    lines_destroy(q);
}

/* Serves one every `us`, `n` times, while another waits. */
static uint64_t
serve_at_rate(struct lines *q, uint64_t now_us, uint64_t us, int n)
{
    static struct waiter w[2];
    unsigned asked = 0;

    refused = NULL;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < 2; k++)
            if (w[k].link.line == NULL)
                EXPECT_INT(
                    lines_add(q, &w[k].link, &key_c, PRIORITY_HIGH, &limits, now_us), LINES_WAITS);
        now_us += us;
        EXPECT(lines_next(q, may, &asked, now_us) != NULL);
    }
    while (lines_next(q, may, &asked, now_us) != NULL)
        continue;
    return now_us;
}

TEST(one_that_would_not_be_served_in_time_is_refused_at_once)
{
    struct lines *q = lines_create();
    struct waiter w[20];
    uint64_t now_us = serve_at_rate(q, S_US, S_US, 20);    /* one a second: ten in 10 s */
    int n = 0;

    while (n < 19 && add_to(q, &w[n], &key_a, PRIORITY_NORMAL, &limits, now_us) == LINES_WAITS)
        n++;
    EXPECT(n >= 10 && n <= 12);
    EXPECT_INT(lines_add(q, &w[n].link, &key_a, PRIORITY_NORMAL, &limits, now_us), LINES_TOO_SLOW);
    /* another key's comes after the first of these: keys take turns */
    EXPECT_INT(lines_add(q, &w[19].link, &key_b, PRIORITY_NORMAL, &limits, now_us), LINES_WAITS);
    /* one of higher priority is served before them */
    EXPECT_INT(lines_add(q, &w[n].link, &key_b, PRIORITY_HIGH, &limits, now_us), LINES_WAITS);
    unsigned asked = 0;
    while (lines_next(q, may, &asked, now_us) != NULL)
        continue;
    lines_destroy(q);
}

TEST(the_first_to_wait_is_never_too_late)
{
    struct lines *q = lines_create();
    struct waiter w = { .key = &key_a };
    uint64_t now_us = serve_at_rate(q, S_US, 30 * S_US, 20);

    EXPECT_INT(lines_add(q, &w.link, &key_a, PRIORITY_LOW, &limits, now_us), LINES_WAITS);
    lines_remove(q, &w.link);
    lines_destroy(q);
}

TEST(who_is_refused_is_told_to_come_back_when_the_queue_has_been_served)
{
    struct lines *q = lines_create();
    struct waiter w[9];
    uint64_t now_us = S_US;

    EXPECT_INT(lines_retry_after_ms(q, now_us, 0), 1000);    /* nothing is known */
    now_us = serve_at_rate(q, now_us, S_US, 20);
    for (int i = 0; i < 9; i++)
        EXPECT_INT(add_to(q, &w[i], &key_a, PRIORITY_NORMAL, &limits, now_us), LINES_WAITS);
    int64_t ms = lines_retry_after_ms(q, now_us, 0);
    EXPECT(ms >= 8000 && ms <= 12000);
    EXPECT(lines_retry_after_ms(q, now_us, 1023) > ms + ms / 3);
    EXPECT_INT(lines_retry_after_ms(q, now_us + 1000 * S_US, 0), 60000);    /* nothing moves */
    unsigned asked = 0;
    while (lines_next(q, may, &asked, now_us) != NULL)
        continue;
    lines_destroy(q);
}

/* Says yes to the last of the keys of test alone. */
static bool
may_last(void *arg, struct lines_link *l)
{
    return CONTAINER_OF(l, struct waiter, link)->key == arg;
}

TEST(keys_at_limits_of_their_own_do_not_starve_those_of_lower_priority)
{
    static const char keys[2 * KEYS_ASKED_MOST];
    struct lines *q = lines_create();
    struct waiter w[2 * KEYS_ASKED_MOST], last;

    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        EXPECT_INT(add_to(q, &w[i], &keys[i], PRIORITY_HIGH, &limits, 0), LINES_WAITS);
    EXPECT_INT(add_to(q, &last, &key_a, PRIORITY_NORMAL, &limits, 0), LINES_WAITS);
    EXPECT(lines_next(q, may_last, (void *)&key_a, 1) == &last.link);
    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        lines_remove(q, &w[i].link);
    lines_destroy(q);
}

TEST(while_there_is_room_the_silence_is_not_slowness)
{
    struct lines *q = lines_create();
    struct waiter blocked, w;
    uint64_t now_us = serve_at_rate(q, S_US, S_US / 100, 200);    /* a hundred a second */

    EXPECT_INT(add_to(q, &blocked, &key_a, PRIORITY_NORMAL, &limits, now_us), LINES_WAITS);
    for (int i = 0; i < 60; i++)
        lines_note_idle(q, now_us += S_US);
    EXPECT_INT(add_to(q, &w, &key_b, PRIORITY_NORMAL, &limits, now_us), LINES_WAITS);
    lines_remove(q, &blocked.link);
    lines_remove(q, &w.link);
    lines_destroy(q);
}
