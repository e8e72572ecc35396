/* api.h - the admin API of resources, without HTTP: a request, the store, an answer.
 *
 *     GET    keys                  a page of them: limit, cursor, and filters by field
 *     POST   keys                  makes one
 *     GET    keys/KEY              one, by its id or name
 *     PATCH  keys/KEY              changes it (RFC 7386)
 *     DELETE keys/KEY
 *     POST   keys/KEY/rotate       a new secret; the old one works on for a while
 *     POST   keys/KEY/revoke
 *     GET    usage                 what was used and spent
 *     GET    audit                 the newest entries of the audit record
 *     GET    audit/verify          whether its chain is whole
 *
 * It runs on the thread that has the store: the steward's in a gateway, the main one in a command
 * that finds none. Every call checks what the actor's role grants. All changes pass through one
 * function (api.c: change), in one transaction with their entry in the audit record, and are given to the
 * watchers before the answer.
 */
#pragma once

#include "control/api_request.h"
#include "control/resource.h"
#include "store/store.h"

/* What calls need beside the store. */
struct api {
    struct resources *resources;    /* told of changes; NULL: there are no watchers */
    struct audit_log *audit;        /* NULL: nothing is recorded */
    struct str pepper;    /* that keys are kept with (policy/key_form.h); empty: none can be made */
};

/* Answers; the caller releases the body. */
void api_answer(const struct api *api, struct store *s, const struct api_request *q,
    struct arena *a, struct api_answer *ret);
