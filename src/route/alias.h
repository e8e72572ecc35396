/* alias.h - a name that the configuration defines: a group of members, each a target or another alias, with
 * a strategy that orders them. Built by table.c, and immutable but for the turns of round_robin and the
 * budget of hedges.
 */
#pragma once

#include "route/failure.h"
#include "route/hedge.h"
#include "route/judging.h"
#include "route/target.h"

struct strategy;
struct demands;

/* What belongs together, for the strategy sticky. */
enum sticky_by { STICKY_CONVERSATION, STICKY_PREFIX, STICKY_KEY };

/* How much each respect counts, for the strategy score. */
struct score_weights {
    unsigned cost, latency, quality, load;
};

/* What follows when a stream breaks after its first token. */
enum stream_break { BREAK_AUTO, BREAK_CONTINUE, BREAK_ERROR };

struct member {    /* exactly one of both */
    struct target *target;
    const struct alias *alias;
    unsigned weight;
    uint64_t hash;    /* of its name, the same in all processes */
};

struct alias {
    struct str name;
    const struct strategy *strategy;
    struct member *members;
    size_t member_count;       /* those at disabled providers not counted; may be 0 */
    _Atomic uint64_t *turn;    /* of round_robin */
    uint8_t *schedule;         /* of round_robin: whose turn it is, over and over */
    size_t schedule_count;
    enum sticky_by sticky_by;
    struct score_weights score;
    double quality_share;    /* of the best that is good enough, for the strategy learned */
    enum stream_break on_break;
    struct target **targets;    /* all, those of nested aliases included, in the order of the file */
    size_t count;
    const struct demands *demands;        /* NULL: none */
    struct hedge *hedge;                  /* NULL: off */
    const struct judging *judging;        /* NULL: the first answer is given as it comes */
    const struct shadow *shadow;          /* NULL: none */
    const struct failure_rules *rules;    /* NULL: the table's */
    struct str *skipped;                  /* targets at disabled providers, as configured */
    size_t skipped_count;
    bool pattern;    /* its name has a '*', and so may the models of its targets */
    struct conf_mark mark;
};
