/* test_offer.c - model lists of providers: cached, fetched by one request at a time, refreshed, and retried with
 * growing delays. */
#include "catalog/offer.c"

#include "tests/test.h"

static struct offer_list *
list_of(const char *name)
{
    struct str s = str_c(name);

    return offer_list_create(&s, 1);
}

TEST(one_request_fetches_the_list_for_all)
{
    struct offer *o = offer_hold(S("lab\nhttp://a/v1"));
    struct offer *same = offer_hold(S("lab\nhttp://a/v1"));
    struct offer *other = offer_hold(S("lab\nhttp://b/v1"));

    EXPECT(o == same && o != other);
    EXPECT(offer_list(o) == NULL && !offer_is_awaited(o));
    EXPECT(offer_begin(o, 1000));
    EXPECT(!offer_begin(same, 1000));
    EXPECT(offer_is_awaited(same));
    EXPECT(offer_begin(other, 1000));
    offer_settle(o, list_of("m"), 1000);
    EXPECT(!offer_is_awaited(o));
    struct offer_list *list = offer_list(same);
    EXPECT_INT(list->count, 1);
    EXPECT_STR(list->names[0], "m");
    EXPECT(offer_list(other) == NULL);
    offer_settle(other, NULL, 1000);
    offer_drop(o);
    offer_drop(other);
    offer_drop(same);
    EXPECT_INT(registry_count(&offer_kind), 0);
    EXPECT_STR(list->names[0], "m");    /* a holder of the list keeps it */
    offer_list_drop(list);
}

TEST(an_old_list_is_fetched_again_and_kept_if_that_fails)
{
    struct offer *o = offer_hold(S("lab"));
    uint64_t now = 5;

    EXPECT(offer_begin(o, now));
    offer_settle(o, list_of("old"), now);
    EXPECT(!offer_begin(o, now + OFFER_FRESH_MS - 1));
    now += OFFER_FRESH_MS;
    EXPECT(offer_begin(o, now));
    EXPECT(!offer_is_awaited(o));    /* there is one to show */
    offer_settle(o, NULL, now);
    struct offer_list *list = offer_list(o);
    EXPECT_STR(list->names[0], "old");
    offer_list_drop(list);
    offer_drop(o);
}

TEST(failed_fetches_are_retried_less_and_less_often)
{
    struct offer *o = offer_hold(S("lab"));
    uint64_t now = 5, wait = OFFER_RETRY_MS;

    for (int i = 0; i < 100; i++) {
        EXPECT(offer_begin(o, now));
        offer_settle(o, NULL, now);
        EXPECT(!offer_is_awaited(o));
        EXPECT(!offer_begin(o, now + wait - 1));
        now += wait;
        wait = MIN(2 * wait, (uint64_t)OFFER_RETRY_MOST_MS);
    }
    offer_drop(o);
}
