/* lines.h - requests that wait for their turn: bounded, by priority, fair among keys.
 *
 * A request is in line behind others of the same key and priority. The next to be served is of the
 * highest priority; within it keys take turns, so that one with a thousand requests does not delay
 * another's only one. Room is kept for the more important: low priority may use half of the queue,
 * normal priority nine tenths, and one key no more than its share. A request that would, at the
 * rate at which others are served, wait past its deadline is refused at once: it would only take
 * the place of one that can still be served.
 *
 * A queue belongs to one thread. Time is a parameter. The links belong to the caller.
 */
#pragma once

#include "policy/priority.h"

struct lines;
struct line;

struct lines_link {
    struct lines_link *prev, *next;
    struct line *line;    /* NULL: does not wait */
};

struct lines_limits {
    unsigned length;           /* how many may wait */
    unsigned share_percent;    /* of them, of one key; 100: all */
    uint64_t wait_us;          /* how long the new one can wait */
};

enum lines_verdict {
    LINES_WAITS,
    LINES_FULL,        /* for its priority */
    LINES_KEY_FULL,    /* for its key */
    LINES_TOO_SLOW,    /* it would not be served in time */
};

struct lines *lines_create(void) NEVER_NULL;

/* Nobody may be waiting. NULL is a no-op. */
void lines_destroy(struct lines *q);

/* Puts the link in line, or says why not. `key`: any pointer that stands for whose it is. */
enum lines_verdict lines_add(struct lines *q, struct lines_link *l, const void *key,
    enum priority p, const struct lines_limits *limits, uint64_t now_us) MUST_CHECK;

/* It does not wait any more, for another reason than being served. */
void lines_remove(struct lines *q, struct lines_link *l);

/* There was room, but none of those that wait could use it: the time that passes is not how long it
 * takes to serve one. */
void lines_note_idle(struct lines *q, uint64_t now_us);

/* Takes the next one out for which `may` says yes; NULL: there is none. A key for which it says no
 * is asked again in a later call; a bounded number of keys are asked in each. */
struct lines_link *lines_next(
    struct lines *q, bool (*may)(void *arg, struct lines_link *l), void *arg, uint64_t now_us);

unsigned lines_count(const struct lines *q);

/* Does a request of that key wait? Then a new one must not overtake it. */
bool lines_has_key(const struct lines *q, const void *key);

/* When somebody who was refused should try again: when those who wait now will have been served.
 * Between a second and a minute, and up to half of that more, so that they do not all come back
 * together. `random`: any number. */
int64_t lines_retry_after_ms(const struct lines *q, uint64_t now_us, uint64_t random);
