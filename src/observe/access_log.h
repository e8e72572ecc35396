/* access_log.h - one line per exchange: JSON with every decision in it, or a short one for people.
 *
 * Lines are buffered per worker and passed to the log's thread in batches.
 */
#pragma once

#include "base/buf.h"
#include "base/log.h"
#include "observe/record.h"

enum access_form { ACCESS_JSON, ACCESS_TEXT, ACCESS_COLOR };

/* One worker's buffered lines. */
struct access_log {
    struct log_file *file;    /* NULL: off */
    enum access_form form;
    struct buf lines;
};

/* The form for a file. `wish` is "json", "text" or "auto": text on a terminal, else JSON. Colours
 * are used on terminals only, and not if NO_COLOR is set or TERM is "dumb". */
enum access_form access_log_form(struct str wish, const struct log_file *file);

void access_log_init(struct access_log *a, struct log_file *file, enum access_form form);

/* Writes a record's line. The result is the line if it is JSON, without the line end, and is valid
 * until the log is used again; else it is empty. */
struct str access_log_write(struct access_log *a, const struct record *r);

/* The record as JSON, without a line end. */
void access_log_json(struct buf *b, const struct record *r);

/* Writes a line of JSON of another kind, if the log is JSON. It has no line end. */
void access_log_add(struct access_log *a, struct str json);

/* Passes the buffered lines to the log's thread. Called by the worker's timer, and automatically
 * when many are buffered. */
void access_log_flush(struct access_log *a);
void access_log_fini(struct access_log *a);
