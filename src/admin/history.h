/* history.h - the configurations that were in force: what a rollback goes back to.
 *
 * Of each generation the text of its file is kept, as it was written: "${NAME}" and "file:/path"
 * are not replaced. The newest HISTORY_MOST are kept, in memory only. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/json_out.h"

#define HISTORY_MOST 10

struct history;

struct history *history_create(void) NEVER_NULL;
void history_destroy(struct history *h);    /* NULL is a no-op */

/* A generation is in force now. `from`: it has the text of that earlier one, after a rollback; 0:
 * its file's. */
void history_add(struct history *h, uint64_t generation, uint64_t from, struct str text);

/* The text of that generation; 0: of the newest that differs from the one in force, whose number is
 * stored in *generation. False: it is not kept, or there is none. */
bool history_find(struct history *h, uint64_t *generation, struct buf *ret_text) MUST_CHECK;

/* The generation whose text is in force after a rollback; 0: that of the file. */
uint64_t history_from(struct history *h);

/* Appends members: "generation", "loaded", "rolled_back_to" (null, or a generation), and "history",
 * newest first. */
void history_write(struct history *h, struct json_out *o);
