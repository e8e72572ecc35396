/* secret.c - a hash table of 16-character windows, and the conversion of text to canonical form. */
#include "base/secret.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/hash.h"

#define WINDOW 16
#define HALF 8
#define STEP 8           /* between the windows of one secret */
#define LONG_CHARS 32    /* length from which the last few characters are secret too */
#define SECRET_BYTES_MAX (16u * 1024)
#define FORM_BYTES_MAX (2 * SECRET_BYTES_MAX)
#define SLOTS_LEAST 64
#define HEAD 4    /* characters in `heads` */

/* Characters that identify a secret: 8 that must match exactly, and the 8 before them as far as
 * `mask` selects them. */
struct window {
    uint64_t low;    /* 0: the slot is free */
    uint64_t high, mask;
    bool random;
};

struct secrets {
    struct window *slots;    /* open addressing; a power of two, at most a quarter taken */
    size_t slot_count;
    size_t count;
    unsigned shift;    /* of a product to a slot's number */

    const struct secrets *also;    /* see secrets_join() */

    uint32_t *heads;    /* the first characters of all windows, hashed; 0: free */
    size_t head_slots;
    size_t head_count;
};

struct secrets *
secrets_create(void)
{
    struct secrets *s = check_alloc(calloc(1, sizeof(*s)));

    s->slot_count = SLOTS_LEAST;
    s->shift = 64 - 6;
    s->slots = check_alloc(calloc(s->slot_count, sizeof(*s->slots)));
    s->head_slots = SLOTS_LEAST;
    s->heads = check_alloc(calloc(s->head_slots, sizeof(*s->heads)));
    return s;
}

void
secrets_destroy(struct secrets *s)
{
    if (s == NULL)
        return;
    free(s->slots);
    free(s->heads);
    free(s);
}

const struct secrets *
secrets_join(struct arena *a, const struct secrets *s, const struct secrets *more)
{
    struct secrets *both = arena_new(a, struct secrets);

    CHECK(more->also == NULL);
    *both = *more;
    both->also = s;
    return both;
}

/* --- the canonical form --- */

/* A byte's canonical form: its lower case, 0 (removed), or ESCAPE (begins an escape sequence). */
#define ESCAPE 0xff
/* clang-format off */
static const unsigned char canonical[256] = {
    ['\\'] = ESCAPE, ['%'] = ESCAPE, ['&'] = ESCAPE,
    ['0'] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
    ['A'] = 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm',
    'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
    ['a'] = 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm',
    'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
};
/* clang-format on */

/* Results of reading an escape sequence, beside the character it stands for. */
enum { NO_ESCAPE = -2, UNFINISHED = -1 };

/* Named HTML entities that matter: those that can begin another escape. All others stand for
 * characters that the canonical form does not have. */
static const struct entity {
    struct str name;
    char c;
} entities[] = { { S_INIT("amp"), '&' }, { S_INIT("percnt"), '%' }, { S_INIT("bsol"), '\\' } };

static int
digits(struct str s, unsigned base, size_t count)
{
    int value = 0;

    for (size_t i = 0; i < s.n; i++) {
        int digit = str_hex_digit(s.p[i]);

        if (digit < 0 || (unsigned)digit >= base || i == count)
            return NO_ESCAPE;
        value = (int)((unsigned)value * base + (unsigned)digit) & 0x1fffff;
    }
    return s.n == count ? value : UNFINISHED;
}

/* Digits up to the terminator `end`. */
static int
digits_until(struct str s, unsigned base, char end)
{
    if (s.n == 0 || s.p[s.n - 1] != end)
        return digits(s, base, s.n) == NO_ESCAPE ? NO_ESCAPE : UNFINISHED;
    s.n--;
    return s.n != 0 ? digits(s, base, s.n) : NO_ESCAPE;
}

/* JSON and similar languages: \u0073 \u{73} \x73 \163 \n \/ */
static int
read_backslash(struct str s)
{
    if (s.n == 0)
        return UNFINISHED;
    char c = s.p[0];
    struct str rest = str_skip(s, 1);
    if ((c | 0x20) == 'u')
        return str_starts(rest, S("{")) ? digits_until(str_skip(rest, 1), 16, '}')
                                        : digits(rest, 16, 4);
    if ((c | 0x20) == 'x')
        return digits(rest, 16, 2);
    if (c >= '0' && c <= '3')
        return digits(s, 8, 3);
    return memchr("nrtbfvNRTBFV", c, 12) != NULL ? ' ' : (unsigned char)c;
}

