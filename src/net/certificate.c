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

/* The first certificate, or that of all with the latest end. */
static bool
read_file(const char *path, bool longest, struct certificate *ret)
{
    FILE *f = fopen(path, "re");
    bool found = false;
    X509 *x;

    if (f == NULL)
        return false;
    while ((longest || !found) && (x = PEM_read_X509_AUX(f, NULL, NULL, NULL)) != NULL) {
        struct certificate c;

        if (read_time(X509_get0_notBefore(x), &c.not_before_s) &&
            read_time(X509_get0_notAfter(x), &c.not_after_s) &&
            (!found || c.not_after_s > ret->not_after_s)) {
            *ret = c;
            found = true;
        }
        X509_free(x);
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
