/* certificate.c - dates of certificates, for warnings before they are due. */
#include "net/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <time.h>

static bool
read_time(const ASN1_TIME *from, int64_t *ret)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(from, &tm) != 1)
        return false;
    *ret = (int64_t)timegm(&tm);
    return true;
}

/* The certificate with the latest end, or what all have in common. */
static bool
read_file(const char *path, bool longest, struct certificate *ret)
{
    FILE *f = fopen(path, "re");
    bool found = false;
    X509 *x;

    if (f == NULL)
        return false;
    while ((x = PEM_read_X509_AUX(f, NULL, NULL, NULL)) != NULL) {
        struct certificate c;

        bool read = read_time(X509_get0_notBefore(x), &c.not_before_s) &&
                    read_time(X509_get0_notAfter(x), &c.not_after_s);
        X509_free(x);
        if (!read)
            continue;
        if (!found || (longest && c.not_after_s > ret->not_after_s))
            *ret = c;
        if (!longest) {
            ret->not_before_s = MAX(ret->not_before_s, c.not_before_s);
            ret->not_after_s = MIN(ret->not_after_s, c.not_after_s);
        }
        found = true;
    }
    (void)fclose(f);
    ERR_clear_error();
    return found;
}

bool
certificate_read(const char *path, struct certificate *ret)
{
    return read_file(path, false, ret);
}

bool
certificate_read_longest(const char *path, struct certificate *ret)
{
    return read_file(path, true, ret);
}
