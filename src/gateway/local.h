/* local.h - requests that the gateway answers itself: health, metrics, the list of models. */
#pragma once

struct exchange;

/* Answers the request, as its endpoint says; or leaves it to be called again when the exchange is
 * woken. */
void local_answer(struct exchange *x);

/* Ollama's description of a model that another protocol's provider has; the plan is made. */
void local_ollama_show(struct exchange *x);

/* Counts the tokens of a request (work for request_work()) by its tokenizer, and then answers with them.
 * Used when none of its providers can count tokens. */
void local_count(void *request);
void local_count_tokens(struct exchange *x);