/* URLs: %73, and the old %u0073. */
static int
read_percent(struct str s)
{
    if (s.n != 0 && (s.p[0] | 0x20) == 'u')
        return digits(str_skip(s, 1), 16, 4);
    return digits(s, 16, 2);
}

/* HTML: &#115; &#x73; &amp; */
static int
read_entity(struct str s)
{
    bool ended = s.n != 0 && s.p[s.n - 1] == ';';

    if (s.n == 0)
        return UNFINISHED;
    if (s.p[0] == '#') {
        if (s.n == 1)
            return UNFINISHED;
        return (s.p[1] | 0x20) == 'x' ? digits_until(str_skip(s, 2), 16, ';')
                                      : digits_until(str_skip(s, 1), 10, ';');
    }
    if (!ended)
        return canonical[(unsigned char)s.p[s.n - 1]] - 1u < ESCAPE - 1u ? UNFINISHED : NO_ESCAPE;
    s.n--;
    for (size_t i = 0; i < ARRAY_LEN(entities); i++)
        if (str_ieq(s, entities[i].name))
            return (unsigned char)entities[i].c;
    return ' ';    /* any other character */
}

static int
read_escape(struct str s)
{
    struct str rest = str_skip(s, 1);

    switch (s.p[0]) {
    case '\\':
        return read_backslash(rest);
    case '%':
        return read_percent(rest);
    default:
        return read_entity(rest);
    }
}

/* Feeds a byte into a layer and writes the decoded bytes, if any, to `out`: at most those that the
 * layer held and the new one. */
static size_t
layer_pass(struct secret_layer *l, char c, char *out)
{
    size_t n = 0;

    if (l->n == 0 && canonical[(unsigned char)c] != ESCAPE) {
        out[0] = c;
        return 1;
    }
    l->escape[l->n++] = c;
    int value = read_escape(str_make(l->escape, l->n));
    if (value == UNFINISHED && l->n < SECRET_ESCAPE_MAX)
        return 0;
    if (value >= 0) {    /* characters beyond ASCII are not in the canonical form */
        l->n = 0;
        out[0] = value < 0x80 ? (char)value : ' ';
        return 1;
    }
    n = l->n;
    l->n = 0;
    memcpy(out, l->escape, n);
    if (n > 1 && canonical[(unsigned char)c] == ESCAPE) {    /* the byte may begin another escape */
        l->escape[l->n++] = c;
        n--;
    }
    return n;
}

/* Feeds a byte through all layers and writes what the last one gives to `out`. */
static size_t
layers_pass(struct secret_scan *at, char c, char out[SECRET_LAYERS * SECRET_ESCAPE_MAX + 1])
{
    char in[SECRET_LAYERS * SECRET_ESCAPE_MAX + 1];
    size_t n = 1, held = 0;

    out[0] = c;
    for (size_t k = 0; k < SECRET_LAYERS; k++) {
        size_t before = n;

        memcpy(in, out, before);
        n = 0;
        for (size_t i = 0; i < before; i++)
            n += layer_pass(&at->layers[k], in[i], out + n);
        held += at->layers[k].n;
    }
    at->held = (unsigned)held;
    return n;
}

/* --- finding --- */

static inline size_t
slot_of(const struct secrets *s, uint64_t low)
{
    return (size_t)((low * HASH_WORD) >> s->shift);
}

/* Does a secret end with these characters? */
static inline bool
ends_secret(const struct secrets *s, uint64_t high, uint64_t low, bool random_only)
{
    for (size_t i = slot_of(s, low); s->slots[i].low != 0; i = (i + 1) & (s->slot_count - 1)) {
        const struct window *w = &s->slots[i];

        if (w->low == low && ((w->high ^ high) & w->mask) == 0 && (w->random || !random_only))
            return true;
    }
    return false;
}

/* Scans a byte that begins or continues an escape sequence. */
static bool
scan_escape(const struct secrets *s, struct secret_scan *at, char c, bool random_only)
{
    char out[SECRET_LAYERS * SECRET_ESCAPE_MAX + 1];
    size_t n = layers_pass(at, c, out);

    for (size_t i = 0; i < n; i++) {
        unsigned char k = canonical[(unsigned char)out[i]];

        if (k == 0 || k == ESCAPE)
            continue;
        at->high = at->high << 8 | at->low >> 56;
        at->low = at->low << 8 | k;
        if (ends_secret(s, at->high, at->low, random_only))
            return true;
    }
    return false;
}

