/* resource_write.h - a resource as JSON, as the admin API shows it. */
#pragma once

#include "base/json_out.h"
#include "control/resource.h"

/* Appends the members of an object, all of them but what is secret: a member without a value is null, an
 * empty list or an empty object. */
void resource_write(const struct resource_row *row, struct json_out *o);
