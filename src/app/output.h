/* output.h - what a command prints arrives, or the command has failed. */
#pragma once

#include "base/buf.h"

/* At the start: the three standard descriptors lead somewhere, to /dev/null at least. */
void output_open(void);

/* Writes all of it to standard output and releases it. */
void output_print(struct buf *b);

/* At the end: the exit status, which is 1 instead of 0 when standard output took not all. */
int output_close(int status) MUST_CHECK;

/* Columns of the terminal that standard output is, 80 where nothing says. */
unsigned output_columns(void);
