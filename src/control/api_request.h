/* api_request.h - what the admin API of resources is asked, and what it answers. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "control/role.h"

#define API_BODY_BYTES (256u * 1024)
#define API_ANSWER_BYTES (16u * 1024 * 1024)

/* The client that asks. */
struct actor {
    enum role role;
    struct str id;    /* of the key; "local" at the local socket and on the command line */
    struct str team, user, service_account;    /* ids; empty: none */
};

struct api_request {
    struct str method;
    struct str path;     /* below /admin/v1/, percent-encoded */
    struct str query;    /* without '?' */
    struct str body, if_match, idempotency_key, request_id;
    struct actor actor;
};

struct api_answer {
    int status;
    struct str etag, location;    /* empty: none; in the arena */
    bool replayed;                /* it was given before, to the same idempotency key */
    bool retry;                   /* the store is away: asking again may help */
    struct buf body;
};

/* Is a path below /admin/v1/ one of a resource? */
bool api_is_path(struct str path);
