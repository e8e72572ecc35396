/* answer.h - what an attempt does with the provider's answer: its bytes pass the intake, the
 * filters and the draft, and go on to the caller once the attempt is committed. */
#pragma once

#include "gateway/attempt.h"

/* Sends the request that was written, and awaits the answer until its deadlines. */
void answer_await(struct attempt *a);

/* The exchange's other attempts were stopped: the caller gets this one's answer, which was HELD. From
 * a stage. */
void answer_give(struct attempt *a);

/* Does work(a), which touches the attempt's alone, on a helper thread; then its exchange is woken. Not
 * while another is at work. */
void answer_work(struct attempt *a, void (*work)(void *attempt));

/* The caller can receive more again. */
void answer_resume(struct attempt *a);

/* Bytes of the caller's, in a session. */
void answer_take_bytes(struct attempt *a, struct str bytes);
