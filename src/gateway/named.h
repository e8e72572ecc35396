/* named.h - what a request's field lines say about where it belongs: its session and its tags. */
#pragma once

#include "policy/auth.h"

/* x-openclaw-session, and x-openclaw-tags with the tags of the key in front; copies, in `a`. */
struct str named_session(struct arena *a, const struct http_fields *fields);
struct ask_tag *named_tags(
    struct arena *a, const struct principal *who, const struct http_fields *fields);
