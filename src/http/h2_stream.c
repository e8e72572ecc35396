/* h2_stream.c - one request and its response on a shared connection. Knows nothing about frames. */
#include "http/h2_stream.h"

#include <stdlib.h>

enum { FIELDS_STEP = 16 };

static void
stream_free(void *arg)
{
    struct h2_stream *s = arg;

    buf_fini(&s->rest);
    buf_fini(&s->text);
    buf_fini(&s->kept);
    free(s->fields);
    free(s);
}

struct h2_stream *
h2_stream_create(struct loop *l, const struct client_request *q,
    const struct h2_stream_events *events, void *owner)
{
    struct h2_stream *s = check_alloc(calloc(1, sizeof(*s)));

    s->loop = l;
    s->request = q;
    s->events = events;
    s->owner = owner;
    s->later = (struct deferred){ .fn = stream_free, .arg = s };
    for (size_t i = 0; i < q->body_count; i++)
        s->left += q->body[i].n;
    buf_init(&s->rest, SIZE_MAX / 2);
    buf_init(&s->text, SIZE_MAX / 2);    /* bounded by the limit of heads */
    buf_init(&s->kept, H2_STREAM_WINDOW);
    return s;
}

void
h2_stream_release(struct h2_stream *s)
{
    CHECK(s->h2 == NULL);
    s->gone = true;
    loop_defer(s->loop, &s->later);
}

/* --- the request's head --- */

/* Fields that HTTP/2 expresses otherwise or forbids. */
static bool
is_of_connection(struct str name)
{
    static const struct str names[] = {
        S_INIT("connection"),
        S_INIT("content-length"),    /* ours */
        S_INIT("expect"),
        S_INIT("host"),
        S_INIT("http2-settings"),
        S_INIT("keep-alive"),
        S_INIT("proxy-authorization"),
        S_INIT("proxy-connection"),
        S_INIT("te"),
        S_INIT("transfer-encoding"),
        S_INIT("upgrade"),
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_ieq(name, names[i]))
            return true;
    }
    return false;
}

bool
h2_stream_is_secret(struct str name)
{
    return str_ieq(name, S("authorization")) ||
           (name.n > 4 && str_ieq(str_skip(name, name.n - 4), S("-key")));
}

bool
h2_stream_next_field(struct str *fields, struct http_field *ret)
{
    struct str line;

    while (fields->n != 0) {
        (void)str_cut(*fields, '\n', &line, fields);
        (void)str_cut(line, ':', &ret->name, &ret->value);
        ret->value = str_trim(ret->value);
        if (ret->name.n != 0 && !is_of_connection(ret->name))
            return true;
    }
    return false;
}

/* --- the request's body --- */

size_t
h2_stream_next(const struct h2_stream *s, size_t room)
{
    return s->unwanted ? 0 : (size_t)MIN(s->left, (uint64_t)room);
}

void
h2_stream_take(struct h2_stream *s, size_t n, struct buf *out)
{
    const struct client_request *q = s->request;

    CHECK(n <= s->left);
    s->left -= n;
    if (buf_len(&s->rest) != 0) {
        buf_add(out, str_make(buf_str(&s->rest).p, n));
        buf_consume(&s->rest, n);
        return;
    }
    while (n != 0) {
        struct str rest = str_skip(q->body[s->piece], s->piece_at);
        size_t part = MIN(rest.n, n);

        buf_add(out, str_make(rest.p, part));
        n -= part;
        s->piece_at += part;
        if (part == rest.n) {
            s->piece++;
            s->piece_at = 0;
        }
    }
}

/* The final head arrived while the request is being sent: its pieces may be freed from now on. */
static bool
answered_early(struct h2_stream *s)
{
    uint64_t left = s->left;

    if (left == 0)
        return true;
    if (s->head.status >= 300) {
        s->unwanted = true;    /* an error: the server does not want the rest */
        return true;
    }
    struct buf rest;    /* the response may depend on it */
    buf_init(&rest, SIZE_MAX / 2);
    h2_stream_take(s, (size_t)left, &rest);
    s->left = left;
    s->unwanted = rest.overflow;
    buf_fini(&s->rest);
    s->rest = rest;
    return !rest.overflow;
}

/* --- the answer's head --- */

void
h2_stream_begin_head(struct h2_stream *s)
{
    s->answered = true;
    if (s->head_came)
        return;    /* trailers are ignored */
    s->status = 0;
    s->fields_n = 0;
    buf_reset(&s->text, SIZE_MAX);
}

