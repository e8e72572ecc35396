/* output.h - a command whose output cannot be written has failed. */
#pragma once

#include "base/buf.h"

/* Call it first: opens those of the three standard descriptors that are closed on /dev/null. */
void output_open(void);

/* Writes all of it to standard output; a buffer is released. */
void output_text(struct str text);
void output_print(struct buf *b);

/* Call it last: the exit status, which is 1 instead of 0 if standard output could not be
   written. */
int output_close(int status) MUST_CHECK;

/* "45s", "12m", "3h 5m", "2d 4h" into `room`. */
#define OUTPUT_AGE_ROOM 24
const char *output_age(uint64_t ms, char *room) NEVER_NULL;

/* "512", "1.5 KB", "32.0 MB" into `room`. */
#define OUTPUT_SIZE_ROOM 24
const char *output_size(uint64_t bytes, char *room) NEVER_NULL;

/* Appends untrusted text as a cell of a table: made visible, cut and padded to `width` columns, and
 * two blanks. */
void output_cell(struct buf *out, struct str text, unsigned width);

/* Width of the terminal on standard output, or 80; its lines, or 0. */
unsigned output_columns(void);
unsigned output_lines(void);
