/* resource_flags.h - the options of `openclaw keys`, `teams` and the others, from the fields of
 * control/resources.def. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "cli/flags.h"
#include "control/resource_read.h"

#define RESOURCE_OPTIONS_MOST (RESOURCE_FIELDS_MOST + 16)

/* One of a field. */
struct resource_option {
    const struct resource_field_row *field;
    char name[32];    /* "expires-at" */
    char arg[32];     /* placeholder */
    char help[512];
    struct str text;
    bool given, unset;
};

struct resource_options {
    enum resource_kind kind;
    struct resource_option list[RESOURCE_FIELDS_MOST];
    unsigned count;
    struct flag flags[RESOURCE_OPTIONS_MOST];
    unsigned flag_count;
};

/* Adds a flag for each field that can be written, and --unset. */
void resource_options_init(struct resource_options *o, enum resource_kind kind);

/* Adds another flag. */
void resource_options_add(struct resource_options *o, struct flag flag);

/* The option of that field, or NULL. */
struct resource_option *resource_option_of(struct resource_options *o, struct str field);

/* Appends what was given as a JSON object: the body of a request. False after adding to `why` what is wrong. */
bool resource_options_write(
    const struct resource_options *o, struct buf *b, struct why why) MUST_CHECK;

/* The same as parameters of a list: "?team=research". */
bool resource_options_query(
    const struct resource_options *o, struct buf *b, struct why why) MUST_CHECK;
