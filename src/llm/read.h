/* read.h - reads a caller's request: places, faults, typed values, limits.
 *
 *     static void
 *     read_tool(struct cursor tool)
 *     {
 *         struct str name = read_required_text(read_at(&tool, "name"));
 *         ...
 *     }
 *
 *     struct cursor tools = read_at(&document, "tools");
 *     READ_EACH (tool, &tools)
 *         read_tool(tool);
 *
 * Reading goes on after a fault, so that readers need no checks of their own; the first one stays
 * in reading.fault, and no list is continued after it. What was read is of use only if reading.err
 * is OK. A cursor costs nothing: its path is spelled only for a fault.
 */
#pragma once

#include "llm/wire.h"

/* How a protocol says what is wrong; the SDKs' users know these sentences. */
struct read_words {
    bool dotted;    /* "messages.2.content"; else "messages[2].content" */
    const char *required;
    const char *empty;    /* a text that must not be empty */
    const char *text;
    const char *number;
    const char *integer;
    const char *flag;
    const char *object;
    const char *list;
    const char *too_many;
};

struct reading {
    struct llm_request *r;
    struct arena *a;
    struct wire_fault *fault;
    const struct read_words *words;
    enum err err;         /* the first fault's */
    uint32_t elements;    /* counted so far */
};

/* A value and its place. */
struct cursor {
    struct reading *rd;
    const struct json *j;       /* NULL: absent */
    const struct cursor *up;    /* must outlive this one; NULL: the document */
    const char *key;            /* a member's name, or NULL */
    uint32_t index;             /* else an element's number */
};

struct cursor read_document(struct reading *rd);

/* A member; absent if `up` is not an object. */
static inline struct cursor
read_at(const struct cursor *up, const char *key)
{
    return (struct cursor){ .rd = up->rd, .j = json_get(up->j, str_c(key)), .up = up, .key = key };
}

/* --- faults --- */

/* Records a fault unless there was one: "PATH: what". */
void read_fault(struct cursor c, enum err e, const char *what);

/* Records that memory ran out. */
void read_no_memory(struct reading *rd);

/* --- values; absent and null are the same, and not a fault unless it says so --- */

static inline bool
read_present(struct cursor c)
{
    return json_present(c.j);
}

static inline bool
read_is(struct cursor c, const char *word)
{
    return json_str_is(c.j, str_c(word));
}

/* A string; empty if absent. */
struct str read_text(struct cursor c);

/* A string that must be present, and not empty. */
struct str read_required_text(struct cursor c);

/* The text of a string, empty for anything else: no fault unless memory runs out. */
struct str read_any_text(struct cursor c);

/* A number, an object or a list as it is; NULL if absent. */
const struct json *read_node(struct cursor c, enum json_type type);

/* A whole number in a range; `absent` if absent. `what` is the fault. */
int64_t read_integer(
    struct cursor c, int64_t least, int64_t most, int64_t absent, const char *what);

enum llm_tri read_flag(struct cursor c);

/* The value of a word; -1 if it is not in the table or not a string. No fault. */
struct llm_named {
    struct str word;
    int value;
};
int read_word(const struct json *j, const struct llm_named *words, size_t count);
int read_word_str(struct str s, const struct llm_named *words, size_t count);

/* --- lists --- */

/* The first element of a list, of which each is counted: at most READ_ELEMENTS_MAX in a request. A
 * fault if it is not a list. */
#define READ_ELEMENTS_MAX 100000
struct cursor read_first(const struct cursor *list);
void read_next(struct cursor *element);
#define READ_EACH(element, list)                                                                   \
    for (struct cursor element = read_first(list); (element).j != NULL; read_next(&(element)))

/* Counts one more element; false, and a fault, if there are too many. */
bool read_count(struct cursor c);

/* A string, or a list of strings. */
struct llm_word *read_texts(struct cursor c);

/* --- all of a document --- */

/* Calls the readers of `members` in their order, reads the parameters of the table's column
 * (PARAMS_COLUMNS: none), and keeps the other members in r->extra. */
void read_members(struct reading *rd, const struct read_member *members, enum params_column column);
