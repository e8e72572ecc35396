/* h1.c - llhttp reads the syntax of a head; what it lets pass and we do not is checked around it. */
#include "http/h1.h"

#include <llhttp.h>

/* --- where a head ends --- */

static bool
is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* The first line, complete, with its line end: is it one of a version that we speak? Asked early: what
 * speaks something else would wait for an answer to its first line. */
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

/* A line that has not ended yet: what is certainly wrong is refused at once. */
static enum err
check_open_line(const struct h1_scan *scan, struct str line, const struct h1_limits *limits,
    const char **ret_why)
{
    bool first = scan->lines == 0;

    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '\r' && i + 1 == line.n)
            break; /* its LF may come */
        if (is_control(line.p[i]))
            return refuse(ret_why, "control character in the head");
    }
    if (first && line.n != 0 && !(line.p[0] >= 'A' && line.p[0] <= 'Z') && line.p[0] != '\r')
        return refuse(ret_why, "not HTTP/1");
    if (first && line.n > limits->line_bytes)
        return refuse_size(ret_why, "the first line is too long");
    return OK;
}

/* A line that ended with the LF behind it. */
static enum err
check_line(
    struct h1_scan *scan, struct str line, const struct h1_limits *limits, const char **ret_why)
{
    if (line.n < 2 || line.p[line.n - 2] != '\r')
        return refuse(ret_why, "line feed without carriage return");
    if (scan->lines == 0 && line.n > limits->line_bytes)
        return refuse_size(ret_why, "the first line is too long");
    if (scan->lines == 0 && !has_version(line, scan->response))
        return refuse(ret_why, "not HTTP/1");
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return refuse(ret_why, "folded or indented line");
    if (line.p[0] == '\r')
        return refuse(ret_why, "carriage return without line feed");
    if (scan->lines > limits->fields)
        return refuse_size(ret_why, "too many fields");
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
        size_t lf = str_chr(rest, '\n');
        struct str line = str_make(rest.p, MIN(lf + 1, rest.n));
        enum err e = OK;

        if (scan->at - scan->start + line.n > limits->head_bytes)
            return refuse_size(ret_why, "the head is too large");
        if (lf == rest.n) {
            /* Lines are bounded by head_bytes, so that looking at this one again is, too. */
            return check_open_line(scan, line, limits, ret_why);
        }
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

/* --- what it says --- */

struct reader {
    struct h1_head *ret;
    size_t room; /* for fields */
    bool begun;
    bool complete;
};

static int
on_begin(llhttp_t *p)
{
    struct reader *r = p->data;

    if (r->begun)
        return -1; /* a second message in what we took for one head */
    r->begun = true;
    return 0;
}

static int
on_url(llhttp_t *p, const char *at, size_t n)
{
    struct reader *r = p->data;

    if (r->ret->head.target.p == NULL)
        r->ret->head.target = str_make(at, 0);
    r->ret->head.target.n += n;
    return 0;
}

/* Does the name at `at` go on with the last field's? llhttp may hand it out in adjoining pieces. */
static bool
continues_name(const struct http_fields *f, const char *at)
{
    if (f->count == 0)
        return false;

    const struct http_field *last = &f->list[f->count - 1];
    return last->value.p == NULL && last->name.p + last->name.n == at;
}

static int
on_field(llhttp_t *p, const char *at, size_t n)
{
    struct reader *r = p->data;
    struct http_fields *f = &r->ret->head.fields;

    if (continues_name(f, at)) {
        f->list[f->count - 1].name.n += n;
        return 0;
    }
    if (f->count == r->room)
        return -1;
    f->list[f->count++] = (struct http_field){ .name = str_make(at, n) };
    return 0;
}

static int
on_value(llhttp_t *p, const char *at, size_t n)
{
    struct reader *r = p->data;
    struct http_fields *f = &r->ret->head.fields;

    if (f->count == 0)
        return -1;
    struct str *value = &f->list[f->count - 1].value;
    if (value->p == NULL)
        *value = str_make(at, 0);
    value->n += n;
    return 0;
}

static int
on_complete(llhttp_t *p)
{
    struct reader *r = p->data;

    r->complete = true;
    return 0;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_complete,
};

/* Runs llhttp over the whole head. It keeps nothing: the framing of the body is ours. */
static bool
read_syntax(llhttp_t *p, llhttp_type_t type, struct str head, size_t fields_room,
    struct h1_head *ret, const char **ret_why)
{
    struct reader r = { .ret = ret, .room = fields_room };

