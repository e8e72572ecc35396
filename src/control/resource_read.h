/* resource_read.h - reads a resource from JSON, strictly: what a client may write of it. */
#pragma once

#include "base/json.h"
#include "control/fault.h"
#include "control/resource.h"

#define RESOURCE_FIELDS_MOST 48      /* of a kind */
#define RESOURCE_TEXTS_MOST 256      /* in a list, and tags */
#define RESOURCE_LIST_BYTES 16384    /* of all together, as JSON */

/* What a resource is to be. Of REF fields the text is an id or a name, as it was written. */
struct resource_draft {
    enum resource_kind kind;
    bool said[RESOURCE_FIELDS_MOST];    /* in the document, null included */
    struct resource_value values[RESOURCE_FIELDS_MOST];
};

static inline struct resource_value *
draft_value(struct resource_draft *d, enum resource_field field)
{
    CHECK(resource_field(field)->kind == d->kind);
    return &d->values[field - resource_kind(d->kind)->first];
}

/* Merges the document into `d` (RFC 7386): a member replaces what is there, null takes it away, tags are
 * merged one by one. `fresh`: it is a new one, so that what is fixed may be said, and what is
 * required must be. Faults are added for members that are not known, not the client's to say, or not
 * valid. */
void resource_read(
    struct resource_draft *d, const struct json *doc, bool fresh, struct faults *faults);

/* Is the text valid for the field? NULL, or what is wrong and what to write: "must be ...". */
const char *resource_form_problem(
    struct arena *a, const struct resource_field_row *f, struct str v);
