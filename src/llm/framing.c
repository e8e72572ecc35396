/* framing.c - one reader for all framings; each finds the end of a frame and takes it apart. */
#include "llm/framing.h"

#include <zlib.h>

enum {
    STEP_BYTES = 2048,           /* copied per step to an incomplete frame */
    PENDING_KEEP_BYTES = 512,    /* what an idle stream may keep */
};

/* --- server-sent events --- */

/* Limits how far a search for an LF scans, so that streams whose lines end with CR alone take
 * linear time. */
enum { WINDOW_BYTES = 512 };

/* Offset of the first CR or LF at or after `from`, or s.n. */
static size_t
find_line_end(struct str s, size_t from)
{
    while (from < s.n) {
        size_t window = MIN(s.n - from, WINDOW_BYTES);
        const char *lf = memchr(s.p + from, '\n', window);
        size_t until = lf != NULL ? (size_t)(lf - s.p) : from + window;
        const char *cr = memchr(s.p + from, '\r', until - from);

        if (cr != NULL)
            return (size_t)(cr - s.p);
        if (lf != NULL)
            return until;
        from = until;
    }
    return s.n;
}

/* Length of the event at the front of `s`, including its empty line; 0 if it is incomplete.
 *
 * An event ends at an empty line after at least one non-empty line; empty lines before it count as
 * part of its raw bytes. Line ends are found with memchr(), and each byte is scanned once, even if
 * a data line of several megabytes arrives in small pieces. The CR of an empty line may be followed
 * by an LF that has not arrived yet. The reader waits for it, unless the previous line ended with a
 * CR alone: such a server sends no LF, and waiting would delay each event until the next one
 * arrives. */
static size_t
sse_find_end(struct framing_reader *r, struct str s, enum err *ret_err)
{
    struct framing_search *search = &r->search;

    (void)ret_err;
    while (search->scanned < s.n) {
        size_t at = find_line_end(s, search->scanned);
        bool ends = at == search->line && search->filled;

        search->scanned = at;
        if (at == s.n)
            return 0;
        if (s.p[at] == '\r' && ends && search->after_lone_cr)
            return at + 1;
        if (s.p[at] == '\r' && at + 1 == s.n)
            return 0;    /* may be the first half of a CRLF: look again later */

        bool crlf = s.p[at] == '\r' && s.p[at + 1] == '\n';
        size_t next = at + (crlf ? 2 : 1);
        if (ends)
            return next;
        search->filled = search->filled || at != search->line;
        search->after_lone_cr = s.p[at] == '\r' && !crlf;
        search->line = search->scanned = next;
    }
    return 0;
}

/* Removes one line from the front of *s and returns it without its line end. */
static struct str
take_line(struct str *s)
{
    size_t at = find_line_end(*s, 0);
    struct str line = str_make(s->p, at);

    if (at < s->n)
        at += at + 1 < s->n && s->p[at] == '\r' && s->p[at + 1] == '\n' ? 2 : 1;
    *s = str_skip(*s, at);
    return line;
}

/* Adds a data line. The first one is a slice of the event; from the second on they are joined. */
static void
sse_add_data(struct buf *joined, struct frame *f, struct str value)
{
    if (!f->has_data) {
        f->has_data = true;
        f->data = value;
        return;
    }
    if (buf_len(joined) == 0)
        buf_add(joined, f->data);
    buf_add_c(joined, '\n');
    buf_add(joined, value);
    f->data = buf_str(joined);
}

/* Takes the fields of a complete event. */
static enum err
sse_parse(struct framing_reader *r, struct frame *f)
{
    struct str rest = f->raw;
    struct str error = S("");

    if (!r->started && str_starts(rest, S("\xEF\xBB\xBF")))
        rest = str_skip(rest, 3);
    buf_reset(&r->joined, 0);
    while (rest.n != 0) {
        struct str name;
        struct str value;

        (void)str_cut(take_line(&rest), ':', &name, &value);
        if (value.n != 0 && value.p[0] == ' ')
            value = str_skip(value, 1);
        if (str_eq(name, S("data")))
            sse_add_data(&r->joined, f, value);
        else if (str_eq(name, S("event")))
            f->event = value;
        else if (str_eq(name, S("error")))
            error = value;
    }
    if (error.n != 0) {    /* a field that some llama.cpp servers send */
        f->event = S("error");
        f->data = error;
        f->has_data = true;
    }
    return r->joined.overflow ? ERR_NO_MEMORY : OK;
}

const struct framing framing_sse = {
    .name = S_INIT("sse"),
    .type = S_INIT("text/event-stream"),
    .keepalive = S_INIT(": keep-alive\n\n"),
    .comment = S_INIT(": "),
    .begins = "deir:",    /* data, event, id, retry, a comment */
    .end_lines = 2,
    .find_end = sse_find_end,
    .parse = sse_parse,
};

