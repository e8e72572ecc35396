/* resource.h - organisations, teams, people, keys, limits and budgets, as the rows of resources.def
 * describe them, and how a change of one gets into memory.
 *
 * The store has a table of each kind and one counter of revisions. Whoever changes a resource, this
 * gateway, another one or a command, counts it up in the same transaction and writes its value into
 * the row; what is deleted stays as a row that says so, for a while. The steward reads the rows
 * whose revision is newer than the last it saw, and gives them to the watchers: so all changes take
 * one path into memory. At the start that is all of them.
 */
#pragma once

#include "base/base.h"

#define RESOURCE_ID_MOST 32    /* bytes of an id: "key_" and 16 letters and digits */

/* Roles by falling power. What each may do: control/roles.def. */
#define RESOURCE_ROLES "owner|admin|auditor|team-admin|developer|service"

enum resource_kind {
#define KIND(id, ...) RESOURCE_##id,
#include "control/resources.def"
    RESOURCE_KINDS,
};

/* FIELD_keys_name, ... */
enum resource_field {
#define KIND(id, ...) FIELD_FIRST_##id, FIELD_BEFORE_##id = FIELD_FIRST_##id - 1,
#define FIELD(kind, name, ...) FIELD_##kind##_##name,
#include "control/resources.def"
    RESOURCE_FIELDS,
};

enum resource_type {
    RESOURCE_TEXT,
    RESOURCE_TEXTS,
    RESOURCE_CHOICE,
    RESOURCE_BOOL,
    RESOURCE_COUNT,
    RESOURCE_MONEY,
    RESOURCE_TIME,
    RESOURCE_REF,
    RESOURCE_TAGS,
};

enum {
    RESOURCE_REQUIRED = 1 << 0,
    RESOURCE_UNIQUE = 1 << 1,
    RESOURCE_FIXED = 1 << 2,
    RESOURCE_MADE = 1 << 3,
    RESOURCE_SECRET = 1 << 4,
    RESOURCE_HIDDEN = 1 << 5,
    RESOURCE_FILTER = 1 << 6,
    RESOURCE_COLUMN = 1 << 7,
};

/* What a text must look like. */
enum resource_form {
    RESOURCE_FORM_TEXT,
    RESOURCE_FORM_NAME,
    RESOURCE_FORM_WORD,
    RESOURCE_FORM_EMAIL,
    RESOURCE_FORM_MODEL,
    RESOURCE_FORM_CIDR,
    RESOURCE_FORM_ORIGIN,
    RESOURCE_FORM_SHA256,
    RESOURCE_FORM_SCOPE,
    RESOURCE_FORM_BUDGET,
    RESOURCE_FORM_PERCENT,
    RESOURCE_FORM_ZONE,
};

struct resource_field_row {
    enum resource_kind kind;
    struct str name;    /* as JSON, and as a column */
    enum resource_type type;
    unsigned flags;
    enum resource_form form;
    enum resource_kind refers;    /* of RESOURCE_REF */
    struct str choices;           /* "a|b" */
    struct str fallback;          /* of a choice: what is not said means; empty: nothing */
    int64_t min, max;             /* of a number; `max` of a text: bytes, 0: 256 */
    struct str help;
};

struct resource_kind_row {
    struct str table;     /* its name in the store: "service_accounts" */
    struct str path;      /* in a URL, and as a command: "service-accounts" */
    struct str prefix;    /* of its ids: "sa_" */
    struct str one;       /* "service account" */
    struct str help;
    enum resource_field first;    /* of its fields, which follow each other */
};

const struct resource_kind_row *resource_kind(enum resource_kind kind) NEVER_NULL;
unsigned resource_field_count(enum resource_kind kind);
const struct resource_field_row *resource_field(enum resource_field field) NEVER_NULL;

/* The kind with that path; RESOURCE_KINDS: there is none. */
enum resource_kind resource_kind_named(struct str path);

/* The kind's field of that name, or NULL. */
const struct resource_field_row *resource_field_named(enum resource_kind kind, struct str name);

/* --- rows --- */

/* A value: a text (TEXTS as a JSON array, TAGS as an object), or a number. */
struct resource_value {
    bool set;    /* else nothing was said */
    int64_t number;
    struct str text;
};

/* One resource, with all of its fields. What it points to lives as long as the call that it is given
 * to. */
struct resource_row {
    enum resource_kind kind;
    bool deleted;    /* then only the id and the revision count */
    struct str id;
    int64_t revision;    /* of its last change */
    int64_t serial;      /* the revision that made it: the order of lists */
    int64_t created_ms, updated_ms;
    const struct resource_value *values;    /* one of each field, in the table's order */
};

static inline const struct resource_value *
resource_value(const struct resource_row *row, enum resource_field field)
{
    CHECK(resource_field(field)->kind == row->kind);
    return &row->values[field - resource_kind(row->kind)->first];
}

/* Empty, and 0, where nothing is said. */
static inline struct str
resource_text(const struct resource_row *row, enum resource_field field)
{
    return resource_value(row, field)->text;
}

static inline int64_t
resource_number(const struct resource_row *row, enum resource_field field)
{
    return resource_value(row, field)->number;
}

/* Cuts the next text off a list of texts as rows have them ("[\"a\",\"b\"]"), as it is escaped there. False
 * at its end. */
bool resource_next_text(struct str *list, struct str *ret);

/* --- watching --- */

struct resources;
struct store;

struct resources *resources_create(void) NEVER_NULL;
void resources_destroy(struct resources *r);    /* NULL is a no-op */

/* Before the first rows are read. `changed` gets each row of that kind that is new or has changed, in the
 * order of the revisions, and `settled` (may be NULL) follows when there are no more for now. Both run
 * on the thread that has the store. */
struct resource_watcher {
    enum resource_kind kind;
    void (*changed)(void *arg, const struct resource_row *row);
    void (*settled)(void *arg);
    void *arg;
};
void resources_watch(struct resources *r, struct resource_watcher w);

/* Gives the watchers what has changed since the last call: the first time all that there is. Periodic work of
 * the steward (steward_every()). */
void resources_poll(struct store *s, void *resources);

/* Gives a row to its kind's watchers; and tells those that got any that there are no more. */
void resources_tell(struct resources *r, const struct resource_row *row);
void resources_settle(struct resources *r);
