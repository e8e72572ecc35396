/* resource_read.c - one function for each type of field. */
#include "control/resource_read.h"

#include "base/clock.h"
#include "conf/option.h"
#include "conf/value.h"

/* What every resource has, and clients do not write. */
static const char *const made[] = { "id", "object", "created_at", "updated_at", "revision" };

static const char *
type_of(const struct json *j)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",
        [JSON_FALSE] = "false",
        [JSON_TRUE] = "true",
        [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a text",
        [JSON_ARRAY] = "a list",
        [JSON_OBJECT] = "an object",
    };

    return names[j->type];
}

/* A member of the document, being read. */
struct given {
    const struct resource_field_row *field;
    const struct json *j;
    struct str at;    /* pointer */
    struct faults *faults;
};

static bool
read_text(const struct given *m, const struct json *j, struct str at, struct str *ret)
{
    struct arena *a = m->faults->arena;

    if (!json_is(j, JSON_STRING)) {
        faults_add(m->faults, at, "must be a text, not %s", type_of(j));
        return false;
    }
    *ret = json_str(a, j);
    const char *problem = resource_form_problem(a, m->field, *ret);

    if (problem != NULL)
        faults_add(m->faults, at, "%s", problem);
    return problem == NULL;
}

static bool
read_texts(const struct given *m, struct str *ret)
{
    struct json_iter it = json_iter(m->j);
    unsigned count = 0;
    bool good = true;
    struct buf b;

    if (!json_is(m->j, JSON_ARRAY)) {
        faults_add(m->faults, m->at, "must be a list of texts, not %s", type_of(m->j));
        return false;
    }
    buf_init(&b, RESOURCE_LIST_BYTES);
    struct json_out o = json_out(&b);

    out_array(&o);
    while (json_next(&it) && count < RESOURCE_TEXTS_MOST + 1) {
        struct str at = arena_printf(m->faults->arena, STR_FMT "/%u", STR_ARG(m->at), count++);
        struct str text;

        if (read_text(m, it.value, at, &text))
            out_text_value(&o, text);
        else
            good = false;
    }
    out_end_array(&o);
    if (count > RESOURCE_TEXTS_MOST || b.overflow)
        faults_add(m->faults, m->at, "must have at most %d texts and %d bytes", RESOURCE_TEXTS_MOST,
            RESOURCE_LIST_BYTES);
    good = good && count <= RESOURCE_TEXTS_MOST && !b.overflow;
    *ret = count != 0 ? arena_str(m->faults->arena, buf_str(&b)) : S("");
    buf_fini(&b);
    return good;
}

/* The tags there are (an object, or empty), with those of the document. */
static bool
read_tags(const struct given *m, struct str before, struct str *ret)
{
    struct arena *a = m->faults->arena;
    struct json_iter it;
    unsigned count = 0;
    bool good = true;
    struct buf b;

    if (!json_is(m->j, JSON_OBJECT)) {
        faults_add(m->faults, m->at, "must be an object of texts, not %s", type_of(m->j));
        return false;
    }
    buf_init(&b, RESOURCE_LIST_BYTES);
    struct json_out o = json_out(&b);

    out_object(&o);
    for (it = json_iter(json_parse(a, before, NULL, NULL)); json_next(&it);) {
        if (json_get(m->j, json_str(a, it.key)) != NULL)
            continue;
        out_key_str(&o, json_str(a, it.key));
        out_raw_value(&o, json_raw(it.value));
        count++;
    }
    for (it = json_iter(m->j); json_next(&it);) {
        struct str name = json_str(a, it.key), text;

        if (json_is(it.value, JSON_NULL))
            continue;
        if (name.n == 0 || name.n > 64 || !str_has_only(name, "-._"))
            faults_add(m->faults, fault_pointer(a, m->at, name),
                "the name of a tag has 1 to 64 letters, digits and -._");
        if (name.n == 0 || name.n > 64 || !str_has_only(name, "-._") ||
            !read_text(m, it.value, fault_pointer(a, m->at, name), &text)) {
            good = false;
            continue;
        }
        out_key_str(&o, name);
        out_text_value(&o, text);
        count++;
    }
    out_end(&o);
    if (count > RESOURCE_TEXTS_MOST || b.overflow) {
        faults_add(m->faults, m->at, "must have at most %d tags and %d bytes", RESOURCE_TEXTS_MOST,
            RESOURCE_LIST_BYTES);
        good = false;
    }
    *ret = count != 0 ? arena_str(a, buf_str(&b)) : S("");
    buf_fini(&b);
    return good;
}

