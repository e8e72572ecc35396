/* test_tls.c - contexts: what is accepted as certificate, key and authorities; kept sessions. */
#include "net/tls.c"

#include "tests/unit/net/certs.h"

static char why[512];

TEST(a_certificate_and_its_key_make_a_server)
{
    struct certs certs;

    certs_make(&certs);
    struct tls_context *c = tls_server_create(certs.good, certs.good_key, WHY(why));
    EXPECT(c != NULL && tls_context_is_server(c));
    EXPECT(tls_context_ref(c) == c);
    tls_context_unref(c);
    tls_context_unref(c);
    tls_context_unref(NULL);
    certs_remove(&certs);
}

TEST(an_invalid_certificate_or_key_is_reported_with_its_file)
{
    struct certs certs;

    certs_make(&certs);
    EXPECT(tls_server_create("/nonexistent.pem", certs.good_key, WHY(why)) == NULL);
    EXPECT_STR(
        str_c(why), "cannot use the certificate /nonexistent.pem: No such file or directory");
    EXPECT(tls_server_create(certs.good_key, certs.good_key, WHY(why)) == NULL);
    EXPECT(strstr(why, certs.good_key) != NULL);
    EXPECT(tls_server_create(certs.good, certs.good, WHY(why)) == NULL);
    EXPECT(strstr(why, "cannot use the private key") != NULL);
    EXPECT(tls_server_create(certs.good, certs.other_key, WHY(why)) == NULL);
    EXPECT(strstr(why, "key") != NULL && strstr(why, "mismatch") != NULL);
    EXPECT(tls_server_create(certs.good, certs.encrypted_key, WHY(why)) == NULL);
    EXPECT(strstr(why, certs.encrypted_key) != NULL);
    certs_remove(&certs);
}

TEST(authorities_come_from_a_file_or_the_system)
{
    struct certs certs;

    certs_make(&certs);
    struct tls_context *c = tls_client_create(certs.ca, false, WHY(why));
    EXPECT(c != NULL && !tls_context_is_server(c));
    tls_context_unref(c);
    EXPECT(tls_client_create(certs.good_key, false, WHY(why)) == NULL);
    EXPECT(strstr(why, certs.good_key) != NULL);
    EXPECT(tls_client_create("/nonexistent.pem", false, WHY(why)) == NULL);

    certs_remove(&certs);
}

TEST(authorities_that_the_environment_names_are_used_or_the_name_is_an_error)
{
    struct certs certs;
    char dir[] = "/tmp/openclaw-test-XXXXXX", hashed[128], list[160];
    struct tls_context *c;

    certs_make(&certs);
    EXPECT(mkdtemp(dir) != NULL);
    snprintf(hashed, sizeof(hashed), "%s/5ed36f99.0", dir);
    snprintf(list, sizeof(list), "/nonexistent:%s", dir);
    const struct {
        const char *file, *dir, *why;
    } rows[] = {
        { certs.ca, NULL, NULL },
        { certs.ca, "", NULL },
        { NULL, list, NULL },
        { "", dir, NULL },
        { certs.ca, dir, NULL },
        { "/nonexistent.pem", NULL,
            "cannot use the authorities in /nonexistent.pem, which SSL_CERT_FILE names: " },
        { "/nonexistent.pem", dir,
            "cannot use the authorities in /nonexistent.pem, which SSL_CERT_FILE names: " },
        { certs.good_key, NULL, "which SSL_CERT_FILE names: " },
        { NULL, "/nonexistent", "/nonexistent, which SSL_CERT_DIR names, is not a directory" },
        { certs.ca, certs.dir, "which SSL_CERT_DIR names, is not a directory with hashed names" },
    };

    EXPECT(symlink(certs.ca, hashed) == 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        why[0] = '\0';
        if (rows[i].file != NULL)
            setenv("SSL_CERT_FILE", rows[i].file, 1);
        if (rows[i].dir != NULL)
            setenv("SSL_CERT_DIR", rows[i].dir, 1);
        c = tls_client_create(NULL, false, WHY(why));
        if ((c != NULL) != (rows[i].why == NULL))
            print_error("row %zu: %s\n", i, why);
        EXPECT((c != NULL) == (rows[i].why == NULL));
        EXPECT(rows[i].why == NULL || strstr(why, rows[i].why) != NULL);
        tls_context_unref(c);
        c = tls_client_create(certs.ca, false, WHY(why));    /* named: nothing else counts */
        EXPECT(c != NULL);
        tls_context_unref(c);
        unsetenv("SSL_CERT_FILE");
        unsetenv("SSL_CERT_DIR");
    }
    unlink(hashed);
    rmdir(dir);
    certs_remove(&certs);
}

