/* set.h - "key.path=value" from the command line, put over the tree of the file. */
#pragma once

#include "conf/yaml.h"

/* The tree with the value in its place; `root` itself stays as it is. Values that begin with [ { "
 * or ' are read as YAML, all others are plain text. Names with dots stand in quotes:
 * models."gpt-4.1".strategy=priority. */
struct yaml *set_apply(
    struct arena *a, struct yaml *root, const char *set, struct conf_problems *problems) NEVER_NULL;
