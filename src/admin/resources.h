/* resources.h - the routes of resources: /admin/v1/keys and the others of control/resources.def. */
#pragma once

#include "control/api.h"
#include "gateway/exchange.h"

/* The client as the admin API sees it: at the local socket its owner, else what the key's role says. */
struct actor resources_actor(const struct exchange *x);

/* Answers, or leaves the exchange waiting: the thread that has the store does the work. `path` is below
 * /admin/v1/. `api` outlives the workers. */
void resources_answer(const struct api *api, struct exchange *x, struct str path);
