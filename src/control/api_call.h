/* api_call.h - a call of the admin API while it is answered. Private to api*.c. */
#pragma once

#include "base/json_out.h"
#include "control/api_request.h"
#include "control/audit_log.h"
#include "control/fault.h"
#include "control/resource_read.h"
#include "control/resource_sql.h"

/* A row with memory of its own. */
struct api_row {
    struct resource_row row;
    struct resource_value values[RESOURCE_FIELDS_MOST];
};

struct api_call {
    struct resources *resources;
    struct store *store;
    struct audit_log *audit;
    struct str pepper;
    const struct api_request *q;
    struct arena *arena;
    struct api_answer *ret;
    struct faults faults;
    enum resource_kind kind;
    struct str name;      /* of the path: an id or a name; empty: the whole kind */
    struct str action;    /* "rotate"; empty: none */
    enum verb verb;
    enum reach reach;
    int64_t revision, now_ms;    /* of a change */
    struct api_row *before;      /* NULL: it is new */
    struct api_row *after;       /* NULL: it is gone */
    struct str secret;           /* a key that is shown this once */
};

/* Answers with a problem. Always false. */
bool call_fail(struct api_call *c, int status, const char *code, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* The same with the faults that were found; and for a result of the store, true if it is STORE_OK. */
bool call_fail_faults(struct api_call *c);
bool call_stored(struct api_call *c, enum store_result r) MUST_CHECK;

/* Appends a resource as a document, with its secret if there is one; answers with it. */
void api_row_write(struct buf *b, const struct api_row *row, struct str secret);
void call_answer_row(struct api_call *c, int status, const struct api_row *row);

/* The resource of the path, if it is within reach; false after answering. */
bool call_find(struct api_call *c, struct api_row **ret) MUST_CHECK;

/* The one of that id or name; NULL: there is none. False after answering. */
bool call_look(
    struct api_call *c, enum resource_kind kind, struct str name, struct api_row **ret) MUST_CHECK;

/* A copy of a row, in the arena. */
struct api_row *api_row_copy(struct arena *a, const struct resource_row *row) NEVER_NULL;

/* The row's value of the text field of that name, for fields that several kinds have; empty: none. */
struct str api_row_text(struct api_row *row, struct str name);

/* --- api_read.c --- */

void call_list(struct api_call *c);
void call_get(struct api_call *c);

/* --- api_reach.c --- */

/* Is the row within what the role reaches? */
bool reach_has(const struct api_call *c, struct api_row *row);

/* Narrows a list to that. False: nothing is within reach. */
bool reach_narrow(
    const struct api_call *c, struct resource_query *q, struct resource_value *values);

/* What a resource refers to: names become ids, what is left out is taken from what it is part of, and all of
 * it must be within reach and fit together. Faults are added. False after answering. */
bool reach_resolve(struct api_call *c, struct resource_draft *d) MUST_CHECK;

/* --- api_usage.c --- */

/* Answers the path "usage". */
void call_usage(struct api_call *c);

/* --- api_audit.c --- */

/* Answers paths below "audit". */
void call_audit(struct api_call *c);

/* Records the change that c->before and c->after tell, in its transaction. False after answering. */
bool call_record(struct api_call *c) MUST_CHECK;

/* Notes that a change was refused. */
void call_note_refused(struct api_call *c);

/* --- api_change.c: false after answering with a problem --- */

bool call_create(struct api_call *c) MUST_CHECK;
bool call_patch(struct api_call *c) MUST_CHECK;
bool call_delete(struct api_call *c) MUST_CHECK;

/* What the path names, as it is before the change: c->before. The actor may change it, and If-Match names its
 * revision. */
bool call_find_before(struct api_call *c) MUST_CHECK;

/* Is it no other user's key for the admin API, which the actor must not have? */
bool call_is_not_another(struct api_call *c, struct api_row *row) MUST_CHECK;

/* Writes c->after: as a new row, or over that of c->before. */
bool call_write(struct api_call *c) MUST_CHECK;

/* --- api_keys.c --- */

/* What is particular to keys: gives a new one its secret. */
bool key_complete(struct api_call *c, struct resource_draft *d) MUST_CHECK;
bool call_rotate(struct api_call *c) MUST_CHECK;
bool call_revoke(struct api_call *c) MUST_CHECK;
