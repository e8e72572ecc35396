/* scan.h - the words of a Lua expression, to say what it reads without evaluating it.
 *
 * A scanner that knows texts, comments and numbers; not a parser. What it says is for warnings, and
 * never decides what an expression may do.
 */
#pragma once

#include "base/base.h"

/* Calls `fn` for each use of a name that is not declared in the expression itself: `name` is it,
 * `member` what follows its dot ("left" of budget.left, or of budget["left"]), or empty. */
void scan_names(struct str text,
    void (*fn)(void *arg, struct str name, struct str member, size_t offset), void *arg);