bool
secrets_scan(const struct secrets *s, struct secret_scan *at, struct str piece, bool random_only)
{
    if (piece.n == 0)
        return false;    /* an empty slice may have no address */
    if (UNLIKELY(s->also != NULL)) {
        struct secret_scan copy = *at;    /* it depends on the text alone */

        if (secrets_scan(s->also, &copy, piece, random_only))
            return true;
    }

    const unsigned char *p = (const unsigned char *)piece.p, *end = p + piece.n;

    while (p < end) {
        while (p < end && (at->held != 0 || canonical[*p] == ESCAPE))
            if (scan_escape(s, at, (char)*p++, random_only))
                return true;
        uint64_t high = at->high, low = at->low;    /* in registers for ordinary bytes */
        for (; p < end && canonical[*p] != ESCAPE; p++) {
            if (canonical[*p] == 0)
                continue;
            high = high << 8 | low >> 56;
            low = low << 8 | canonical[*p];
            if (UNLIKELY(ends_secret(s, high, low, random_only)))
                return true;
        }
        at->high = high;
        at->low = low;
    }
    return false;
}

static size_t
head_slot(const struct secrets *s, uint32_t head)
{
    size_t i = (size_t)(hash_mix(head, HASH_WORD) & (s->head_slots - 1));

    while (s->heads[i] != 0 && s->heads[i] != head)
        i = (i + 1) & (s->head_slots - 1);
    return i;
}

bool
secrets_scan_pending(const struct secrets *s, const struct secret_scan *at)
{
    if (UNLIKELY(s->also != NULL) && secrets_scan_pending(s->also, at))
        return true;

    hash_u128 last = (hash_u128)at->high << 64 | at->low;

    for (unsigned n = HEAD; n < WINDOW; n++, last >>= 8)
        if ((uint32_t)last != 0 && s->heads[head_slot(s, (uint32_t)last)] != 0)
            return true;
    return false;
}

bool
secrets_in(const struct secrets *s, struct str text)
{
    struct secret_scan at = { .held = 0 };

    /* A trailing space flushes an unfinished escape sequence. */
    return secrets_scan(s, &at, text, false) ||
           (at.held != 0 && secrets_scan(s, &at, S(" "), false));
}

/* --- filling --- */

static void
put(struct secrets *s, const struct window *w)
{
    size_t i = slot_of(s, w->low);

    while (s->slots[i].low != 0) {
        if (s->slots[i].low == w->low && s->slots[i].high == w->high && s->slots[i].mask == w->mask)
            break;    /* shared by two secrets */
        i = (i + 1) & (s->slot_count - 1);
    }
    s->count += s->slots[i].low == 0;
    bool random = w->random || s->slots[i].random;
    s->slots[i] = *w;
    s->slots[i].random = random;
}

static void
window_add(struct secrets *s, const struct window *w)
{
    if (4 * (s->count + 1) > s->slot_count) {
        struct window *old = s->slots;
        size_t count = s->slot_count;

        s->slot_count *= 2;
        s->shift--;
        s->count = 0;
        s->slots = check_alloc(calloc(s->slot_count, sizeof(*s->slots)));
        for (size_t i = 0; i < count; i++)
            if (old[i].low != 0)
                put(s, &old[i]);
        free(old);
    }
    put(s, w);
}

static void
head_add(struct secrets *s, struct str form)
{
    uint32_t head = 0;

    for (size_t i = 0; i < HEAD; i++)
        head = head << 8 | (unsigned char)form.p[i];
    if (4 * (s->head_count + 1) > s->head_slots) {
        uint32_t *old = s->heads;
        size_t count = s->head_slots;

        s->head_slots *= 2;
        s->heads = check_alloc(calloc(s->head_slots, sizeof(*s->heads)));
        for (size_t i = 0; i < count; i++)
            if (old[i] != 0)
                s->heads[head_slot(s, old[i])] = old[i];
        free(old);
    }
    size_t i = head_slot(s, head);
    s->head_count += s->heads[i] == 0;
    s->heads[i] = head;
}

/* Adds the window of at most `chars` characters that ends before `end`. */
static void
window_at(struct secrets *s, struct str form, size_t end, size_t chars, bool random)
{
    struct window w = { .random = random };

    chars = MIN(MIN(chars, end), WINDOW);
    for (size_t i = end - MIN(end, WINDOW); i < end; i++) {
        w.high = w.high << 8 | w.low >> 56;
        w.low = w.low << 8 | (unsigned char)form.p[i];
    }
    if (chars > HALF)
        w.mask = chars == WINDOW ? UINT64_MAX : (UINT64_C(1) << (8 * (chars - HALF))) - 1;
    window_add(s, &w);
    head_add(s, str_skip(form, end - chars));
}

