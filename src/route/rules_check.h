/* rules_check.h - what is valid in rules, and probably unintended: for `openclaw check`. */
#pragma once

#include "route/rules.h"

/* Warns of names that do not exist, of conditions that fail for some ordinary request, and of rules
 * that are never reached. `conf` is what they were made from. */
void rules_warnings(const struct rules *r, const struct conf *conf, struct conf_problems *problems);
