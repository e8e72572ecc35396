/* router.h - the routes of OpenRouter's API that the gateway answers itself. */
#pragma once

struct exchange;

/* The list of models, with prices and limits; their number. */
void router_models(struct exchange *x);
void router_models_count(struct exchange *x);

/* What is known of the caller's key. */
void router_key(struct exchange *x);

/* What is kept of a request of the same key, found by its id or that of its answer. */
void router_generation(struct exchange *x);

/* Refused: there are no credits here. */
void router_credits(struct exchange *x);