/* --- a JSON document per line --- */

static size_t
ndjson_find_end(struct framing_reader *r, struct str s, enum err *ret_err)
{
    size_t from = r->search.scanned;
    const char *lf = memchr(s.p + from, '\n', s.n - from);

    (void)ret_err;
    r->search.scanned = s.n;
    return lf != NULL ? (size_t)(lf - s.p) + 1 : 0;
}

static enum err
ndjson_parse(struct framing_reader *r, struct frame *f)
{
    (void)r;
    f->data = str_trim(f->raw);
    f->has_data = f->data.n != 0;
    return OK;
}

/* Its keep-alive is a blank in front of the next document: clients that parse each line would fail
 * at an empty one. */
const struct framing framing_ndjson = {
    .name = S_INIT("ndjson"),
    .type = S_INIT("application/x-ndjson"),
    .keepalive = S_INIT(" "),
    .begins = "",
    .like_document = true,
    .end_lines = 1,
    .find_end = ndjson_find_end,
    .parse = ndjson_parse,
};

/* --- the elements of one JSON array --- */

enum array_phase {
    ARRAY_BEFORE,    /* the opening bracket is to come */
    ARRAY_FIRST,     /* an element, or the end of an empty array */
    ARRAY_NEXT,      /* an element: there was a comma */
    ARRAY_AFTER,     /* a comma, or the end */
    ARRAY_OVER,
};

/* An element's bytes begin with the bracket or comma before it. The elements are objects. */
static size_t
array_find_end(struct framing_reader *r, struct str s, enum err *ret_err)
{
    struct framing_search *search = &r->search;

    for (size_t at = search->scanned; at < s.n; at++) {
        char c = s.p[at];

        if (search->quoted) {
            search->quoted = search->escaped || c != '"';
            search->escaped = !search->escaped && c == '\\';
        } else if (search->depth != 0) {
            search->quoted = c == '"';
            search->depth += c == '{' || c == '[';
            search->depth -= c == '}' || c == ']';
            if (search->depth == 0) {
                r->phase = ARRAY_AFTER;
                return at + 1;
            }
        } else if (c == '{' && (r->phase == ARRAY_FIRST || r->phase == ARRAY_NEXT)) {
            search->depth = 1;
        } else if (c == '[' && r->phase == ARRAY_BEFORE) {
            r->phase = ARRAY_FIRST;
        } else if (c == ',' && r->phase == ARRAY_AFTER) {
            r->phase = ARRAY_NEXT;
        } else if (c == ']' && (r->phase == ARRAY_FIRST || r->phase == ARRAY_AFTER)) {
            r->phase = ARRAY_OVER;
            return at + 1;
        } else if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            *ret_err = ERR_UPSTREAM_PROTOCOL;
            return 0;
        }
    }
    search->scanned = s.n;
    return r->phase == ARRAY_OVER ? s.n : 0;
}

static enum err
array_parse(struct framing_reader *r, struct frame *f)
{
    size_t at = str_chr(f->raw, '{');

    (void)r;
    f->data = str_skip(f->raw, at);
    f->has_data = f->data.n != 0;
    return OK;
}

const struct framing framing_json_array = {
    .name = S_INIT("json-array"),
    .type = S_INIT("application/json"),
    .keepalive = S_INIT(" "),
    .begins = "[",
    .find_end = array_find_end,
    .parse = array_parse,
};

/* --- AWS event streams --- */

/* A message: its length, the length of its headers, a CRC of these eight bytes; the headers; the
 * payload; a CRC of all of that. Numbers are big-endian. */
enum { AWS_PRELUDE_BYTES = 8, AWS_CRC_BYTES = 4 };
enum { AWS_AROUND_BYTES = AWS_PRELUDE_BYTES + 2 * AWS_CRC_BYTES };    /* without headers and payload */

