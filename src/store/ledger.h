/* ledger.h - what every exchange cost: a row for each, and sums that are kept beside them.
 *
 * The steward's thread drains the journals: each settled record becomes a row of the table `ledger` and
 * is added to the roll-ups in the same transaction, so that their sums are those of the rows, to the
 * nano-dollar. A row is named by the ring and number of its record; it is never written twice. What an
 * exchange cost was computed when it ended, by the prices of that time, and is never computed again.
 *
 * Roll-ups are for each hour and each day (UTC): `usage_values` by one dimension each, `usage_cube` by
 * what the labels of a row say together (a label is a set of texts, kept once in `usage_labels`).
 */
#pragma once

#include "store/journal.h"
#include "store/store.h"

/* What usage can be summed up by. The first ones are the texts of a label, with its column; the
 * numbers are kept in the store: add new ones at the end. */
#define LEDGER_LABELS(LABEL)                                                                       \
    LABEL(key, key_id)                                                                             \
    LABEL(user, user_id)                                                                           \
    LABEL(team, team_id)                                                                           \
    LABEL(project, project_id)                                                                     \
    LABEL(org, org_id)                                                                             \
    LABEL(model, model)                                                                            \
    LABEL(provider, provider)                                                                      \
    LABEL(endpoint, endpoint)                                                                      \
    LABEL(environment, environment)

enum ledger_dim {
#define LABEL(name, column) LEDGER_##name,
    LEDGER_LABELS(LABEL)
#undef LABEL
        LEDGER_LABEL_DIMS,
    LEDGER_tag = LEDGER_LABEL_DIMS,    /* a request counts under each of its tags */
    LEDGER_session,
    LEDGER_DIMS
};

extern const struct str ledger_dims[LEDGER_DIMS];    /* "key", "user", ... */

/* The counts of llm/usage.h, in their order; they are columns of the ledger, NULL where one is not known. */
#define LEDGER_COUNTS(COUNT)                                                                       \
    COUNT(input)                                                                                   \
    COUNT(cached)                                                                                  \
    COUNT(cache_write)                                                                             \
    COUNT(output)                                                                                  \
    COUNT(reasoning)                                                                               \
    COUNT(audio_input)                                                                             \
    COUNT(audio_output)                                                                            \
    COUNT(cache_write_1h)                                                                          \
    COUNT(billed_input)                                                                            \
    COUNT(billed_output)                                                                           \
    COUNT(searches)

enum {
#define COUNT(name) LEDGER_COUNT_##name,
    LEDGER_COUNTS(COUNT)
#undef COUNT
        LEDGER_COUNT_COLUMNS
};

_Static_assert(
    (int)LEDGER_COUNT_COLUMNS <= (int)JOURNAL_COUNTS, "the journal has room for all counts");

/* What is summed up. `cost_nanousd` is that of the answers that callers got; what other attempts,
 * judges and shadow copies cost comes on top of it. */
#define LEDGER_SUMS(SUM)                                                                           \
    SUM(requests)                                                                                  \
    SUM(failed)                                                                                    \
    SUM(estimated)                                                                                 \
    SUM(unpriced)                                                                                  \
    SUM(input)                                                                                     \
    SUM(cached)                                                                                    \
    SUM(cache_write)                                                                               \
    SUM(output)                                                                                    \
    SUM(reasoning)                                                                                 \
    SUM(audio_input)                                                                               \
    SUM(audio_output)                                                                              \
    SUM(cost_nanousd)                                                                              \
    SUM(outrun_nanousd)                                                                            \
    SUM(judge_nanousd)                                                                             \
    SUM(shadow_nanousd)

struct ledger_sums {
#define SUM(name) int64_t name;
    LEDGER_SUMS(SUM)
#undef SUM
};

/* All the money. */
static inline int64_t
ledger_spent_nanousd(const struct ledger_sums *s)
{
    return s->cost_nanousd + s->outrun_nanousd + s->judge_nanousd + s->shadow_nanousd;
}

/* What a row adds to the sums. */
struct ledger_entry {
    enum journal_kind kind;
    uint32_t flags;    /* JOURNAL_… */
    bool failed;
    const int64_t *counts;    /* JOURNAL_COUNTS; what is not known is 0 */
    int64_t cost_nanousd, outrun_nanousd, judge_nanousd;
};

void ledger_sum_up(struct ledger_sums *sums, const struct ledger_entry *e);
void ledger_add_sums(struct ledger_sums *sums, const struct ledger_sums *more);

/* The next of a row's tags, which are separated by commas. False: there are no more. */
bool ledger_next_tag(struct str *tags, struct str *ret);

enum ledger_span { LEDGER_SPAN_HOUR, LEDGER_SPAN_DAY };
#define LEDGER_HOUR_MS UINT64_C(3600000)
#define LEDGER_DAY_MS UINT64_C(86400000)

/* Kinds of the values in usage_values: a dimension's number and 1, or 0, which is all together. */
#define LEDGER_KIND_ALL 0

/* --- writing --- */

struct ledger;

/* What drains journals; rings of dead processes are looked for in the folder. */
struct ledger *ledger_create(const char *folder) NEVER_NULL;

/* A ring of ours, which is the ledger's from now on. Before the steward starts. */
void ledger_add(struct ledger *l, struct journal *j);

/* For steward_every(): writes all that is settled. `ledger` is a struct ledger. */
void ledger_drain(struct store *s, void *ledger);

/* After the workers and the steward have ended. Rings that are empty are removed; others wait for the
 * next process. NULL is a no-op. */
void ledger_destroy(struct ledger *l);

/* How it goes; from any thread. */
struct ledger_state {
    uint64_t rows;           /* written */
    uint64_t recovered;      /* of them, those of processes that died */
    uint64_t estimated;      /* of those, not known but for their reservation */
    uint64_t unreadable;     /* records that could not be read */
    uint64_t busy_us;        /* of processor time, for all that */
    uint64_t slots, used;    /* of our rings */
};
struct ledger_state ledger_state(struct ledger *l);
