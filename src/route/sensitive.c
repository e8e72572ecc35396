/* sensitive.c - personal data and secrets by their form: what has a check digit is checked, what has a
 * fixed beginning is looked for. Each byte is looked at a bounded number of times.
 */
#include "route/sensitive.h"

#include <ctype.h>

enum { BLOCK = 64, LONG_TOKEN = 16 };

static bool
is_token_byte(char c)
{
    return str_is_alnum(c) || c == '_' || c == '-';
}

/* name@host.tld */
static bool
is_email(struct str text, size_t at)
{
    size_t end = at + 1, dot = 0;

    if (at == 0 || !(str_is_alnum(text.p[at - 1]) || strchr("_+-", text.p[at - 1]) != NULL))
        return false;
    for (; end < text.n && end - at < 254; end++) {
        char c = text.p[end];
        if (c == '.')
            dot = end;
        else if (!str_is_alnum(c) && c != '-')
            break;
    }
    return dot > at + 1 && dot + 2 < end && str_is_letter(text.p[dot + 1]) &&
           str_is_letter(text.p[dot + 2]);
}

static bool
passes_luhn(const uint8_t *digits, unsigned n)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < n; i++) {
        unsigned d = digits[n - 1 - i];
        if (i % 2 == 1)
            d = d * 2 > 9 ? d * 2 - 9 : d * 2;
        sum += d;
    }
    return sum % 10 == 0;
}

/* Are the 11 to 34 characters from `at`, in groups or not, an IBAN? Two letters, two check digits, and
 * the whole is 1 modulo 97 with the first four at the end. */
static bool
is_iban(struct str text, size_t at)
{
    uint8_t c[34];
    unsigned n = 0, rest = 0;

    for (size_t i = at; i < text.n && n < sizeof c; i++) {
        if (text.p[i] == ' ' && n % 4 == 0 && n != 0)
            continue;
        if (!str_is_digit(text.p[i]) && !(text.p[i] >= 'A' && text.p[i] <= 'Z'))
            break;
        c[n++] = (uint8_t)text.p[i];
    }
    for (; n >= 15; n--) {    /* a word in capitals may follow */
        rest = 0;
        for (unsigned i = 0; i < n; i++) {
            uint8_t x = c[(i + 4) % n];
            rest = x <= '9' ? (rest * 10 + x - '0') % 97 : (rest * 100 + x - 'A' + 10) % 97;
        }
        if (rest == 1)
            return true;
    }
    return false;
}

/* A row of digits in groups. */
struct digit_run {
    uint8_t digits[20];
    uint8_t group[6];    /* how many digits each has */
    unsigned n, groups;
    size_t end;    /* of what was read */
};

/* Reads the digits from `at`, in groups with one sign between them. */
static struct digit_run
read_number(struct str text, size_t at)
{
    struct digit_run r = { .end = at };

    while (r.end < text.n) {
        char c = text.p[r.end];
        bool next = r.end + 1 < text.n && str_is_digit(text.p[r.end + 1]);
        if (str_is_digit(c)) {
            if (r.n < ARRAY_LEN(r.digits))
                r.digits[r.n] = (uint8_t)(c - '0');
            r.n++;
            if (r.groups < ARRAY_LEN(r.group) && r.group[r.groups] < 255)
                r.group[r.groups]++;
        } else if (next && (c == ' ' || c == '-' || c == '.')) {
            r.groups++;
        } else {
            break;
        }
        r.end++;
    }
    r.groups++;
    return r;
}

static bool
is_card(const struct digit_run *r)
{
    static const char first[] = "23456";    /* the schemes that there are */

    return r->n >= 13 && r->n <= 19 && strchr(first, '0' + r->digits[0]) != NULL &&
           (r->groups == 1 || r->group[0] == 4) && passes_luhn(r->digits, r->n);
}