static bool
add_field(struct h2_stream *s, struct str name, struct str value)
{
    if (s->fields_n == s->fields_room) {
        size_t room = s->fields_room + FIELDS_STEP;
        struct http_field *grown = realloc(s->fields, room * sizeof(*grown));

        if (grown == NULL)
            return false;
        s->fields = grown;
        s->fields_room = room;
    }
    s->fields[s->fields_n++] = (struct http_field){ { NULL, name.n }, { NULL, value.n } };
    buf_add(&s->text, name);
    buf_add(&s->text, value);
    return !s->text.overflow;
}

const char *
h2_stream_field(
    struct h2_stream *s, struct str name, struct str value, const struct h2_limits *limits)
{
    uint64_t status;

    if (s->head_came)
        return NULL;
    if (str_eq(name, S(":status"))) {
        if (!str_u64(value, &status) || status < 100 || status > 599 || status == 101)
            return "a status out of range";
        s->status = (int)status;
        return NULL;
    }
    value = str_trim(value);
    if (s->fields_n == limits->fields)
        return "too many fields in the head";
    if (name.n + value.n > limits->head_bytes ||
        buf_len(&s->text) > limits->head_bytes - name.n - value.n)
        return "the head is too long";
    return add_field(s, name, value) ? NULL : "out of memory";
}

/* The buffer does not move any more: points the fields into it. */
static void
settle_fields(struct h2_stream *s)
{
    const char *p = buf_str(&s->text).p;
    uint64_t length;

    s->head = (struct http_head){
        .status = s->status,
        .fields = { .list = s->fields, .count = s->fields_n },
        .content_length = -1,
        .keep_alive = true,
    };
    for (size_t i = 0; i < s->fields_n; i++) {
        struct http_field *f = &s->fields[i];

        f->name.p = p;
        f->value.p = p + f->name.n;
        p += f->name.n + f->value.n;
        if (str_eq(f->name, S("content-length")) && str_u64(f->value, &length) &&
            length <= INT64_MAX)
            s->head.content_length = (int64_t)length;
    }
}

const char *
h2_stream_end_head(struct h2_stream *s)
{
    if (s->head_came)
        return NULL;
    if (s->status < 200)
        return ++s->interim > H2_INTERIM_MAX ? "too many interim answers" : NULL;
    s->head_came = true;
    settle_fields(s);
    return answered_early(s) ? NULL : "out of memory";
}

/* --- to the owner --- */

static bool
wants_more(const struct h2_stream *s)
{
    return !s->gone && !s->paused;
}

bool
h2_stream_data(struct h2_stream *s, struct str bytes)
{
    if (s->paused || buf_len(&s->kept) != 0) {
        buf_add(&s->kept, bytes);
        if (s->kept.overflow)
            return false;
        if (s->paused && s->events->kept != NULL)
            s->events->kept(s->owner);    /* may end the stream */
        return true;
    }
    s->events->data(s->owner, bytes);
    h2_stream_consumed(s, bytes.n);
    return true;
}

void
h2_stream_break(struct h2_stream *s, enum err why, const char *detail, enum client_fate fate)
{
    if (s->broken || s->complete)
        return;
    s->broken = true;
    s->why = why;
    s->fate = fate;
    str_copy_c(s->detail, sizeof(s->detail), str_c(detail));
}

/* What was buffered, in one piece; more may be buffered during the callback. */
static void
deliver_kept(struct h2_stream *s)
{
    struct buf kept = s->kept;

    buf_init(&s->kept, H2_STREAM_WINDOW);
    s->events->data(s->owner, buf_str(&kept));
    h2_stream_consumed(s, buf_len(&kept));
    buf_fini(&kept);
}

void
h2_stream_deliver(struct h2_stream *s)
{
    if (s->head_came && !s->head_told && wants_more(s)) {
        s->head_told = true;
        s->events->head(s->owner, &s->head);
    }
    if (buf_len(&s->kept) != 0 && wants_more(s))
        deliver_kept(s);
    if (!wants_more(s) || !(s->complete || s->broken))
        return;

    if (s->h2 != NULL)
        h2_stream_detach(s);
    h2_stream_release(s);
    if (s->complete)
        s->events->end(s->owner);
    else
        s->events->failed(s->owner, s->why, s->detail, s->fate);
}
