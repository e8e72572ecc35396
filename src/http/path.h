/* path.h - normalises the path of a request (RFC 3986, section 6.2.2).
 *
 * The same path can be written in several ways that servers treat as equivalent. Routing,
 * permissions and the upstream request must all use the same text, so the path is normalised once,
 * before anything else looks at it. A path that two servers could interpret differently is refused.
 */
#pragma once

#include "base/arena.h"

struct http_path {
    struct str text;    /* normalised; unchanged if the path was refused */
    /* The path contains ';', or a percent-encoded '/', '\', '?', '#' or ';'. This is valid in
     * routes that end in a name, and ambiguous everywhere else. */
    bool has_delimiter;
};

/* Decodes unreserved characters, upper-cases the remaining escapes, removes a trailing slash.
 * Returns NULL, or what is wrong: an invalid escape, a control character, invalid UTF-8, an empty
 * segment, "." or "..". *ret points into `path` or `a`. */
const char *http_path_normalise(struct arena *a, struct str path, struct http_path *ret);
