/* local.h - requests that the gateway answers itself: health, metrics, the list of models. */
#pragma once

struct exchange;

void local_livez(struct exchange *x);
void local_readyz(struct exchange *x);
void local_metrics(struct exchange *x);
void local_models(struct exchange *x);
void local_model(struct exchange *x);
void local_root(struct exchange *x);

/* Counts the tokens of a request, roughly (work for exchange_work()), and then answers with them:
 * where no provider of it can count. */
void local_count(struct exchange *x);
void local_count_tokens(struct exchange *x);