/* With a country's number, or in the groups in which people write it. */
static bool
is_phone(struct str text, size_t at, const struct digit_run *r)
{
    char before = at != 0 ? text.p[at - 1] : ' ';

    if (r->n < 8 || r->n > 15)
        return false;
    if (before == '+')
        return at < 2 || !str_is_alnum(text.p[at - 2]);
    if (r->groups == 3 && r->n == 10)
        return r->group[0] == 3 && r->group[1] == 3;
    return r->groups >= 3 && r->groups <= 5 && r->n <= 11 && r->digits[0] == 0 &&
           r->group[0] <= 4 && before != '.' && before != '-';
}

static unsigned
look_at_number(struct str text, size_t at, const struct digit_run *r)
{
    if (is_card(r))
        return SENSITIVE_CARD;
    if (r->groups == 3 && r->n == 9 && r->group[0] == 3 && r->group[1] == 2 &&
        text.p[at + 3] == '-')
        return SENSITIVE_NATIONAL_ID;
    return is_phone(text, at, r) ? SENSITIVE_PHONE : 0;
}

/* Goes from one row of digits to the next; a row that was read is not read again. */
static unsigned
find_numbers(struct str text, const struct features *f)
{
    unsigned found = 0;
    size_t done = 0;
    uint64_t before = 0;

    for (unsigned b = 0; b < f->blocks; b++) {
        uint64_t starts = f->digits[b] & ~(f->digits[b] << 1 | before);
        before = f->digits[b] >> 63;
        for (; starts != 0; starts &= starts - 1) {
            size_t at = b * BLOCK + (unsigned)__builtin_ctzll(starts);
            if (at < done)
                continue;
            bool after_letter = at != 0 && str_is_letter(text.p[at - 1]);
            if (at >= 2 && after_letter && isupper((unsigned char)text.p[at - 1]) &&
                isupper((unsigned char)text.p[at - 2]) &&
                (at == 2 || !str_is_alnum(text.p[at - 3])) && is_iban(text, at - 2))
                found |= SENSITIVE_ACCOUNT;
            if (after_letter)
                continue;
            struct digit_run r = read_number(text, at);
            done = r.end;
            if (done >= text.n || !str_is_letter(text.p[done]))
                found |= look_at_number(text, at, &r);
        }
    }
    return found;
}

/* What the keys of well-known services begin with, and how long they are at least. */
static const struct {
    struct str prefix;
    unsigned least;
} keys[] = {
    { S_INIT("sk-"), 20 },                             /* OpenAI, Anthropic and others */
    { S_INIT("AKIA"), 20 },                            /* AWS */
    { S_INIT("ASIA"), 20 }, { S_INIT("ghp_"), 30 },    /* GitHub */
    { S_INIT("gho_"), 30 }, { S_INIT("ghs_"), 30 }, { S_INIT("github_pat_"), 30 },
    { S_INIT("glpat-"), 20 },                                                       /* GitLab */
    { S_INIT("xoxb-"), 20 },                                                        /* Slack */
    { S_INIT("xoxp-"), 20 }, { S_INIT("AIza"), 35 },                                /* Google */
    { S_INIT("hf_"), 30 },                                                          /* Hugging Face */
    { S_INIT("npm_"), 30 }, { S_INIT("pypi-"), 40 }, { S_INIT("sk_live_"), 24 },    /* Stripe */
    { S_INIT("rk_live_"), 24 }, { S_INIT("SG."), 40 },                              /* SendGrid */
    { S_INIT("eyJ"), 40 },    /* a JSON web token */
};

/* The token that has the byte `at`, letters, digits and _ - . in a row: does it begin as keys do, or follow
 * the head of a private key? */
static bool
is_key(struct str text, size_t at, size_t *ret_end)
{
    size_t from = at, end = at;

    while (
        from > 0 && at - from < 24 && (is_token_byte(text.p[from - 1]) || text.p[from - 1] == '.'))
        from--;
    while (end < text.n && (is_token_byte(text.p[end]) || text.p[end] == '.'))
        end++;
    *ret_end = end;
    size_t seen = MIN(from, 32);
    struct str head = str_trim(str_make(text.p + from - seen, seen));
    if (str_ends(head, S("PRIVATE KEY-----")))
        return true;
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
        if (end - from >= keys[i].least &&
            str_starts(str_skip(str_make(text.p, end), from), keys[i].prefix))
            return true;
    return false;
}

