/* output.h - a command whose output cannot be written has failed. */
#pragma once

#include "base/buf.h"

/* At the start: makes sure that the three standard descriptors are open, at least to /dev/null. */
void output_open(void);

/* Writes all of it to standard output and releases it. */
void output_print(struct buf *b);

/* At the end: the exit status, which is 1 instead of 0 when standard output could not be written. */
int output_close(int status) MUST_CHECK;

/* Width of the terminal on standard output, or 80. */
unsigned output_columns(void);
