/* books.c - where the journals are, and that there is room for them. */
#include "app/books.h"

#include <stdlib.h>

#include "base/digest.h"
#include "base/log.h"
#include "control/steward.h"
#include "store/ledger.h"
#include "store/place.h"

enum { DRAIN_MS = 250, PATHS_BYTES = 64 * 1024, STORE_HASH_BYTES = 6 };

/* Beside a SQLite file, or where the gateway keeps its state. What a dead process left must go into the
 * store that it used: so the folder's name says which that is. Empty: there is no such place. */
static struct str
folder_for(struct arena *a, const struct conf *c, struct str store, bool of_system)
{
    uint8_t hash[DIGEST_SHA256_BYTES];
    char hex[2 * STORE_HASH_BYTES + 1];
    struct str base = place_folder(a, of_system);

    if (!str_eq(c->store.journal_folder.v, S("auto")))
        return arena_str(a, c->store.journal_folder.v);
    if (str_starts(store, S("sqlite:/"))) {
        base = str_skip(store, strlen("sqlite:"));
        while (base.n > 1 && base.p[base.n - 1] != '/')
            base.n--;
    }
    if (base.n == 0)
        return base;
    digest_sha256(store, hash);
    digest_hex(hash, STORE_HASH_BYTES, hex);
    return arena_printf(a, STR_FMT "/journal-%s", STR_ARG(base), hex);
}

static bool
make_all(struct gateway *g, struct worker *const *workers, const struct conf *c, const char *folder,
    struct why why)
{
    size_t each = c->store.journal_bytes / g->workers;

    if (!place_make(folder, why))
        return false;
    g->ledger = ledger_create(folder);
    for (unsigned i = 0; i < g->workers; i++) {
        struct journal *j = journal_create(folder, each, why);

        if (j == NULL)
            return false;
        ledger_add(g->ledger, j);
        workers[i]->journal = j;
    }
    return true;
}

bool
books_open(struct gateway *g, struct worker *const *workers, const struct conf *c, bool of_system,
    struct why why)
{
    struct str store = steward_store_name(g->steward);

    if (str_eq(store, S("off")))
        return true;
    struct arena *a = arena_create(PATHS_BYTES);
    struct str folder = folder_for(a, c, store, of_system);
    bool made = folder.n != 0 ? make_all(g, workers, c, folder.p, why)
                              : why_say(why, "neither STATE_DIRECTORY nor HOME is set");

    arena_destroy(a);
    if (made) {
        steward_every(g->steward, "ledger", DRAIN_MS, ledger_drain, g->ledger);
        return true;
    }
    for (unsigned i = 0; i < g->workers; i++)
        workers[i]->journal = NULL;
    books_close(g);
    if (str_eq(c->store.journal_full.v, S("refuse")))
        return false;
    log_error(NULL,
        "there is no journal: %s; requests are served without being recorded, and will be "
        "missing in the ledger (store.journal)",
        why.room);
    return true;
}

void
books_close(struct gateway *g)
{
    ledger_destroy(g->ledger);
    g->ledger = NULL;
}
