/* written.h - writes the caller's request for one target: the path, the header fields and the body.
 *
 * A target of the caller's own wire gets the caller's bytes, edited in place; any other gets what its
 * wire writes. Both live in the request's arena, or in the buffer of struct written.
 */
#pragma once

struct exchange;

/* Can the target take this kind of request at all? If so, writes path and fields, and the model's name
 * as it stands in a body of the caller's wire. If not: `unfit` and `fault` of x->attempt.written. */
void written_write_head(struct exchange *x);

/* Writes the body: work for exchange_work(). */
void written_write_body(struct exchange *x);
