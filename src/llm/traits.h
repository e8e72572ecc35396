/* traits.h - what a provider or a model needs or refuses; the table is traits.def.
 *
 * The traits of a target are those of its provider's row, what the configuration says about the
 * provider, the model's row, and what the configuration says about the model: each overrides what
 * came before it where it says something.
 */
#pragma once

#include "base/arena.h"
#include "llm/request.h"

/* Values of `thinking`. */
enum { THINKS_BY_BUDGET = 1, THINKS_ADAPTIVE };

/* Values of `thinking_switch`. */
enum { SWITCH_THINKING = 1, SWITCH_TEMPLATE, SWITCH_FLAG };

/* A member that an initialiser leaves out is not said. */
struct traits {
#define FLAG(name, what) enum llm_tri name;
#define NUMBER(name, what) int64_t name;
#define WORD(name, values, what) unsigned name;    /* the value's place among its values, from 1 on */
#include "llm/traits.def"
#undef FLAG
#undef NUMBER
#undef WORD
};

/* In the rows of tables: TRAITS(.no_developer = YES, .max_output = 8192). */
#define TRAITS(...)                                                                                \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define NO_TRAITS TRAITS(.max_output = 0)

/* Takes what `over` says. */
void traits_override(struct traits *t, const struct traits *over);

/* Sets one by its name and its value's text: "true" or "false", a number, a word. NULL; or, as text
 * in `a`, what there is instead: "use one of ..." when there is no such trait. */
const char *traits_set(struct traits *t, struct str name, struct str value, struct arena *a);
