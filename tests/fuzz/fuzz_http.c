/* fuzz_http.c - heads and chunked bodies: no crash, the same however the bytes are cut, and nothing
 * is taken that another parser could read differently.
 *
 * The first byte says whether it is a request or an answer (bit 0) and how the rest is cut.
 */
#include <stdint.h>
#include <stdlib.h>

#include "http/chunked.h"
#include "http/h1.h"

enum { FIELDS_ROOM = 24, HEAD_ROOM = 2048 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits limits = { .head_bytes = HEAD_ROOM, .line_bytes = 512, .fields = 20 };

struct outcome {
    enum err err;
    bool complete;
    size_t end;    /* of the head */
    struct h1_scan scan;
    struct h1_head head;
    struct http_field fields[FIELDS_ROOM];
    bool body_ok;
    bool body_done;
    uint64_t body_hash;
    size_t body_n;
    size_t taken;    /* bytes of the body, framing included */
};

static void
hash_bytes(struct outcome *o, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        o->body_hash = (o->body_hash ^ (unsigned char)s.p[i]) * 1099511628211u;
    o->body_n += s.n;
}

static void
read_chunked(struct outcome *o, struct str bytes, size_t step)
{
    struct chunked c = { 0 };
    size_t start = bytes.n;

    o->body_ok = true;
    while (bytes.n != 0 && o->body_ok && !chunked_done(&c)) {
        struct str part = str_make(bytes.p, MIN(step, bytes.n));
        size_t before = part.n;

        while (part.n != 0 && o->body_ok && !chunked_done(&c)) {
            struct str run;
            const char *why = NULL;

            o->body_ok = chunked_decode(&c, &part, &run, &why);
            CHECK(o->body_ok || why != NULL);
            if (o->body_ok)
                hash_bytes(o, run);
        }
        bytes = str_make(bytes.p + before - part.n, bytes.n - before + part.n);
    }
    o->body_done = chunked_done(&c);
    o->taken = start - bytes.n;
}

static void
read_message(struct outcome *o, struct str bytes, bool response, size_t step)
{
    const char *why = NULL;

    *o = (struct outcome){ .scan.response = response };
    for (size_t n = MIN(step, bytes.n);; n = MIN(n + step, bytes.n)) {
        o->err = h1_scan(&o->scan, str_make(bytes.p, n), &limits, &o->end, &why);
        if (o->err != OK || o->end != 0 || n == bytes.n)
            break;
    }
    CHECK(o->err == OK || why != NULL);
    if (o->err != OK || o->end == 0)
        return;

    struct str head = str_make(bytes.p + o->scan.start, o->end - o->scan.start);
    CHECK(o->scan.lines - 1 <= limits.fields && head.n <= HEAD_ROOM);
    o->err = response ? h1_parse_response(head, o->fields, o->scan.lines - 1, false, &o->head, &why)
                      : h1_parse_request(head, o->fields, o->scan.lines - 1, &o->head, &why);
    CHECK(o->err == OK || why != NULL);
    o->complete = o->err == OK;
    if (o->complete && o->head.head.chunked)
        read_chunked(o, str_skip(bytes, o->end), step);
}

/* What must be true of the bytes of any head that was taken, found out in the simplest way. */
static void
check_bytes(struct str head)
{
    for (size_t i = 0; i < head.n; i++) {
        unsigned char c = (unsigned char)head.p[i];

        CHECK(c != '\n' || (i > 0 && head.p[i - 1] == '\r'));
        CHECK(c != '\r' || (i + 1 < head.n && head.p[i + 1] == '\n'));
        CHECK(c >= 0x20 || c == '\r' || c == '\n' || c == '\t');
        CHECK(c != 0x7f);
        if (c == '\n' && i + 1 < head.n)
            CHECK(head.p[i + 1] != ' ' && head.p[i + 1] != '\t');
    }
}

static void
check_fields(const struct outcome *o, bool response)
{
    const struct http_head *h = &o->head.head;
    unsigned lengths = 0;
    unsigned codings = 0;
    unsigned hosts = 0;

    CHECK(h->fields.count == o->scan.lines - 1);
    for (size_t i = 0; i < h->fields.count; i++) {
        const struct http_field *f = &h->fields.list[i];

        CHECK(f->name.n != 0 && f->value.p != NULL);
        for (size_t j = 0; j < f->name.n; j++)
            CHECK(f->name.p[j] > ' ' && f->name.p[j] != ':' && f->name.p[j] < 0x7f);
        lengths += str_ieq(f->name, S("content-length"));
        codings += str_ieq(f->name, S("transfer-encoding"));
        hosts += str_ieq(f->name, S("host"));
    }
    CHECK(lengths <= 1 && codings <= 1 && lengths + codings <= 1);
    CHECK((h->content_length >= 0) == (lengths == 1) && h->chunked == (codings == 1));
    CHECK(!h->chunked || !o->head.http10);
    if (response) {
        CHECK(h->status >= 100 && h->status <= 599);
    } else {
        CHECK(hosts == 1 || (hosts == 0 && o->head.http10));
        CHECK(h->path.n != 0 && (h->path.p[0] == '/' || str_eq(h->path, S("*"))));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole;
    static struct outcome cut;

    if (size == 0)
        return 0;
    bool response = (data[0] & 1) != 0;
    struct str bytes = str_make((const char *)data + 1, size - 1);

    read_message(&whole, bytes, response, MAX(bytes.n, 1));
    read_message(&cut, bytes, response, (size_t)(data[0] >> 1) % 16 + 1);

    if (whole.err == OK && !whole.complete)
        return 0;    /* no end yet; the other one may have seen early that it is hopeless */
    CHECK(whole.complete == cut.complete);
    if (!whole.complete)
        return 0;
    CHECK(whole.end == cut.end);
    check_bytes(str_make(bytes.p + whole.scan.start, whole.end - whole.scan.start));
    check_fields(&whole, response);
    CHECK(whole.head.head.fields.count == cut.head.head.fields.count);
    CHECK(whole.head.head.content_length == cut.head.head.content_length);
    CHECK(whole.body_ok == cut.body_ok && whole.body_done == cut.body_done);
    CHECK(whole.body_n == cut.body_n && whole.body_hash == cut.body_hash);
    CHECK(!whole.body_done || whole.taken == cut.taken);
    return 0;
}
