/* sigv4.c - the canonical form of a request, and the signature of its hash. */
#include "sign/sigv4.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/url.h"

#define CANONICAL_BYTES (1024u * 1024)
#define STAMP_BYTES 16    /* "20150830T123600Z" */
#define DAY_BYTES 8
#define HEX_BYTES (2 * DIGEST_SHA256_BYTES + 1)

/* "2015-08-30T12:36:00.000Z" without what is between the figures. */
static struct str
stamp(uint64_t wall_ms, char out[STAMP_BYTES])
{
    char room[CLOCK_STAMP_ROOM];
    struct str long_form = clock_stamp(wall_ms, room);
    size_t n = 0;

    for (size_t i = 0; i < long_form.n && n < STAMP_BYTES - 1; i++)
        if (long_form.p[i] != '-' && long_form.p[i] != ':')
            out[n++] = long_form.p[i];
    out[n++] = 'Z';
    return str_make(out, n);
}

/* Encodes everything that is not unreserved or one of `kept`. */
static void
add_encoded(struct buf *b, struct str s, const char *kept)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (url_is_unreserved(c) || (c != '\0' && strchr(kept, c) != NULL)) {
            buf_add_c(b, c);
        } else {
            char escape[] = { '%', digits[(unsigned char)c >> 4], digits[(unsigned char)c & 0xf] };

            buf_add(b, str_make(escape, sizeof(escape)));
        }
    }
}

/* The path without empty segments and those of dots, encoded a second time. */
static void
add_path(struct buf *b, struct str path)
{
    size_t begin = buf_len(b);
    struct str left = path, segment = S("");

    while (left.n != 0) {
        (void)str_cut(left, '/', &segment, &left);
        if (str_eq(segment, S(".."))) {
            struct str so_far = str_skip(buf_str(b), begin);

            while (so_far.n != 0 && so_far.p[so_far.n - 1] != '/')
                so_far.n--;
            buf_truncate(b, begin + so_far.n - (so_far.n != 0));
        } else if (segment.n != 0 && !str_eq(segment, S("."))) {
            buf_add_c(b, '/');
            add_encoded(b, segment, "");
        }
    }
    bool slash = str_ends(path, S("/")) || str_eq(segment, S(".")) || str_eq(segment, S(".."));
    if (buf_len(b) == begin || slash)
        buf_add_c(b, '/');
}

/* --- sorted lists --- */

struct sigv4_pair {
    struct str name, value;
    size_t number;    /* equal ones stay in order */
};

static int
compare_values(const void *a, const void *b)
{
    const struct sigv4_pair *x = a, *y = b;
    int order = str_cmp(x->name, y->name);

    return order != 0 ? order : str_cmp(x->value, y->value);
}

static int
compare_order(const void *a, const void *b)
{
    const struct sigv4_pair *x = a, *y = b;
    int order = str_cmp(x->name, y->name);

    return order != 0 ? order : x->number < y->number ? -1 : 1;
}

static struct sigv4_pair *
pairs_try(struct arena *a, struct str text, char separator, size_t more)
{
    size_t count = more + 1;

    for (size_t i = 0; i < text.n; i++)
        count += text.p[i] == separator;
    return arena_try(a, count * sizeof(struct sigv4_pair));
}

static bool
add_query(struct buf *b, struct str query, struct arena *scratch)
{
    struct sigv4_pair *list = pairs_try(scratch, query, '&', 0);
    size_t n = 0;

    if (list == NULL)
        return false;
    while (query.n != 0) {
        struct str parameter;

        (void)str_cut(query, '&', &parameter, &query);
        list[n] = (struct sigv4_pair){ .number = n };
        (void)str_cut(parameter, '=', &list[n].name, &list[n].value);
        n += parameter.n != 0;
    }
    qsort(list, n, sizeof(*list), compare_values);
    for (size_t i = 0; i < n; i++) {
        if (i != 0)
            buf_add_c(b, '&');
        add_encoded(b, list[i].name, "%");
        buf_add_c(b, '=');
        add_encoded(b, list[i].value, "%");
    }
    return true;
}

/* A value without the blanks around it, and with single ones in it. */
static void
add_value(struct buf *b, struct str value)
{
    value = str_trim(value);
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] != ' ' || value.p[i - 1] != ' ')
            buf_add_c(b, value.p[i]);
}

