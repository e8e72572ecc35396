/* seal.h - one protocol's proof of reasoning, carried through another's, so that it comes back.
 *
 * Models sign or encrypt their reasoning, and want it back unchanged in the next turn. A caller's
 * protocol has a place for the proofs of its own models only, whose content it treats as opaque: a
 * foreign proof goes there sealed, as "openclaw.1.", whose it is, and the proof in base64. Only we
 * open it again. A provider would reject it, so a wire takes sealed proofs out of what it passes
 * through to providers of the same wire.
 *
 * Nothing is encrypted: a caller may read or make one, as it may make an unsealed proof.
 */
#pragma once

#include "llm/request.h"

struct seal {
    enum llm_origin origin;
    struct str text;         /* the reasoning that was signed; may be empty */
    struct str signature;    /* one of this and `redacted` */
    struct str redacted;     /* reasoning that was encrypted */
    struct str call;         /* the signature is of the call with this id; empty: of reasoning */
};

/* The sealed text; empty if memory runs out. */
struct str seal_write(struct arena *a, const struct seal *s);

/* Does a text, or the text of a string, begin like a sealed one? */
bool seal_is(struct str text);
bool seal_is_json(const struct json *j);

/* Opens one. False if it is none, is malformed, or memory runs out. */
bool seal_read(struct arena *a, struct str text, struct seal *ret) MUST_CHECK;
