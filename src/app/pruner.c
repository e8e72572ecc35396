/* pruner.c - a tenth of a second of deleting, every minute, and at once again while there is more. */
#include "app/pruner.h"

#include <stdatomic.h>

#include "base/log.h"

#define PERIOD_MS 60000
#define TURN_MS 100

static struct {
    _Atomic uint64_t ledger_ms, usage_ms, deleted_ms;
    struct steward_work *work;
} pruner;

struct retention
retention_of(const struct conf *c)
{
    return (struct retention){ .ledger_ms = c->store.keep_ledger_ms,
        .usage_ms = c->store.keep_usage_ms,
        .deleted_ms = c->store.keep_deleted_ms };
}

void
pruner_set(const struct conf *c)
{
    struct retention keep = retention_of(c);

    atomic_store(&pruner.ledger_ms, keep.ledger_ms);
    atomic_store(&pruner.usage_ms, keep.usage_ms);
    atomic_store(&pruner.deleted_ms, keep.deleted_ms);
}

static void
note_pruned(void *ctx UNUSED, struct str table, uint64_t rows)
{
    log_debug(NULL, "store: %llu old rows of " STR_FMT " are deleted", (unsigned long long)rows,
        STR_ARG(table));
}

static void
prune(struct store *s, void *arg UNUSED)
{
    const struct retention keep = { .ledger_ms = atomic_load(&pruner.ledger_ms),
        .usage_ms = atomic_load(&pruner.usage_ms),
        .deleted_ms = atomic_load(&pruner.deleted_ms) };
    bool more;

    if (store_prune(s, &keep, TURN_MS, note_pruned, NULL, &more) == STORE_OK && more)
        steward_hurry(pruner.work);    /* after what else is due */
}

void
pruner_add(struct steward *s, const struct conf *c)
{
    pruner_set(c);
    pruner.work = steward_every(s, "prune", PERIOD_MS, prune, NULL);
}
