/* local.h - requests that the gateway answers itself: health, metrics, the list of models. */
#pragma once

struct exchange;

void local_livez(struct exchange *x);
void local_readyz(struct exchange *x);
void local_metrics(struct exchange *x);
void local_models(struct exchange *x);
void local_model(struct exchange *x);
void local_root(struct exchange *x);

/* Estimates the tokens of a request (work for request_work()), and then answers with the estimate.
 * Used when none of its providers can count tokens. */
void local_count(void *request);
void local_count_tokens(struct exchange *x);
