/* json.c - one pass over the text, no recursion, no copies.
 *
 * Open containers are frames on an explicit stack; nodes are one array that grows at the end of the
 * arena. Keys must be unique: each open object keeps a 64-bit filter of its keys, so that ordinary
 * objects need no comparison, and a seeded hash set once it is large, so that hostile ones stay
 * linear. The sets come from malloc(): only the nodes outlive the parse, and they can grow in
 * place only while nothing is allocated after them in the arena. Reading values out of the nodes is
 * json_read.c's work.
 */
#include "base/json.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json_scan.h"

enum {
    NODES_FIRST = 32,
    FRAMES_FIRST = 32,
    SET_FROM = 32,    /* number of members at which an object gets a set */
    SET_SLOTS_FIRST = 128,
    SET_GROWTH = 4,
};

/* An open container. */
struct json_frame {
    uint64_t filter;    /* of its keys: key_bit() */
    uint32_t *set;      /* open addressing: indices of key nodes, 0 is free; or NULL */
    uint32_t slots;     /* a power of two */
    uint32_t node;
    uint32_t count;    /* members so far */
};

struct parser {
    struct arena *a;
    const char *start;
    const char *end;
    struct json *nodes;
    uint32_t n;
    uint32_t cap;
    uint32_t depth;    /* open containers; frames[depth - 1] is the innermost */
    uint32_t frames_cap;
    struct json_frame *frames;
    struct json_limits limits;
    struct json_error error;
    struct json_frame first_frames[FRAMES_FIRST];
};

/* Both return NULL, which is "no next position". */
static COLD const char *
fail(struct parser *s, const char *at, const char *what)
{
    s->error = (struct json_error){ .what = what, .offset = (size_t)(at - s->start) };
    return NULL;
}

static COLD const char *
fail_limit(struct parser *s, const char *at, const char *what)
{
    (void)fail(s, at, what);
    s->error.limit = true;
    return NULL;
}

static INLINED const char *
skip_blanks(const char *p, const char *end)
{
    while (p != end && (unsigned char)*p <= ' ') {
        if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t')
            break;
        p++;
        while (end - p >= 8 && *p == ' ' && json_load64(p) == JSON_ONES * ' ')    /* indentation */
            p += 8;
    }
    return p;
}

/* More room for nodes; false with an error at `at`. */
static NOINLINE bool
grow_nodes(struct parser *s, const char *at)
{
    if (s->cap >= s->limits.values) {
        (void)fail_limit(s, at, "more values than allowed");
        return false;
    }

    uint32_t cap = s->cap == 0 ? NODES_FIRST : s->cap <= UINT32_MAX / 2 ? s->cap * 2 : UINT32_MAX;
    cap = MIN(cap, s->limits.values);
    void *nodes =
        arena_grow(s->a, s->nodes, s->cap * sizeof(struct json), cap * sizeof(struct json));
    if (nodes == NULL) {
        (void)fail_limit(s, at, "more memory than allowed");
        return false;
    }
    s->nodes = nodes;
    s->cap = cap;
    return true;
}

/* Appends a node that starts at `p`; NULL with an error. The pointer is good until the next one. */
static INLINED struct json *
add_node(struct parser *s, const char *p, enum json_type type)
{
    if (UNLIKELY(s->n == s->cap) && !grow_nodes(s, p))
        return NULL;

    struct json *node = &s->nodes[s->n++];
    *node = (struct json){ .p = p, .span = 1, .type = type & 7 };
    return node;
}

/* Scalars. Each reads the value at `p`, appends its node, and returns what follows it. */

/* Where the run of valid sequences beyond ASCII that starts at `p` ends; NULL with an error. */
static const char *
skip_utf8(struct parser *s, const char *p)
{
    do {
        int n = json_utf8_step(p, s->end);

        if (n < 0)
            return fail(s, p, "a string that is not UTF-8");
        p += n;
    } while (p != s->end && (unsigned char)*p >= 0x80);
    return p;
}

/* Checks the escape whose backslash is at `p`; returns what follows it. */
static const char *
skip_escape(struct parser *s, const char *p)
{
    if (s->end - p < 2)
        return fail(s, s->end, "the text ends inside a string");
    if (p[1] != 'u') {
        if (p[1] == '\0' || strchr("\"\\/bfnrt", p[1]) == NULL)
            return fail(s, p, "an invalid escape");
        return p + 2;
    }
    for (int i = 2; i < 6; i++) {
        if (s->end - p <= i)
            return fail(s, s->end, "the text ends inside a string");
        if (str_hex_digit(p[i]) < 0)
            return fail(s, p, "expected four hexadecimal digits after '\\u'");
    }
    return p + 6;
}

