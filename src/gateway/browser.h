/* browser.h - which web pages may call the gateway, and the CORS fields of the answers.
 *
 * A browser sends a page's simple requests without a preflight and merely hides the answer from the
 * page. Without API keys the gateway must therefore refuse such requests itself. With DNS rebinding
 * a page makes its own host name resolve to this machine after it was loaded: the browser then
 * treats the gateway as the page's own server, and only the Host field reveals it.
 */
#pragma once

#include "conf/conf.h"
#include "http/message.h"

/* Does the Host field name this gateway? True for an address that we listen on, localhost, a name
 * in server.hosts, and when the field is absent. */
bool browser_is_our_host(const struct conf_server *server, struct str host);

/* Was the request sent by a page whose origin is neither ours nor in server.cors_origins? */
bool browser_is_foreign_page(const struct conf_server *server, const struct http_head *head);

/* Appends the CORS fields. */
void browser_add_fields(
    const struct conf_strs *allowed, const struct http_head *head, struct buf *out);
