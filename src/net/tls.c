/* tls.c - TLS contexts: versions, ciphers, certificates, and sessions kept for resumption. */
#include "net/tls_priv.h"
#include "net/tls_ticket.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Mozilla's intermediate list without DHE. TLS 1.3's own suites are all fine. */
static const char ciphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static const char groups[] = "X25519:P-256:P-384";
static const char groups_post_quantum[] = "X25519MLKEM768:X25519:P-256:P-384";

static const unsigned char alpn_http1[] = "\x08http/1.1";
static const unsigned char alpn_both[] = "\x02h2\x08http/1.1";
enum { ALPN_HTTP1_LEN = sizeof(alpn_http1) - 1, ALPN_BOTH_LEN = sizeof(alpn_both) - 1 };

enum {
    ORIGINS_MAX = 128,    /* whose sessions are kept */
    SESSIONS_MAX = 4,     /* of one origin: TLS 1.3 tickets are best used once */
};

struct kept_sessions {
    char *key;
    SSL_SESSION *list[SESSIONS_MAX];
    unsigned count;
    uint64_t used;    /* when, in uses of the whole table */
};

struct tls_context {
    SSL_CTX *ctx;
    bool is_server;
    uint64_t serial;
    atomic_uint holders;
    pthread_mutex_t lock;    /* guards what follows */
    struct kept_sessions kept[ORIGINS_MAX];
    unsigned kept_n;
    uint64_t uses;    /* of the table, as a clock for its eviction */
};

/* Where distributions put their bundle of authorities when there is no directory of hashed
 * names. */
static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

/* --- errors --- */

const char *
tls_reason(const SSL *ssl, char *room, size_t size)
{
    unsigned long e = ERR_peek_error();
    long verified = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
    const char *reason = ERR_reason_error_string(e);

    if (verified != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
        snprintf(room, size, TLS_NOT_ACCEPTED ": %s", X509_verify_cert_error_string(verified));
    else if (e != 0 && ERR_SYSTEM_ERROR(e))
        snprintf(room, size, "%s", strerror(ERR_GET_REASON(e)));
    else
        snprintf(room, size, "%s", reason != NULL ? reason : "protocol error");
    ERR_clear_error();
    return room;
}

/* The library's reason after ours. */
static bool say_reason(struct why why, const char *format, ...) PRINTF_LIKE(2, 3);

static bool
say_reason(struct why why, const char *format, ...)
{
    char reason[160];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(why.room, why.size, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < why.size)
        why_say((struct why){ why.room + n, why.size - (size_t)n }, ": %s",
            tls_reason(NULL, reason, sizeof(reason)));
    return false;
}

/* --- sessions --- */

static struct kept_sessions *
kept_find(struct tls_context *c, const char *key)
{
    for (unsigned i = 0; i < c->kept_n; i++) {
        if (strcmp(c->kept[i].key, key) == 0)
            return &c->kept[i];
    }
    return NULL;
}

static void
kept_clear(struct kept_sessions *k)
{
    for (unsigned i = 0; i < k->count; i++)
        SSL_SESSION_free(k->list[i]);
    free(k->key);
    *k = (struct kept_sessions){ .key = NULL };
}

/* A slot for a new origin; the least recently used one is evicted. */
static struct kept_sessions *
kept_add(struct tls_context *c, const char *key)
{
    struct kept_sessions *k;

    if (c->kept_n < ORIGINS_MAX) {
        k = &c->kept[c->kept_n++];
    } else {
        k = &c->kept[0];
        for (unsigned i = 1; i < ORIGINS_MAX; i++) {
            if (c->kept[i].used < k->used)
                k = &c->kept[i];
        }
        kept_clear(k);
    }
    k->key = str_dup_c(str_c(key));
    return k;
}

/* The library made a session that may be resumed. Returning 1 keeps its reference. */
static int
on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_peer *peer = SSL_get_app_data(ssl);

    if (peer == NULL || peer->session_key == NULL)
        return 0;
    pthread_mutex_lock(&peer->context->lock);
    struct kept_sessions *k = kept_find(peer->context, peer->session_key);
    if (k == NULL)
        k = kept_add(peer->context, peer->session_key);
    if (k->count == SESSIONS_MAX) {
        SSL_SESSION_free(k->list[0]);
        memmove(&k->list[0], &k->list[1], (SESSIONS_MAX - 1) * sizeof(k->list[0]));
        k->count--;
    }
    k->list[k->count++] = session;
    k->used = ++peer->context->uses;
    pthread_mutex_unlock(&peer->context->lock);
    return 1;
}

