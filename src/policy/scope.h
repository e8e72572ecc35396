/* scope.h - how much each caller, and whatever else is counted, may use: limits and budgets in memory.
 *
 * A scope is one of those that limits are for: a key, a team, a model, an address. Limits and budgets
 * come from the configuration and from the store; each names its scopes, one ("key:ci") or all of a kind
 * ("key:*"), and each scope has counters of its own, which begin when it is first used and outlive
 * reloads. Where an entry names a scope itself, what it says goes before what a pattern says.
 *
 * An exchange holds its scopes from its admission to its settlement. Finding one, taking from it and
 * giving back need no lock and no memory; a lock is taken when a scope is seen for the first time, or
 * the first time after the limits have changed. The counts are exact however many threads there are:
 * each is one atomic number.
 *
 * Requests and tokens are rates (gcra.h); requests and streams under way are counts; money is in
 * policy/budget.h. All scopes of a request give what it takes, or none does.
 */
#pragma once

#include "policy/budget.h"
#include "policy/gcra.h"

enum scope_kind {
    SCOPE_ALL,
    SCOPE_ORG,
    SCOPE_TEAM,
    SCOPE_PROJECT,
    SCOPE_USER,
    SCOPE_KEY,
    SCOPE_TAG,        /* "NAME" or "NAME=VALUE" */
    SCOPE_ADDRESS,    /* IPv6: of its /64 network */
    SCOPE_SESSION,    /* as the caller names it */
    SCOPE_MODEL,      /* "provider/model" */
    SCOPE_PROVIDER,
    SCOPE_PURSE,    /* see scope_hold_purse() */
    SCOPE_KINDS
};

/* "key", "team", ... as in `for:`. */
const char *scope_kind_name(enum scope_kind kind) NEVER_NULL;

enum scope_rate {
    RATE_REQUESTS_MINUTE,
    RATE_REQUESTS_HOUR,
    RATE_REQUESTS_DAY,
    RATE_TOKENS_MINUTE,
    RATE_TOKENS_HOUR,
    RATE_TOKENS_DAY,
    SCOPE_RATES,
    RATE_TOKENS = RATE_TOKENS_MINUTE,    /* the first of tokens */
};

extern const uint64_t scope_window_ns[SCOPE_RATES];

/* "rpm", "tpd", ... */
const char *scope_rate_name(enum scope_rate rate) NEVER_NULL;

/* What somebody wrote about a scope, or about all scopes that a pattern matches. 0: not said. */
struct scope_entry {
    struct str id;       /* names the entry; what was spent is kept by it across reloads */
    struct str scope;    /* "key:ci", "team:*", "all" */
    uint64_t rates[SCOPE_RATES];
    uint64_t burst;    /* of each rate; 0: ten seconds' worth, at least one */
    uint64_t concurrent, streams;
    struct budget_terms budget;    /* `nanousd` 0 and no ceilings: there is none */
};

/* Does it say anything? */
bool scope_entry_says(const struct scope_entry *e);

/* The kind of "key:ci" and its id, a pattern in which '*' stands for any text; false: it is none. */
bool scope_parse(struct str text, enum scope_kind *ret_kind, struct str *ret_pattern);

/* --- all of them --- */

struct scopes;

struct scopes *scopes_create(void) NEVER_NULL;
void scopes_destroy(struct scopes *s);    /* NULL is a no-op; nothing may be used */

/* Adds an entry, or replaces the one of the same id; scopes_unset() removes it. What they are given is
 * copied. False: its scope cannot be parsed. From any thread. */
bool scopes_set(struct scopes *s, const struct scope_entry *e);
void scopes_unset(struct scopes *s, struct str id);

/* Scopes of that kind and id have that name, by which entries may name them, too. Empty: no name. */
void scopes_name(struct scopes *s, enum scope_kind kind, struct str id, struct str name);

/* Makes these the entries whose ids begin with `prefix`: others that do are removed. */
void scopes_set_all(
    struct scopes *s, struct str prefix, const struct scope_entry *list, size_t count);

