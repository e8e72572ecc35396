/* path.h - the one spelling of a request's path (RFC 3986, section 6.2.2).
 *
 * A path can be written in many ways that most servers read alike. What decides by the path and
 * what is sent on must be the same text, so it is normalised once, before anything looks at it, and
 * a path that two servers could read in different ways is refused.
 */
#pragma once

#include "base/arena.h"

struct http_path {
    struct str text;    /* normalised; the path as it came when it was refused */
    /* '/', '\', '?', '#' or ';' stand in it percent-encoded, or ';' plainly: part of a name, in a
     * route that takes names, and ambiguous anywhere else */
    bool has_delimiter;
};

/* Decodes unreserved characters, writes the other escapes in upper case, drops a slash at the end.
 * NULL, or what is wrong: an escape that is none, a control character, invalid UTF-8, an empty
 * segment, "." or "..". `*ret` points into `path` or `a`. */
const char *http_path_normalise(struct arena *a, struct str path, struct http_path *ret);
