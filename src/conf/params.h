/* params.h - a free-form YAML mapping as the text of a JSON object. */
#pragma once

#include "conf/yaml.h"

/* Writes `y` into `a`. Returns NULL and sets *ret_text, followed by a NUL; or the reason, and
 * sets *ret_at. Plain scalars are typed as YAML 1.2 types them; quoted ones are strings;
 * references are replaced. */
const char *params_text(
    struct arena *a, const struct yaml *y, struct str *ret_text, const struct yaml **ret_at);
