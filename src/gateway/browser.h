/* browser.h - which web pages may call, and what their browsers are told.
 *
 * A browser sends a page's simple requests without asking and only keeps the answer from it; so
 * where nobody must identify, refusing is up to us. And a page may have had its own name pointed at
 * this machine after it was loaded (DNS rebinding): to its browser we are the page's own server,
 * and only the Host field tells.
 */
#pragma once

#include "conf/conf.h"
#include "http/message.h"

/* Is the Host field one of ours? An address that we listen on, localhost, a name in server.hosts;
 * or absent. */
bool browser_is_our_host(const struct conf_server *server, struct str host);

/* Does a page call whose origin is neither ours nor in server.cors_origins? */
bool browser_is_foreign_page(const struct conf_server *server, const struct http_head *head);

/* Appends the fields by which a browser lets a page of an allowed origin call and read. */
void browser_add_fields(
    const struct conf_strs *allowed, const struct http_head *head, struct buf *out);
