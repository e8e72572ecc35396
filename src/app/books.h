/* books.h - the journals of `openclaw serve`, and the ledger that they go into. */
#pragma once

#include "conf/conf.h"
#include "gateway/worker.h"

/* Makes a journal for each worker, and has the gateway's steward, which has not started yet, drain
 * them. Without a store there are none. Where they cannot be made: false and the reason, or, with
 * store.journal.full unrecorded, an error in the log, and no journals. */
bool books_open(struct gateway *g, struct worker *const *workers, const struct conf *c,
    bool of_system, struct why why) MUST_CHECK;

/* After the workers and the steward have ended. */
void books_close(struct gateway *g);