static bool
read_choice(const struct given *m, struct str *ret)
{
    struct str choices = m->field->choices, word, all = S("");
    struct str names[16];
    size_t n = 0;

    if (!json_is(m->j, JSON_STRING)) {
        faults_add(m->faults, m->at, "must be a text, not %s", type_of(m->j));
        return false;
    }
    *ret = json_str(m->faults->arena, m->j);
    while (option_next_choice(&choices, &word)) {
        if (str_eq(word, *ret))
            return true;
        names[n++] = word;
        all = arena_printf(m->faults->arena, STR_FMT "%s" STR_FMT, STR_ARG(all),
            all.n != 0 ? ", " : "", STR_ARG(word));
    }
    struct str near = conf_closest(*ret, names, n);

    if (near.n != 0)
        faults_add(m->faults, m->at, "must be one of " STR_FMT "; did you mean '" STR_FMT "'?",
            STR_ARG(all), STR_ARG(near));
    else
        faults_add(m->faults, m->at, "must be one of " STR_FMT, STR_ARG(all));
    return false;
}

static bool
read_count(const struct given *m, int64_t *ret)
{
    double number = json_is(m->j, JSON_NUMBER) ? json_f64(m->j, 0) : 0.5;
    const struct resource_field_row *f = m->field;

    *ret = json_i64(m->j, 0);
    if ((double)*ret == number && *ret >= f->min && *ret <= f->max)
        return true;
    faults_add(m->faults, m->at, "must be a whole number from %lld to %lld", (long long)f->min,
        (long long)f->max);
    return false;
}

static bool
read_money(const struct given *m, int64_t *ret)
{
    struct str text =
        json_is(m->j, JSON_STRING) ? json_str(m->faults->arena, m->j) : json_raw(m->j);

    if ((json_is(m->j, JSON_STRING) || json_is(m->j, JSON_NUMBER)) && value_decimal(text, ret) &&
        *ret >= 0)
        return true;
    faults_add(m->faults, m->at,
        "must be dollars, a decimal number with at most 9 places, like 10 or 0.25");
    return false;
}

static bool
read_time(const struct given *m, int64_t *ret)
{
    if (json_is(m->j, JSON_STRING) && clock_timestamp(json_str(m->faults->arena, m->j), ret) &&
        *ret > 0)
        return true;
    faults_add(m->faults, m->at, "must be a time (RFC 3339), like 2027-01-31T18:00:00Z");
    return false;
}

static bool
read_bool(const struct given *m, int64_t *ret)
{
    *ret = json_is(m->j, JSON_TRUE);
    if (json_is(m->j, JSON_TRUE) || json_is(m->j, JSON_FALSE))
        return true;
    faults_add(m->faults, m->at, "must be true or false, not %s", type_of(m->j));
    return false;
}

/* An id or a name, which the store knows or does not. */
static bool
read_ref(const struct given *m, struct str *ret)
{
    if (json_is(m->j, JSON_STRING)) {
        *ret = json_str(m->faults->arena, m->j);
        if (ret->n != 0 && ret->n <= 254)
            return true;
    }
    faults_add(m->faults, m->at, "must be the id or the name of one of the " STR_FMT,
        STR_ARG(resource_kind(m->field->refers)->path));
    return false;
}

static bool
read_value(const struct given *m, const struct resource_value *before, struct resource_value *ret)
{
    switch (m->field->type) {
    case RESOURCE_TEXT:
        return read_text(m, m->j, m->at, &ret->text);
    case RESOURCE_TEXTS:
        return read_texts(m, &ret->text);
    case RESOURCE_CHOICE:
        return read_choice(m, &ret->text);
    case RESOURCE_BOOL:
        return read_bool(m, &ret->number);
    case RESOURCE_COUNT:
        return read_count(m, &ret->number);
    case RESOURCE_MONEY:
        return read_money(m, &ret->number);
    case RESOURCE_TIME:
        return read_time(m, &ret->number);
    case RESOURCE_REF:
        return read_ref(m, &ret->text);
    case RESOURCE_TAGS:
        return read_tags(m, before->text, &ret->text);
    }
    return false;
}

