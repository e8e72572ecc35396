/* usage.h - answers what was used and spent, from the ledger's roll-ups.
 *
 * A query that is about one dimension reads the roll-ups by that dimension; one about several reads the
 * cube. Whole days are read as days, whole hours as hours; an hour of which only a part is wanted, or
 * which days of a zone cut (India's, for instance), is read from the ledger's rows. So the sums are
 * exact for any times.
 */
#pragma once

#include "base/arena.h"
#include "base/zone.h"
#include "store/ledger.h"

enum ledger_time { LEDGER_ALL, LEDGER_HOUR, LEDGER_DAY, LEDGER_WEEK, LEDGER_MONTH };

struct ledger_query {
    unsigned by;    /* 1 << enum ledger_dim */
    enum ledger_time time;
    uint64_t since_ms, until_ms;
    const struct zone *zone;         /* of days, weeks and months; NULL: UTC */
    struct str only[LEDGER_DIMS];    /* empty: any */
};

struct ledger_group {
    uint64_t starts_ms;    /* of its hour, day, ...; 0 for LEDGER_ALL */
    struct str values[LEDGER_DIMS];
    struct ledger_sums sums;
};

struct ledger_usage {
    struct ledger_group *groups;    /* by time, then by money, most first */
    size_t count;
    struct ledger_sums total;    /* of requests, each counted once */
};

#define LEDGER_GROUPS_MOST 25000u

/* Why a query cannot be answered, or NULL. */
const char *ledger_query_fault(const struct ledger_query *q);

/* Answers a query without faults, in `a`. STORE_FULL with *ret_many: there are more groups than
 * LEDGER_GROUPS_MOST. */
enum store_result ledger_usage(struct store *s, struct arena *a, const struct ledger_query *q,
    struct ledger_usage *ret, bool *ret_many);
