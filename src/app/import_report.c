/* import_report.c - lines of the report, as a table or as JSON. */
#include "app/import_report.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json_out.h"

#define WHY_BYTES 400

static const char *const words[IMPORT_VERDICTS] = { "exact", "approximated", "not possible" };

void
import_say(
    struct import_report *r, enum import_verdict verdict, struct str what, const char *format, ...)
{
    char why[WHY_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    r->counts[verdict]++;
    if (r->count == IMPORT_LINES_MOST)
        return;
    if (r->count == r->room) {
        size_t room = 2 * r->room + 64;
        struct import_line *more = arena_array(r->arena, struct import_line, room);

        if (r->count != 0)
            memcpy(more, r->lines, r->count * sizeof(*more));
        r->lines = more;
        r->room = room;
    }
    r->lines[r->count++] = (struct import_line){ verdict, arena_str(r->arena, what),
        arena_str(r->arena, str_trim(str_c(why))) };
}

void
import_print(const struct import_report *r, struct buf *out)
{
    for (enum import_verdict v = IMPORT_NOT; v != IMPORT_EXACT; v--) {
        if (r->counts[v] != 0)
            buf_printf(out, "%s:\n", words[v]);
        for (size_t i = 0; i < r->count; i++)
            if (r->lines[i].verdict == v)
                buf_printf(out, "  " STR_FMT ": " STR_FMT "\n", STR_ARG(r->lines[i].what),
                    STR_ARG(r->lines[i].why));
    }
    buf_printf(out, "%zu exact, %zu approximated, %zu not possible\n", r->counts[IMPORT_EXACT],
        r->counts[IMPORT_CLOSE], r->counts[IMPORT_NOT]);
}

void
import_print_json(const struct import_report *r, struct buf *out)
{
    struct json_out o = json_out(out);

    out_object(&o);
    out_key_array(&o, "fields");
    for (size_t i = 0; i < r->count; i++) {
        out_object(&o);
        out_text(&o, "field", r->lines[i].what);
        out_text(&o, "result", str_c(words[r->lines[i].verdict]));
        out_text(&o, "detail", r->lines[i].why);
        out_end(&o);
    }
    out_end_array(&o);
    out_i64(&o, "exact", (int64_t)r->counts[IMPORT_EXACT]);
    out_i64(&o, "approximated", (int64_t)r->counts[IMPORT_CLOSE]);
    out_i64(&o, "not_possible", (int64_t)r->counts[IMPORT_NOT]);
    out_end(&o);
    buf_add_c(out, '\n');
}
