/* steward.h - the thread that owns the store.
 *
 * A database makes its callers wait, so one thread waits for all others. They ask it, and are told
 * on their own loop; or it does something of theirs again and again. When the store cannot be reached
 * the steward tries again, from four times a second down to every ten seconds; meanwhile what is
 * asked is answered at once, as every call of store.h then returns STORE_AWAY, and periodic work
 * waits.
 */
#pragma once

#include "base/json_out.h"
#include "net/loop.h"
#include "store/store.h"

struct steward;

/* A thread for the store at that address; see store_open(). It does not run yet. NULL if the
 * address is wrong, with the reason. */
struct steward *steward_create(struct str url, struct why why) MUST_CHECK;

/* From now on, fn(store, arg) runs on the steward's thread whenever `period_ms` have passed, while
 * the store can be used, and each time that it can be used again: the first time before
 * steward_start() returns, if all goes well. In the order in which they were added. Before
 * steward_start(); `name` lives as long as the steward. */
struct steward_work;
struct steward_work *steward_every(struct steward *s, const char *name, uint64_t period_ms,
    void (*fn)(struct store *s, void *arg), void *arg) NEVER_NULL;

/* From any thread: it is due now. Cheap when that was said before and has not happened yet. */
void steward_hurry(struct steward_work *w);

/* Starts the thread, and waits until the store is open and all periodic work was done once, but not
 * longer than that. False: the store was made by a newer version, or is damaged; with the reason.
 * True if it cannot be reached: the log says so. */
bool steward_start(struct steward *s, uint64_t patience_ms, struct why why) MUST_CHECK;

/* What is asked of it. work() runs on the steward's thread, jobs in the order in which they came; then
 * done() (may be NULL) runs on `loop`. Or, if the gateway is ending, drop() (may be NULL) on any
 * thread instead of done(), and perhaps of both: to free `arg`. */
struct steward_job {
    void (*work)(struct store *s, void *arg);
    void (*done)(void *arg);
    void (*drop)(void *arg);
    void *arg;
    struct loop *loop;    /* NULL: without done() */
};

/* From any thread; the job is copied. False: STEWARD_JOBS_MOST wait, and this one is not done. */
#define STEWARD_JOBS_MOST 512u
bool steward_ask(struct steward *s, const struct steward_job *job) MUST_CHECK;

/* From now on no done() is called: the loops are about to be freed. */
void steward_close(struct steward *s);

/* After the threads that ask have ended: does all periodic work a last time, ends the thread and
 * frees everything. NULL is a no-op. */
void steward_destroy(struct steward *s);

/* --- how it is --- */

enum steward_state {
    STEWARD_OFF,    /* store.url is off, or no folder could be written */
    STEWARD_UP,
    STEWARD_AWAY,    /* cannot be reached, or not opened yet */
    STEWARD_FULL,    /* cannot be written */
    STEWARD_BAD,     /* damaged, of a newer version, or a statement failed */
    STEWARD_STATES,
};
const char *steward_state_name(enum steward_state state) NEVER_NULL;

/* One atomic load; from any thread. */
enum steward_state steward_state(const struct steward *s);

/* From any thread; takes a lock. */
struct steward_status {
    enum steward_state state;
    uint64_t since_wall_ms;    /* when that state began */
    uint64_t waiting;          /* jobs */
    uint64_t refused;          /* jobs, because too many waited */
    uint64_t outages;          /* how often the store stopped being up */
    double cpu_s;              /* processor time of its thread */
    char why[512];             /* it is not up; empty if it is */
};
void steward_status(struct steward *s, struct steward_status *ret);

/* Appends the members "state", "url", "since" and "since_age_ms", "why" (null: it is up), "outages". */
void steward_write(struct steward *s, struct json_out *o);

/* "sqlite:/var/lib/openclaw/openclaw.db", without a password. */
struct str steward_store_name(const struct steward *s);
