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

/* Width of the terminal on standard output, or 80. */
unsigned output_columns(void);
