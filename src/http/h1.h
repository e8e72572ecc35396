/* h1.h - a strict parser for HTTP/1 request and response heads.
 *
 * Anything that two parsers could interpret differently is refused, because that is how requests
 * are smuggled past a proxy. h1_scan() finds the end of the head while it arrives; then the
 * complete head is parsed in one pass. The result therefore does not depend on how the head was
 * split, and all fields are slices of one contiguous block.
 */
#pragma once

#include "base/err.h"
#include "http/message.h"

struct h1_limits {
    size_t head_bytes;    /* the whole head */
    size_t line_bytes;    /* its first line */
    unsigned fields;
};

/* Zero it before each head. */
struct h1_scan {
    uint32_t at;       /* start of the first incomplete line */
    uint32_t open;     /* bytes of that line that were scanned already */
    uint32_t start;    /* start of the head, after an empty line that may precede a request */
    uint32_t lines;    /* complete lines of the head */
    bool response;
};

/* Looks for the end of the head. `bytes` holds everything received since the head began, including
 * what earlier calls saw. OK with *ret_end == 0: more input is needed. OK with *ret_end > 0: the
 * head ends there; it starts at scan->start and has scan->lines - 1 fields. ERR_BAD_REQUEST or
 * ERR_HEADERS_TOO_LARGE: `*ret_why` (a literal) says what is wrong. */
enum err h1_scan(struct h1_scan *scan, struct str bytes, const struct h1_limits *limits,
    size_t *ret_end, const char **ret_why) MUST_CHECK;

struct h1_head {
    struct http_head head;
    bool http10;
    bool expects_continue;         /* requests: "Expect: 100-continue" */
    bool until_close;              /* responses: the body ends when the connection closes */
    struct str keep_alive_says;    /* responses: the value of Keep-Alive, "timeout=5, max=100" */
};

/* Memory for a head that must outlive the input: its fields, then its bytes. Zeroed at first; kept
 * from one head to the next. */
struct h1_room {
    struct http_field *fields;
    size_t bytes;
};

/* Makes it larger; its contents are lost. False: out of memory. */
bool h1_room_grow(struct h1_room *room, size_t bytes) MUST_CHECK;

/* Copies `head` into it; p == NULL: out of memory. */
MUST_CHECK static inline struct str
h1_room_copy(struct h1_room *room, struct str head, size_t fields)
{
    size_t fields_bytes = fields * sizeof(struct http_field);

    if (fields_bytes + head.n > room->bytes && !h1_room_grow(room, fields_bytes + head.n))
        return (struct str){ NULL, 0 };
    char *copy = (char *)room->fields + fields_bytes;

    memcpy(copy, head.p, head.n);
    return str_make(copy, head.n);
}

void h1_room_free(struct h1_room *room);

/* Parses a complete head; the result points into it. `fields` has room for as many fields as the
 * head has (scan->lines - 1). On ERR_BAD_REQUEST or ERR_METHOD, `*ret_why` says what is wrong. */
enum err h1_parse_request(struct str head, struct http_field *fields, size_t fields_room,
    struct h1_head *ret, const char **ret_why) MUST_CHECK;

/* Parses header fields and the empty line after them, which must be all of `block`, with the same
 * strictness; used for the parts of multipart forms. Returns NULL, or what is wrong (a literal). */
const char *h1_parse_fields(struct str block, size_t room, struct http_fields *ret);

/* The same as h1_parse_request() for a response. `to_head`: the request method was HEAD. Returns
 * ERR_UPSTREAM_PROTOCOL when it is malformed. */
enum err h1_parse_response(struct str head, struct http_field *fields, size_t fields_room,
    bool to_head, struct h1_head *ret, const char **ret_why) MUST_CHECK;