    llhttp_init(p, type, &settings);
    p->data = &r;
    llhttp_errno_t e = llhttp_execute(p, head.p, head.n);

    /* It stops behind the head of an upgrade, which we do not follow. */
    if (e == HPE_PAUSED_UPGRADE && llhttp_get_error_pos(p) == head.p + head.n)
        e = HPE_OK;
    if (e != HPE_OK || !r.complete) {
        const char *reason = llhttp_get_error_reason(p);

        *ret_why = reason != NULL && reason[0] != '\0' ? reason : "malformed head";
        return false;
    }
    for (size_t i = 0; i < ret->head.fields.count; i++) {
        struct str *value = &ret->head.fields.list[i].value;

        *value = value->p != NULL ? str_trim(*value) : S("");
    }
    return true;
}

/* The fields that say where a message ends and what becomes of the connection. */
struct framing {
    unsigned hosts;
    unsigned lengths;
    unsigned encodings;
    struct str host;
    struct str length;
    struct str encoding;
    bool continues;    /* Expect: 100-continue */
    bool expects_more; /* Expect: something else */
    bool close;
    bool keep_alive;
};

/* Is it that name, given in lower case and without digits? Of the bytes that llhttp lets stand in a name
 * only the capitals change under this mask. */
static inline bool
is_named(struct str name, const char *lower)
{
    for (size_t i = 0; i < name.n; i++) {
        if ((name.p[i] | 0x20) != lower[i])
            return false;
    }
    return true;
}

static void
take_connection(struct framing *f, struct str value)
{
    f->close = f->close || http_list_has(value, S("close"));
    f->keep_alive = f->keep_alive || http_list_has(value, S("keep-alive"));
}

static void
collect_framing(const struct http_fields *fields, struct framing *f)
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

/* The rules of RFC 9112 section 6, without its indulgences. */
static const char *
settle_framing(const struct framing *f, struct h1_head *ret)
{
    uint64_t length = 0;

    ret->head.content_length = -1;
    ret->head.keep_alive = !f->close && (!ret->http10 || f->keep_alive);
    if (f->encodings != 0 && f->lengths != 0)
        return "both Content-Length and Transfer-Encoding";
    if (f->encodings != 0) {
        if (ret->http10)
            return "Transfer-Encoding in HTTP/1.0";
        if (f->encodings != 1 || !str_ieq(f->encoding, S("chunked")))
            return "Transfer-Encoding is not exactly 'chunked'";
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

/* --- requests --- */

/* A set of ASCII characters: one bit each. */
struct charset {
    uint64_t low;  /* 0x00 to 0x3f */
    uint64_t high; /* 0x40 to 0x7f */
};

/* unreserved, sub-delims and '%' of RFC 3986. */
static const struct charset host_chars = { 0x2bff7ff200000000, 0x47fffffe87fffffe };

/* Visible ASCII without '"', '#', '<', '>' and '\\': they never stand unencoded in a URI, and confuse
 * whoever reads one that has them. */
static const struct charset target_chars = { 0xaffffff200000000, 0x7fffffffefffffff };

static inline bool
is_in(const struct charset *set, char c)
{
    unsigned char u = (unsigned char)c;

    return u < 0x80 && ((u < 0x40 ? set->low : set->high) >> (u & 0x3f) & 1) != 0;
}

static inline bool
is_host_char(char c)
{
    return is_in(&host_chars, c);
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

static bool
is_target(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_in(&target_chars, s.p[i]))
            return false;
    }
    return s.n != 0;
}

/* The origin-form of "http://host/path": the part from the path on. Its host must be the Host. */
static const char *
take_absolute_form(struct str target, const struct framing *f, struct str *ret_origin)
{
    struct str rest = str_skip(target, str_istarts(target, S("https://")) ? 8 : 7);
    size_t n = 0;

    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    if (f->hosts != 0 && !str_ieq(str_make(rest.p, n), f->host))
        return "the target's host is not that of Host";
    if (!is_host(str_make(rest.p, n)))
        return "malformed target";
    *ret_origin = n < rest.n ? str_skip(rest, n) : S("/");
    if (ret_origin->p[0] == '?')
        return "malformed target";
    return NULL;
}

static const char *
settle_target(struct http_head *head, const struct framing *f)
{
    struct str origin = head->target;
    const char *why = NULL;

    if (!is_target(origin))
        return "malformed target";
    if (str_istarts(origin, S("http://")) || str_istarts(origin, S("https://")))
        why = take_absolute_form(origin, f, &origin);
    else if (origin.p[0] != '/' && !(str_eq(origin, S("*")) && str_eq(head->method, S("OPTIONS"))))
        why = "malformed target";
    (void)str_cut(origin, '?', &head->path, &head->query);
    return why;
}

static const char *
check_host(const struct h1_head *ret, const struct framing *f)
{
    if (f->hosts > 1)
        return "more than one Host";
    if (f->hosts == 0)
        return ret->http10 ? NULL : "Host is missing";
    return is_host(f->host) ? NULL : "malformed Host";
}

static const char *
settle_expect(struct h1_head *ret, const struct framing *f)
{
    if (ret->http10)
        return NULL; /* RFC 9110: ignored */
    ret->expects_continue = f->continues;
    return f->expects_more ? "an expectation that we cannot meet" : NULL;
}

/* "METHOD target HTTP/1.1": one blank each. llhttp is patient with more. */
static const char *
check_request_line(struct str head, const struct http_head *h)
{
    size_t line = h->method.n + 1 + h->target.n + S(" HTTP/1.1").n;

    if (h->target.p != h->method.p + h->method.n + 1 || head.p[line] != '\r')
        return "malformed request line";
    return NULL;
}

enum err
h1_parse_request(struct str head, struct http_field *fields, size_t fields_room,
    struct h1_head *ret, const char **ret_why)
{
    struct framing framing = { 0 };
    llhttp_t p;

    *ret = (struct h1_head){ .head.fields.list = fields };
    if (!read_syntax(&p, HTTP_REQUEST, head, fields_room, ret, ret_why))
        return ERR_BAD_REQUEST;

    ret->head.method = str_make(head.p, str_chr(head, ' '));
    ret->http10 = llhttp_get_http_minor(&p) == 0;
    collect_framing(&ret->head.fields, &framing);

    const char *why = check_request_line(head, &ret->head);
    if (why == NULL)
        why = settle_framing(&framing, ret);
    if (why == NULL)
        why = check_host(ret, &framing);
    if (why == NULL && str_eq(ret->head.method, S("CONNECT"))) {
        *ret_why = "this is not a proxy for CONNECT";
        return ERR_METHOD;
    }
    if (why == NULL)
        why = settle_target(&ret->head, &framing);
    if (why == NULL)
        why = settle_expect(ret, &framing);
    return why == NULL ? OK : refuse(ret_why, why);
}

/* --- responses --- */

/* llhttp lets anything stand in the reason. */
static bool
has_control(struct str line)
{
    for (size_t i = 0; i < line.n; i++) {
        if (is_control(line.p[i]))
            return true;
    }
    return false;
}

enum err
h1_parse_response(struct str head, struct http_field *fields, size_t fields_room, bool to_head,
    struct h1_head *ret, const char **ret_why)
{
    struct framing framing = { 0 };
    llhttp_t p;

    *ret = (struct h1_head){ .head.fields.list = fields };
    if (!read_syntax(&p, HTTP_RESPONSE, head, fields_room, ret, ret_why))
        return ERR_UPSTREAM_PROTOCOL;

    int status = llhttp_get_status_code(&p);
    bool bodiless = to_head || status < 200 || status == 204 || status == 304;

    ret->head.status = status;
    ret->http10 = llhttp_get_http_minor(&p) == 0;
    collect_framing(&ret->head.fields, &framing);
    *ret_why = settle_framing(&framing, ret);
    if (*ret_why == NULL && has_control(str_make(head.p, str_chr(head, '\r'))))
        *ret_why = "control character in the status line";
    if (*ret_why == NULL && (status < 100 || status > 599))
        *ret_why = "a status out of range";
    if (*ret_why == NULL && status == 101)
        *ret_why = "switches protocols unasked";
    if (*ret_why != NULL)
        return ERR_UPSTREAM_PROTOCOL;
    ret->until_close = !bodiless && !ret->head.chunked && ret->head.content_length < 0;
    if (ret->until_close)
        ret->head.keep_alive = false;
    return OK;
}
