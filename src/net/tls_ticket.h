/* tls_ticket.h - the keys of session tickets, which belong to the process. Nobody outside net/
 * includes this.
 *
 * A ticket must be readable by whichever worker and whichever context the caller meets next, also
 * after a certificate was renewed. An attacker who has a key can decrypt every session that used
 * it, in spite of forward secrecy: so keys live in memory only, and not for long (RFC 5077, 5.5;
 * RFC 8446, C.4).
 */
#pragma once

#include <openssl/ssl.h>

/* Tickets of this server's context are sealed with the process's keys. */
void tls_ticket_use(SSL_CTX *ctx);
