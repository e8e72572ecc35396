/* json.h - reads JSON without changing or copying it; writes JSON.
 *
 * The gateway relays what it does not need to understand, so the reader keeps
 * for each value the exact slice of the text it came from: a tool's schema or
 * a call's arguments travel as the bytes the caller wrote, and a model name is
 * replaced in place. One pass checks the whole text (RFC 8259, strict: UTF-8,
 * depth, number of values, no duplicate keys) and yields a flat array of nodes
 * in document order. Strings stay escaped until their text is requested.
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

/* One value (or one key). Nodes are in document order: a container's children follow it directly.
 * Kept at 16 bytes, because a hostile text can have a value for every two bytes. */
struct json {
    const char *p;    /* exact bytes: strings with their quotes, containers with their brackets */
    uint32_t n;       /* their number */
    /* nodes in this value, itself included: `node + span` is the next sibling */
    uint32_t span : 28;
    uint32_t type : 3;       /* enum json_type */
    uint32_t escaped : 1;    /* a string that holds a backslash, an object with such a key */
};
_Static_assert(sizeof(struct json) == 16, "a node is 16 bytes");

struct json_limits {
    uint32_t depth;     /* containers inside each other */
    uint32_t values;    /* nodes in all; JSON_VALUES_MAX at most */
    /* an array of numbers is checked, but they get no nodes: it is one value, as if it were empty */
    bool flat;
};
#define JSON_DEPTH_DEFAULT 64
#define JSON_VALUES_DEFAULT 1000000
#define JSON_VALUES_MAX ((1u << 28) - 1)

struct json_error {
    const char *what;    /* a sentence fragment: "expected ',' or '}'" */
    size_t offset;       /* byte where it was noticed */
    bool limit;          /* a limit (depth, values, memory), not the syntax */
};

/* Parses the whole of `text` into nodes in `a`. NULL on error, then *ret_error (may be NULL) says
 * why. `limits` may be NULL for the defaults. The nodes point into `text`, which must outlive
 * them. */
const struct json *json_parse(struct arena *a, struct str text, const struct json_limits *limits,
    struct json_error *ret_error);

/* A member of an object; NULL when `j` is NULL, not an object, or has no such member. */
const struct json *json_get(const struct json *j, struct str key);

/* The same along a path of keys: json_at(j, "delta.text"). Keys with dots or escapes need
 * json_get(). */
const struct json *json_at(const struct json *j, const char *path);

/* Walks an array (key stays NULL) or an object, in order:
 *     struct json_iter it = json_iter(j);
 *     while (json_next(&it)) use(it.key, it.value);
 * NULL and scalars have no elements. */
struct json_iter {
    const struct json *key;
    const struct json *value;
    const struct json *next;    /* equals `end` after the last one */
    const struct json *end;
    bool object;
};
struct json_iter json_iter(const struct json *j);
bool json_next(struct json_iter *it);

static inline bool
json_is(const struct json *j, enum json_type type)
{
    return j != NULL && j->type == type;
}

/* An array without elements, an object without members, or a scalar. */
static inline bool
json_is_empty(const struct json *j)
{
    return j->span == 1;
}

/* The number of elements or members; walks them. */
uint32_t json_count(const struct json *j);

/* Absent and null mean the same in every provider's protocol. */
static inline bool
json_present(const struct json *j)
{
    return j != NULL && j->type != JSON_NULL;
}

/* The exact bytes; empty for NULL. */
static inline struct str
json_raw(const struct json *j)
{
    return j != NULL ? str_make(j->p, j->n) : (struct str){ NULL, 0 };
}

/* The text of a string, unescaped: a slice of the document when it has no escapes, else made in
 * `a`. Empty with p == NULL for anything else, and once the arena's limit is reached. A lone
 * surrogate becomes WTF-8, so that the writer can restore it. */
struct str json_str(struct arena *a, const struct json *j);

/* Compares a string's text without unescaping; a string with escapes is compared unescaped. */
bool json_str_is(const struct json *j, struct str text);

/* Numbers: integers that fit, else truncated towards zero and clamped; doubles beyond the range
 * become infinite. `fallback` for other types. */
int64_t json_i64(const struct json *j, int64_t fallback);
double json_f64(const struct json *j, double fallback);
bool json_bool(const struct json *j, bool fallback);

/* Writes. The caller writes brackets, keys and commas itself (S("{\"model\":")): it knows the
 * structure. */

/* `s` between quotes, escaped; invalid UTF-8 becomes U+FFFD. */
void json_add_str(struct buf *b, struct str s);

/* The same without the quotes, for a string put together from pieces. */
void json_add_escaped(struct buf *b, struct str s);

/* JSON text on one line, for framings in which a line is a frame: line ends between its values are
 * left out. */
void json_add_line(struct buf *b, struct str json);

/* Shortest text that reads back as the same double, whole numbers below 1e15 without an exponent;
 * null for NaN and infinities. */
void json_add_f64(struct buf *b, double v);