TEST(a_client_s_certificate_is_checked_when_it_is_read)
{
    struct certs certs;

    certs_make(&certs);
    struct tls_context *c = tls_client_create(certs.ca, false, WHY(why));
    EXPECT(tls_client_use_certificate(c, certs.good, certs.good_key, WHY(why)));
    EXPECT(!tls_client_use_certificate(c, "/nonexistent.pem", certs.good_key, WHY(why)));
    EXPECT(strstr(why, "cannot use the certificate /nonexistent.pem") != NULL);
    EXPECT(!tls_client_use_certificate(c, certs.good, certs.other_key, WHY(why)));
    EXPECT(strstr(why, certs.other_key) != NULL && strstr(why, "mismatch") != NULL);
    tls_context_unref(c);
    certs_remove(&certs);
}

TEST(a_directory_of_hashed_names_is_recognized)
{
    char dir[] = "/tmp/openclaw-test-XXXXXX";
    char path[128];

    EXPECT(mkdtemp(dir) != NULL);
    EXPECT(!is_hashed_directory(dir));
    snprintf(path, sizeof(path), "%s/5ed36f99.0", dir);
    fclose(fopen(path, "w"));
    EXPECT(is_hashed_directory(dir));
    EXPECT(!is_hashed_directory("/nonexistent"));
    unlink(path);
    rmdir(dir);
}

TEST(contexts_never_share_a_serial)
{
    struct tls_context *a = tls_client_create(NULL, true, WHY(why));
    uint64_t serial = tls_context_serial(a);

    tls_context_unref(a);
    a = tls_client_create(NULL, true, WHY(why));
    EXPECT(tls_context_serial(a) > serial);
    tls_context_unref(a);
}

static SSL_SESSION *
session_of(int version)
{
    SSL_SESSION *s = SSL_SESSION_new();

    SSL_SESSION_set_protocol_version(s, version);
    return s;
}

TEST(a_ticket_of_tls_1_3_is_used_once_an_older_session_again_and_again)
{
    struct tls_context *c = tls_client_create(NULL, true, WHY(why));
    struct tls_peer peer = { c, "origin" };
    SSL *ssl = SSL_new(c->ctx);
    SSL_SESSION *first = session_of(TLS1_3_VERSION), *second = session_of(TLS1_3_VERSION);
    SSL_SESSION *old = session_of(TLS1_2_VERSION);

    SSL_set_app_data(ssl, &peer);
    EXPECT(take_session(&peer) == NULL);
    EXPECT_INT(on_new_session(ssl, first), 1);
    EXPECT_INT(on_new_session(ssl, second), 1);
    EXPECT(take_session(&peer) == second);
    EXPECT(take_session(&peer) == first);
    EXPECT(take_session(&peer) == NULL);
    SSL_SESSION_free(first);
    SSL_SESSION_free(second);

    on_new_session(ssl, old);
    EXPECT(take_session(&peer) == old);
    EXPECT(take_session(&peer) == old);
    SSL_SESSION_free(old);
    SSL_SESSION_free(old);
    SSL_free(ssl);
    tls_context_unref(c);
}

TEST(kept_sessions_are_bounded_and_the_longest_unused_origin_goes_first)
{
    struct tls_context *c = tls_client_create(NULL, true, WHY(why));
    char key[32];
    struct tls_peer peer = { c, key };
    SSL *ssl = SSL_new(c->ctx);
    SSL_SESSION *s;

    SSL_set_app_data(ssl, &peer);
    for (int i = 0; i < ORIGINS_MAX + 1; i++) {
        if (i == ORIGINS_MAX) {    /* the first is in use, so that the second is the oldest */
            strcpy(key, "origin 0");
            s = take_session(&peer);
            EXPECT(s != NULL);
            SSL_SESSION_free(s);
        }
        snprintf(key, sizeof(key), "origin %d", i);
        for (int j = 0; j < SESSIONS_MAX + 2; j++)
            on_new_session(ssl, session_of(TLS1_3_VERSION));
    }
    EXPECT_INT(c->kept_n, ORIGINS_MAX);
    EXPECT_INT(kept_find(c, "origin 5")->count, SESSIONS_MAX);
    EXPECT(kept_find(c, "origin 0") != NULL);
    EXPECT(kept_find(c, "origin 1") == NULL);
    SSL_free(ssl);
    tls_context_unref(c);
}
