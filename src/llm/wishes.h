/* wishes.h - what a caller demands or prefers of the target that answers, beside naming a model.
 *
 * OpenRouter's request fields ("provider", "models", "route") and model suffixes (":nitro") say such
 * things, and header fields of ours. Demands exclude targets; preferences order them. All members are
 * optional: a zeroed struct wishes for nothing.
 */
#pragma once

#include "base/arena.h"
#include "llm/request.h"

enum wish_sort { SORT_UNSAID, SORT_PRICE, SORT_THROUGHPUT, SORT_LATENCY };

struct wishes {
    /* models to try after the one that was asked for, in order */
    struct llm_word *models;
    /* demands */
    struct llm_word *only, *ignore;    /* providers, by id, or provider/variant */
    enum llm_tri require_parameters;
    bool no_collection;    /* providers that keep or train on prompts are excluded */
    bool zdr;              /* zero data retention */
    struct llm_word *quantizations;
    struct llm_word *regions;
    /* most that may be paid, in nano-dollars: per 1,000 tokens, per request, per image; -1: not said */
    int64_t max_prompt_nanousd_per_1k, max_completion_nanousd_per_1k;
    int64_t max_request_nanousd, max_image_nanousd;
    /* preferences */
    struct llm_word *order;          /* providers, best first */
    enum llm_tri allow_fallbacks;    /* NO: only those of `order`, or only the best one */
    enum wish_sort sort;
    double min_throughput;    /* tokens per second; 0: not said */
    double max_latency_s;     /* 0: not said */
};

/* Wishes for nothing. */
void wishes_init(struct wishes *w);
