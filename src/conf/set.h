/* set.h - "key.path=value" from the command line, applied to the tree of the file. */
#pragma once

#include "conf/yaml.h"

/* The tree with the value set; `root` itself is not changed. Values that begin with [ { "
 * or ' are read as YAML, all others are plain text. Names with dots are quoted:
 * models."gpt-4.1".strategy=priority. */
struct yaml *set_apply(
    struct arena *a, struct yaml *root, const char *set, struct conf_problems *problems) NEVER_NULL;