/* The newest session for a peer, a reference of its own; NULL when there is none. */
static SSL_SESSION *
take_session(struct tls_peer *peer)
{
    SSL_SESSION *session = NULL;

    pthread_mutex_lock(&peer->context->lock);
    struct kept_sessions *k = kept_find(peer->context, peer->session_key);
    if (k != NULL && k->count != 0) {
        session = k->list[k->count - 1];
        k->used = ++peer->context->uses;
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
            k->count--;    /* a ticket used twice would link the two connections */
        else
            SSL_SESSION_up_ref(session);
    }
    pthread_mutex_unlock(&peer->context->lock);
    return session;
}

/* --- contexts --- */

/* A key with a passphrase is an error: a daemon cannot ask for it. */
static int
no_passphrase(char *room, int size, int writing, void *arg)
{
    (void)room;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static struct tls_context *
context_create(bool is_server)
{
    static atomic_uint_fast64_t serials;
    struct tls_context *c = check_alloc(calloc(1, sizeof(*c)));

    c->ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    CHECK(c->ctx != NULL);
    c->is_server = is_server;
    c->serial = atomic_fetch_add(&serials, 1) + 1;
    atomic_init(&c->holders, 1);
    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);

    CHECK(SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) == 1);
    CHECK(SSL_CTX_set_cipher_list(c->ctx, ciphers) == 1);
    if (SSL_CTX_set1_groups_list(c->ctx, groups_post_quantum) != 1)
        CHECK(SSL_CTX_set1_groups_list(c->ctx, groups) == 1);
    SSL_CTX_set_options(c->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(c->ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(c->ctx, no_passphrase);
    ERR_clear_error();
    return c;
}

static int
select_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_n, const unsigned char *offered,
    unsigned offered_n, void *arg)
{
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, ret_n, alpn_http1, ALPN_HTTP1_LEN, offered, offered_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool
use_certificate(struct tls_context *c, const char *cert_path, const char *key_path, struct why why)
{
    if (SSL_CTX_use_certificate_chain_file(c->ctx, cert_path) != 1)
        return say_reason(why, "cannot use the certificate %s", cert_path);
    if (SSL_CTX_use_PrivateKey_file(c->ctx, key_path, SSL_FILETYPE_PEM) != 1)
        return say_reason(why, "cannot use the private key %s", key_path);
    if (SSL_CTX_check_private_key(c->ctx) != 1)
        return say_reason(
            why, "the private key %s does not belong to the certificate %s", key_path, cert_path);
    return true;
}

struct tls_context *
tls_server_create(const char *cert_path, const char *key_path, struct why why)
{
    struct tls_context *c = context_create(true);

    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);    /* tickets need none */
    tls_ticket_use(c->ctx);
    SSL_CTX_set_session_id_context(c->ctx, (const unsigned char *)"openclaw", 8);
    SSL_CTX_set_alpn_select_cb(c->ctx, select_alpn, NULL);

    if (use_certificate(c, cert_path, key_path, why))
        return c;
    tls_context_unref(c);
    return NULL;
}

/* Does the directory hold names like 5ed36f99.0, by which the library finds an authority? */
static bool
is_hashed_directory(const char *path)
{
    DIR *dir = opendir(path);
    bool found = false;

    if (dir == NULL)
        return false;
    for (struct dirent *e; !found && (e = readdir(dir)) != NULL;) {
        size_t hex = strspn(e->d_name, "0123456789abcdef");

        found = hex == 8 && e->d_name[8] == '.' && isdigit((unsigned char)e->d_name[9]);
    }
    closedir(dir);
    return found;
}

/* A variable of the environment that is set to something. */
static const char *
env_path(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

/* Does the list of directories, separated by colons, have one that the library can search? */
static bool
has_hashed_directory(const char *list)
{
    struct str rest = str_c(list), one;
    char path[PATH_MAX];

    while (rest.n != 0) {
        (void)str_cut(rest, ':', &one, &rest);
        if (one.n != 0 && one.n < sizeof(path)) {
            str_copy_c(path, sizeof(path), one);
            if (is_hashed_directory(path))
                return true;
        }
    }
    return false;
}

/* The authorities in SSL_CERT_FILE and SSL_CERT_DIR (both are used), instead of the system's. A
 * name that cannot be used is an error; falling back to other authorities would trust the wrong
 * ones. */
static bool
use_named_authorities(SSL_CTX *ctx, const char *file, const char *dir, struct why why)
{
    if (file != NULL && SSL_CTX_load_verify_file(ctx, file) != 1)
        return say_reason(why, "cannot use the authorities in %s, which %s names", file,
            X509_get_default_cert_file_env());
    if (dir != NULL && !has_hashed_directory(dir))
        return why_say(why,
            "%s, which %s names, is not a directory with hashed names of authorities; 'openssl rehash "
            "DIRECTORY' makes them",
            dir, X509_get_default_cert_dir_env());
    if (dir != NULL && SSL_CTX_load_verify_dir(ctx, dir) != 1)
        return say_reason(why, "cannot use the authorities in %s, which %s names", dir,
            X509_get_default_cert_dir_env());
    return true;
}

/* The system's authorities. A directory of hashed names costs nothing until one of them is needed;
 * a bundle costs a few megabytes at once, so it comes second. */
static bool
use_system_authorities(SSL_CTX *ctx, struct why why)
{
    const char *dir = X509_get_default_cert_dir(), *file = X509_get_default_cert_file();

    if (is_hashed_directory(dir) && SSL_CTX_load_verify_dir(ctx, dir) == 1)
        return true;
    if (access(file, R_OK) == 0 && SSL_CTX_load_verify_file(ctx, file) == 1)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(bundles); i++) {
        if (access(bundles[i], R_OK) == 0 && SSL_CTX_load_verify_file(ctx, bundles[i]) == 1)
            return true;
    }
    return why_say(why,
        "this system has no certificate authorities; install the package ca-certificates or name a "
        "bundle in SSL_CERT_FILE");
}

