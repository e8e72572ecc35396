/* h1.c - RFC 9112 without the leniencies that it allows recipients. */
#include "http/h1.h"

#include <stdlib.h>

#include "base/url.h"
#include "http/text.h"

/* --- characters --- */

/* The sets of characters that a byte is in: one bit each. A byte beyond ASCII is in none. */
enum {
    IS_TOKEN = 1,     /* tchar of RFC 9110: letters, digits and !#$%&'*+-.^_`|~ */
    IS_METHOD = 2,    /* capital letters: no method in use contains anything else */
    IS_HOST = 4,      /* unreserved, sub-delims and '%' of RFC 3986 */
    /* Visible ASCII without '"', '#', '<', '>' and '\\', which must be percent-encoded in
     * a URI and which servers treat differently when they are not. */
    IS_TARGET = 8,
};

/* Sixteen a line, from the blank on. */
/* clang-format off */
static const unsigned char classes[256] = {
    [' '] =
     0, 13,  0,  1, 13, 13, 13, 13, 12, 12, 13, 13, 12, 13, 13,  8,
    13, 13, 13, 13, 13, 13, 13, 13, 13, 13,  8, 12,  0, 12,  0,  8,
     8, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  8,  0,  8,  9, 13,
     9, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
    13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,  8,  9,  8, 13,  0,
};
/* clang-format on */

static inline bool
is_in(unsigned set, char c)
{
    return (classes[(unsigned char)c] & set) != 0;
}

/* The first byte at or after `p` that is not in the set, or `end`. */
static inline const char *
skip_chars(unsigned set, const char *p, const char *end)
{
    while (p != end && is_in(set, *p))
        p++;
    return p;
}

/* --- finding the end of a head --- */

/* Does the complete first line have a version that we support? Checked early, because a client of
 * another protocol may send nothing more until its first line is answered. */
static bool
has_version(struct str line, bool response)
{
    if (response)
        return str_starts(line, S("HTTP/1.1 ")) || str_starts(line, S("HTTP/1.0 "));
    return str_ends(line, S(" HTTP/1.1\r\n")) || str_ends(line, S(" HTTP/1.0\r\n"));
}

static enum err
refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return ERR_BAD_REQUEST;
}

static enum err
refuse_size(const char **ret_why, const char *why)
{
    *ret_why = why;
    return ERR_HEADERS_TOO_LARGE;
}

/* Checks an incomplete line, so that input that can no longer become valid is refused at once. */
static enum err
check_open_line(
    struct h1_scan *scan, struct str line, const struct h1_limits *limits, const char **ret_why)
{
    bool first = scan->lines == 0;

    const char *end = line.p + line.n;
    const char *control = http_skip_text(line.p + scan->open, end);

    scan->open = (uint32_t)(control - line.p);
    if (control != end && !(*control == '\r' && control + 1 == end))    /* its LF may follow */
        return refuse(ret_why, "control character in the header section");
    if (first && line.n != 0 && !(line.p[0] >= 'A' && line.p[0] <= 'Z') && line.p[0] != '\r')
        return refuse(ret_why, "not HTTP/1");
    if (first && line.n > limits->line_bytes)
        return refuse_size(ret_why, "the start line is too long");
    return OK;
}

/* Checks a complete line, LF included. */
static enum err
check_line(
    struct h1_scan *scan, struct str line, const struct h1_limits *limits, const char **ret_why)
{
    if (line.n < 2 || line.p[line.n - 2] != '\r')
        return refuse(ret_why, "line feed without carriage return");
    if (scan->lines == 0 && line.n > limits->line_bytes)
        return refuse_size(ret_why, "the start line is too long");
    if (scan->lines == 0 && !has_version(line, scan->response))
        return refuse(ret_why, str_starts(line, S("PRI * HTTP/2"))
                                   ? "HTTP/2 is not supported; use HTTP/1.1"
                                   : "not HTTP/1");
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return refuse(
            ret_why, "a header line begins with white space (line folding is not allowed)");
    if (line.p[0] == '\r')
        return refuse(ret_why, "carriage return without line feed");
    if (scan->lines > limits->fields)
        return refuse_size(ret_why, "too many header fields");
    scan->lines++;
    return OK;
}