static struct str
lower_case(struct arena *a, struct str s)
{
    char *room = arena_try(a, s.n + 1);

    for (size_t i = 0; room != NULL && i < s.n; i++)
        room[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
    return str_make(room, room != NULL ? s.n : 0);
}

/* Appends the fields to `b`, and their names to `names`: "host;x-amz-date". */
static bool
add_fields(struct buf *b, struct buf *names, struct str lines, struct str host, struct str date,
    struct str session, struct arena *scratch)
{
    struct sigv4_pair *list = pairs_try(scratch, lines, '\n', 3);
    size_t n = 0;

    if (list == NULL)
        return false;
    list[n++] = (struct sigv4_pair){ .name = S("host"), .value = host };
    list[n++] = (struct sigv4_pair){ .name = S("x-amz-date"), .value = date };
    if (session.n != 0)
        list[n++] = (struct sigv4_pair){ .name = S("x-amz-security-token"), .value = session };
    while (lines.n != 0) {
        struct str line, name, value;

        (void)str_cut(lines, '\n', &line, &lines);
        if (!str_cut(line, ':', &name, &value))
            continue;
        name = lower_case(scratch, str_trim(name));
        if (name.n == 0)
            return false;
        list[n] = (struct sigv4_pair){ .name = name, .value = value, .number = n };
        n++;
    }
    qsort(list, n, sizeof(*list), compare_order);
    for (size_t i = 0; i < n; i++) {
        bool again = i != 0 && str_eq(list[i].name, list[i - 1].name);

        if (again) {
            buf_truncate(b, buf_len(b) - 1);
            buf_add_c(b, ',');
        } else {
            buf_add(b, list[i].name);
            buf_add_c(b, ':');
            if (i != 0)
                buf_add_c(names, ';');
            buf_add(names, list[i].name);
        }
        add_value(b, list[i].value);
        buf_add_c(b, '\n');
    }
    return true;
}

/* --- the signature --- */

/* The key for one day, region and service. */
static void
derive_key(const struct sigv4_key *key, struct str day, struct str region, struct str service,
    struct arena *scratch, uint8_t out[DIGEST_SHA256_BYTES])
{
    const struct str parts[] = { day, region, service, S("aws4_request") };
    struct str from = arena_printf(scratch, "AWS4" STR_FMT, STR_ARG(key->secret));

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        digest_hmac_sha256(from, parts[i], out);
        from = str_make((const char *)out, DIGEST_SHA256_BYTES);
    }
}

static void
add_canonical_begin(struct buf *b, const struct sigv4_request *q, struct str path)
{
    buf_add(b, q->method);
    buf_add_c(b, '\n');
    if (q->plain_path)
        buf_add(b, path);
    else
        add_path(b, path);
    buf_add_c(b, '\n');
}

bool
sigv4_sign(struct buf *out, const struct sigv4_request *q, const struct sigv4_key *key,
    struct str region, struct str service, uint64_t wall_ms, struct arena *scratch)
{
    char stamp_room[STAMP_BYTES], hex[HEX_BYTES];
    uint8_t digest[DIGEST_SHA256_BYTES], day_key[DIGEST_SHA256_BYTES];
    struct str date = stamp(wall_ms, stamp_room), day = str_make(date.p, DAY_BYTES);
    struct str path, query;
    struct buf text, names;

    buf_init(&text, CANONICAL_BYTES);
    buf_init(&names, CANONICAL_BYTES);
    (void)str_cut(q->target, '?', &path, &query);
    add_canonical_begin(&text, q, path);
    bool ok = add_query(&text, query, scratch);
    buf_add_c(&text, '\n');
    ok = ok && add_fields(&text, &names, q->fields, q->host, date, key->session, scratch);
    buf_add_c(&text, '\n');
    buf_add(&text, buf_str(&names));
    buf_add_c(&text, '\n');
    digest_sha256_pieces(q->body, q->body_count, digest);
    digest_hex(digest, sizeof(digest), hex);
    buf_add(&text, str_c(hex));
    ok = ok && !text.overflow && !names.overflow;

    digest_sha256(buf_str(&text), digest);
    digest_hex(digest, sizeof(digest), hex);
    struct str scope = arena_printf(scratch, STR_FMT "/" STR_FMT "/" STR_FMT "/aws4_request",
        STR_ARG(day), STR_ARG(region), STR_ARG(service));
    struct str to_sign = arena_printf(scratch, "AWS4-HMAC-SHA256\n" STR_FMT "\n" STR_FMT "\n%s",
        STR_ARG(date), STR_ARG(scope), hex);
    derive_key(key, day, region, service, scratch, day_key);
    digest_hmac_sha256(str_make((const char *)day_key, sizeof(day_key)), to_sign, digest);
    digest_hex(digest, sizeof(digest), hex);

    buf_printf(out, "X-Amz-Date: " STR_FMT "\r\n", STR_ARG(date));
    if (key->session.n != 0)
        buf_printf(out, "X-Amz-Security-Token: " STR_FMT "\r\n", STR_ARG(key->session));
    buf_printf(out,
        "Authorization: AWS4-HMAC-SHA256 Credential=" STR_FMT "/" STR_FMT ", SignedHeaders=" STR_FMT
        ", Signature=%s\r\n",
        STR_ARG(key->id), STR_ARG(scope), STR_ARG(buf_str(&names)), hex);
    buf_fini(&text);
    buf_fini(&names);
    return ok && !out->overflow;
}
