/* test_certificate.c - the dates of one certificate, of a chain, of a bundle. */
#include "net/certificate.c"

#include "tests/unit/net/certs.h"

enum { DAY_S = 24 * 3600 };

TEST(the_dates_are_those_of_the_chain_or_of_the_longest)
{
    struct certs c;
    struct certificate leaf, authority, all;
    char command[512], both[160];
    int64_t now_s = (int64_t)time(NULL);

    certs_make(&c);
    (void)snprintf(both, sizeof(both), "%s/both", c.dir);
    (void)snprintf(command, sizeof(command), "cat %s %s > %s", c.expired, c.ca, both);
    EXPECT(system(command) == 0);

    EXPECT(certificate_read(c.expired, &leaf) && certificate_read(c.ca, &authority));
    EXPECT(leaf.not_after_s < now_s && leaf.not_after_s > now_s - 2 * DAY_S);
    EXPECT(authority.not_before_s < now_s && authority.not_after_s > now_s + 9 * DAY_S);
    EXPECT(certificate_read(both, &all));    /* ended with the leaf, began with the authority */
    EXPECT(all.not_before_s == authority.not_before_s && all.not_after_s == leaf.not_after_s);
    EXPECT(certificate_read_longest(both, &all));
    EXPECT(all.not_before_s == authority.not_before_s && all.not_after_s == authority.not_after_s);
    certs_remove(&c);
}

TEST(a_file_without_a_certificate_has_no_dates)
{
    struct certs c;
    struct certificate none;

    certs_make(&c);
    EXPECT(!certificate_read(c.good_key, &none));
    EXPECT(!certificate_read_longest(c.good_key, &none));
    EXPECT(!certificate_read("/no/such/file", &none));
    certs_remove(&c);
}
