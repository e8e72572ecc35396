/* replay.h - what another configuration would have done with the requests of an access log.
 *
 * Each decision is made again from what its line recorded. Nothing is guessed: if the new configuration
 * wants to know what was not recorded, the line is counted as undecidable, with what was missing. Costs
 * are those of the recorded usage at the prices of the catalog.
 */
#pragma once

#include "base/buf.h"
#include "gateway/snapshot.h"

struct replay;

/* `s` must outlive it. */
struct replay *replay_create(const struct snapshot *s) NEVER_NULL;
void replay_destroy(struct replay *r);

/* One line of a log, without its end. */
void replay_line(struct replay *r, struct str line);

/* Adds what `part` has found, of other lines for the same configuration. */
void replay_merge(struct replay *r, const struct replay *part);

/* The result, as a JSON object and a line end, or for people. */
void replay_write(const struct replay *r, struct buf *out);
void replay_view(const struct replay *r, struct buf *out);
