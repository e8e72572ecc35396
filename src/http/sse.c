/* sse.c - finds the ends of events, and the fields in them.
 *
 * An event ends at an empty line after at least one non-empty line; empty lines before it count as
 * part of its raw bytes. Line ends are found with memchr(), and each byte is scanned once, even if
 * a data line of several megabytes arrives in small pieces.
 *
 * The CR of an empty line may be followed by an LF that has not arrived yet. The parser waits for
 * it, unless the previous line ended with a CR alone: such a server sends no LF, and waiting would
 * delay each event until the next one arrives.
 */
#include "http/sse.h"

/* Limits how far a search for an LF scans, so that streams whose lines end with CR alone take linear
 * time. */
enum { WINDOW_BYTES = 512 };

enum {
    STEP_BYTES = 2048,           /* copied per step to an incomplete event */
    PENDING_KEEP_BYTES = 512,    /* what an idle stream may keep */
};

typedef bool emit_fn(void *arg, const struct sse_frame *frame);

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

/* Length of the event at the front of `s`, including its empty line; 0 if it is incomplete. */
static size_t
find_event_end(struct str s, struct sse_search *search)
{
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
add_data(struct buf *joined, struct sse_frame *frame, struct str value)
{
    if (!frame->has_data) {
        frame->has_data = true;
        frame->data = value;
        return;
    }
    if (buf_len(joined) == 0)
        buf_add(joined, frame->data);
    buf_add_c(joined, '\n');
    buf_add(joined, value);
    frame->data = buf_str(joined);
}

static void
take_field(struct buf *joined, struct sse_frame *frame, struct str line)
{
    struct str name;
    struct str value;

    (void)str_cut(line, ':', &name, &value);
    if (value.n != 0 && value.p[0] == ' ')
        value = str_skip(value, 1);

    if (str_eq(name, S("data")))
        add_data(joined, frame, value);
    else if (str_eq(name, S("event")))
        frame->event = value;
    else if (str_eq(name, S("error")))
        frame->error = value;
}

/* Parses the fields of a complete event and emits it. False: the callback asked to stop. */
static bool
emit_event(struct sse_reader *r, struct str raw, emit_fn *emit, void *arg, enum err *ret_err)
{
    struct sse_frame frame = { .raw = raw };
    struct str rest = raw;

    if (!r->started && str_starts(rest, S("\xEF\xBB\xBF")))
        rest = str_skip(rest, 3);
    r->started = true;
    buf_reset(&r->joined, 0);
    while (rest.n != 0) {
        struct str line = take_line(&rest);

        if (line.n != 0)
            take_field(&r->joined, &frame, line);
    }
    r->search = (struct sse_search){ 0 };
    if (r->joined.overflow) {
        *ret_err = ERR_NO_MEMORY;
        return false;
    }
    return emit(arg, &frame);
}

void
sse_init(struct sse_reader *r, size_t limit_bytes)
{
    *r = (struct sse_reader){ .started = false };
    r->limit_bytes = limit_bytes;
    buf_init(&r->pending, limit_bytes + STEP_BYTES);
    buf_init(&r->joined, limit_bytes);
}

void
sse_fini(struct sse_reader *r)
{
    buf_fini(&r->pending);
    buf_fini(&r->joined);
    r->search = (struct sse_search){ 0 };
}

/* Appends to the incomplete event. */
static enum err
keep(struct sse_reader *r, struct str bytes)
{
    buf_add(&r->pending, bytes);
    return r->pending.overflow ? ERR_NO_MEMORY : OK;
}

/* Completes the pending event from the front of *bytes, as far as possible. Works in steps, so that
 * little of the next event is copied. False: stop. */
static bool
finish_pending(struct sse_reader *r, struct str *bytes, emit_fn *emit, void *arg, enum err *ret_err)
{
    while (bytes->n != 0) {
        struct str step = str_make(bytes->p, MIN(bytes->n, STEP_BYTES));
        size_t had = buf_len(&r->pending);

        *ret_err = keep(r, step);
        if (*ret_err != OK)
            return false;

        size_t end = find_event_end(buf_str(&r->pending), &r->search);
        if ((end != 0 ? end : had + step.n) > r->limit_bytes) {
            *ret_err = ERR_UPSTREAM_TOO_LARGE;
            return false;
        }
        if (end != 0) {
            bool more = emit_event(r, str_make(buf_str(&r->pending).p, end), emit, arg, ret_err);

            buf_reset(&r->pending, PENDING_KEEP_BYTES);
            *bytes = str_skip(*bytes, end - had);
            return more;
        }
        *bytes = str_skip(*bytes, step.n);
    }
    return true;
}

enum err
sse_feed(struct sse_reader *r, struct str bytes, emit_fn *emit, void *arg)
{
    enum err e = OK;

    if (bytes.n != 0 && buf_len(&r->pending) != 0 && !finish_pending(r, &bytes, emit, arg, &e))
        return e;
    while (bytes.n != 0) {
        size_t end = find_event_end(bytes, &r->search);

        if ((end != 0 ? end : bytes.n) > r->limit_bytes)
            return ERR_UPSTREAM_TOO_LARGE;
        if (end == 0)
            return keep(r, bytes);
        if (!emit_event(r, str_make(bytes.p, end), emit, arg, &e))
            return e;
        bytes = str_skip(bytes, end);
    }
    return OK;
}

enum err
sse_end(struct sse_reader *r, emit_fn *emit, void *arg)
{
    enum err e = OK;

    if (buf_len(&r->pending) != 0)
        (void)emit_event(r, buf_str(&r->pending), emit, arg, &e);
    buf_reset(&r->pending, 0);
    return e;
}