static INLINED const char *
read_string(struct parser *s, const char *p)
{
    struct json *node = add_node(s, p, JSON_STRING);

    if (node == NULL)
        return NULL;
    p++;
    for (;;) {
        p = json_skip_plain(p, s->end);
        if (UNLIKELY(p == s->end))
            return fail(s, p, "the text ends inside a string");
        if (LIKELY(*p == '"'))
            break;
        if (*p == '\\') {
            node->escaped = 1;
            p = skip_escape(s, p);
        } else if ((unsigned char)*p >= 0x80) {
            p = skip_utf8(s, p);
        } else {
            p = fail(s, p, "a control character inside a string");
        }
        if (p == NULL)
            return NULL;
    }
    node->n = (uint32_t)(p + 1 - node->p);
    return p + 1;
}

static inline bool
is_digit(const char *p, const char *end)
{
    return p != end && (unsigned char)(*p - '0') <= 9;
}

static inline const char *
skip_digits(const char *p, const char *end)
{
    while (is_digit(p, end))
        p++;
    return p;
}

/* Checks the number at `p`; returns what follows it. */
static INLINED const char *
skip_number(struct parser *s, const char *p)
{
    if (*p == '-')
        p++;
    if (!is_digit(p, s->end))
        return fail(s, p, "expected a digit");
    p = *p == '0' ? p + 1 : skip_digits(p, s->end);
    if (p != s->end && *p == '.') {
        p++;
        if (!is_digit(p, s->end))
            return fail(s, p, "expected a digit after the decimal point");
        p = skip_digits(p, s->end);
    }
    if (p != s->end && (*p | 0x20) == 'e') {
        p++;
        if (p != s->end && (*p == '+' || *p == '-'))
            p++;
        if (!is_digit(p, s->end))
            return fail(s, p, "expected a digit in the exponent");
        p = skip_digits(p, s->end);
    }
    return p;
}

static const char *
read_number(struct parser *s, const char *start)
{
    const char *p = skip_number(s, start);

    if (p == NULL)
        return NULL;

    struct json *node = add_node(s, start, JSON_NUMBER);
    if (node == NULL)
        return NULL;
    node->n = (uint32_t)(p - start);
    return p;
}

/* The closing bracket of the array whose first element is at `p`, if it holds numbers only; else
 * NULL, and the array is read as any other. */
static const char *
end_of_numbers(struct parser *s, const char *p)
{
    while (p != s->end && (*p == '-' || is_digit(p, s->end))) {
        p = skip_number(s, p);
        if (p == NULL)
            return NULL;
        p = skip_blanks(p, s->end);
        if (p != s->end && *p == ']')
            return p;
        if (p == s->end || *p != ',')
            return NULL;
        p = skip_blanks(p + 1, s->end);
    }
    return NULL;
}

static const char *
read_word(struct parser *s, const char *p, struct str word, enum json_type type)
{
    if ((size_t)(s->end - p) < word.n || memcmp(p, word.p, word.n) != 0)
        return fail(s, p, "expected a value");

    struct json *node = add_node(s, p, type);
    if (node == NULL)
        return NULL;
    node->n = (uint32_t)word.n;
    return p + word.n;
}

/* Keys. They are compared unescaped. */

/* The hash is seeded because outsiders choose the keys; once per thread, because the system call is
 * expensive. */
static inline uint64_t
hash_seed(void)
{
    static _Thread_local uint64_t seed;

    if (UNLIKELY(seed == 0))
        clock_random_bytes(&seed, sizeof(seed));
    return seed;
}

static uint64_t
hash_escaped(const struct json *key)
{
    struct json_text text = json_text(key);
    uint64_t h = hash_seed();
    uint64_t word = 0;
    uint64_t n = 0;

    for (int c = json_text_next(&text); c >= 0; c = json_text_next(&text)) {
        word |= (uint64_t)(unsigned)c << (n % 8 * 8);
        if (++n % 8 == 0) {
            h = hash_mix(h ^ word, HASH_WORD);
            word = 0;
        }
    }
    return hash_mix(h ^ word, HASH_LAST ^ n);
}

static inline uint64_t
hash_key(const struct parser *s, const struct json *key)
{
    if (UNLIKELY(key->escaped))
        return hash_escaped(key);

    const char *p = key->p + 1;
    size_t n = key->n - 2;
    uint64_t h = hash_seed();
    uint64_t last = HASH_LAST ^ n;
    uint64_t word = 0;

    for (; n >= 8; n -= 8, p += 8)
        h = hash_mix(h ^ json_load64(p), HASH_WORD);
    if (n != 0 && LIKELY(s->end - p >= 8))
        word = json_load64(p) & ((UINT64_C(1) << (n * 8)) - 1);
    else
        for (size_t i = 0; i < n; i++)
            word |= (uint64_t)(unsigned char)p[i] << (i * 8);
    return hash_mix(h ^ word, last);
}