/* A member that the kind does not have, or that is not the client's to say. */
static void
refuse_member(enum resource_kind kind, struct str name, struct str at, struct faults *faults)
{
    const struct resource_kind_row *k = resource_kind(kind);
    struct str names[RESOURCE_FIELDS_MOST];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        if (!str_eq(name, str_c(made[i])))
            continue;
        faults_add(faults, at, "is made by the gateway; leave it out");
        return;
    }
    for (unsigned i = 0; i < resource_field_count(kind); i++) {
        const struct resource_field_row *f = resource_field((enum resource_field)(k->first + i));

        if ((f->flags & (RESOURCE_MADE | RESOURCE_HIDDEN)) == 0)
            names[n++] = f->name;
    }
    struct str near = conf_closest(name, names, n);

    if (near.n != 0)
        faults_add(faults, at, STR_FMT " have no such member; did you mean '" STR_FMT "'?",
            STR_ARG(k->path), STR_ARG(near));
    else
        faults_add(faults, at, STR_FMT " have no such member; /openapi.json lists what they have",
            STR_ARG(k->path));
}

static void
read_member(
    struct resource_draft *d, const struct resource_field_row *f, const struct given *m, bool fresh)
{
    unsigned i = (unsigned)(f - resource_field(resource_kind(d->kind)->first));
    struct resource_value value = { 0 };

    if (!json_is(m->j, JSON_NULL)) {
        if (!read_value(m, &d->values[i], &value))
            return;
        bool is_text = f->type != RESOURCE_BOOL && f->type != RESOURCE_COUNT &&
                       f->type != RESOURCE_MONEY && f->type != RESOURCE_TIME;
        value.set = !is_text || value.text.n != 0;
    }
    bool same = value.set == d->values[i].set && value.number == d->values[i].number &&
                str_eq(value.text, d->values[i].text);
    if (!fresh && (f->flags & RESOURCE_FIXED) != 0 && !same) {
        faults_add(m->faults, m->at, "cannot be changed; make a new " STR_FMT " instead",
            STR_ARG(resource_kind(d->kind)->one));
        return;
    }
    d->said[i] = true;
    d->values[i] = value;
}

/* What must be there, and what is meant where nothing is said. */
static void
complete(struct resource_draft *d, struct faults *faults)
{
    const struct resource_kind_row *k = resource_kind(d->kind);

    for (unsigned i = 0; i < resource_field_count(d->kind); i++) {
        const struct resource_field_row *f = resource_field((enum resource_field)(k->first + i));

        if (!d->values[i].set && f->fallback.n != 0)
            d->values[i] = (struct resource_value){ .set = true, .text = f->fallback };
        if (!d->values[i].set && (f->flags & RESOURCE_REQUIRED) != 0)
            faults_add(faults, fault_pointer(faults->arena, S(""), f->name), "is required");
    }
}

void
resource_read(struct resource_draft *d, const struct json *doc, bool fresh, struct faults *faults)
{
    struct json_iter it = json_iter(doc);

    if (!json_is(doc, JSON_OBJECT)) {
        faults_add(faults, S(""), "the body must be a JSON object");
        return;
    }
    size_t before = faults->count;
    while (json_next(&it)) {
        struct str name = json_str(faults->arena, it.key);
        struct given m = { .field = resource_field_named(d->kind, name),
            .j = it.value,
            .at = fault_pointer(faults->arena, S(""), name),
            .faults = faults };

        if (m.field == NULL || (m.field->flags & (RESOURCE_MADE | RESOURCE_HIDDEN)) != 0) {
            if (m.field != NULL && (m.field->flags & RESOURCE_MADE) != 0)
                faults_add(faults, m.at, "is made by the gateway; leave it out");
            else
                refuse_member(d->kind, name, m.at, faults);
            continue;
        }
        read_member(d, m.field, &m, fresh);
    }
    if (faults->count == before)
        complete(d, faults);
}
