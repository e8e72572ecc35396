/* explain_view.h - decisions and requests that have ended, as tables for people.
 *
 * They are made from the JSON that the gateway and its logs have, so that a decision looks the same
 * wherever it was made. All texts in it are untrusted.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

/* Appends what POST /admin/v1/explain answers. */
void explain_view_answer(struct buf *out, struct arena *a, const struct json *doc);

/* Appends what GET /admin/v1/exchanges/ID answers. */
void explain_view_request(struct buf *out, struct arena *a, const struct json *doc);

/* "$0.00125" into `room`; "-" if it is negative: not known. */
#define EXPLAIN_MONEY_ROOM 32
const char *explain_view_money(int64_t nanousd, char *room) NEVER_NULL;
