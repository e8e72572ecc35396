/* journal.h - what a worker owes the ledger, in memory that survives the process.
 *
 * Each worker has a ring: a file of fixed-size slots, mapped into memory, whose blocks are allocated when
 * it is made (a full disk would be SIGBUS later). A slot is begun before the first byte of a request
 * goes to a provider, told what the answer cost before the caller gets its end, and settled when the
 * exchange is over; the steward's thread then writes it into the ledger and frees it. None of that is a
 * system call, and a kill between any two stores leaves a slot that reads as one of these.
 *
 *     empty -> begun -> told -> told -> ... -> settled -> empty
 *
 * A ring belongs to one process, which holds a lock on its file. The ring of a process that died is
 * adopted by the next one that looks into the folder: what was settled or told is known, what was only
 * begun is taken to have cost its reservation. A kernel that dies, or power that fails, may lose what
 * the kernel had not written to the disk.
 *
 * The number of a ring and that of the record in it name a record once and for all: the ledger refuses
 * a second one. (A caller may choose the id of a request, and use it twice.)
 */
#pragma once

#include "base/base.h"
#include "base/why.h"

/* What is known when a slot is begun. Each text is cut after so many bytes; all of them together after
 * JOURNAL_BEGUN_BYTES, the last ones first. */
#define JOURNAL_TEXTS(TEXT)                                                                        \
    TEXT(request_id, 136)                                                                          \
    TEXT(key, 64)                                                                                  \
    TEXT(org, 48)                                                                                  \
    TEXT(team, 64)                                                                                 \
    TEXT(project, 64)                                                                              \
    TEXT(user, 96)                                                                                 \
    TEXT(environment, 32)                                                                          \
    TEXT(endpoint, 40)                                                                             \
    TEXT(provider, 64)                                                                             \
    TEXT(model, 128)                                                                               \
    TEXT(asked, 128)                                                                               \
    TEXT(session, 128)                                                                             \
    TEXT(tags, 256)

/* And of its end. */
#define JOURNAL_END_TEXTS(TEXT)                                                                    \
    TEXT(provider, 64)                                                                             \
    TEXT(model, 128)                                                                               \
    TEXT(error, 40)

enum {
    JOURNAL_BEGUN_BYTES = 648,
    JOURNAL_END_BYTES = 232,
    JOURNAL_COUNTS = 12,    /* room for those of tokens; see LEDGER_COUNTS */
    JOURNAL_SLOT_BYTES = 1536,
};

/* What is recorded. */
enum journal_kind {
    JOURNAL_EXCHANGE,
    JOURNAL_SHADOW,    /* a copy of one, for another target */
};

struct journal_begun {
    uint64_t wall_ms;
    int64_t reserved_nanousd;
    enum journal_kind kind;
#define TEXT(name, most) struct str name;
    JOURNAL_TEXTS(TEXT)
#undef TEXT
};

enum {
    JOURNAL_ESTIMATED = 1,    /* usage or cost is an estimate */
    JOURNAL_UNPRICED = 2,     /* what it cost is not known; it counts as nothing */
    JOURNAL_STREAM = 4,
    JOURNAL_ABORTED = 8,    /* the caller left */
    JOURNAL_CONTINUED = 16,
    JOURNAL_RECOVERED = 32,    /* set by journal_read(): the process died before it was settled */
};

struct journal_end {
    uint64_t wall_ms;
    int64_t counts[JOURNAL_COUNTS];
    uint32_t known;    /* 1 << number of a count */
    uint32_t flags;    /* JOURNAL_… */
    int32_t status;
    uint32_t attempts;
    int64_t cost_nanousd;
    int64_t outrun_nanousd, judge_nanousd;    /* besides */
    int64_t first_token_us;                   /* -1: there was none */
    int64_t duration_us;
#define TEXT(name, most) struct str name;
    JOURNAL_END_TEXTS(TEXT)
#undef TEXT
};

struct journal_row {
    int64_t ring, number;    /* names it */
    struct journal_begun begun;
    struct journal_end end;
};

struct journal;

/* Makes a ring of about so many bytes in the folder, which is made if it is not there. NULL: it cannot,
 * for instance because the disk is full; `why` says it. */
struct journal *journal_create(const char *folder, size_t bytes, struct why why) MUST_CHECK;

/* The ring of a process that has died; NULL: there is none. Files that are not rings, or not of this
 * version, are left alone; `ret_foreign` counts them. */
struct journal *journal_adopt(const char *folder, unsigned *ret_foreign) MUST_CHECK;

/* Its worker must have ended. The file goes, too, if no slot is in use. NULL is a no-op. */
void journal_close(struct journal *j);

/* --- for the worker; `slot` is what journal_begin() gave, and 0 is a no-op --- */

/* Begins a record. 0: the ring is full. */
uint32_t journal_begin(struct journal *j, const struct journal_begun *b) MUST_CHECK;

/* Another attempt is sent: so much more may be spent. */
void journal_grow(struct journal *j, uint32_t slot, int64_t nanousd);

/* What it cost so far, in place of the reservation if the process dies. */
void journal_tell(struct journal *j, uint32_t slot, const struct journal_end *e);

/* It is over. The slot is not the worker's any more. */
void journal_settle(struct journal *j, uint32_t slot, const struct journal_end *e);

/* --- for the steward --- */

/* Up to `most` slots that are settled, oldest first; of an adopted ring, all that are in use. They
 * stay in use until each is freed, or given back to be taken again. */
size_t journal_take(struct journal *j, uint32_t *slots, size_t most);
void journal_give_back(struct journal *j, const uint32_t *slots, size_t count);
void journal_free(struct journal *j, uint32_t slot);

/* The record in a slot that was taken; valid until that is freed. False: it cannot be read. */
bool journal_read(const struct journal *j, uint32_t slot, struct journal_row *ret) MUST_CHECK;

/* --- for anybody --- */

struct journal_state {
    uint32_t slots, used;
};
struct journal_state journal_state(const struct journal *j);

/* The path of its file. */
const char *journal_path(const struct journal *j);
