/* dry.h - how a request would be routed: a dry run, in which nothing is sent and no turn is taken. */
#pragma once

#include "base/buf.h"
#include "gateway/snapshot.h"

/* `doc` describes the request:
 *     {"request": {"model": ...}, "path": "/v1/chat/completions", "key": "its name",
 *      "headers": {"x-openclaw-tags": "team=search"}, "client_ip": "10.0.0.1"}
 * where all but the first may be left out. Appends a JSON object: "model", "endpoint", "decision" (see
 * explain.h) unless it does not get that far, and if it would be refused "status", "error" and
 * "message". `rules` is of this thread. OK, or ERR_BAD_REQUEST with a sentence if `doc` describes no request. */
enum err dry_explain(const struct snapshot *s, struct rules_runner *rules, struct arena *a,
    const struct json *doc, struct buf *out, struct str *ret_why) MUST_CHECK;
