/* test_recent.c - requests that have ended are found by their ids until newer ones take their room. */
#include "gateway/recent.c"

#include "base/arena.h"
#include "tests/test.h"

#define ROOM (64u * 1024)

static const struct str ours = S_INIT("k1"), others = S_INIT("k2");

static struct str
line_of_id(const struct recent *r, struct str id, const struct str *key)
{
    struct recent_entry e = { .score = 0 };

    return recent_find(r, id, key, &e) ? e.line : S("(none)");
}

TEST(a_request_is_found_by_its_id_and_by_that_of_its_answer)
{
    struct recent *r = recent_create(ROOM);

    recent_add(r, S("req_1"), recent_answer(S("chatcmpl-abc")), ours, S("{1}"));
    recent_add(r, S("req_2"), 0, ours, S("{2}"));
    EXPECT_STR(line_of_id(r, S("req_1"), NULL), "{1}");
    EXPECT_STR(line_of_id(r, S("chatcmpl-abc"), &ours), "{1}");
    EXPECT_STR(line_of_id(r, S("req_2"), &ours), "{2}");
    EXPECT_STR(line_of_id(r, S("req_3"), NULL), "(none)");
    EXPECT_STR(line_of_id(r, S(""), NULL), "(none)");
    recent_destroy(r);
}

TEST(an_id_that_the_gateway_made_for_an_answer_has_the_requests_in_it)
{
    struct recent *r = recent_create(ROOM);

    recent_add(r, S("req_1"), 0, ours, S("{1}"));
    EXPECT_STR(line_of_id(r, S("chatcmpl-req_1"), &ours), "{1}");
    EXPECT_STR(line_of_id(r, S("msg_req_1"), &ours), "{1}");
    EXPECT_STR(line_of_id(r, S("-req_1"), &ours), "(none)");
    recent_destroy(r);
}

TEST(a_key_finds_its_own_requests_only)
{
    struct recent *r = recent_create(ROOM);
    const struct str none = S("");

    recent_add(r, S("same"), 0, ours, S("{ours}"));
    recent_add(r, S("same"), 0, others, S("{others}"));
    EXPECT_STR(line_of_id(r, S("same"), &ours), "{ours}");
    EXPECT_STR(line_of_id(r, S("same"), &others), "{others}");
    EXPECT_STR(line_of_id(r, S("same"), NULL), "{others}");
    EXPECT_STR(line_of_id(r, S("same"), &none), "(none)");
    EXPECT(!recent_say(r, S("same"), &none, 1, S("{}")));
    recent_destroy(r);
}

TEST(what_is_said_of_an_answer_is_kept_with_its_request)
{
    struct recent *r = recent_create(ROOM);
    struct recent_entry e = { .score = 0 };

    recent_add(r, S("req_1"), 0, ours, S("{1}"));
    EXPECT(recent_find(r, S("req_1"), &ours, &e) && e.feedback.n == 0);
    EXPECT(recent_say(r, S("req_1"), &ours, 0.5, S("{good}")));
    EXPECT(recent_find(r, S("req_1"), &ours, &e) && e.score == 0.5);
    EXPECT_STR(e.feedback, "{good}");
    EXPECT(recent_say(r, S("req_1"), &ours, -1, S("{bad}")));
    EXPECT(recent_find(r, S("req_1"), &ours, &e) && e.score == -1);
    EXPECT_STR(e.feedback, "{bad}");
    EXPECT(!recent_say(r, S("req_2"), &ours, 1, S("{}")));
    recent_destroy(r);
}

/* Lines of all sizes, many times the room: the newest are always there, the oldest never, and what is
 * found is whole. */
TEST(the_newest_requests_are_kept)
{
    static char text[3000];
    struct recent *r = recent_create(ROOM);
    struct arena *a = arena_create(4 * 1024 * 1024);
    struct recent_entry e = { .score = 0 };

    memset(text, 'x', sizeof(text));
    for (unsigned i = 0; i < 5000; i++) {
        struct arena_mark mark = arena_mark(a);
        size_t n = (i * 7919u) % sizeof(text);
        struct str id = arena_printf(a, "req_%u", i), answer = arena_printf(a, "gen_%u", i);

        recent_add(r, id, recent_answer(answer), ours, str_make(text, n));
        if (i % 3 == 0)
            EXPECT(recent_say(r, id, &ours, i, str_make(text, n / 2)));
        for (unsigned back = 0; back < 10 && back <= i; back++) {
            unsigned k = i - back;

            id = arena_printf(a, "%s_%u", back % 2 != 0 ? "gen" : "req", k);
            EXPECT(recent_find(r, id, &ours, &e));
            EXPECT_INT(e.line.n, (k * 7919u) % sizeof(text));
            EXPECT(k % 3 != 0 || e.score == k);
        }
        if (i > 500)
            EXPECT(!recent_find(r, arena_printf(a, "req_%u", i - 500), NULL, &e));
        arena_rewind(a, mark);
    }
    arena_destroy(a);
    recent_destroy(r);
}

TEST(what_is_too_large_is_not_kept)
{
    static char text[ROOM];
    struct recent *r = recent_create(ROOM);

    memset(text, 'x', sizeof(text));
    recent_add(r, S("large"), 0, ours, str_make(text, sizeof(text) / 2));
    EXPECT_STR(line_of_id(r, S("large"), NULL), "(none)");
    recent_add(r, S("small"), 0, ours, S("{}"));
    EXPECT(recent_say(r, S("small"), &ours, 1, str_make(text, sizeof(text))));
    EXPECT_STR(line_of_id(r, S("small"), NULL), "{}");
    recent_destroy(r);
}

TEST(without_room_nothing_is_kept)
{
    struct recent_entry e = { .score = 0 };

    EXPECT(recent_create(0) == NULL);
    recent_add(NULL, S("id"), 0, S(""), S("{}"));
    EXPECT(!recent_find(NULL, S("id"), NULL, &e) && !recent_say(NULL, S("id"), NULL, 1, S("{}")));
    recent_destroy(NULL);
}
