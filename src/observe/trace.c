/* trace.c - parses and creates traceparent. */
#include "observe/trace.h"

#include "base/clock.h"
#include "base/digest.h"

#define REQUEST_ID_BYTES 12

static bool
is_lower_hex(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return true;
}

static bool
all_zero(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '0')
            return false;
    return true;
}

/* "00-<32 hex>-<16 hex>-<2 hex>". Later versions may be longer; their first 55 characters are
 * read. */
static bool
parent_valid(struct str s)
{
    if (s.n < TRACE_PARENT_BYTES || s.p[2] != '-' || s.p[35] != '-' || s.p[52] != '-')
        return false;
    struct str version = str_make(s.p, 2), id = str_make(s.p + 3, TRACE_ID_HEX),
               span = str_make(s.p + 36, 16), flags = str_make(s.p + 53, 2);
    if (!is_lower_hex(version) || !is_lower_hex(id) || !is_lower_hex(span) || !is_lower_hex(flags))
        return false;
    if (str_eq(version, S("ff")) || all_zero(id) || all_zero(span))
        return false;
    if (str_eq(version, S("00")))
        return s.n == TRACE_PARENT_BYTES;
    return s.n == TRACE_PARENT_BYTES || s.p[TRACE_PARENT_BYTES] == '-';
}

/* Writes 2 * `bytes` characters and a NUL; `bytes` is at most 16. Never all zeros, which is invalid
 * as an id. */
static void
random_hex(char *out, size_t bytes)
{
    uint64_t raw[2] = { clock_random_u64() | 1, clock_random_u64() | 1 };

    CHECK(bytes <= sizeof(raw));
    digest_hex((const uint8_t *)raw, bytes, out);
}

void
trace_begin(struct trace *t, struct str traceparent, struct str tracestate)
{
    char span[17];
    bool ours = !parent_valid(traceparent);

    if (ours)
        random_hex(t->id, 16);
    else
        str_copy_c(t->id, sizeof(t->id), str_make(traceparent.p + 3, TRACE_ID_HEX));
    t->state = ours || tracestate.n > 512 ? S("") : tracestate;
    random_hex(span, 8);
    memcpy(t->parent, "00-", 3);
    memcpy(t->parent + 3, t->id, TRACE_ID_HEX);
    t->parent[35] = '-';
    memcpy(t->parent + 36, span, 16);
    memcpy(t->parent + 52, "-00", 4);
    if (!ours)
        memcpy(t->parent + 53, traceparent.p + 53, 2);
}

struct str
trace_request_id(struct arena *a, struct str given)
{
    if (given.n >= 1 && given.n <= 128 && str_has_only(given, "._:-"))
        return arena_str(a, given);

    char *id = arena_alloc(a, sizeof("req_") + 2 * REQUEST_ID_BYTES, 1);
    memcpy(id, "req_", 4);
    random_hex(id + 4, REQUEST_ID_BYTES);
    return str_make(id, 4 + 2 * REQUEST_ID_BYTES);
}
