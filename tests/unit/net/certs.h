/* certs.h - certificates made on the spot: an authority, and leaves that are good or bad in one
 * way. */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"

struct certs {
    char dir[64];
    char ca[128];                             /* the authority's certificate */
    char good[128], good_key[128];            /* localhost, 127.0.0.1, ::1, provider.test */
    char other[128], other_key[128];          /* other.example */
    char expired[128], expired_key[128];      /* localhost, until yesterday */
    char stranger[128], stranger_key[128];    /* localhost, signed by itself */
    char encrypted_key[128];                  /* the good key under a passphrase */
};

static void
cert_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    EXPECT(e != NULL);
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

/* A certificate for `names`, signed by `issuer` (NULL: by itself), written to the two paths. */
static X509 *
cert_make(const char *names, long from_s, long until_s, X509 *issuer, EVP_PKEY *issuer_key,
    EVP_PKEY **ret_key, const char *path, const char *key_path)
{
    static long serial;
    X509 *cert = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    bool is_ca = names == NULL;

    EXPECT(cert != NULL && key != NULL);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(cert), until_s);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
        (const unsigned char *)(is_ca ? "test authority" : "leaf"), -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert));
    cert_extension(cert, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (!is_ca)
        cert_extension(cert, NID_subject_alt_name, names);
    EXPECT(X509_sign(cert, issuer_key != NULL ? issuer_key : key, EVP_sha256()) != 0);

    FILE *f = fopen(path, "w");
    EXPECT(f != NULL && PEM_write_X509(f, cert) == 1);
    fclose(f);
    if (key_path != NULL) {
        f = fopen(key_path, "w");
        EXPECT(f != NULL && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
        fclose(f);
    }
    if (ret_key != NULL)
        *ret_key = key;
    else
        EVP_PKEY_free(key);
    return cert;
}

static void
certs_make(struct certs *c)
{
    static const char *const names[] = {
        "ca",
        "good",
        "good.key",
        "other",
        "other.key",
        "expired",
        "expired.key",
        "stranger",
        "stranger.key",
        "encrypted.key",
    };
    char *paths[] = {
        c->ca,
        c->good,
        c->good_key,
        c->other,
        c->other_key,
        c->expired,
        c->expired_key,
        c->stranger,
        c->stranger_key,
        c->encrypted_key,
    };
    const char *here = "DNS:localhost,IP:127.0.0.1,IP:::1,DNS:provider.test";
    long day = 86400;
    EVP_PKEY *ca_key, *good_key;

    snprintf(c->dir, sizeof(c->dir), "/tmp/openclaw-test-XXXXXX");
    EXPECT(mkdtemp(c->dir) != NULL);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        snprintf(paths[i], 128, "%s/%s.pem", c->dir, names[i]);

    X509 *ca = cert_make(NULL, -day, 10 * day, NULL, NULL, &ca_key, c->ca, NULL);
    X509_free(cert_make(here, -day, day, ca, ca_key, &good_key, c->good, c->good_key));
    X509_free(cert_make("DNS:other.example,DNS:*.other.example", -day, day, ca, ca_key, NULL,
        c->other, c->other_key));
    X509_free(cert_make(here, -3 * day, -day, ca, ca_key, NULL, c->expired, c->expired_key));
    X509_free(cert_make(here, -day, day, NULL, NULL, NULL, c->stranger, c->stranger_key));

    FILE *f = fopen(c->encrypted_key, "w");
    EXPECT(f != NULL);
    EXPECT(PEM_write_PrivateKey(f, good_key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6,
               NULL, NULL) == 1);
    fclose(f);
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(good_key);
}

static void
certs_remove(struct certs *c)
{
    char line[128];

    snprintf(line, sizeof(line), "rm -r %s", c->dir);
    EXPECT(system(line) == 0);
}
