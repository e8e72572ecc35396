/* flags.c - reads argv in one pass; each value is checked where it is read. */
#include "cli/flags.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/output.h"

enum { HELP_COLUMN = 26, NARROW_COLUMN = 6, WIDTH_MIN = 20, WIDTH_WIDE = 60, WIDTH_MAX = 80 };

/* "1.5ms" -> 1.5 and "ms". Plain decimals only: no sign, no exponent. */
static bool
split_number(struct str text, double *ret_number, struct str *ret_unit)
{
    char room[32];
    size_t n = 0;

    while (n < text.n && (str_is_digit(text.p[n]) || text.p[n] == '.'))
        n++;
    if (n == 0 || n >= sizeof(room) || text.p[0] == '.' || text.p[n - 1] == '.')
        return false;
    str_copy_c(room, sizeof(room), str_make(text.p, n));

    char *end = NULL;
    *ret_number = strtod(room, &end);
    *ret_unit = str_skip(text, n);
    return *end == '\0';
}

struct unit {
    const char *name;
    double factor;
};

static bool
read_units(struct str text, const struct unit *units, size_t count, uint64_t *ret)
{
    double number;
    struct str unit;

    if (!split_number(text, &number, &unit))
        return false;
    for (size_t i = 0; i < count; i++) {
        double value = number * units[i].factor;
        if (str_ieq(unit, str_c(units[i].name)) && value < 1e15) {
            *ret = (uint64_t)(value + 0.5);
            return true;
        }
    }
    return false;
}

bool
flags_time(struct str text, uint64_t *ret_us)
{
    static const struct unit units[] = {
        { "us", 1 },
        { "ms", 1e3 },
        { "s", 1e6 },
        { "", 1e6 },
        { "m", 60e6 },
        { "h", 3600e6 },
    };

    return read_units(text, units, ARRAY_LEN(units), ret_us);
}

bool
flags_bytes(struct str text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        { "", 1 },
        { "B", 1 },
        { "KB", 1024 },
        { "MB", 1024 * 1024 },
        { "GB", 1024.0 * 1024 * 1024 },
    };

    return read_units(text, units, ARRAY_LEN(units), ret_bytes);
}

bool
flags_rate(struct str text, double *ret)
{
    struct str unit;

    return split_number(text, ret, &unit) && unit.n == 0;
}

/* Prints text wrapped between `indent` and `width`; the first line starts at `column`. */
static void
print_wrapped(const char *text, int column, int indent, int width)
{
    struct str rest = str_c(text);
    size_t room = (size_t)(width - indent);

    while (rest.n > 0) {
        size_t cut = rest.n;

        if (cut > room) {
            cut = room;
            while (cut > 0 && rest.p[cut] != ' ')
                cut--;
            if (cut == 0)
                cut = room;
        }
        printf("%*s" STR_FMT "\n", indent - column, "", (int)cut, rest.p);
        rest = str_trim(str_skip(rest, cut));
        column = 0;
    }
}

static int
help_width(void)
{
    return (int)MAX(WIDTH_MIN, MIN(output_columns(), WIDTH_MAX));
}

void
flags_print_text(const char *text)
{
    print_wrapped(text, 0, 0, help_width());
}

void
flags_print_line(const char *left, const char *help)
{
    int width = help_width();
    int indent = width < WIDTH_WIDE ? NARROW_COLUMN : HELP_COLUMN;
    int column = printf("  %s", left);

    if (column >= indent) {
        printf("\n");
        column = 0;
    }
    print_wrapped(help, column, indent, width);
}

static void
print_help(const struct flags *f)
{
    printf("usage: %s\n\n", f->usage);
    flags_print_text(f->about);
    printf("\n");
    for (size_t i = 0; i < f->count; i++) {
        const struct flag *flag = &f->list[i];
        char left[80];
        char letter[8] = "";

        if (flag->letter != 0)
            snprintf(letter, sizeof(letter), "-%c, ", flag->letter);
        snprintf(left, sizeof(left), "%s--%s%s%s", letter, flag->name, flag->arg != NULL ? " " : "",
            flag->arg != NULL ? flag->arg : "");
        flags_print_line(left, flag->help);
    }
    flags_print_line("-h, --help", "this text");
    if (f->more != NULL)
        f->more();
}

