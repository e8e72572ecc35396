/* message.h - HTTP heads, common to client and server: a method or status, and a list of fields.
 *
 * All slices point into memory of the head's owner.
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

struct http_field {
    struct str name;     /* as received; compare with str_ieq() */
    struct str value;    /* without surrounding white space */
};

struct http_fields {
    struct http_field *list;
    size_t count;
};

struct http_head {
    /* requests */
    struct str method;    /* "POST" */
    struct str target;    /* as received: "/v1/models?limit=2" */
    struct str path;      /* before '?', still percent-encoded */
    struct str query;     /* after '?', or empty */
    /* responses */
    int status;
    /* both */
    struct http_fields fields;
    int64_t content_length;    /* -1 if there is none */
    bool chunked;
    bool keep_alive;
};

/* The first field of that name; an empty slice with p == NULL if there is none. */
struct str http_field_get(const struct http_fields *f, struct str name);

/* Does the comma-separated list `value` contain `token`? Ignores case and parameters. */
bool http_list_has(struct str value, struct str token);

/* Is `type` the media type, ignoring its parameters ("text/event-stream; charset=utf-8")? */
bool http_type_is(struct str content_type, struct str type);

/* Appends "Name: value\r\n". The value is truncated at its first control character, so that it
 * cannot inject another field. */
void http_add_field(struct buf *b, struct str name, struct str value);

/* Methods for which a missing Content-Length would be ambiguous. */
bool http_is_sending_method(struct str method);

/* "Not Found" for 404; "Unknown" for unregistered codes. */
const char *http_reason(int status) NEVER_NULL;