static bool
same_key(const struct json *a, const struct json *b)
{
    if (LIKELY(!a->escaped && !b->escaped))
        return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;

    struct json_text x = json_text(a);
    struct json_text y = json_text(b);
    for (;;) {
        int c = json_text_next(&x);
        if (c != json_text_next(&y))
            return false;
        if (c < 0)
            return true;
    }
}

/* Adds a key to the set. False if an equal one is in it. */
static bool
put_in_set(const struct parser *s, struct json_frame *f, uint32_t key)
{
    uint32_t mask = f->slots - 1;
    uint32_t at = (uint32_t)hash_key(s, &s->nodes[key]) & mask;

    for (; f->set[at] != 0; at = (at + 1) & mask) {
        if (same_key(&s->nodes[f->set[at]], &s->nodes[key]))
            return false;
    }
    f->set[at] = key;
    return true;
}

/* Grows the set and re-adds the first `count` keys of the object. False if there is no memory. */
static NOINLINE bool
grow_set(struct parser *s, struct json_frame *f, uint32_t count)
{
    uint32_t slots = f->set == NULL ? SET_SLOTS_FIRST : f->slots * SET_GROWTH;
    uint32_t *set = calloc(slots, sizeof(*set));

    if (set == NULL)
        return false;
    free(f->set);
    f->set = set;
    f->slots = slots;
    for (uint32_t at = f->node + 1; count != 0; count--) {
        (void)put_in_set(s, f, at);    /* cannot fail: they were checked before */
        at += 1 + s->nodes[at + 1].span;
    }
    return true;
}

/* Length, first and last byte distinguish nearly all keys of an object in the protocols here. Equal
 * keys share the bit unless one of them is escaped. */
static inline uint64_t
key_bit(const struct json *key)
{
    unsigned first = (unsigned char)key->p[1];
    unsigned last = (unsigned char)key->p[key->n - 2];

    return UINT64_C(1) << ((first * 3 + (last + key->n) * 5) & 63);
}

/* Whether one of the `count` keys before it equals the newest node. */
static bool
among_members(const struct parser *s, const struct json_frame *f, uint32_t count)
{
    const struct json *key = &s->nodes[s->n - 1];
    const struct json *m = &s->nodes[f->node + 1];

    for (; count != 0; count--) {
        if (same_key(m, key))
            return true;
        m += 1 + m[1].span;
    }
    return false;
}

/* Registers the newest node as the next key of the innermost object. False with an error if it is a
 * duplicate. */
static INLINED bool
enter_key(struct parser *s)
{
    struct json_frame *f = &s->frames[s->depth - 1];
    uint32_t count = f->count++;
    const struct json *key = &s->nodes[s->n - 1];
    bool unique = true;

    if (UNLIKELY(key->escaped))
        s->nodes[f->node].escaped = 1;
    if (LIKELY(count < SET_FROM)) {
        uint64_t bit = key_bit(key);
        bool maybe = (f->filter & bit) != 0 || s->nodes[f->node].escaped;

        unique = !maybe || !among_members(s, f, count);
        f->filter |= bit;
    } else {
        if ((f->set == NULL || count >= f->slots / 2) && !grow_set(s, f, count)) {
            (void)fail_limit(s, s->nodes[s->n - 1].p, "more memory than allowed");
            return false;
        }
        unique = put_in_set(s, f, s->n - 1);
    }
    if (UNLIKELY(!unique))
        (void)fail(s, key->p, "a duplicate key");
    return unique;
}

/* Reads the key at `p` and its colon; returns where its value starts. */
static INLINED const char *
read_key(struct parser *s, const char *p, const char *expected)
{
    if (p == s->end || *p != '"')
        return fail(s, p, expected);
    p = read_string(s, p);
    if (p == NULL || !enter_key(s))
        return NULL;
    p = skip_blanks(p, s->end);
    if (p == s->end || *p != ':')
        return fail(s, p, "expected ':'");
    return skip_blanks(p + 1, s->end);
}

/* Containers. */

static NOINLINE bool
grow_frames(struct parser *s)
{
    uint32_t cap = s->frames_cap * 2;
    struct json_frame *frames = arena_try(s->a, cap * sizeof(*frames));

    if (frames == NULL)
        return false;
    memcpy(frames, s->frames, s->depth * sizeof(*frames));
    s->frames = frames;
    s->frames_cap = cap;
    return true;
}

/* Opens the container whose bracket is at `p`; returns what follows the bracket. */
static inline const char *
open_container(struct parser *s, const char *p, enum json_type type)
{
    if (UNLIKELY(s->depth >= s->limits.depth))
        return fail_limit(s, p, "nested deeper than allowed");
    if (UNLIKELY(s->depth == s->frames_cap) && !grow_frames(s))
        return fail_limit(s, p, "more memory than allowed");
    if (add_node(s, p, type) == NULL)
        return NULL;
    s->frames[s->depth++] = (struct json_frame){ .node = s->n - 1 };
    return skip_blanks(p + 1, s->end);
}