/* Adds the windows of one encoding of a secret. */
static void
form_add(struct secrets *s, struct str form, bool random)
{
    if (form.n < HALF)
        return;
    for (size_t end = WINDOW; end < form.n; end += STEP)
        window_at(s, form, end, WINDOW, random);
    window_at(s, form, form.n, WINDOW, random);
}

/* Appends the canonical form of `text`, as a scan computes it. */
static void
add_canonical(struct buf *out, struct str text)
{
    struct secret_scan at = { .held = 0 };
    char room[SECRET_LAYERS * SECRET_ESCAPE_MAX + 1];

    for (size_t i = 0; i <= text.n; i++) {
        size_t n = layers_pass(&at, i < text.n ? text.p[i] : ' ', room);

        for (size_t k = 0; k < n; k++) {
            unsigned char c = canonical[(unsigned char)room[k]];

            if (c != 0 && c != ESCAPE)
                buf_add_c(out, (char)c);
        }
    }
}

/* Words do not alternate between letters and digits. */
static bool
looks_random(struct str form)
{
    unsigned changes = 0;

    for (size_t i = 1; i < form.n; i++)
        changes += (form.p[i] <= '9') != (form.p[i - 1] <= '9');
    return form.n >= WINDOW && changes >= 3;
}

/* The base64 form of a secret that starts `shift` bytes into a group of three: only the characters
 * that do not depend on its neighbours. */
static void
base64_add(struct secrets *s, struct str value, size_t shift, bool random)
{
    size_t n = shift + value.n;
    char *plain = check_alloc(calloc(1, n));
    char *text = check_alloc(malloc(4 * ((n + 2) / 3)));
    size_t begin = (8 * shift + 5) / 6, end = 8 * n / 6;
    struct buf form;

    memcpy(plain + shift, value.p, value.n);
    (void)digest_base64(str_make(plain, n), text);
    buf_init(&form, FORM_BYTES_MAX);
    add_canonical(&form, str_make(text + begin, end - begin));
    form_add(s, buf_str(&form), random);
    buf_fini(&form);
    free(plain);
    free(text);
}

static void
value_add(struct secrets *s, struct str value)
{
    struct buf form, hex;

    value = str_trim(value);
    if (value.n < SECRET_LEAST_BYTES || value.n > SECRET_BYTES_MAX)
        return;
    buf_init(&form, FORM_BYTES_MAX);
    add_canonical(&form, value);
    bool random = looks_random(buf_str(&form));
    form_add(s, buf_str(&form), random);
    if (random && buf_len(&form) >= LONG_CHARS)
        window_at(s, buf_str(&form), buf_len(&form), HALF, random);
    buf_init(&hex, FORM_BYTES_MAX);
    for (size_t i = 0; i < value.n; i++)
        buf_printf(&hex, "%02x", (unsigned char)value.p[i]);
    form_add(s, buf_str(&hex), random);
    for (size_t shift = 0; shift < 3; shift++)
        base64_add(s, value, shift, random);
    buf_fini(&form);
    buf_fini(&hex);
}

/* "Basic BASE64": the password is the secret in it. */
static void
basic_add(struct secrets *s, struct str text)
{
    uint8_t *plain = check_alloc(malloc(text.n + 1));
    struct str user, password;
    size_t n;

    if (digest_base64_decode(text, plain, &n) &&
        str_cut(str_make((const char *)plain, n), ':', &user, &password))
        value_add(s, password);
    free(plain);
}

void
secrets_add(struct secrets *s, struct str value)
{
    static const struct str schemes[] = { S_INIT("bearer "), S_INIT("basic "), S_INIT("token "),
        S_INIT("apikey "), S_INIT("key ") };

    value = str_trim(value);
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (!str_istarts(value, schemes[i]))
            continue;
        value = str_trim(str_skip(value, schemes[i].n));
        if (str_eq(schemes[i], S("basic ")))
            basic_add(s, value);
        break;
    }
    value_add(s, value);
}

void
secrets_add_lines(struct secrets *s, struct str lines)
{
    struct str line, name, value;

    while (lines.n != 0) {
        (void)str_cut(lines, '\n', &line, &lines);
        if (str_cut(line, ':', &name, &value))
            secrets_add(s, value);
    }
}
