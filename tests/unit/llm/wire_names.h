/* wire_names.h - the names of all wires as a sentence lists them, for tests that should not change
 * with the table. */
#pragma once

#include <stdio.h>

#include "llm/wire.h"

/* `text` with the first "WIRES" in it replaced by "a, b or c". Valid until the next call. */
static inline const char *
wire_names_in(const char *text)
{
    static char out[4096];
    const char *at = strstr(text, "WIRES");
    size_t n;

    if (at == NULL)
        return text;
    n = (size_t)snprintf(out, sizeof(out), "%.*s", (int)(at - text), text);
    for (size_t i = 0; wire_at(i) != NULL; i++) {
        const char *between = i == 0 ? "" : wire_at(i + 1) == NULL ? " or " : ", ";

        n += (size_t)snprintf(
            out + n, sizeof(out) - n, "%s" STR_FMT, between, STR_ARG(wire_at(i)->name));
    }
    snprintf(out + n, sizeof(out) - n, "%s", at + 5);
    return out;
}
