/* identity.h - in whose name requests to a cloud are made, shared by all workers.
 *
 * An identity has the current credential: an immutable value, replaced as a whole before it expires.
 * Identities are entries of the registry: they survive a reload as long as a configuration names them.
 * Fetching is another's work (cloud/keeper.h), which asks identity_begin() whether it is due.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/secret.h"
#include "cloud/source.h"
#include "net/dial.h"

/* Immutable, counted. */
struct credential;

struct identity;

/* Takes a reference to the identity with these settings, which are copied. */
struct identity *identity_hold(const struct source_settings *settings) NEVER_NULL;
void identity_drop(struct identity *id);    /* NULL is a no-op */

/* The current credential with a reference for the caller; NULL: there is none that is valid. */
struct credential *identity_credential(struct identity *id, uint64_t wall_ms);
void credential_drop(struct credential *c);    /* NULL is a no-op */

/* What may not be shown of it. */
const struct secrets *credential_secrets(const struct credential *c) NEVER_NULL;

/* What a request is authorised by. */
struct credential_request {
    struct str method, host, target;
    struct str fields;    /* its header fields */
    const struct str *body;
    size_t body_count;
    struct str region, service;    /* for AWS */
};

/* Appends the field lines that authorise the request. False when memory runs out. */
bool credential_authorize(const struct credential *c, struct buf *out,
    const struct credential_request *q, uint64_t wall_ms, struct arena *scratch) MUST_CHECK;

/* A provider refused the credential: it is replaced at once, unless it is new. */
void identity_doubt(struct identity *id, const struct credential *c, uint64_t wall_ms);

/* True when a fetch is due and none is running: the caller must then fetch, and call
 * identity_settle(). `wanted`: somebody waits for it now, so that it is due if there is no valid
 * one, and the last failure is not of just now. */
bool identity_begin(struct identity *id, bool wanted, uint64_t wall_ms) MUST_CHECK;

/* Ends a fetch: with what the source got, or why it failed, which goes to the log. */
void identity_settle(struct identity *id, const struct source_run *got, uint64_t wall_ms);
void identity_settle_failed(struct identity *id, struct str why, uint64_t wall_ms);

/* Is it being fetched? */
bool identity_is_fetched(struct identity *id);

/* Why there is no valid one: a sentence in `a`, without secrets. */
struct str identity_trouble(struct identity *id, struct arena *a);

const struct source_settings *identity_settings(const struct identity *id) NEVER_NULL;

/* For https; made on first use. NULL with a sentence in `why`. Borrowed. */
struct tls_context *identity_tls(struct identity *id, struct why why);