static bool
set_value(const struct flag *flag, const char *text, struct why why)
{
    struct str s = str_c(text);

    switch (flag->kind) {
    case FLAG_BOOL:
        *(bool *)flag->value = true;
        return true;
    case FLAG_TEXT:
        *(const char **)flag->value = text;
        return true;
    case FLAG_COUNT:
        why_say(why, "write a whole number");
        return str_u64(s, flag->value);
    case FLAG_RATE:
        why_say(why, "write a number such as 50 or 0.5");
        return flags_rate(s, flag->value);
    case FLAG_TIME:
        why_say(why, "write a time such as 200ms, 1.5s or 2m");
        return flags_time(s, flag->value);
    case FLAG_BYTES:
        why_say(why, "write a size such as 500, 64KB or 2MB");
        return flags_bytes(s, flag->value);
    case FLAG_CALL:
        return flag->call(flag->value, s, why);
    }
    CHECK_UNREACHABLE();
}

/* Finds the flag that `word` ("--name=value" or "-cvalue") names; *ret_value is the attached
 * value. */
static const struct flag *
find_flag(const struct flags *f, const char *word, const char **ret_value)
{
    *ret_value = NULL;
    for (size_t i = 0; i < f->count; i++) {
        const struct flag *flag = &f->list[i];
        size_t n = strlen(flag->name);

        if (word[1] == '-' && strncmp(word + 2, flag->name, n) == 0) {
            if (word[2 + n] == '=')
                *ret_value = word + 3 + n;
            if (word[2 + n] == '=' || word[2 + n] == '\0')
                return flag;
        }
        if (word[1] != '-' && flag->letter != 0 && word[1] == flag->letter) {
            if (word[2] != '\0')
                *ret_value = word + 2;
            return flag;
        }
    }
    return NULL;
}

static enum flags_verdict
complain_unknown(const struct flags *f, const char *command, const char *word)
{
    const char *near = NULL;
    struct str name = str_c(word[1] == '-' ? word + 2 : word + 1);
    unsigned best = 3;

    for (size_t i = 0; i < f->count; i++) {
        unsigned distance = str_distance(name, str_c(f->list[i].name), 3);
        if (distance < best) {
            best = distance;
            near = f->list[i].name;
        }
    }
    fprintf(stderr, "openclaw %s: there is no option '%s'", command, word);
    if (near != NULL)
        fprintf(stderr, "; did you mean '--%s'?\n", near);
    else
        fprintf(stderr, "; 'openclaw %s --help' lists them\n", command);
    return FLAGS_WRONG;
}

enum flags_verdict
flags_parse(const struct flags *f, int argc, char **argv, int *ret_rest)
{
    int rest = 0;
    bool plain = false;    /* after "--" */

    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        const char *value;
        char why[160] = "";

        if (plain || word[0] != '-' || word[1] == '\0') {
            argv[1 + rest++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0) {
            plain = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(f);
            return FLAGS_HELP;
        }
        const struct flag *flag = find_flag(f, word, &value);
        if (flag == NULL || (flag->arg == NULL && value != NULL))
            return complain_unknown(f, argv[0], word);
        if (value == NULL)
            value = flag->arg == NULL ? "1" : i + 1 < argc ? argv[++i] : NULL;
        if (value == NULL) {
            fprintf(stderr, "openclaw %s: --%s needs a value: --%s %s\n", argv[0], flag->name,
                flag->name, flag->arg);
            return FLAGS_WRONG;
        }
        if (!set_value(flag, value, WHY(why))) {
            fprintf(stderr, "openclaw %s: --%s %s: %s\n", argv[0], flag->name, value, why);
            return FLAGS_WRONG;
        }
    }
    if ((size_t)rest > f->words) {
        fprintf(stderr, "openclaw %s: unexpected '%s'; see 'openclaw %s --help'\n", argv[0],
            argv[1 + f->words], argv[0]);
        return FLAGS_WRONG;
    }
    if (ret_rest != NULL)
        *ret_rest = rest;
    return FLAGS_OK;
}
