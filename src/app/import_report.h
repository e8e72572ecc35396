/* import_report.h - what became of each part of another gateway's configuration. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum import_verdict { IMPORT_EXACT, IMPORT_CLOSE, IMPORT_NOT, IMPORT_VERDICTS };

struct import_line {
    enum import_verdict verdict;
    struct str what;    /* "model_list[2].litellm_params.rpm" */
    struct str why;     /* what it became, or why it could not be; may be empty */
};

#define IMPORT_LINES_MOST 10000u

struct import_report {
    struct arena *arena;
    struct import_line *lines;
    size_t count, room;
    size_t counts[IMPORT_VERDICTS];    /* of all, also those beyond IMPORT_LINES_MOST */
};

/* Adds a line; the texts are copied. */
void import_say(struct import_report *r, enum import_verdict verdict, struct str what,
    const char *format, ...) PRINTF_LIKE(4, 5);

/* Appends the report for people: what is not exact, and how much was; or all of it as JSON. */
void import_print(const struct import_report *r, struct buf *out);
void import_print_json(const struct import_report *r, struct buf *out);