enum err
h1_scan(struct h1_scan *scan, struct str bytes, const struct h1_limits *limits, size_t *ret_end,
    const char **ret_why)
{
    *ret_end = 0;
    if (!scan->response && scan->at == 0 && str_starts(bytes, S("\r\n")))
        scan->at = scan->start = 2;

    for (;;) {
        struct str rest = str_make(bytes.p + scan->at, bytes.n - scan->at);
        size_t skip = scan->open;
        const char *lf = rest.n > skip ? memchr(rest.p + skip, '\n', rest.n - skip) : NULL;
        struct str line = str_make(rest.p, lf != NULL ? (size_t)(lf - rest.p) + 1 : rest.n);
        enum err e = OK;

        if (scan->at - scan->start + line.n > limits->head_bytes)
            return refuse_size(ret_why, "the header section is too large");
        if (lf == NULL)
            return check_open_line(scan, line, limits, ret_why);
        scan->open = 0;
        if (line.n == 2 && line.p[0] == '\r' && scan->lines != 0) {
            scan->at += 2;
            *ret_end = scan->at;
            return OK;
        }
        e = check_line(scan, line, limits, ret_why);
        if (e != OK)
            return e;
        scan->at += (uint32_t)line.n;
    }
}

/* --- parsing --- */

/* Skips "HTTP/1.1" or "HTTP/1.0" at `p`. NULL if it is neither. */
static const char *
read_version(const char *p, const char *end, struct h1_head *ret)
{
    if (end - p < 8 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1'))
        return NULL;
    ret->http10 = p[7] == '0';
    return p + 8;
}

static bool
is_line_end(const char *p, const char *end)
{
    return end - p >= 2 && p[0] == '\r' && p[1] == '\n';
}

static struct str
without_blanks(const char *p, const char *end)
{
    while (p != end && (*p == ' ' || *p == '\t'))
        p++;
    while (p != end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return str_make(p, (size_t)(end - p));
}

/* Parses "name: value" lines and the empty line after them. Returns NULL, or what is wrong. */
static const char *
read_fields(const char *p, const char *end, size_t room, struct http_fields *ret)
{
    while (!is_line_end(p, end)) {
        const char *name = p;
        const char *colon = skip_chars(IS_TOKEN, p, end);

        if (colon == name || colon == end || *colon != ':')
            return "malformed header field name";
        p = http_skip_text(colon + 1, end);
        if (!is_line_end(p, end))
            return "control character in a header field";
        if (ret->count == room)
            return "too many header fields";
        ret->list[ret->count++] = (struct http_field){
            .name = str_make(name, (size_t)(colon - name)),
            .value = without_blanks(colon + 1, p),
        };
        p += 2;
    }
    return p + 2 == end ? NULL : "data after the end of the header section";
}

const char *
h1_parse_fields(struct str block, size_t room, struct http_fields *ret)
{
    return read_fields(block.p, block.p + block.n, room, ret);
}

/* The fields that determine the message's framing and whether the connection persists. */
struct h1_framing {
    unsigned hosts;
    unsigned lengths;
    unsigned encodings;
    struct str host;
    struct str length;
    struct str encoding;
    struct str keep_alive_says;
    bool continues;       /* Expect: 100-continue */
    bool expects_more;    /* Expect with another value */
    bool close;
    bool keep_alive;
};

/* Is the field name equal to `name`, which is in lower case, consists of letters and '-', and has
 * the same length? Without control characters in the text, the mask maps only capitals to these
 * characters. */
static inline bool
is_named(struct str text, const char *lower)
{
    for (size_t i = 0; i < text.n; i++) {
        if ((text.p[i] | 0x20) != lower[i])
            return false;
    }
    return true;
}

static void
take_connection(struct h1_framing *f, struct str value)
{
    if (value.n == 10 && is_named(value, "keep-alive")) {
        f->keep_alive = true;    /* by far the most common value */
        return;
    }
    f->close = f->close || http_list_has(value, S("close"));
    f->keep_alive = f->keep_alive || http_list_has(value, S("keep-alive"));
}

static void
collect_framing(const struct http_fields *fields, struct h1_framing *f)
{
    for (size_t i = 0; i < fields->count; i++) {
        struct str name = fields->list[i].name;
        struct str value = fields->list[i].value;

        switch (name.n) {
        case 4:
            if (is_named(name, "host")) {
                f->hosts++;
                f->host = value;
            }
            break;
        case 6:
            if (is_named(name, "expect")) {
                f->continues = str_ieq(value, S("100-continue"));
                f->expects_more = f->expects_more || !f->continues;
            }
            break;
        case 10:
            if (is_named(name, "connection"))
                take_connection(f, value);
            else if (is_named(name, "keep-alive"))
                f->keep_alive_says = value;
            break;
        case 14:
            if (is_named(name, "content-length")) {
                f->lengths++;
                f->length = value;
            }
            break;
        case 17:
            if (is_named(name, "transfer-encoding")) {
                f->encodings++;
                f->encoding = value;
            }
            break;
        default:
            break;
        }
    }
}

/* The framing rules of RFC 9112, section 6, without the leniencies. */
static const char *
settle_framing(const struct h1_framing *f, struct h1_head *ret)
{
    uint64_t length = 0;

    ret->head.content_length = -1;
    ret->head.keep_alive = !f->close && (!ret->http10 || f->keep_alive);
    if (f->encodings != 0 && f->lengths != 0)
        return "both Content-Length and Transfer-Encoding";
    if (f->encodings != 0) {
        if (ret->http10)
            return "Transfer-Encoding in an HTTP/1.0 message";
        if (f->encodings != 1 || !str_ieq(f->encoding, S("chunked")))
            return "Transfer-Encoding must be 'chunked' and nothing else";
        ret->head.chunked = true;
    }
    if (f->lengths != 0) {
        if (f->lengths != 1)
            return "more than one Content-Length";
        if (!str_u64(f->length, &length) || length > INT64_MAX)
            return "Content-Length is not a number";
        ret->head.content_length = (int64_t)length;
    }
    return NULL;
}

/* --- memory --- */

enum { ROOM_STEP_BYTES = 256 };

bool
h1_room_grow(struct h1_room *room, size_t bytes)
{
    bytes = (bytes + ROOM_STEP_BYTES - 1) / ROOM_STEP_BYTES * ROOM_STEP_BYTES;
    free(room->fields);
    room->fields = malloc(bytes);
    room->bytes = room->fields != NULL ? bytes : 0;
    return room->fields != NULL;
}

void
h1_room_free(struct h1_room *room)
{
    free(room->fields);
    *room = (struct h1_room){ NULL, 0 };
}

/* --- requests --- */

static inline bool
is_host_char(char c)
{
    return is_in(IS_HOST, c);
}

/* "name", "name:80", "[v6]:80": uri-host and port of RFC 3986. */
static bool
is_host(struct str s)
{
    size_t i = 0;

    if (s.n != 0 && s.p[0] == '[') {
        for (i = 1; i < s.n && s.p[i] != ']'; i++) {
            if (s.p[i] != ':' && !is_host_char(s.p[i]))
                return false;
        }
        if (i == s.n || i == 1)
            return false;
        i++;
    } else {
        while (i < s.n && is_host_char(s.p[i]))
            i++;
        if (i == 0)
            return false;
    }
    if (i == s.n)
        return true;
    if (s.p[i] != ':' || s.n - i > 6)
        return false;
    for (i++; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    }
    return true;
}

/* Reduces "http://host/path" to its origin form, the path and query. Its host must match the Host
 * field. */
static const char *
take_absolute_form(struct str target, const struct h1_framing *f, struct str *ret_origin)
{
    struct url u = url_split(target);

    if (f->hosts != 0 && !str_ieq(u.authority, f->host))
        return "the host in the request target differs from the Host field";
    if (u.userinfo.p != NULL || !is_host(u.authority))
        return "malformed request target";
    *ret_origin = u.rest.n != 0 ? u.rest : S("/");
    return ret_origin->p[0] == '/' ? NULL : "malformed request target";
}

static const char *
settle_target(struct http_head *head, const struct h1_framing *f)
{
    struct str origin = head->target;
    const char *why = NULL;

    if (str_istarts(origin, S("http://")) || str_istarts(origin, S("https://")))
        why = take_absolute_form(origin, f, &origin);
    else if (origin.p[0] != '/' && !(str_eq(origin, S("*")) && str_eq(head->method, S("OPTIONS"))))
        why = "malformed request target";
    (void)str_cut(origin, '?', &head->path, &head->query);
    return why;
}

static const char *
check_host(const struct h1_head *ret, const struct h1_framing *f)
{
    if (f->hosts > 1)
        return "more than one Host field";
    if (f->hosts == 0)
        return ret->http10 ? NULL : "the Host field is missing";
    return is_host(f->host) ? NULL : "malformed Host";
}

static const char *
settle_expect(struct h1_head *ret, const struct h1_framing *f)
{
    if (ret->http10)
        return NULL;    /* ignored, as RFC 9110 requires */
    ret->expects_continue = f->continues;
    return f->expects_more ? "the only supported expectation is 100-continue" : NULL;
}

/* Parses "METHOD target HTTP/1.1", with single spaces, and the fields. Returns NULL, or what is
 * wrong. */
static const char *
read_request(struct str head, size_t fields_room, struct h1_head *ret)
{
    const char *end = head.p + head.n;
    const char *p = skip_chars(IS_METHOD, head.p, end);

    ret->head.method = str_make(head.p, (size_t)(p - head.p));
    if (p == head.p || p == end || *p != ' ')
        return "malformed request line";

    const char *target = ++p;
    p = skip_chars(IS_TARGET, p, end);
    ret->head.target = str_make(target, (size_t)(p - target));
    if (p == target || p == end || *p != ' ')
        return "malformed request target";

    p = read_version(p + 1, end, ret);
    if (p == NULL || !is_line_end(p, end))
        return "malformed request line";
    return read_fields(p + 2, end, fields_room, &ret->head.fields);
}

enum err
h1_parse_request(struct str head, struct http_field *fields, size_t fields_room,
    struct h1_head *ret, const char **ret_why)
{
    struct h1_framing framing = { 0 };

    *ret = (struct h1_head){ .head.fields.list = fields };
    const char *why = read_request(head, fields_room, ret);
    if (why != NULL)
        return refuse(ret_why, why);

    collect_framing(&ret->head.fields, &framing);
    why = settle_framing(&framing, ret);
    if (why == NULL)
        why = check_host(ret, &framing);
    if (why == NULL && str_eq(ret->head.method, S("CONNECT"))) {
        *ret_why = "CONNECT is not supported";
        return ERR_METHOD;
    }
    if (why == NULL)
        why = settle_target(&ret->head, &framing);
    if (why == NULL)
        why = settle_expect(ret, &framing);
    return why == NULL ? OK : refuse(ret_why, why);
}

/* --- responses --- */

/* Parses "HTTP/1.1 200 Reason", where the reason and the space before it may be missing, and the
 * fields. Returns NULL, or what is wrong. */
static const char *
read_response(struct str head, size_t fields_room, struct h1_head *ret)
{
    const char *end = head.p + head.n;
    const char *p = read_version(head.p, end, ret);

    if (p == NULL || end - p < 4 || *p++ != ' ')
        return "malformed status line";
    for (int i = 0; i < 3; i++, p++) {
        if (*p < '0' || *p > '9')
            return "malformed status line";
        ret->head.status = ret->head.status * 10 + (*p - '0');
    }
    if (p == end || (*p != ' ' && *p != '\r'))
        return "malformed status line";
    p = http_skip_text(p, end);
    if (!is_line_end(p, end))
        return "control character in the status line";
    return read_fields(p + 2, end, fields_room, &ret->head.fields);
}

static const char *
check_status(int status)
{
    if (status < 100 || status > 599)
        return "the status code is out of range";
    return NULL;
}

enum err
h1_parse_response(struct str head, struct http_field *fields, size_t fields_room, bool to_head,
    struct h1_head *ret, const char **ret_why)
{
    struct h1_framing framing = { 0 };

    *ret = (struct h1_head){ .head.fields.list = fields };
    *ret_why = read_response(head, fields_room, ret);
    if (*ret_why != NULL)
        return ERR_UPSTREAM_PROTOCOL;

    int status = ret->head.status;
    bool bodiless = to_head || status < 200 || status == 204 || status == 304;

    collect_framing(&ret->head.fields, &framing);
    *ret_why = settle_framing(&framing, ret);
    if (*ret_why == NULL)
        *ret_why = check_status(status);
    if (*ret_why != NULL)
        return ERR_UPSTREAM_PROTOCOL;
    ret->keep_alive_says = framing.keep_alive_says;
    ret->until_close = !bodiless && !ret->head.chunked && ret->head.content_length < 0;
    if (ret->until_close)
        ret->head.keep_alive = false;
    return OK;
}
