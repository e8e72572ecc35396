/* settle.h - what happens once for every request, however it ended: its record is filled in and
 * handed to all that count, log or bill. */
#pragma once

#include "http/server.h"

struct exchange;
struct record;
struct worker;

/* Settles an exchange that has ended; it is still whole. */
void settle_exchange(struct exchange *x);

/* Settles a request that the server refused, so that it never became an exchange. `bytes_out`: of
 * the answer's body. */
void settle_refused(struct worker *w, const struct server_conn *q, struct str id, enum err why,
    const char *detail, size_t bytes_out);

/* Hands a record that is complete to all of them. */
void settle_record(struct worker *w, const struct record *r);
