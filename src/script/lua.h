/* lua.h - expressions of the configuration, in a sandboxed Lua 5.4.
 *
 * A script is an interpreter with the expressions that were compiled for it, and the names that they
 * can read. It belongs to one thread. An expression sees those names and the functions of
 * functions.def, and nothing else of Lua: no files, no clock, no way to load code or to catch an
 * error. It can change nothing, so that the order of evaluations does not matter and nothing survives
 * one.
 *
 * Each evaluation is bounded: in instructions by a hook (which only an expression with a function of
 * its own needs: no other one can loop), in what it allocates, garbage included, by the allocator, and
 * in what the functions look at by a count of bytes, for a hook stops no C function.
 */
#pragma once

#include "base/base.h"

#define SCRIPT_TEXT_MOST 16384u           /* bytes of one expression */
#define SCRIPT_INSTRUCTIONS_MOST 10000    /* of one evaluation */
#define SCRIPT_SPENT_MOST 131072u         /* bytes allocated in one evaluation */
#define SCRIPT_LOOKED_MOST 1048576u       /* bytes that its functions look at */
#define SCRIPT_HELD_MOST 16777216u        /* bytes of an interpreter with all that it compiled */

enum script_type { SCRIPT_NIL, SCRIPT_BOOL, SCRIPT_INTEGER, SCRIPT_NUMBER, SCRIPT_TEXT };

struct script_value {
    enum script_type type;
    union {
        bool yes;
        int64_t integer;
        double number;
        struct str text;    /* copied when it is read */
    };
};

struct script_names {
    /* "task"; "budget.left": a member of a table; "tags.*": a table whose members have any name */
    const struct str *list;
    size_t count;
    /* What the name (and of a table with any members, the member) stands for. Called when it is read: at
     * most once for a subject and a name whose value is not nil, and each time for a member. False: that
     * is not known; the evaluation is undecided. */
    bool (*read)(void *subject, size_t name, struct str member, struct script_value *ret);
    /* The value of a name (not a member), if it takes no time to know it. Called before the first
     * evaluation for a subject, because this costs less than a call when it is read. */
    bool (*peek)(void *subject, size_t name, struct script_value *ret);
};

enum script_verdict {
    SCRIPT_NO,           /* nil or false */
    SCRIPT_YES,          /* anything else */
    SCRIPT_FAILED,       /* *ret_fault says why */
    SCRIPT_UNDECIDED,    /* it read something that is not known */
};

struct script_fault {
    unsigned line;     /* of the expression, from 1; 0: not known */
    size_t offset;     /* in bytes, of a mistake found when it was compiled */
    char text[256];    /* one sentence without its place */
};

struct script;

/* `names` must outlive it. NULL: there is no memory. */
struct script *script_create(const struct script_names *names) MUST_CHECK;

/* NULL is a no-op. */
void script_destroy(struct script *s);

/* Compiles an expression, whose number is in *ret: 0, 1, ... False with *ret_fault. */
bool script_compile(
    struct script *s, struct str text, size_t *ret, struct script_fault *ret_fault) MUST_CHECK;

/* From now on names are read of this subject. It is the argument of names->read and must live until
 * the next call. */
void script_begin(struct script *s, void *subject);

/* Joins the expressions compiled so far into one function, for script_first(): one call of Lua costs
 * more than many short expressions. Without it (there are too many, or there is no memory)
 * script_first() fails. */
void script_join(struct script *s);

/* Evaluates expressions from the first on, until one holds: SCRIPT_YES, with its number. SCRIPT_FAILED or
 * SCRIPT_UNDECIDED: one of them failed, or was undecided, or all together exceed the bounds of one
 * evaluation; script_test() says which. */
enum script_verdict script_first(struct script *s, size_t *ret) MUST_CHECK;

/* Evaluates the expression with this number. *ret_fault is only written to with SCRIPT_FAILED. */
enum script_verdict script_test(
    struct script *s, size_t expression, struct script_fault *ret_fault) MUST_CHECK;

/* Is it the name of a function, or of a table of functions? With a member: of a function in that
 * table. */
bool script_has_function(struct str name, struct str member);

/* Bytes that the interpreter holds, for tests. */
size_t script_held_bytes(const struct script *s);
