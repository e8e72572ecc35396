/* state.c - finds the store before and after the change of user. */
#include "app/state.h"

#include <stdio.h>

#include "app/harden.h"
#include "base/log.h"
#include "control/pepper.h"
#include "store/place.h"

enum {
    PATHS_BYTES = 64 * 1024,
    RESOURCES_POLL_MS = 1000,    /* until a change by another process is known */
};

/* The folder of a SQLite store; empty of another. */
static struct str
folder_of(struct arena *a, struct str url)
{
    if (!str_starts(url, S("sqlite:/")))
        return S("");
    struct str path = str_skip(url, strlen("sqlite:"));
    size_t n = path.n;

    while (n > 1 && path.p[n - 1] != '/')
        n--;
    return arena_printf(a, STR_FMT, STR_ARG(str_make(path.p, MAX(n - 1, 1))));
}

bool
state_give(const struct conf *c)
{
    bool changes_user = c->server.user.v.n != 0 && harden_is_root();

    static const char *const files[] = { "", "-wal", "-shm" };
    struct arena *a = arena_create(PATHS_BYTES);
    char why[512];

    if (changes_user) {
        struct str url = place_store(a, c->store.url.v, true), folder = folder_of(a, url);

        if (folder.n != 0 && str_eq(c->store.url.v, S("auto")) && place_make(folder.p, WHY(why)))
            harden_give(folder.p, c->server.user.v);
        for (size_t i = 0; folder.n != 0 && i < ARRAY_LEN(files); i++) {
            struct str path = str_skip(url, strlen("sqlite:"));

            harden_give(arena_printf(a, STR_FMT "%s", STR_ARG(path), files[i]).p, c->server.user.v);
        }
    }
    arena_destroy(a);
    return changes_user;
}

struct state_pepper
state_pepper(const struct conf *c, bool of_system, struct arena *a)
{
    char *room = arena_array(a, char, PEPPER_ROOM);
    char why[512] = "there is no folder for state";
    struct str pepper = S("");

    if (str_eq(c->store.url.v, S("off")))
        return (struct state_pepper){ .text = S("") };
    if (c->auth.pepper.v.n != 0)
        return (struct state_pepper){ .text = arena_str(a, c->auth.pepper.v) };
    struct str folder = place_folder(a, of_system);
    if (folder.n != 0 && place_make(folder.p, WHY(why)))
        pepper = pepper_load(folder.p, room, WHY(why));
    if (pepper.n == 0)
        log_warn(NULL,
            "keys of the store cannot be used or made, because the secret that they are kept with cannot be "
            "read: %s; or set auth.pepper",
            why);
    return (struct state_pepper){ .text = pepper };
}

struct audit_log *
state_audit(const struct conf *c, bool of_system)
{
    struct arena *a = arena_create(PATHS_BYTES);
    struct str folder = place_folder(a, of_system);
    char why[512] = "there is no folder for state";
    struct auditor *auditor = NULL;

    if (!str_eq(c->store.url.v, S("off"))) {
        if (folder.n != 0 && place_make(folder.p, WHY(why)))
            auditor = auditor_create(folder, WHY(why));
        if (auditor == NULL)
            log_warn(NULL,
                "administrative acts are not recorded, because the key that signs the audit record "
                "cannot be had: %s",
                why);
    }
    arena_destroy(a);
    return auditor != NULL ? audit_log_create(auditor) : NULL;
}

void
state_check_pepper(struct store *s, void *pepper)
{
    struct state_pepper *p = pepper;
    enum store_result r = p->checked || p->text.n == 0 ? STORE_AWAY : pepper_check(s, p->text);

    if (r != STORE_OK && r != STORE_CONFLICT)
        return;
    p->checked = true;
    if (r == STORE_OK)
        return;
    atomic_store(&p->other, true);
    log_error(NULL,
        "the keys of the store were made with another pepper than this gateway has, and none of them works here; "
        "set auth.pepper to the same secret for all gateways that share the store, or copy the file pepper of the one "
        "that made it (docs/keys.md)");
}

struct steward *
state_open(const struct conf *c, bool of_system, struct resources *resources, struct why why)
{
    struct arena *a = arena_create(PATHS_BYTES);
    bool is_auto = str_eq(c->store.url.v, S("auto"));
    struct str url = place_store(a, c->store.url.v, of_system);
    struct str folder = is_auto ? folder_of(a, url) : S("");
    char said[512] = "neither STATE_DIRECTORY nor HOME is set";

    if (is_auto && (folder.n == 0 || !place_make(folder.p, WHY(said)))) {
        log_warn(NULL,
            "there is no place for the store: %s; the gateway serves without one: no keys but those "
            "of the file, no budgets, no ledger; set store.url, or store.url: off",
            said);
        url = S("off");
    }
    struct steward *s = steward_create(url, why);
    if (s != NULL)
        (void)steward_every(s, "resources", RESOURCES_POLL_MS, resources_poll, resources);
    arena_destroy(a);
    return s;
}
