/* audit.h - the record of administrative acts: append-only, each entry chained to the one before.
 *
 * The hash of an entry is SHA-256 over the hash before it and the entry as JSON with its members in
 * alphabetical order, so that nothing can be changed, left out or moved without all later hashes being
 * wrong. Every AUDIT_CHECKPOINT entries, and for the last entry, the hash is signed with a key that is not in the
 * store: whoever can write the store alone can neither make the chain anew nor cut its end off. (Who can
 * also put an older state of the whole store back is found out with a checkpoint that was noted
 * elsewhere: they are in the log.)
 */
#pragma once

#include "base/buf.h"
#include "store/store.h"

#define AUDIT_CHECKPOINT 100

struct audit_event {
    int64_t at_ms;         /* wall clock */
    struct str actor;      /* id of a key, "local", "file" */
    struct str action;     /* "keys.create", "config.reload" */
    struct str object;     /* id of what it was done to; may be empty, as all below */
    struct str outcome;    /* "done", "refused", "failed" */
    struct str request_id;
    struct str before, after;    /* JSON, without secrets */
};

/* Signs. Any thread. */
struct auditor;

/* With the key in FOLDER/audit.key, which is made if there is none. NULL with a sentence's end in `why`. */
struct auditor *auditor_create(struct str folder, struct why why);
void auditor_destroy(struct auditor *a);    /* NULL is a no-op */

/* Its public key, as 64 hexadecimal digits. */
struct str auditor_key(const struct auditor *a);

/* Appends an entry, inside the transaction of what it tells about. */
enum store_result audit_append(
    struct store *s, const struct auditor *a, const struct audit_event *e) MUST_CHECK;

struct audit_report {
    int64_t entries;    /* that were checked */
    int64_t checkpoints;
    int64_t first_bad;    /* the number of the first entry that is wrong or missing; 0: none is */
    char why[200];        /* what is wrong */
    char head[65];        /* hash of the last entry, in hexadecimal */
    unsigned keys;        /* different keys that signed */
    char key[65];         /* the last of them */
};

/* Goes through all entries. `trusted` (may be empty): the only key whose signatures count, in hexadecimal;
 * `noted` (may be empty): a checkpoint "NUMBER:HASH" that was noted elsewhere, which must be in the chain. */
enum store_result audit_verify(
    struct store *s, struct str trusted, struct str noted, struct audit_report *ret) MUST_CHECK;

/* What is asked for; 0 and empty: everything. */
struct audit_query {
    int64_t before_seq;    /* only older entries */
    int64_t since_ms, until_ms;
    struct str actor, action, object;
    int64_t limit;
    bool oldest_first;
};

/* Appends the entries that match as JSON objects, each followed by a newline, the newest first.
 * *ret_last (may be NULL): the number of the last one; 0: there are none. */
enum store_result audit_list(
    struct store *s, const struct audit_query *q, struct buf *out, int64_t *ret_last) MUST_CHECK;
