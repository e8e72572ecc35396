/* test_throttle.c - wrong keys are counted by address, and the count decays. */
#include "policy/throttle.c"

#include <stdio.h>

#include "tests/test.h"

#define NOW UINT64_C(1000000000)

/* How many wrong keys in a row from that address are not throttled, at most 1000. */
static unsigned
passing(struct throttle *t, const char *address, uint64_t per_minute, uint64_t now_us)
{
    unsigned n = 0;

    while (n < 1000 && throttle_wrong_key(t, str_c(address), per_minute, now_us) == 0)
        n++;
    return n;
}

TEST(a_burst_of_one_minute_is_allowed_and_then_the_rate_applies)
{
    struct throttle *t = throttle_create();

    EXPECT_INT(passing(t, "192.0.2.1", 60, NOW), 60);
    EXPECT_INT(throttle_wrong_key(t, S("192.0.2.1"), 60, NOW), 1000);
    EXPECT_INT(throttle_wrong_key(t, S("192.0.2.1"), 60, NOW + 999000), 1);
    EXPECT_INT(passing(t, "192.0.2.1", 60, NOW + 1000000), 1);
    EXPECT_INT(passing(t, "192.0.2.1", 60, NOW + 11000000), 10);
    EXPECT_INT(passing(t, "192.0.2.1", 60, NOW + 600 * 1000000ull), 60);
    EXPECT_INT(passing(t, "192.0.2.2", 1, NOW), 1);
    EXPECT_INT(throttle_wrong_key(t, S("192.0.2.2"), 1, NOW), 60000);
    throttle_destroy(t);
    throttle_destroy(NULL);
}

TEST(refused_attempts_do_not_extend_the_wait)
{
    struct throttle *t = throttle_create();

    (void)passing(t, "192.0.2.1", 10, NOW);
    for (int i = 0; i < 100; i++)
        EXPECT_INT(throttle_wrong_key(t, S("192.0.2.1"), 10, NOW), 6000);
    throttle_destroy(t);
}

TEST(zero_means_no_limit_and_unix_sockets_have_none)
{
    struct throttle *t = throttle_create();

    EXPECT_INT(passing(t, "192.0.2.1", 0, NOW), 1000);
    EXPECT_INT(passing(t, "unix", 1, NOW), 1000);
    throttle_destroy(t);
}

TEST(ipv4_addresses_are_counted_individually_and_ipv6_by_network)
{
    struct throttle *t = throttle_create();

    EXPECT_INT(passing(t, "192.0.2.1", 5, NOW), 5);
    EXPECT_INT(passing(t, "192.0.2.2", 5, NOW), 5);
    EXPECT_INT(passing(t, "::ffff:192.0.2.1", 5, NOW), 0);
    EXPECT_INT(passing(t, "2001:db8:0:1::1", 5, NOW), 5);
    EXPECT_INT(passing(t, "2001:db8:0:1:ffff::7", 5, NOW), 0);
    EXPECT_INT(passing(t, "2001:db8:0:2::1", 5, NOW), 5);
    EXPECT_INT(passing(t, "fe80::1%eth0", 5, NOW), 5);
    EXPECT_INT(passing(t, "fe80::2%eth0", 5, NOW), 0);
    throttle_destroy(t);
}

TEST(any_number_of_addresses_is_handled_and_the_busiest_are_kept_longest)
{
    struct throttle *t = throttle_create();
    char address[64];

    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        EXPECT_INT(throttle_wrong_key(t, str_c(address), 60, NOW), 0);
    }
    EXPECT_INT(passing(t, "192.0.2.9", 60, NOW), 60);
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        (void)throttle_wrong_key(t, str_c(address), 60, NOW);
    }
    EXPECT_INT(passing(t, "192.0.2.9", 60, NOW), 0);
    throttle_destroy(t);
}
