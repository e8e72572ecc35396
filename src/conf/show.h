/* show.h - a configuration as JSON, for operators. */
#pragma once

#include "base/json_out.h"
#include "conf/conf.h"

/* Appends the configuration as one JSON value: every setting that has a value, defaults and --set
 * included, in the words and the order of options.def, times and sizes with their units. Secrets
 * are "***". */
void conf_show(const struct conf *c, struct json_out *o);
