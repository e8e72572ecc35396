/* test_certificate.c - the dates of one certificate, of a chain, of a bundle. */
#include "net/certificate.c"

#include "tests/unit/net/certs.h"

enum { DAY = 24 * 3600 };

/* Two certificates in one file, the second a day off the first at both ends. */
static void
write_two(const char *path, const char *one, const char *other)
{
    char command[512];

    (void)snprintf(command, sizeof(command), "cat %s %s > %s", one, other, path);
    EXPECT(system(command) == 0);
}

TEST(the_dates_are_those_of_the_chain_or_of_the_longest)
{
    static char dir[64] = "/tmp/openclaw-test-XXXXXX";
    char a[96], b[96], key[96], both[96];
    EVP_PKEY *k;
    struct certificate one, two, all;
    int64_t now_s = (int64_t)time(NULL);

    EXPECT(mkdtemp(dir) != NULL);
    (void)snprintf(a, sizeof(a), "%s/a", dir);
    (void)snprintf(b, sizeof(b), "%s/b", dir);
    (void)snprintf(key, sizeof(key), "%s/key", dir);
    (void)snprintf(both, sizeof(both), "%s/both", dir);
    X509_free(cert_make("DNS:localhost", -2 * DAY, 2 * DAY, NULL, NULL, &k, a, key));
    EVP_PKEY_free(k);
    X509_free(cert_make("DNS:localhost", -DAY, 3 * DAY, NULL, NULL, &k, b, key));
    EVP_PKEY_free(k);
    write_two(both, a, b);

    EXPECT(certificate_read(a, &one) && certificate_read(b, &two));
    EXPECT(one.not_after_s > now_s + DAY && one.not_after_s < now_s + 3 * DAY);
    EXPECT_INT(two.not_after_s - one.not_after_s, DAY);
    EXPECT(certificate_read(both, &all));
    EXPECT_INT(all.not_before_s, two.not_before_s);
    EXPECT_INT(all.not_after_s, one.not_after_s);
    EXPECT(certificate_read_longest(both, &all));
    EXPECT_INT(all.not_before_s, two.not_before_s);
    EXPECT_INT(all.not_after_s, two.not_after_s);
    EXPECT(!certificate_read(key, &all));
    EXPECT(!certificate_read("/no/such/file", &all));
    EXPECT(unlink(a) == 0 && unlink(b) == 0 && unlink(key) == 0 && unlink(both) == 0);
    EXPECT(rmdir(dir) == 0);
}
