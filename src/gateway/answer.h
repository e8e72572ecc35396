/* answer.h - what an attempt does with the provider's answer: its bytes pass the intake, the filters and
 * the draft, and go on to the caller once the attempt is committed. */
#pragma once

#include "gateway/attempt.h"

/* The callbacks of an attempt's call. */
extern const struct client_events answer_events;

/* Checks the timeouts: first token, between tokens, total. True: it goes on waiting for the provider. */
bool answer_tick(struct attempt *a, uint64_t now_us);

/* Sends a comment, or what else the protocol has for that, so that the caller hears something. */
void answer_keepalive(struct attempt *a);

/* The caller can receive more again. */
void answer_resume(struct attempt *a);
