/* complain.h - says what is wrong with a value of the file: where, what, and what to write instead.
 *
 * A place is a setting's path as people write it, "models.fast.targets[1].weight". It is a
 * chain of frames on the stack, turned into text only to report an error.
 */
#pragma once

#include "conf/option.h"
#include "conf/yaml.h"

struct place {
    const struct place *parent;    /* NULL: the top level */
    struct str key;                /* empty for an entry of a list */
    size_t index;
};

struct complaints {
    struct arena *scratch;
    struct conf_problems *problems;
    size_t count;
};

/* "'server.workers' ..." at the value's mark; for a value from --set, it is mentioned. */
void complain(struct complaints *c, const struct place *at, const struct yaml *y,
    const char *format, ...) PRINTF_LIKE(4, 5);

/* "is a section", or "is empty" for one without a value. */
const char *complain_shape(const struct yaml *y);

/* What to write instead, as the end of a message. */
const char *complain_advice(struct complaints *c, const struct option *o);

/* The text is none of the choices. */
void complain_choice(struct complaints *c, const struct place *at, const struct yaml *y,
    const struct option *o, struct str text);

/* A setting that does not exist: "did you mean", or where it belongs, or what there is. */
void complain_unknown(struct complaints *c, const struct place *parent, const struct yaml_entry *e,
    enum section_id id);

/* A required setting is missing. `base`: the struct of its section. */
void complain_lacking(struct complaints *c, const struct place *at, const struct yaml *y,
    const struct option *o, const char *base);
