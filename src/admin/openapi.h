/* openapi.h - the admin API described for programs. */
#pragma once

#include "base/buf.h"

/* An OpenAPI 3.1 document, made from control/resources.def, control/roles.def and admin/routes.def. */
void openapi_write(struct buf *b);