/* Closes the innermost container, whose closing bracket is at `p`. */
static inline const char *
close_container(struct parser *s, const char *p)
{
    struct json_frame *f = &s->frames[--s->depth];
    struct json *node = &s->nodes[f->node];

    if (UNLIKELY(f->set != NULL))
        free(f->set);
    node->n = (uint32_t)(p + 1 - node->p);
    node->span = (s->n - f->node) & JSON_VALUES_MAX;
    return p + 1;
}

/* Reads the value at `p`: all of a scalar or an empty container, else up to the container's first
 * value, and then *ret_inside is set. */
static INLINED const char *
read_value(struct parser *s, const char *p, bool *ret_inside)
{
    *ret_inside = false;
    if (UNLIKELY(p == s->end))
        return fail(s, p, "expected a value");

    switch (*p) {
    case '"':
        return read_string(s, p);
    case '{':
        p = open_container(s, p, JSON_OBJECT);
        if (p == NULL)
            return NULL;
        if (p != s->end && *p == '}')
            return close_container(s, p);
        *ret_inside = true;
        return read_key(s, p, "expected a key or '}'");
    case '[':
        p = open_container(s, p, JSON_ARRAY);
        if (p == NULL)
            return NULL;
        if (p != s->end && *p == ']')
            return close_container(s, p);
        if (UNLIKELY(s->limits.flat)) {
            const char *close = end_of_numbers(s, p);

            if (close != NULL)
                return close_container(s, close);
        }
        *ret_inside = true;
        return p;
    case 't':
        return read_word(s, p, S("true"), JSON_TRUE);
    case 'f':
        return read_word(s, p, S("false"), JSON_FALSE);
    case 'n':
        return read_word(s, p, S("null"), JSON_NULL);
    default:
        if (*p == '-' || is_digit(p, s->end))
            return read_number(s, p);
        return fail(s, p, "expected a value");
    }
}

/* Reads what follows a value inside a container: a closing bracket, or a comma up to the next
 * value, and then *ret_inside is set. */
static INLINED const char *
read_after_value(struct parser *s, const char *p, bool *ret_inside)
{
    bool object = s->nodes[s->frames[s->depth - 1].node].type == JSON_OBJECT;

    *ret_inside = false;
    p = skip_blanks(p, s->end);
    if (p != s->end && *p == ',') {
        *ret_inside = true;
        p = skip_blanks(p + 1, s->end);
        return object ? read_key(s, p, "expected a key") : p;
    }
    if (p == s->end || *p != (object ? '}' : ']'))
        return fail(s, p, object ? "expected ',' or '}'" : "expected ',' or ']'");
    return close_container(s, p);
}

static bool
read_document(struct parser *s)
{
    const char *p = skip_blanks(s->start, s->end);
    bool inside = true;

    while (p != NULL && (inside || s->depth != 0))
        p = inside ? read_value(s, p, &inside) : read_after_value(s, p, &inside);
    if (p == NULL)
        return false;

    p = skip_blanks(p, s->end);
    if (p != s->end)
        (void)fail(s, p, "expected the end of the text");
    return p == s->end;
}

/* Gives the unused nodes back to the arena. */
static const struct json *
trim_nodes(struct parser *s)
{
    void *nodes =
        arena_grow(s->a, s->nodes, s->cap * sizeof(struct json), s->n * sizeof(struct json));

    return nodes != NULL ? nodes : s->nodes;
}

const struct json *
json_parse(struct arena *a, struct str text, const struct json_limits *limits,
    struct json_error *ret_error)
{
    static const struct json_limits defaults = { JSON_DEPTH_DEFAULT, JSON_VALUES_DEFAULT, false };
    UNINITIALIZED struct parser s;

    s.a = a;
    s.start = text.n != 0 ? text.p : "";
    s.end = s.start + text.n;
    s.nodes = NULL;
    s.n = s.cap = s.depth = 0;
    s.frames = s.first_frames;
    s.frames_cap = FRAMES_FIRST;
    s.limits = limits != NULL ? *limits : defaults;
    s.limits.values = MIN(s.limits.values, JSON_VALUES_MAX);

    bool ok = text.n <= UINT32_MAX ? read_document(&s)
                                   : fail_limit(&s, s.start, "longer than allowed") != NULL;
    if (!ok) {
        while (s.depth != 0)
            free(s.frames[--s.depth].set);
        if (ret_error != NULL)
            *ret_error = s.error;
        return NULL;
    }
    return trim_nodes(&s);
}