static uint32_t
read_be(const char *p, size_t n)
{
    uint32_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

/* Are the first `n` bytes followed by their CRC? */
static bool
crc_matches(const char *p, size_t n)
{
    return crc32_z(0, (const Bytef *)p, n) == read_be(p + n, AWS_CRC_BYTES);
}

static size_t
aws_find_end(struct framing_reader *r, struct str s, enum err *ret_err)
{
    if (s.n < AWS_PRELUDE_BYTES + AWS_CRC_BYTES)
        return 0;

    size_t total = read_be(s.p, 4);
    size_t headers = read_be(s.p + 4, 4);

    if (!crc_matches(s.p, AWS_PRELUDE_BYTES) || total < AWS_AROUND_BYTES ||
        headers > total - AWS_AROUND_BYTES)
        *ret_err = ERR_UPSTREAM_PROTOCOL;
    else if (total > r->limit_bytes)
        *ret_err = ERR_UPSTREAM_TOO_LARGE;
    else if (s.n >= total && !crc_matches(s.p, total - AWS_CRC_BYTES))
        *ret_err = ERR_UPSTREAM_PROTOCOL;
    else if (s.n >= total)
        return total;
    return 0;
}

/* Removes `n` bytes from the front of *s. False: there are fewer. */
static bool
aws_take(struct str *s, size_t n, struct str *ret)
{
    *ret = str_make(s->p, MIN(n, s->n));
    *s = str_skip(*s, n);
    return ret->n == n;
}

/* Removes one header. Only strings have a value here. */
static bool
aws_take_header(struct str *s, struct str *ret_name, struct str *ret_value)
{
    /* Bytes of a value, by its type: true, false, byte, short, int, long, bytes, string, time,
     * UUID */
    static const uint8_t sizes[] = { 0, 0, 1, 2, 4, 8, 0, 0, 8, 16 };
    enum { TYPE_BYTES = 6, TYPE_STRING = 7 };
    struct str head;

    if (!aws_take(s, 1, &head) || !aws_take(s, (unsigned char)head.p[0], ret_name) ||
        !aws_take(s, 1, &head) || (unsigned char)head.p[0] >= ARRAY_LEN(sizes))
        return false;

    unsigned type = (unsigned char)head.p[0];
    size_t size = sizes[type];

    if (type == TYPE_BYTES || type == TYPE_STRING) {
        if (!aws_take(s, 2, &head))
            return false;
        size = read_be(head.p, 2);
    }
    if (!aws_take(s, size, ret_value))
        return false;
    if (type != TYPE_STRING)
        *ret_value = S("");
    return true;
}

/* The event's name is its type; that of an exception the exception's ("throttlingException"); an
 * error that is neither is "error", and its text the data. */
static enum err
aws_parse(struct framing_reader *r, struct frame *f)
{
    size_t size = read_be(f->raw.p + 4, 4);
    struct str headers = str_make(f->raw.p + AWS_PRELUDE_BYTES + AWS_CRC_BYTES, size);
    struct str message_type = S("");
    struct str error = S("");

    (void)r;
    f->data = str_make(headers.p + headers.n, f->raw.n - AWS_AROUND_BYTES - size);
    f->has_data = true;
    while (headers.n != 0) {
        struct str name;
        struct str value;

        if (!aws_take_header(&headers, &name, &value))
            return ERR_UPSTREAM_PROTOCOL;
        if (str_eq(name, S(":message-type")))
            message_type = value;
        else if (str_eq(name, S(":event-type")) || str_eq(name, S(":exception-type")))
            f->event = value;
        else if (str_eq(name, S(":error-message")))
            error = value;
    }
    if (str_eq(message_type, S("error"))) {
        f->event = S("error");
        f->data = error;
    }
    return OK;
}

const struct framing framing_aws_events = {
    .name = S_INIT("aws-events"),
    .type = S_INIT("application/vnd.amazon.eventstream"),
    .begins = "",
    .find_end = aws_find_end,
    .parse = aws_parse,
};

static void
put_be(char *p, size_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (char)(v >> (24 - 8 * i) & 0xff);
}

static void
add_be(struct buf *out, size_t v)
{
    char bytes[4];

    put_be(bytes, v);
    buf_add(out, str_make(bytes, sizeof(bytes)));
}

static void
aws_add_header(struct buf *out, struct str name, struct str value)
{
    CHECK(name.n <= 255 && value.n <= 255);
    buf_add_c(out, (char)name.n);
    buf_add(out, name);
    buf_add(out, S("\7\0"));    /* a string, with two bytes of length */
    buf_add_c(out, (char)value.n);
    buf_add(out, value);
}

size_t
framing_aws_begin(struct buf *out, struct str type, struct str name)
{
    static const char prelude[AWS_PRELUDE_BYTES + AWS_CRC_BYTES] = { 0 };
    size_t begun = buf_len(out);
    size_t headers = begun + sizeof(prelude);

    buf_add(out, str_make(prelude, sizeof(prelude)));
    aws_add_header(
        out, str_eq(type, S("exception")) ? S(":exception-type") : S(":event-type"), name);
    aws_add_header(out, S(":content-type"), S("application/json"));
    aws_add_header(out, S(":message-type"), type);
    if (!out->overflow)
        put_be(out->p + out->head + begun + 4, buf_len(out) - headers);
    return begun;
}

void
framing_aws_end(struct buf *out, size_t begun)
{
    if (out->overflow)
        return;

    char *p = out->p + out->head + begun;

    put_be(p, buf_len(out) - begun + AWS_CRC_BYTES);
    put_be(p + AWS_PRELUDE_BYTES, crc32_z(0, (const Bytef *)p, AWS_PRELUDE_BYTES));
    add_be(out, crc32_z(0, (const Bytef *)p, buf_len(out) - begun));
}

/* --- the reader --- */

void
framing_init(struct framing_reader *r, const struct framing *framing, size_t limit_bytes)
{
    *r = (struct framing_reader){ .framing = framing, .limit_bytes = limit_bytes };
    buf_init(&r->pending, limit_bytes + STEP_BYTES);
    buf_init(&r->joined, limit_bytes);
}

void
framing_fini(struct framing_reader *r)
{
    buf_fini(&r->pending);
    buf_fini(&r->joined);
    r->search = (struct framing_search){ 0 };
}

/* Takes a frame apart and emits it. False: stop. */
static bool
emit_frame(struct framing_reader *r, struct str raw, frame_fn *emit, void *arg, enum err *ret_err)
{
    struct frame f = { .raw = raw };

    *ret_err = r->framing->parse(r, &f);
    r->started = true;
    r->search = (struct framing_search){ 0 };
    return *ret_err == OK && emit(arg, &f);
}

/* Appends to the incomplete frame. */
static enum err
keep(struct framing_reader *r, struct str bytes)
{
    buf_add(&r->pending, bytes);
    return r->pending.overflow ? ERR_NO_MEMORY : OK;
}

/* Length of the frame at the front of `s`, 0 when it is incomplete or *ret_err says why not. */
static size_t
find_end(struct framing_reader *r, struct str s, enum err *ret_err)
{
    *ret_err = OK;
    size_t end = r->framing->find_end(r, s, ret_err);

    if (*ret_err == OK && (end != 0 ? end : s.n) > r->limit_bytes)
        *ret_err = ERR_UPSTREAM_TOO_LARGE;
    return *ret_err == OK ? end : 0;
}

/* Completes the pending frame from the front of *bytes, as far as possible. Works in steps, so that
 * little of the next frame is copied. False: stop. */
static bool
finish_pending(
    struct framing_reader *r, struct str *bytes, frame_fn *emit, void *arg, enum err *ret_err)
{
    while (bytes->n != 0) {
        struct str step = str_make(bytes->p, MIN(bytes->n, STEP_BYTES));
        size_t had = buf_len(&r->pending);

        *ret_err = keep(r, step);
        if (*ret_err != OK)
            return false;

        size_t end = find_end(r, buf_str(&r->pending), ret_err);
        if (*ret_err != OK)
            return false;
        if (end != 0) {
            bool more = emit_frame(r, str_make(buf_str(&r->pending).p, end), emit, arg, ret_err);

            buf_reset(&r->pending, PENDING_KEEP_BYTES);
            *bytes = str_skip(*bytes, end - had);
            return more;
        }
        *bytes = str_skip(*bytes, step.n);
    }
    return true;
}

enum err
framing_feed(struct framing_reader *r, struct str bytes, frame_fn *emit, void *arg)
{
    enum err e = OK;

    if (bytes.n != 0 && buf_len(&r->pending) != 0 && !finish_pending(r, &bytes, emit, arg, &e))
        return e;
    while (bytes.n != 0) {
        size_t end = find_end(r, bytes, &e);

        if (e != OK)
            return e;
        if (end == 0)
            return keep(r, bytes);
        if (!emit_frame(r, str_make(bytes.p, end), emit, arg, &e))
            return e;
        bytes = str_skip(bytes, end);
    }
    return OK;
}

enum err
framing_end(struct framing_reader *r, frame_fn *emit, void *arg)
{
    enum err e = OK;

    if (buf_len(&r->pending) != 0 && r->framing->end_lines == 0)
        e = ERR_UPSTREAM_TRUNCATED;
    else if (buf_len(&r->pending) != 0)
        (void)emit_frame(r, buf_str(&r->pending), emit, arg, &e);
    buf_reset(&r->pending, 0);
    return e;
}

enum framing_shape
framing_tell(const struct framing *f, struct str first_bytes, bool says_stream, bool asked_stream)
{
    struct str s = str_trim(first_bytes);

    if (s.n == 0)
        return SHAPE_UNSURE;
    if (s.p[0] != '\0' && strchr(f->begins, s.p[0]) != NULL)
        return SHAPE_STREAM;
    if (f->like_document && s.p[0] == '{')
        return says_stream || asked_stream ? SHAPE_STREAM : SHAPE_DOCUMENT;
    if (memchr("{[<", s.p[0], 3) != NULL)
        return SHAPE_DOCUMENT;
    return says_stream ? SHAPE_STREAM : SHAPE_DOCUMENT;
}

void
framing_close(const struct framing *f, struct buf *out)
{
    for (int i = str_ends(buf_str(out), S("\n")) ? 1 : 0; i < f->end_lines; i++)
        buf_add_c(out, '\n');
}
