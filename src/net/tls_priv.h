/* tls_priv.h - contexts as the socket layer uses them. Nobody outside net/ includes this. */
#pragma once

#include <openssl/ssl.h>

#include "net/tls.h"

/* Hangs on every SSL object, so that the library's callbacks find their way. */
struct tls_peer {
    struct tls_context *context;    /* a reference */
    char *session_key;              /* under which sessions are kept; NULL: they are not */
};

/* A connection's state. For a client: SNI and the name to verify are set, and an old session when
 * there is one. NULL when the library has no memory, or `host` cannot be verified against. */
SSL *tls_connection(struct tls_peer *peer, struct str host) MUST_CHECK;

/* It offers HTTP/1.1 only. Before its handshake. */
void tls_connection_forbid_h2(SSL *ssl);

bool tls_context_is_server(const struct tls_context *c);

/* Differs for any two contexts that this process ever has. */
uint64_t tls_context_serial(const struct tls_context *c);

/* A short reason for what just failed on `ssl`; clears the library's list of errors. */
const char *tls_reason(const SSL *ssl, char *room, size_t size);
