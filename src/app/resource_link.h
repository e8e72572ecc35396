/* resource_link.h - how commands reach resources: through the admin API of a gateway that runs, or in the
 * store itself if none does. */
#pragma once

#include "app/admin_client.h"
#include "app/config_flags.h"
#include "control/api.h"

struct resource_link {
    struct admin_client client;
    struct config_flags config;    /* that names the store */
    struct conf *conf;
    struct store *store;    /* NULL: a gateway is asked */
    struct str pepper;
    struct audit_log *audit;    /* of the store; NULL: it cannot be signed */
    bool (*act)(struct resource_link *l, void *arg);
    void *arg;
};

#define RESOURCE_LINK_FLAG_CONFIG(l)                                                               \
    {                                                                                              \
        "config", 'c', FLAG_TEXT, "FILE",                                                          \
            "the configuration that names the store, for when no gateway runs (from "              \
            "OPENCLAW_CONFIG)",                                                                    \
            &(l).config.path, NULL                                                                 \
    }

#define RESOURCE_LINK_FLAG_OFFLINE(l)                                                              \
    {                                                                                              \
        "offline", 0, FLAG_BOOL, NULL,                                                             \
            "in the store, whether a gateway runs or not; those that do notice it",                \
            &(l).client.missing, NULL                                                              \
    }

/* Finds the gateway or the store, and has `act` do the rest. Returns the command's exit status. */
int resource_link_run(
    struct resource_link *l, bool (*act)(struct resource_link *l, void *arg), void *arg);

/* Asks; `path` is below /admin/v1/ and may have a query. The document, which lives as long as the link; NULL
 * after saying what went wrong. */
const struct json *resource_link_ask(struct resource_link *l, struct str method, const char *path,
    struct str body, struct str *ret_text) MUST_CHECK;
