/* replay.h - recorded answers of real providers, replayed byte by byte.
 *
 * A case is a folder with response.json, .sse, .ndjson or .eventstream and response.headers.json
 * (status and header fields). All cases are read at the start and never change.
 */
#pragma once

#include "base/base.h"
#include "base/why.h"

struct mock_case {
    struct str name;    /* "openai-chat/xyz" */
    int status;
    struct str type;      /* Content-Type, or empty */
    struct str fields;    /* "Name: value\r\n" lines; type, framing and dates left out */
    struct str body;
    bool stream;
    const size_t *ends;    /* where each event of a stream ends; a document is one event */
    size_t count;
};

struct mock_cases;

/* Reads DIR/CASE and DIR/GROUP/CASE. NULL with a message in `why` if there are none. */
struct mock_cases *mock_cases_load(const char *path, struct why why) MUST_CHECK;
void mock_cases_destroy(struct mock_cases *c);    /* NULL is a no-op */

/* By its folder's name, with or without the group in front; NULL when there is none. */
const struct mock_case *mock_cases_find(const struct mock_cases *c, struct str name);
