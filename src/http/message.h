/* message.h - HTTP heads as both sides see them: a method or status and a list of fields.
 *
 * All slices point into memory that the owner of the head names.
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

struct http_field {
    struct str name;     /* as sent; compare with str_ieq() */
    struct str value;    /* trimmed */
};

struct http_fields {
    struct http_field *list;
    size_t count;
};

struct http_head {
    /* requests */
    struct str method;    /* "POST" */
    struct str target;    /* as sent: "/v1/models?limit=2" */
    struct str path;      /* before '?', still percent-encoded */
    struct str query;     /* behind '?', or empty */
    /* responses */
    int status;
    /* both */
    struct http_fields fields;
    int64_t content_length;    /* -1 when not given */
    bool chunked;
    bool keep_alive;
};

/* The first field of that name, or an empty slice with p == NULL when there is none. */
struct str http_field_get(const struct http_fields *f, struct str name);

/* Is `token` in the comma-separated list `value`? Ignores case and parameters. */
bool http_list_has(struct str value, struct str token);

/* The media type without parameters equals `type`? "text/event-stream; charset=utf-8". */
bool http_type_is(struct str content_type, struct str type);

/* Appends "Name: value\r\n". A control character in the value ends it: nothing can be smuggled. */
void http_add_field(struct buf *b, struct str name, struct str value);

/* Methods for which a missing Content-Length would mean something. */
bool http_is_sending_method(struct str method);

/* "Not Found" for 404; "Unknown" for codes we have never heard of. */
const char *http_reason(int status) NEVER_NULL;

/* Percent-decodes `s` into `a`; '+' stays. Empty with p == NULL when malformed. */
struct str http_decode_percent(struct arena *a, struct str s);

/* The first value of `name` in a query string, percent-decoded; empty when absent. */
struct str http_query_get(struct arena *a, struct str query, struct str name);

/* Appends `segment` percent-encoded as one path segment (RFC 3986 unreserved kept). */
void http_add_segment(struct buf *b, struct str segment);
