/* export.h - rows of a table for other programs: JSON lines, or CSV as spreadsheets read it.
 *
 * Digests of keys, and what is encrypted, are left out. In CSV a text that a spreadsheet would take
 * for a formula has an apostrophe before it.
 */
#pragma once

#include "store/store.h"

enum export_form { EXPORT_JSON, EXPORT_CSV };

/* Is that a table or view of the schema? */
bool export_is_table(struct str name);

/* Gives the rows, a line each, to write(), many lines at a time. */
enum store_result store_export(struct store *s, struct str table, enum export_form form,
    void (*write)(void *ctx, struct str lines), void *ctx);
