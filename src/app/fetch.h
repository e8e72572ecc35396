/* fetch.h - reads what a URL holds, for commands that run once. */
#pragma once

#include "base/buf.h"

/* Appends the body of the answer to a GET, up to the buffer's limit, within a minute. Redirections are not followed.
 * False after saying why on standard error. */
bool fetch_url(const char *command, const char *url, struct buf *out) MUST_CHECK;
