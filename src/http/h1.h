/* h1.h - HTTP/1 heads, read strictly: what two parsers could understand differently is refused.
 *
 * First h1_scan() finds where a head ends, as bytes come in; then the whole
 * head, at rest in memory, is parsed in one pass. So a head means the same
 * however it was cut, and its fields are slices of one run of bytes.
 */
#pragma once

#include "base/err.h"
#include "http/message.h"

struct h1_limits {
    size_t head_bytes;    /* a whole head */
    size_t line_bytes;    /* its first line */
    unsigned fields;
};

/* Zeroed before each head. */
struct h1_scan {
    uint32_t at;       /* where the first line begins that is not complete */
    uint32_t open;     /* bytes of that line that need not be looked at again */
    uint32_t start;    /* where the head begins: behind one blank line that a request may follow */
    uint32_t lines;    /* complete lines of the head */
    bool response;
};

/* Looks for the end of the head at the front of `bytes`: everything unread since the head began,
 * what earlier calls have seen included. OK with *ret_end 0: more bytes are needed. OK with
 * *ret_end: that many bytes, from scan->start on, are the head, and scan->lines - 1 is the number
 * of its fields. ERR_BAD_REQUEST or ERR_HEADERS_TOO_LARGE: `*ret_why` (a literal) says what is
 * wrong. */
enum err h1_scan(struct h1_scan *scan, struct str bytes, const struct h1_limits *limits,
    size_t *ret_end, const char **ret_why) MUST_CHECK;

struct h1_head {
    struct http_head head;
    bool http10;
    bool expects_continue;         /* requests: "Expect: 100-continue" */
    bool until_close;              /* responses: the body ends with the connection */
    struct str keep_alive_says;    /* responses: the value of Keep-Alive, "timeout=5, max=100" */
};

/* Parses a complete head, which the result points into. `fields` is room for as many fields as it
 * has (lines - 1). ERR_BAD_REQUEST or ERR_METHOD, and `*ret_why`, when it is not as it should
 * be. */
enum err h1_parse_request(struct str head, struct http_field *fields, size_t fields_room,
    struct h1_head *ret, const char **ret_why) MUST_CHECK;

/* Parses field lines and the empty line that ends them, all of `block`, as strictly: parts of forms
 * have such heads too. NULL, or what is wrong (a literal). */
const char *h1_parse_fields(struct str block, size_t room, struct http_fields *ret);

/* The same as h1_parse_request() for an answer; `to_head`: the request's method was HEAD. ERR_UPSTREAM_PROTOCOL. */
enum err h1_parse_response(struct str head, struct http_field *fields, size_t fields_room,
    bool to_head, struct h1_head *ret, const char **ret_why) MUST_CHECK;
