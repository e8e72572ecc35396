/* resource_form.c - what texts of resources must look like. */
#include "base/zone.h"
#include "conf/form.h"
#include "conf/value.h"
#include "control/resource_read.h"
#include "net/address.h"

#define ID_TAIL_BYTES 16
#define TEXT_BYTES_MOST 256

static bool
is_id(enum resource_kind kind, struct str text)
{
    struct str prefix = resource_kind(kind)->prefix;

    return text.n == prefix.n + ID_TAIL_BYTES && str_starts(text, prefix) &&
           str_has_only(str_skip(text, prefix.n), "");
}

static bool
has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return true;
    return false;
}

static const char *
name_problem(struct str v)
{
    for (unsigned k = 0; k < RESOURCE_KINDS; k++)
        if (is_id((enum resource_kind)k, v))
            return "must not look like an id; choose another name";
    if (str_chr(v, '/') != v.n || str_chr(v, '*') != v.n)
        return "must not contain '/' or '*'; letters, digits and -._@ are always good";
    if (v.p[0] == ' ' || v.p[v.n - 1] == ' ')
        return "must not begin or end with a blank";
    return NULL;
}

static const char *
email_problem(struct str v)
{
    size_t at = str_chr(v, '@');
    struct str host = str_skip(v, at + 1);

    if (at == 0 || host.n == 0 || str_chr(host, '@') != host.n || str_chr(v, ' ') != v.n)
        return "must be an e-mail address, like ada@example.com";
    return NULL;
}

static const char *
cidr_problem(struct str v)
{
    struct address address;
    struct str host, bits;
    uint64_t n = 0;

    if (str_eq(v, S("unix")))
        return NULL;
    bool cut = str_cut(v, '/', &host, &bits);
    if (!address_parse(host, 0, &address) ||
        (cut && (!str_u64(bits, &n) || n > (address.any.sa_family == AF_INET ? 32 : 128))))
        return "must be a network or an address, like 10.0.0.0/8, 2001:db8::/32 or 203.0.113.9; or "
               "the word unix";
    return NULL;
}

static const char *
scope_problem(struct str v)
{
    static const char *const kinds[] = { "key", "user", "team", "project", "org", "model",
        "provider", "tag", "address", "session" };
    struct str kind, name;

    if (str_eq(v, S("all")))
        return NULL;
    bool cut = str_cut(v, ':', &kind, &name);
    for (size_t i = 0; cut && name.n != 0 && i < ARRAY_LEN(kinds); i++)
        if (str_eq(kind, str_c(kinds[i])))
            return NULL;
    return "must be all, or KIND:NAME with one of key, user, team, project, org, model, provider, "
           "tag, address and session, like team:research or key:*";
}

static const char *
budget_problem(struct str v)
{
    struct str amount, period;
    int64_t nanousd;

    if (!str_cut(v, '/', &amount, &period) || !value_decimal(amount, &nanousd) || nanousd <= 0 ||
        str_ends(amount, S("%")) ||
        !(str_eq(period, S("day")) || str_eq(period, S("week")) || str_eq(period, S("month")) ||
            str_eq(period, S("total"))))
        return "must be dollars and a period, like 10/month, 2.50/day, 5/week or 100/total";
    return NULL;
}

static const char *
percent_problem(struct str v)
{
    uint64_t n = 0;

    if (!str_ends(v, S("%")) || !str_u64(str_make(v.p, v.n - 1), &n) || n == 0 || n > 100)
        return "must be a share like 80%, from 1% to 100%";
    return NULL;
}

static const char *
sha256_problem(struct str v)
{
    bool hex = v.n == 64;

    for (size_t i = 0; hex && i < v.n; i++)
        hex = str_hex_digit(v.p[i]) >= 0;
    return hex ? NULL : "must be 64 hexadecimal digits";
}

const char *
resource_form_problem(struct arena *a, const struct resource_field_row *f, struct str v)
{
    size_t most = f->type == RESOURCE_TEXT && f->max != 0 ? (size_t)f->max : TEXT_BYTES_MOST;

    if (v.n == 0)
        return "must not be empty; leave it out, or write null, to say nothing";
    if (v.n > most)
        return arena_printf(a, "must have at most %zu bytes", most).p;
    if (has_control(v))
        return "must not contain control characters";
    switch (f->form) {
    case RESOURCE_FORM_TEXT:
        return NULL;
    case RESOURCE_FORM_NAME:
        return name_problem(v);
    case RESOURCE_FORM_WORD:
        return str_has_only(v, "-._/+@*:") ? NULL : "must consist of letters, digits and -._/+@*:";
    case RESOURCE_FORM_EMAIL:
        return email_problem(v);
    case RESOURCE_FORM_MODEL:
        return str_chr(v, ' ') == v.n ? NULL : "must be the name of a model, with `*` for any text";
    case RESOURCE_FORM_CIDR:
        return cidr_problem(v);
    case RESOURCE_FORM_ORIGIN:
        return form_problem(a, FORM_ORIGIN, v);
    case RESOURCE_FORM_SHA256:
        return sha256_problem(v);
    case RESOURCE_FORM_SCOPE:
        return scope_problem(v);
    case RESOURCE_FORM_BUDGET:
        return budget_problem(v);
    case RESOURCE_FORM_PERCENT:
        return percent_problem(v);
    case RESOURCE_FORM_ZONE:
        return zone_find(v) != NULL
                   ? NULL
                   : "must be a time zone that this machine knows, like Europe/Berlin or +05:30";
    }
    return NULL;
}
