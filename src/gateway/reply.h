/* reply.h - what an exchange answers. */
#pragma once

#include "gateway/exchange.h"

/* Every failure goes through here: it records why and answers in the caller's protocol. Returns
 * STEP_STOP; or STEP_NEXT when a stream that had begun, and now ends with an error, has still to be
 * delivered. */
enum step exchange_fail(struct exchange *x, enum err why, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The same with an error that a provider or a wire described. */
enum step exchange_fail_with(struct exchange *x, const struct llm_error *given);

/* Sends the head of the answer to which the draft belongs, unless one was sent. */
void exchange_respond(struct exchange *x, const struct draft *d);

/* What follows the answer, which is complete: header fields, or nothing. */
struct str exchange_trailers(struct exchange *x);

/* Answers with a document of our own and ends the request. */
void exchange_answer(struct exchange *x, int status, struct str content_type, struct str body);

/* The same with fields of its own: complete "Name: value\r\n" lines. */
void exchange_answer_with(
    struct exchange *x, int status, struct str content_type, struct str fields, struct str body);
