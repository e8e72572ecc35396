/* message.c - looks things up in HTTP heads, and writes fields without allowing injection. */
#include "http/message.h"

#include "http/text.h"

struct str
http_field_get(const struct http_fields *f, struct str name)
{
    for (size_t i = 0; i < f->count; i++) {
        if (str_ieq(f->list[i].name, name))
            return f->list[i].value;
    }
    return (struct str){ NULL, 0 };
}

/* The part before the parameters: "text/html" of "text/html; charset=utf-8". */
static struct str
without_parameters(struct str s)
{
    struct str head;
    struct str tail;

    (void)str_cut(s, ';', &head, &tail);
    return str_trim(head);
}

bool
http_list_has(struct str value, struct str token)
{
    struct str item;

    while (value.n != 0) {
        (void)str_cut(value, ',', &item, &value);
        if (str_ieq(without_parameters(item), token))
            return true;
    }
    return false;
}

bool
http_type_is(struct str content_type, struct str type)
{
    return content_type.n != 0 && str_ieq(without_parameters(content_type), type);
}

void
http_add_field(struct buf *b, struct str name, struct str value)
{
    size_t n = value.n != 0 ? (size_t)(http_skip_text(value.p, value.p + value.n) - value.p) : 0;
    char *p = buf_reserve(b, name.n + 2 + n + 2);

    if (p == NULL)
        return;
    memcpy(p, name.p, name.n);
    memcpy(p + name.n, ": ", 2);
    if (n != 0)
        memcpy(p + name.n + 2, value.p, n);
    memcpy(p + name.n + 2 + n, "\r\n", 2);
    buf_commit(b, name.n + 2 + n + 2);
}

bool
http_is_sending_method(struct str method)
{
    return str_eq(method, S("POST")) || str_eq(method, S("PUT")) || str_eq(method, S("PATCH"));
}

/* The most common statuses come first: nearly every response looks one up. */
static const struct {
    int status;
    const char *reason;
} reasons[] = {
    { 200, "OK" },
    { 100, "Continue" },
    { 101, "Switching Protocols" },
    { 103, "Early Hints" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 203, "Non-Authoritative Information" },
    { 204, "No Content" },
    { 205, "Reset Content" },
    { 206, "Partial Content" },
    { 300, "Multiple Choices" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 402, "Payment Required" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 407, "Proxy Authentication Required" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 416, "Range Not Satisfiable" },
    { 417, "Expectation Failed" },
    { 421, "Misdirected Request" },
    { 422, "Unprocessable Content" },
    { 424, "Failed Dependency" },
    { 425, "Too Early" },
    { 426, "Upgrade Required" },
    { 428, "Precondition Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 451, "Unavailable For Legal Reasons" },
    { 499, "Client Closed Request" },
    { 500, "Internal Server Error" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
    { 507, "Insufficient Storage" },
    { 508, "Loop Detected" },
    { 529, "Overloaded" },
};

const char *
http_reason(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Unknown";
}
