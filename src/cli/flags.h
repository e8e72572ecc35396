/* flags.h - the command line of one command, read from the table that --help prints.
 *
 * "--name value", "--name=value", "-c value", "-c16" and "--" are understood; other
 * arguments are returned in order. Errors go to standard error, with what to write instead.
 */
#pragma once

#include "base/base.h"
#include "base/why.h"

enum flag_kind {
    FLAG_BOOL,     /* bool: present or not */
    FLAG_TEXT,     /* const char * */
    FLAG_COUNT,    /* uint64_t */
    FLAG_RATE,     /* double, not negative */
    FLAG_TIME,     /* uint64_t, microseconds: 200ms, 1.5s, 2m */
    FLAG_BYTES,    /* uint64_t: 100, 64KB, 2MB */
    FLAG_CALL,     /* call(value, text, ...) reads it; "1" without an `arg`, as a switch */
};

struct flag {
    const char *name;    /* "listen" */
    char letter;         /* 'c' for -c; 0: none */
    enum flag_kind kind;
    const char *arg;    /* placeholder of the value in --help; NULL for a switch */
    const char *help;
    void *value;    /* where it goes */
    bool (*call)(void *value, struct str text, struct why why);
};

struct flags {
    const char *usage;    /* "openclaw mock --listen ADDR [options]" */
    const char *about;    /* a sentence or two */
    const struct flag *list;
    size_t count;
    size_t words;          /* other arguments that it takes, at most */
    void (*more)(void);    /* prints the rest of --help; may be NULL */
};

/* FLAGS_OK, or the status to exit with. */
enum flags_verdict {
    FLAGS_OK = -1,
    FLAGS_HELP = 0,     /* --help was asked for and printed */
    FLAGS_WRONG = 2,    /* reported on standard error */
};

/* Reads argv[1..]. Arguments that are not flags are moved to the front of argv[1..]; *ret_rest
 * counts them (NULL for a command that takes none). */
enum flags_verdict flags_parse(
    const struct flags *f, int argc, char **argv, int *ret_rest) MUST_CHECK;

/* Sentences, wrapped to the terminal's columns, 80 at most; and
 * "--listen ADDR     where to listen": one line of help, wrapped likewise. */
void flags_print_text(const char *text);
void flags_print_line(const char *left, const char *help);

/* Reads values with units. False if malformed or too large; a time without a unit is in seconds. */
bool flags_time(struct str text, uint64_t *ret_us);
bool flags_bytes(struct str text, uint64_t *ret_bytes);
bool flags_rate(struct str text, double *ret);
