/* answer.h - what an attempt does with the provider's answer: its bytes pass the intake, the
 * filters and the draft, and go on to the caller once the attempt is committed. */
#pragma once

#include "gateway/attempt.h"

/* Sends the request that was written, and awaits the answer until its deadlines. */
void answer_await(struct attempt *a);

/* The caller can receive more again. */
void answer_resume(struct attempt *a);
