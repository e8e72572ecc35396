/* option.h - the rows of options.def as data. */
#pragma once

#include "conf/conf.h"

enum option_type {
    OPTION_STRING,      /* struct conf_str */
    OPTION_STRINGS,     /* struct conf_strs */
    OPTION_DURATION,    /* uint64_t, milliseconds */
    OPTION_SIZE,        /* uint64_t, bytes */
    OPTION_COUNT,       /* uint64_t */
    OPTION_BOOL,        /* bool */
    OPTION_CHOICE,      /* struct conf_str, one of `choices` */
    OPTION_ENUM,        /* int, the place in `choices` from 1; 0: not given */
    OPTION_SECTION,     /* a struct with settings of its own */
    OPTION_MAP,         /* an array of such structs, each with a name */
    OPTION_LIST,        /* an array of such structs */
    OPTION_PAIRS,       /* an array of struct conf_pair */
    OPTION_JSON,        /* struct str */
    OPTION_LATER,       /* refused */
};

enum {
    OPTION_REQUIRED = 1 << 0,
    OPTION_SECRET = 1 << 1,    /* never shown; file: references are read */
    /* a section without defaults: what is left out comes from elsewhere */
    OPTION_INHERITS = 1 << 2,
};

/* What a text must look like; see conf/form.h. */
enum conf_form {
    FORM_NONE,
    FORM_TEXT,
    FORM_EXPRESSION,
    FORM_SHARE,
    FORM_WORD,
    FORM_ID,
    FORM_ALIAS,
    FORM_MODEL,
    FORM_ADDRESS,
    FORM_HOST,
    FORM_NAME_SERVER,
    FORM_FILE_MODE,
    FORM_URL,
    FORM_ORIGIN,
    FORM_SECRET,
    FORM_FIELD_NAME,
    FORM_FIELD_VALUE,
    FORM_FILE,
    FORM_LOG,
    FORM_LOG_OFF,
    FORM_MEMORY,
    FORM_SOCKET,
    FORM_STORE,
    FORM_DECIMAL,
    FORM_SCOPE,
    FORM_BUDGET,
};

enum section_id {
#define SECTION(id, ...) SECTION_##id,
#define ENTRY(id, ...) SECTION_##id,
#define ITEM(id, ...) SECTION_##id,
#include "conf/options.def"
    SECTION_COUNT,
};

#define OPTION_NOWHERE SIZE_MAX

struct option {
    enum section_id section;
    enum option_type type;
    struct str key;
    size_t at;    /* offset in the section's struct */
    /* of the count, the mark or the "was given" flag, or OPTION_NOWHERE */
    size_t aux;
    unsigned flags;
    enum conf_form form;       /* of a string, or of the names in a map */
    enum section_id within;    /* the section of a section, a map or a list */
    uint64_t min, max;
    struct str fallback;    /* the default as written in a file; empty: none */
    struct str choices;     /* "a|b"; of a count the word for 0 */
    /* choices that this version refuses; of OPTION_LATER what it would be */
    struct str later;
    struct str example;
    struct str help;
};

enum section_kind { SECTION_PLAIN, SECTION_ENTRY, SECTION_ITEM };

struct section {
    enum section_kind kind;
    struct str path;    /* "providers.<id>" */
    struct str help;
    struct str example;       /* a name for an entry */
    struct str short_form;    /* the key that a bare text in a list sets, or empty */
    size_t size;
    size_t name_at;    /* struct conf_str, of an entry */
    size_t mark_at;    /* struct conf_mark, of an entry or an item */
};

const struct section *section_row(enum section_id id) NEVER_NULL;

/* All rows in the order of options.def; NULL after the last. */
const struct option *option_at(size_t i);

/* The row of that key in that section, or NULL. */
const struct option *option_find(enum section_id section, struct str key);

/* Walks "a|b|c": cuts the next word off `choices`. False when none is left. */
bool option_next_choice(struct str *choices, struct str *ret_word);

/* Place of `word` in "a|b|c" from 1, or 0. */
unsigned option_choice(struct str choices, struct str word);
