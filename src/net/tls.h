/* tls.h - TLS contexts for servers and clients: certificates and trusted authorities.
 *
 * A context is immutable and shared by reference count: a reload makes a new
 * one while connections keep theirs. TLS 1.2 and 1.3, ECDHE with AEAD only
 * (Mozilla intermediate). Clients always verify the chain and the name and
 * resume sessions per origin.
 */
#pragma once

#include "base/base.h"
#include "base/why.h"

struct tls_context;

/* A server's context from PEM files. NULL on error, with a sentence in `why` (names the file). */
struct tls_context *tls_server_create(
    const char *cert_path, const char *key_path, struct why why) MUST_CHECK;

/* How the reason of a failed handshake begins when the peer's certificate is to blame. */
#define TLS_NOT_ACCEPTED "certificate not accepted"

/* A client's context. `ca_path`: PEM bundle; NULL: what SSL_CERT_FILE and SSL_CERT_DIR name, else
 * the system's. `insecure` skips verification (tests and labs; the configuration warns of it). */
struct tls_context *tls_client_create(
    const char *ca_path, bool insecure, struct why why) MUST_CHECK;

/* The certificate (with its chain) and the key with which this client identifies itself, PEM files.
 * False on error, with a sentence in `why` that names the file. Before the first connection. */
bool tls_client_use_certificate(
    struct tls_context *c, const char *cert_path, const char *key_path, struct why why) MUST_CHECK;

/* Connections of this client's context may agree on "h2" (ALPN). Before the first of them. */
void tls_client_offer_h2(struct tls_context *c);

/* One more holder; any thread. */
struct tls_context *tls_context_ref(struct tls_context *c) NEVER_NULL;
/* One holder less, freed with the last. NULL is a no-op. */
void tls_context_unref(struct tls_context *c);
