/* option.c - turns options.def into two arrays. */
#include "conf/option.h"

/* One member per section: defines the offset of each row and checks the type of its field. */
struct all_sections {
#define SECTION(id, type, path, help) type id;
#define ENTRY(id, type, name, mark, example, path, help) type id;
#define ITEM(id, type, mark, short_form, path, help) type id;
#include "conf/options.def"
};

#define TYPE(section, field) (((struct all_sections *)0)->section.field)
#define OFFSET(section, field)                                                                     \
    (offsetof(struct all_sections, section.field) - offsetof(struct all_sections, section))
#define AT(section, field, type) _Generic(TYPE(section, field), type : OFFSET(section, field))
#define ENUM_AT(section, field)                                                                    \
    _Generic(TYPE(section, field), enum conf_auth_mode                                             \
             : OFFSET(section, field), enum conf_fault_kind                                        \
             : OFFSET(section, field))

static const struct section sections[] = {
#define SECTION(id, type, path_, help_)                                                            \
    [SECTION_##id] = { .path = S_INIT(path_),                                                      \
        .help = S_INIT(help_),                                                                     \
        .size = sizeof(type),                                                                      \
        .name_at = OPTION_NOWHERE,                                                                 \
        .mark_at = OPTION_NOWHERE },
#define ENTRY(id, type, name, mark, example_, path_, help_)                                        \
    [SECTION_##id] = { .kind = SECTION_ENTRY,                                                      \
        .path = S_INIT(path_),                                                                     \
        .help = S_INIT(help_),                                                                     \
        .size = sizeof(type),                                                                      \
        .name_at = AT(id, name, struct conf_str),                                                  \
        .mark_at = AT(id, mark, struct conf_mark),                                                 \
        .example = S_INIT(example_) },
#define ITEM(id, type, mark, short_form_, path_, help_)                                            \
    [SECTION_##id] = { .kind = SECTION_ITEM,                                                       \
        .path = S_INIT(path_),                                                                     \
        .help = S_INIT(help_),                                                                     \
        .short_form = S_INIT(short_form_),                                                         \
        .size = sizeof(type),                                                                      \
        .name_at = OPTION_NOWHERE,                                                                 \
        .mark_at = AT(id, mark, struct conf_mark) },
#include "conf/options.def"
};

/* The part of a row that all types share. */
#define ROW(section_, key_, type_, at_, help_)                                                     \
    .section = SECTION_##section_, .key = S_INIT(#key_), .type = type_, .at = at_,                 \
    .help = S_INIT(help_)

