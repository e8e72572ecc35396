/* ask.h - what the commands that talk to a server send, on any wire that has a provider's side. */
#pragma once

#include "llm/wire.h"
#include "net/dial.h"

/* The server at a URL; its path in *ret_path, which is a slice of `url`. NULL after saying why. */
struct origin *ask_origin(
    const char *command, const char *url, bool insecure, struct str *ret_path) MUST_CHECK;

/* The wire of that name, or the only one whose name begins so. NULL after saying which there
 * are. */
const struct wire *ask_wire(const char *command, const char *name) MUST_CHECK;

/* Appends the header fields of a request; the key, which may be NULL or empty, goes where the
 * wire's providers expect it. */
void ask_add_fields(struct buf *out, const char *command, const struct wire *wire, const char *key);

/* Appends the path of a request. `base` is that of a server, of its base URL (/v1), or the
 * whole. */
void ask_add_path(
    struct buf *out, const struct wire *wire, const struct llm_request *r, struct str base);

/* Appends the body: `r` has an arena, a model, and a conversation that any wire can express. */
void ask_add_body(struct buf *out, const struct wire *wire, const struct llm_request *r);