/* The kinds for which there is any limit or budget, as bits. 0: nothing is limited. */
unsigned scopes_kinds(const struct scopes *s);

/* --- one of them --- */

#define SCOPE_BUDGETS 4    /* of one scope; more are left out */

struct scope {
    _Atomic uint64_t hash;        /* of kind and id; 0: the place is free */
    _Atomic uint32_t users;       /* that hold it */
    _Atomic uint32_t revision;    /* of the limits below */
    _Atomic uint32_t used_s;      /* when it was last held, about; clock_now_us() */
    _Atomic bool limited;
    enum scope_kind kind;
    struct str id, name;
    struct gcra rates[SCOPE_RATES];
    _Atomic uint32_t concurrent, streams;              /* under way */
    _Atomic uint32_t concurrent_most, streams_most;    /* 0: any number */
    struct budget *_Atomic budgets[SCOPE_BUDGETS];     /* NULL from the first on that there is not */
};

/* Holds the scope of that kind with that id; scope_drop() it. Limits may name it by its id or by its
 * `name` (may be empty). NULL: nothing limits it. */
struct scope *scope_hold(struct scopes *s, enum scope_kind kind, struct str id, struct str name);

/* Holds a scope that has that much money to spend in all, whatever was written: a session's part of a
 * budget. */
struct scope *scope_hold_purse(struct scopes *s, struct str id, int64_t nanousd) NEVER_NULL;
void scope_drop(struct scope *scope);    /* NULL is a no-op */

/* Holds once more what is held. */
static inline struct scope *
scope_again(struct scope *scope)
{
    (void)atomic_fetch_add_explicit(&scope->users, 1, memory_order_relaxed);
    return scope;
}

/* The current periods of all budgets, each once for each kind of scope: up to `room` of them. */
struct scope_period {
    enum scope_kind kind;
    uint64_t begins_ms;    /* 0: all time */
};
size_t scopes_periods(struct scopes *s, uint64_t wall_ms, struct scope_period *list, size_t room);

/* So much, at least, was spent of that scope's budgets in the period that begins then; see budget_raise(). */
void scopes_raise(struct scopes *s, enum scope_kind kind, struct str id, struct str name,
    int64_t spent_nanousd, uint64_t begins_ms);

/* Calls `each` for the scopes that were used, until it returns false; under the lock: it must not call
 * anything here. */
void scopes_each(struct scopes *s, bool (*each)(void *arg, struct scope *scope), void *arg);

/* What a request takes. */
struct scope_need {
    uint64_t requests, tokens;
    bool concurrent, stream;    /* it is counted among those under way; then scope_leave() it */
    bool background;            /* it leaves half of the burst to others */
};

/* What refused, and when to ask again. */
struct scope_refusal {
    const struct scope *scope;
    enum { REFUSED_RATE, REFUSED_CONCURRENT, REFUSED_STREAMS } why;
    enum scope_rate rate;
    uint64_t limit;
    uint64_t wait_ns;    /* GCRA_NEVER: no waiting helps */
};

/* Takes from all scopes, or from none; entries may be NULL. False: *ret says which refused. */
bool scopes_take(struct scope *const *list, size_t count, const struct scope_need *need,
    uint64_t now_ns, struct scope_refusal *ret) MUST_CHECK;

/* Gives all of it back: it was not used. */
void scopes_give(struct scope *const *list, size_t count, const struct scope_need *need);

/* It is not under way any more, and `tokens` were used instead of those that were taken. */
void scopes_settle(struct scope *const *list, size_t count, const struct scope_need *need,
    uint64_t tokens, uint64_t now_ns);

/* What is left: of requests, or of tokens, that rate of those scopes which has the smallest part left.
 * False: there is no such limit. */
struct scope_left {
    const struct scope *scope;
    enum scope_rate rate;
    uint64_t limit, left, reset_ns;
};
bool scopes_left(
    struct scope *const *list, size_t count, bool tokens, uint64_t now_ns, struct scope_left *ret);
