/* feedback.h - POST /v1/feedback: what a caller says of an answer that it got. */
#pragma once

struct exchange;

/* Answers the request; or leaves it to be called again when the exchange is woken. */
void feedback_answer(struct exchange *x);