static const struct option options[] = {
#define STRING(section, key, field, form_, flags_, default_, example_, help)                       \
    { ROW(section, key, OPTION_STRING, AT(section, field, struct conf_str), help),                 \
        .aux = OPTION_NOWHERE, .form = form_, .flags = flags_, .fallback = S_INIT(default_),       \
        .example = S_INIT(example_) },
#define STRINGS(section, key, field, form_, flags_, default_, example_, help)                      \
    { ROW(section, key, OPTION_STRINGS, AT(section, field, struct conf_strs), help),               \
        .aux = OPTION_NOWHERE, .form = form_, .flags = flags_, .fallback = S_INIT(default_),       \
        .example = S_INIT(example_) },
#define MARKED_STRINGS(section, key, field, flag, form_, flags_, example_, help)                   \
    { ROW(section, key, OPTION_STRINGS, AT(section, field, struct conf_strs), help),               \
        .aux = AT(section, flag, bool), .form = form_, .flags = flags_,                            \
        .example = S_INIT(example_) },
#define DURATION(section, key, field, default_, min_, max_, example_, help)                        \
    { ROW(section, key, OPTION_DURATION, AT(section, field, uint64_t), help),                      \
        .fallback = S_INIT(default_), .min = min_, .max = max_, .example = S_INIT(example_) },
#define SIZE(section, key, field, default_, min_, max_, help)                                      \
    { ROW(section, key, OPTION_SIZE, AT(section, field, uint64_t), help),                          \
        .fallback = S_INIT(default_), .min = min_, .max = max_, .example = S_INIT(default_) },
#define COUNT(section, key, field, word, default_, min_, max_, example_, help)                     \
    { ROW(section, key, OPTION_COUNT, AT(section, field, uint64_t), help),                         \
        .choices = S_INIT(word), .fallback = S_INIT(default_), .min = min_, .max = max_,           \
        .example = S_INIT(example_) },
#define BOOL(section, key, field, default_, help)                                                  \
    { ROW(section, key, OPTION_BOOL, AT(section, field, bool), help),                              \
        .fallback = S_INIT(default_), .example = S_INIT(default_) },
#define CHOICE(section, key, field, choices_, later_, default_, help)                              \
    { ROW(section, key, OPTION_CHOICE, AT(section, field, struct conf_str), help),                 \
        .choices = S_INIT(choices_), .later = S_INIT(later_), .fallback = S_INIT(default_),        \
        .example = S_INIT(default_) },
#define ENUM(section, key, field, mark, choices_, later_, example_, help)                          \
    { ROW(section, key, OPTION_ENUM, ENUM_AT(section, field), help),                               \
        .aux = AT(section, mark, struct conf_mark), .choices = S_INIT(choices_),                   \
        .later = S_INIT(later_), .example = S_INIT(example_) },
#define WITHIN(section, key, of, help)                                                             \
    { ROW(section, key, OPTION_SECTION, 0, help), .within = SECTION_##of },
#define PART(section, key, field, flags_, of, help)                                                \
    { ROW(section, key, OPTION_SECTION, OFFSET(section, field), help), .within = SECTION_##of,     \
        .flags = flags_ },
#define MAP(section, key, field, count, of, form_, example_, help)                                 \
    { ROW(section, key, OPTION_MAP, OFFSET(section, field), help),                                 \
        .aux = AT(section, count, size_t), .within = SECTION_##of, .form = form_,                  \
        .example = S_INIT(example_) },
#define LIST(section, key, field, count, flags_, of, example_, help)                               \
    { ROW(section, key, OPTION_LIST, OFFSET(section, field), help),                                \
        .aux = AT(section, count, size_t), .within = SECTION_##of, .flags = flags_,                \
        .example = S_INIT(example_) },
#define PAIRS(section, key, field, count, example_, help)                                          \
    { ROW(section, key, OPTION_PAIRS, AT(section, field, struct conf_pair *), help),               \
        .aux = AT(section, count, size_t), .flags = OPTION_SECRET, .example = S_INIT(example_) },
#define JSON(section, key, field, example_, help)                                                  \
    { ROW(section, key, OPTION_JSON, AT(section, field, struct str), help),                        \
        .example = S_INIT(example_) },
#define LATER(section_, key_, what)                                                                \
    { .section = SECTION_##section_,                                                               \
        .key = S_INIT(#key_),                                                                      \
        .type = OPTION_LATER,                                                                      \
        .later = S_INIT(what) },
#include "conf/options.def"
};

const struct section *
section_row(enum section_id id)
{
    CHECK(id < SECTION_COUNT);
    return &sections[id];
}

const struct option *
option_at(size_t i)
{
    return i < ARRAY_LEN(options) ? &options[i] : NULL;
}

const struct option *
option_find(enum section_id section, struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (options[i].section == section && str_eq(options[i].key, key))
            return &options[i];
    }
    return NULL;
}

bool
option_next_choice(struct str *choices, struct str *ret_word)
{
    if (choices->n == 0)
        return false;
    (void)str_cut(*choices, '|', ret_word, choices);
    return true;
}

unsigned
option_choice(struct str choices, struct str word)
{
    struct str choice;

    for (unsigned i = 1; option_next_choice(&choices, &choice); i++) {
        if (str_eq(choice, word))
            return i;
    }
    return 0;
}
