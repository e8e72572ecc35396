/* directory.h - the keys of the store in memory, for all workers.
 *
 * A million keys fit: a key is one small record, and what many keys have in common (their team, what they may use)
 * is kept once. Workers look keys up by their digest (policy/key_form.h) without locks, while one
 * thread, the steward, changes records one at a time. A change replaces a record; the old one is freed
 * once no worker is looking at it, which is a matter of microseconds, because what is found is valid only
 * until directory_leave(): whatever an exchange needs to its end is copied (policy/callers.h).
 *
 * A key that is revoked, disabled or deleted is not in the directory at all, so that a worker does the
 * same work for it as for one that never existed.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"
#include "policy/key_form.h"
#include "policy/priority.h"

#define DIRECTORY_READERS 260    /* threads that may look at it */

/* Lists are JSON arrays of texts, tags a JSON object of texts, as the store has them; empty: none. */
struct directory_terms {
    struct str org, team, project, service_account;    /* ids; empty: none */
    struct str environment;
    struct str models, providers, endpoints, routes, addresses, origins;
    struct str tags;
    struct str role;    /* of a key for the admin API; empty: it is for models */
    uint64_t concurrent;
    enum priority priority;
};

struct directory_key {
    struct str id;    /* "key_..." */
    struct str name;
    struct str user;    /* id; empty: none */
    struct directory_terms terms;
    uint64_t expires_ms;    /* 0: never */
    const uint8_t *digest;
    const uint8_t *old_digest;    /* of the secret before the last rotation; NULL: none */
    uint64_t old_until_ms;        /* until when that works */
};

/* What a key can belong to. */
struct directory_owner {
    struct str id;    /* "team_..." */
    struct str name;
    struct str org, team, project;    /* that it belongs to itself */
    struct str models;                /* that its keys may use */
    struct str tags;
    bool disabled;    /* its keys are refused */
};

struct directory;

struct directory *directory_create(void) NEVER_NULL;

/* The secret that digests are made with, which outlives it. Before anybody looks. Empty: no key is found. */
void directory_set_pepper(struct directory *d, struct str pepper);
struct str directory_pepper(const struct directory *d);
void directory_destroy(struct directory *d);    /* NULL is a no-op; no reader may be left */

/* --- changes, by one thread --- */

/* Adds the key, or replaces the one with that id. Copies what it is given. False: another key has the digest;
 * nothing changed. */
bool directory_put_key(struct directory *d, const struct directory_key *k) MUST_CHECK;
void directory_drop_key(struct directory *d, struct str id);    /* none: a no-op */

void directory_put_owner(struct directory *d, const struct directory_owner *o);
void directory_drop_owner(struct directory *d, struct str id);

/* After some changes: those who remember what they found look again, and what was replaced is freed as
 * soon as possible. */
void directory_publish(struct directory *d);

/* --- looking, by any thread --- */

/* One per thread, for as long as the directory lives. */
struct directory_reader;
struct directory_reader *directory_reader(struct directory *d) NEVER_NULL;

/* Counted up by directory_publish(), and when an owner has changed. */
uint64_t directory_generation(const struct directory *d);
uint64_t directory_owners_generation(const struct directory *d);

/* What is found between these two is valid until the second. */
void directory_enter(struct directory_reader *r);
void directory_leave(struct directory_reader *r);

/* The key with that digest. `digest` and `old_digest` of *ret are NULL; of a key that was found by the digest of
 * its old secret expires_ms is when that ends. *ret_stamp changes whenever the key does. False: there is none. */
bool directory_find(struct directory_reader *r, const uint8_t digest[KEY_DIGEST_BYTES],
    struct directory_key *ret, uint64_t *ret_stamp) MUST_CHECK;

bool directory_find_owner(
    struct directory_reader *r, struct str id, struct directory_owner *ret) MUST_CHECK;

/* --- figures --- */

struct directory_size {
    size_t keys, owners, terms;    /* terms: different ones */
    size_t bytes;                  /* of memory asked for */
    size_t retired;                /* replaced, and not freed yet */
};
struct directory_size directory_size(const struct directory *d);
