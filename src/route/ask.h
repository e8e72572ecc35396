/* ask.h - what is known of a request when a target is chosen for it.
 *
 * Everything that a decision reads of the request, of its caller and of the moment is here, so that a
 * decision is a pure function of its ask, its table and the looks at its targets (route/look.h): it can
 * be explained, recorded, and made again from the record.
 *
 * What takes time to find out is found out when something wants to know it: ask_know(). A recorded ask
 * has no request to look at; what was not recorded cannot be known.
 */
#pragma once

#include "conf/conf.h"
#include "http/message.h"
#include "llm/needs.h"
#include "llm/request.h"
#include "llm/wishes.h"

struct look_record;    /* route/look.h */
struct analysis;       /* route/analyze.h */

/* What may have to be found out, and may be unknown. */
enum ask_fact {
    ASK_NEEDS = 1,       /* needs */
    ASK_ANALYSIS = 2,    /* analysis */
    ASK_HEADERS = 4,     /* fields */
};

struct ask_tag {
    struct str name, value;
    struct ask_tag *next;
};

#define ASK_TURNS 8

struct ask {
    /* NULL: it is a recorded one */
    const struct llm_request *request;
    struct arena *arena;    /* for what is found out */
    unsigned known;         /* of enum ask_fact */

    /* --- the request --- */
    struct str id;       /* of the request */
    struct str model;    /* as asked for */
    enum llm_op op;
    const struct wire *wire;    /* the caller's */
    bool stream;
    struct needs needs;
    const struct analysis *analysis;
    const struct wishes *wishes;    /* NULL: none */

    /* --- who asks --- */
    struct str key;    /* its name; empty: none */
    struct str client_ip;
    struct str user;       /* the end user, as the request names it */
    struct str session;    /* of the caller's header field; empty: none */
    struct ask_tag *tags;
    const struct http_fields *fields;    /* of the request's head */
    /* May the caller use that model? NULL: any. */
    bool (*may_use)(const void *who, struct str model);
    const void *who;
    const struct conf_strs *providers;    /* that the caller may use, by id; NULL or empty: all */

    /* --- the moment --- */
    uint64_t wall_ms;
    uint64_t now_us;    /* clock_now_us() */
    uint64_t seed;      /* all randomness of the decision comes from it */
    uint64_t draws;     /* how often it was used */
    bool dry;           /* nothing will be sent: no turn is taken */
    /* whose turn it was, in the order in which the strategies asked */
    uint64_t turns[ASK_TURNS];
    unsigned turn_count, turn_used;

    /* --- of a recorded one --- */
    const struct look_record *book;    /* the looks that were recorded */
    size_t book_count;
    uint64_t user_hash, session_hash;    /* ask_hash() */
    const char *missing;    /* what was wanted and is not known, the first such thing; NULL: nothing */
};

/* What tells apart texts that a record does not name, the same everywhere; 0: it is empty. */
uint64_t ask_hash(struct str text);

/* The session that the caller names, as ask_hash() tells it apart; 0: none. */
uint64_t ask_session(const struct ask *ask);

/* Finds it out unless it is known. False: it cannot be known (a recorded ask). */
bool ask_know(struct ask *ask, enum ask_fact fact);

/* The next random number of the decision, in [0, 1). */
double ask_random(struct ask *ask);

/* The next turn of a counter that goes round; of a recorded ask, the one it had. */
uint64_t ask_turn(struct ask *ask, _Atomic uint64_t *counter);

/* What names the conversation: the session that the caller names, or else what stays the same from
 * turn to turn; 0: nothing does. */
uint64_t ask_conversation(struct ask *ask);
