/* resource.c - the rows of resources.def as data. */
#include "control/resource.h"

#define REQUIRED RESOURCE_REQUIRED
#define UNIQUE RESOURCE_UNIQUE
#define FIXED RESOURCE_FIXED
#define MADE RESOURCE_MADE
#define SECRET RESOURCE_SECRET
#define HIDDEN RESOURCE_HIDDEN
#define FILTER RESOURCE_FILTER
#define COLUMN RESOURCE_COLUMN

static const struct resource_field_row fields[RESOURCE_FIELDS] = {
#define FIELD(of, field_name, field_type, field_flags, ...)                                        \
    [FIELD_##of##_##field_name] = { .kind = RESOURCE_##of,                                         \
        .name = S_INIT(#field_name),                                                               \
        .type = RESOURCE_##field_type,                                                             \
        .flags = (field_flags),                                                                    \
        __VA_ARGS__ },
#include "control/resources.def"
};

static const struct resource_kind_row kinds[RESOURCE_KINDS] = {
#define KIND(id, kind_path, ids, single, text)                                                     \
    [RESOURCE_##id] = { .table = S_INIT(#id),                                                      \
        .path = S_INIT(kind_path),                                                                 \
        .prefix = S_INIT(ids),                                                                     \
        .one = S_INIT(single),                                                                     \
        .help = S_INIT(text),                                                                      \
        .first = FIELD_FIRST_##id },
#include "control/resources.def"
};

const struct resource_kind_row *
resource_kind(enum resource_kind kind)
{
    CHECK(kind < RESOURCE_KINDS);
    return &kinds[kind];
}

unsigned
resource_field_count(enum resource_kind kind)
{
    unsigned end = kind + 1 < RESOURCE_KINDS ? kinds[kind + 1].first : RESOURCE_FIELDS;

    return end - resource_kind(kind)->first;
}

const struct resource_field_row *
resource_field(enum resource_field field)
{
    CHECK(field < RESOURCE_FIELDS);
    return &fields[field];
}

enum resource_kind
resource_kind_named(struct str path)
{
    for (unsigned i = 0; i < RESOURCE_KINDS; i++)
        if (str_eq(kinds[i].path, path))
            return (enum resource_kind)i;
    return RESOURCE_KINDS;
}

const struct resource_field_row *
resource_field_named(enum resource_kind kind, struct str name)
{
    const struct resource_field_row *first = &fields[resource_kind(kind)->first];

    for (unsigned i = 0; i < resource_field_count(kind); i++)
        if (str_eq(first[i].name, name))
            return &first[i];
    return NULL;
}

bool
resource_next_text(struct str *list, struct str *ret)
{
    size_t begin = str_chr(*list, '"'), end = begin + 1;

    if (begin == list->n)
        return false;
    while (end < list->n && list->p[end] != '"')
        end += list->p[end] == '\\' ? 2 : 1;
    if (end >= list->n)    /* not what we write */
        return false;
    *ret = str_make(list->p + begin + 1, end - begin - 1);
    *list = str_skip(*list, end + 1);
    return true;
}