/* A run of LONG_TOKEN letters and digits is the part of a key that is random. */
static bool
has_key(struct str text, const struct features *f)
{
    size_t done = 0;

    for (unsigned b = 0; b < f->blocks; b++) {
        uint64_t now = f->ascii[b];
        uint64_t next = f->ascii[b + 1];
        uint64_t low = now, high = next;
        if ((f->digits[b] | f->digits[b + 1]) == 0)    /* keys have digits, long words have none */
            continue;
        for (unsigned step = 1; step < LONG_TOKEN; step *= 2) {    /* bits that begin a run */
            low &= low >> step | high << (64 - step);
            high &= high >> step;
        }
        while (low != 0) {
            size_t at = b * BLOCK + (unsigned)__builtin_ctzll(low), end;
            low &= low - 1;
            if (at < done)
                continue;
            if (is_key(text, at, &end))
                return true;
            done = end;
        }
    }
    return false;
}

static const struct str secret_names[] = { S_INIT("password"), S_INIT("passwd"), S_INIT("passwort"),
    S_INIT("mot de passe"), S_INIT("api_key"), S_INIT("api-key"), S_INIT("apikey"),
    S_INIT("api key"), S_INIT("secret"), S_INIT("secret_key"), S_INIT("access_token"),
    S_INIT("auth_token") };

static bool
is_quote_or_blank(char c)
{
    return c == ' ' || c == '"' || c == '\'';
}

/* Is what is written around the sign at `at` a secret's name and its value? */
static bool
assigns_secret(struct str text, size_t at)
{
    size_t before = at, after = at + 1, value;

    while (before > 0 && is_quote_or_blank(text.p[before - 1]))
        before--;
    while (after < text.n && after - at < 4 && is_quote_or_blank(text.p[after]))
        after++;
    /* the last letters of the names: most signs are not after one */
    if (before == 0 || strchr("dtyneDTYNE", text.p[before - 1]) == NULL)
        return false;
    for (value = after; value < text.n && value - after < 6; value++)
        if (text.p[value] <= ' ' || strchr("\"'(){}<>,;|", text.p[value]) != NULL)
            return false;
    if (value - after < 6)
        return false;
    for (unsigned i = 0; i < ARRAY_LEN(secret_names); i++) {
        struct str name = secret_names[i];
        if (before >= name.n && str_ieq(str_make(text.p + before - name.n, name.n), name))
            return true;
    }
    return false;
}

/* The next `c` from `at`, or text.n. */
static size_t
next_sign(struct str text, size_t at, char c)
{
    return at + str_chr(str_skip(text, at), c);
}

/* "password: x", "api_key=x" */
static bool
names_secret(struct str text)
{
    size_t colon = next_sign(text, 0, ':'), equals = next_sign(text, 0, '=');

    while (colon < text.n || equals < text.n) {
        size_t at = MIN(colon, equals);
        if (assigns_secret(text, at))
            return true;
        if (at == colon)
            colon = next_sign(text, at + 1, ':');
        else
            equals = next_sign(text, at + 1, '=');
    }
    return false;
}

unsigned
sensitive_find(struct str text, const struct features *f)
{
    unsigned found = 0;

    text.n = MIN(text.n, FEATURES_BYTES_MAX);
    for (size_t at = next_sign(text, 0, '@'); at < text.n; at = next_sign(text, at + 1, '@'))
        if (is_email(text, at)) {
            found |= SENSITIVE_EMAIL;
            break;
        }
    if (f->counts[COUNT_DIGITS] >= 8)
        found |= find_numbers(text, f);
    if (has_key(text, f) || names_secret(text))
        found |= SENSITIVE_SECRET;
    return found;
}

const char *
sensitive_name(unsigned hint)
{
    switch (hint) {
    case SENSITIVE_EMAIL:
        return "email";
    case SENSITIVE_PHONE:
        return "phone";
    case SENSITIVE_CARD:
        return "card";
    case SENSITIVE_ACCOUNT:
        return "account";
    case SENSITIVE_NATIONAL_ID:
        return "national_id";
    case SENSITIVE_SECRET:
        return "secret";
    default:
        return NULL;
    }
}
