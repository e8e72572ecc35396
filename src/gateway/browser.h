/* browser.h - which web pages may call, and what their browsers are told.
 *
 * `allowed` is server.cors_origins. A browser sends a page's simple requests without asking and only
 * keeps the answer from it; so where nobody must identify, refusing is up to us.
 */
#pragma once

#include "conf/conf.h"
#include "http/message.h"

/* Does a page of an origin that may not call ask, and not one of our own host either? */
bool browser_is_foreign_page(const struct conf_strs *allowed, const struct http_head *head);

/* Appends the fields by which a browser lets a page of an allowed origin call and read. */
void browser_add_fields(
    const struct conf_strs *allowed, const struct http_head *head, struct buf *out);
