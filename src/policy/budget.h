/* budget.h - money that may be spent in a period: reserved before a request leaves, settled after it.
 *
 * What was spent and what is reserved are one number, changed by compare-and-swap, which a reservation
 * may not bring above the budget: so however many requests leave at one time, no more is spent than
 * there is, unless a provider bills more than was reserved for it; that is booked in full. Money is in
 * nano-dollars. What is settled counts in the period in which it was reserved.
 */
#pragma once

#include <stdatomic.h>

#include "base/base.h"
#include "base/zone.h"

#define BUDGET_ALERTS 8

enum budget_period { BUDGET_DAY, BUDGET_WEEK, BUDGET_MONTH, BUDGET_TOTAL, BUDGET_PERIODS };

/* "day", "week", "month", "total" */
const char *budget_period_name(enum budget_period period) NEVER_NULL;

/* Any other word is a month. */
enum budget_period budget_period_named(struct str word);

/* What becomes of requests when it is used up. */
enum budget_then {
    BUDGET_REFUSE,
    BUDGET_THROTTLE,    /* one a minute passes */
    BUDGET_ALIAS,       /* they get another alias, and are booked beyond the budget */
};

/* "throttle", "alias"; any other word refuses. */
enum budget_then budget_then_named(struct str word);

/* Adds a share in percent to alerts, unless there are too many. */
void budget_alert_add(uint8_t alerts[BUDGET_ALERTS], unsigned percent);

/* What was agreed. */
struct budget_terms {
    int64_t nanousd;
    enum budget_period period;
    const struct zone *zone;          /* NULL: UTC */
    uint8_t alerts[BUDGET_ALERTS];    /* percent, ascending; 0: none */
    enum budget_then then;
    struct str alias;
    bool strict;                                 /* a request without a limit of its output gets one */
    int64_t request_nanousd, session_nanousd;    /* for one request, and one session; 0: any */
};

/* The same terms, kept to the end of the process; equal ones are kept once, so that there are as
 * many as configurations had. */
const struct budget_terms *budget_terms_keep(const struct budget_terms *terms) NEVER_NULL;

/* Two periods, because what was reserved in one is settled in the next. */
struct budget_cell {
    _Atomic uint64_t began_ms;    /* the period's begin; see budget.c */
    _Atomic int64_t used;         /* spent and reserved */
    _Atomic int64_t spent;
    _Atomic unsigned alerted;    /* a bit for each alert that was raised, and one for used up */
};

/* One that is all zeros has no terms. */
struct budget {
    uint64_t id;                                 /* a hash of what names it, */
    struct str name;                             /* and that: for views */
    const struct budget_terms *_Atomic terms;    /* NULL: there is none now */
    _Atomic uint64_t ends_ms;                    /* of the current period */
    _Atomic unsigned current;
    struct budget_cell cells[2];
    _Atomic uint64_t trickle_ms;    /* THROTTLE: when the next may pass */
};

/* What was reserved. */
struct budget_hold {
    struct budget *budget;    /* NULL: nothing */
    uint64_t began_ms;
    int64_t nanousd;
};

enum budget_verdict {
    BUDGET_RESERVED,
    BUDGET_BUSY,    /* there would be enough, if requests under way cost less than was reserved */
    BUDGET_USED_UP,
    BUDGET_REQUEST_TOO_DEAR,    /* for one request */
};

/* What would become of a reservation; nothing is reserved. */
enum budget_verdict budget_ask(struct budget *b, int64_t nanousd, uint64_t wall_ms);

/* Reserves an amount, or says why not. `force`: even if it is more than there is. */
enum budget_verdict budget_reserve(struct budget *b, int64_t nanousd, bool force, uint64_t wall_ms,
    struct budget_hold *ret) MUST_CHECK;

/* Replaces what was reserved by what was spent. Returns the alerts that this raises, as bits: 1 <<
 * place in `alerts`; BUDGET_ALERT_USED_UP. */
#define BUDGET_ALERT_USED_UP (1u << BUDGET_ALERTS)
unsigned budget_settle(struct budget_hold *h, int64_t spent_nanousd);

/* When the period begins in which that time is; 0: all time. */
uint64_t budget_period_begins(const struct budget_terms *t, uint64_t wall_ms);

/* So much, at least, was spent in the period that begins then, if that is the current one: what the ledger says,
 * also of earlier processes and of other gateways. No alert is raised for it. */
void budget_raise(struct budget *b, int64_t spent_nanousd, uint64_t begins_ms, uint64_t wall_ms);

/* How it stands. */
struct budget_view {
    const struct budget_terms *terms;    /* NULL: there is none */
    int64_t spent, reserved;
    uint64_t begins_ms, ends_ms;    /* UINT64_MAX: it does not end */
};
struct budget_view budget_look(struct budget *b, uint64_t wall_ms);

/* What will be spent by the end of the period: at the rate so far, with a margin that narrows as the period goes by.
 * False: nothing can be said yet. */
struct budget_forecast {
    int64_t nanousd, low_nanousd, high_nanousd;
};
bool budget_foresee(
    const struct budget_view *v, uint64_t wall_ms, struct budget_forecast *ret) MUST_CHECK;
