/* read.h - fills the structs of a configuration from a YAML tree, as defined in options.def. */
#pragma once

#include "conf/option.h"
#include "conf/yaml.h"

/* What is known about a field, entry or section of the configuration beside its value. */
struct spot {
    struct conf_mark mark;
    bool faulty;
    enum yaml_style style;    /* of a text, with its begin */
    struct conf_mark begin;
};

/* Where conf->spots keeps it: under the address that *at holds. */
static inline struct str
spot_key(const void *const *at)
{
    return str_make((const char *)at, sizeof(*at));
}

/* Fills *c, which has its arena, from `root`: a map, or a null node for the defaults alone.
 * Everything that is wrong goes to `problems`; `scratch` holds temporary data. */
void read_conf(
    struct conf *c, const struct yaml *root, struct arena *scratch, struct conf_problems *problems);
