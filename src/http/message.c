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

struct str
http_decode_percent(struct arena *a, struct str s)
{
    if (str_chr(s, '%') == s.n)
        return s.n != 0 ? s : S("");

    char *out = arena_try(a, s.n);
    size_t n = 0;

    if (out == NULL)
        return (struct str){ NULL, 0 };
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            out[n++] = s.p[i];
            continue;
        }
        int high = s.n - i > 2 ? str_hex_digit(s.p[i + 1]) : -1;
        int low = s.n - i > 2 ? str_hex_digit(s.p[i + 2]) : -1;

        if (high < 0 || low < 0)
            return (struct str){ NULL, 0 };
        out[n++] = (char)(high << 4 | low);
        i += 2;
    }
    return str_make(out, n);
}

struct str
http_query_get(struct arena *a, struct str query, struct str name)
{
    struct str pair;
    struct str key;
    struct str value;

    while (query.n != 0) {
        (void)str_cut(query, '&', &pair, &query);
        (void)str_cut(pair, '=', &key, &value);
        key = http_decode_percent(a, key);
        if (key.p != NULL && str_eq(key, name))
            return http_decode_percent(a, value);
    }
    return (struct str){ NULL, 0 };
}

static bool
is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void
http_add_segment(struct buf *b, struct str segment)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < segment.n; i++) {
        unsigned char c = (unsigned char)segment.p[i];

        if (is_unreserved(segment.p[i])) {
            buf_add_c(b, segment.p[i]);
        } else {
            char encoded[3] = { '%', digits[c >> 4], digits[c & 15] };

            buf_add(b, str_make(encoded, sizeof(encoded)));
        }
    }
}