static bool
use_authorities(SSL_CTX *ctx, const char *ca_path, struct why why)
{
    const char *file = env_path(X509_get_default_cert_file_env());
    const char *dir = env_path(X509_get_default_cert_dir_env());

    if (ca_path == NULL)
        return file != NULL || dir != NULL ? use_named_authorities(ctx, file, dir, why)
                                           : use_system_authorities(ctx, why);

    /* Trust exactly the certificates in the file, even if they are not roots. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    if (SSL_CTX_load_verify_file(ctx, ca_path) == 1)
        return true;
    return say_reason(why, "cannot use the authorities in %s", ca_path);
}

struct tls_context *
tls_client_create(const char *ca_path, bool insecure, struct why why)
{
    struct tls_context *c = context_create(false);

    SSL_CTX_set_verify(c->ctx, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(
        c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR);
    SSL_CTX_sess_set_new_cb(c->ctx, on_new_session);
    CHECK(SSL_CTX_set_alpn_protos(c->ctx, alpn_http1, ALPN_HTTP1_LEN) == 0);

    if ((ca_path != NULL || !insecure) && !use_authorities(c->ctx, ca_path, why)) {
        tls_context_unref(c);
        return NULL;
    }
    ERR_clear_error();
    return c;
}

bool
tls_client_use_certificate(
    struct tls_context *c, const char *cert_path, const char *key_path, struct why why)
{
    CHECK(!c->is_server);
    SSL_CTX_set_post_handshake_auth(c->ctx, 1);
    return use_certificate(c, cert_path, key_path, why);
}

void
tls_client_offer_h2(struct tls_context *c)
{
    CHECK(!c->is_server);
    CHECK(SSL_CTX_set_alpn_protos(c->ctx, alpn_both, ALPN_BOTH_LEN) == 0);
}

void
tls_connection_forbid_h2(SSL *ssl)
{
    CHECK(SSL_set_alpn_protos(ssl, alpn_http1, ALPN_HTTP1_LEN) == 0);
}

struct tls_context *
tls_context_ref(struct tls_context *c)
{
    atomic_fetch_add_explicit(&c->holders, 1, memory_order_relaxed);
    return c;
}

void
tls_context_unref(struct tls_context *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->holders, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < c->kept_n; i++)
        kept_clear(&c->kept[i]);
    pthread_mutex_destroy(&c->lock);
    SSL_CTX_free(c->ctx);
    free(c);
}

bool
tls_context_is_server(const struct tls_context *c)
{
    return c->is_server;
}

uint64_t
tls_context_serial(const struct tls_context *c)
{
    return c->serial;
}

/* --- connections --- */

/* The server to verify: an address, or a name, which is also sent as SNI. */
static bool
expect_host(SSL *ssl, struct str host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    char room[256];

    while (host.n != 0 && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n == 0 || host.n >= sizeof(room))
        return false;
    str_copy_c(room, sizeof(room), host);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, room) == 1)
        return true;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, room, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, room) == 1;
}

SSL *
tls_connection(struct tls_peer *peer, struct str host)
{
    SSL *ssl = SSL_new(peer->context->ctx);

    if (ssl == NULL)
        return NULL;
    SSL_set_app_data(ssl, peer);
    if (peer->context->is_server) {
        SSL_set_accept_state(ssl);
        return ssl;
    }
    SSL_set_connect_state(ssl);
    if (!expect_host(ssl, host)) {
        SSL_free(ssl);
        return NULL;
    }
    if (peer->session_key != NULL) {
        SSL_SESSION *session = take_session(peer);

        if (session != NULL)
            SSL_set_session(ssl, session);
        SSL_SESSION_free(session);
    }
    return ssl;
}
