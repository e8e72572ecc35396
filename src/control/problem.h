/* problem.h - what the admin API answers when it refuses: problem details (RFC 9457). */
#pragma once

#include "control/fault.h"

#define PROBLEM_TYPE "application/problem+json"

/* Appends {"type", "title", "status", "detail", "errors", "request_id"}. `code` ends the type, a URN;
 * `faults` may be NULL. */
void problem_write(struct buf *b, int status, const char *code, struct str detail,
    const struct faults *faults, struct str request_id);
