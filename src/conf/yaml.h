/* yaml.h - parses YAML text into a small tree whose values have their positions.
 *
 * The tree is bounded: size, depth, and the number of nodes, with every alias counted as often
 * as it is used. An alias shares the node of its anchor, so nodes are never changed in place
 * (see conf/set.c, which copies what it changes).
 */
#pragma once

#include "conf/conf.h"

enum yaml_type {
    YAML_NULL,    /* nothing, "~" or "null" */
    YAML_SCALAR,
    YAML_LIST,
    YAML_MAP,
};

/* How the text of a scalar is in the file. */
enum yaml_style {
    YAML_CHANGED,    /* folded, escaped or indented: only its begin is known */
    YAML_AS_IS,      /* byte for byte, from `begin` on */
    YAML_LINES,      /* line by line, each from the column of `begin` on */
};

struct yaml {
    enum yaml_type type;
    /* a quoted or block scalar: always text */
    bool quoted;
    enum yaml_style style;
    struct conf_mark begin;    /* of the text itself, unless YAML_CHANGED */
    struct conf_mark mark;
    struct str text;             /* of a scalar; followed by a NUL */
    struct yaml_entry *first;    /* of a list or a map, in order */
    size_t count;
    size_t nodes;       /* in this value, aliases followed */
    const char *set;    /* "server.workers" when --set gave the value, else NULL */
};

struct yaml_entry {
    struct str key;    /* empty in a list */
    struct conf_mark key_mark;
    struct yaml *value;    /* never NULL */
    struct yaml_entry *next;
};

#define YAML_BYTES_MAX (1024 * 1024)
#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 100000

/* Parses one document into `a`. Text without a document gives a null node. NULL if it is not
   YAML that we accept; the errors are in `problems`. */
struct yaml *yaml_parse(struct arena *a, struct str text, struct conf_problems *problems);

/* A member of a map, or NULL; also NULL for `y` NULL or not a map. */
struct yaml *yaml_get(const struct yaml *y, struct str key);

/* Untrusted text for a message: at most 64 bytes, with '?' for what is not printable ASCII. */
struct str yaml_shown(struct arena *a, struct str text);
