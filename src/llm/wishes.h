/* wishes.h - what a caller demands or prefers of the target that answers, beside naming a model.
 *
 * OpenRouter's request fields ("provider", "models", "route", "fallbacks") and model suffixes
 * (":nitro") say such things. Demands exclude targets; preferences order them. All members are
 * optional: a zeroed struct wishes, but for its prices, wishes for nothing.
 *
 * The fields are honoured here, and sent on only to providers that act on them themselves (the trait
 * `takes_routing`). docs/openrouter.md has the meaning of each.
 */
#pragma once

#include "llm/wire.h"

enum wish_sort { SORT_UNSAID, SORT_PRICE, SORT_THROUGHPUT, SORT_LATENCY };

#define WISH_PRICE_ANY (-1)

struct wishes {
    /* models to try after the one that was asked for, in order */
    struct llm_word *models;
    /* demands */
    struct llm_word *only, *ignore;    /* providers, by id, or provider/variant */
    enum llm_tri require_parameters;
    bool no_collection;    /* providers that keep or train on prompts are excluded */
    bool zdr;              /* zero data retention */
    bool distillable;      /* models whose makers allow distillation */
    struct llm_word *quantizations;
    struct llm_word *regions;
    /* most that may be paid, in nano-dollars: per 1,000 tokens, per request, per image or second of
     * audio; WISH_PRICE_ANY: not said */
    int64_t max_prompt_nanousd_per_1k, max_completion_nanousd_per_1k;
    int64_t max_request_nanousd, max_image_nanousd, max_audio_nanousd;
    /* preferences */
    struct llm_word *order;          /* providers, best first */
    enum llm_tri allow_fallbacks;    /* NO: only those of `order`, or only the best one */
    enum wish_sort sort;
    bool across_models;       /* sorted as one list, not the targets of each model by themselves */
    double min_throughput;    /* tokens per second; 0: not said */
    double max_latency_s;     /* 0: not said */
};

/* Wishes for nothing. */
void wishes_init(struct wishes *w);

/* Reads the fields of the request's document. OK with NULL in *ret: it has none. Otherwise the wishes
 * in `a`, whose texts are copied, or ERR_BAD_REQUEST or ERR_TOO_LARGE with *ret_fault. "fallbacks" is
 * read on the routes of OpenRouter's API only (r->router): elsewhere it is a matter of the provider's. */
enum err wishes_read(struct llm_request *r, struct arena *a, struct wishes **ret,
    struct wire_fault *ret_fault) MUST_CHECK;

/* Cuts a suffix that wishes for something (":nitro", ":floor") off the name, and notes the wish.
 * False: it has none; other suffixes are parts of names. */
bool wishes_cut_suffix(struct str *name, struct wishes *w);

/* Of a request whose document names no model: the first of its "models", which is tried first; empty
 * if there is none. May be a slice of the document. */
struct str wishes_first_model(const struct llm_request *r);

/* The names in members that a provider may act on by itself ("models", "fallbacks"), in r->arena.
 * ERR_BAD_REQUEST or ERR_TOO_LARGE with *ret_fault if such a member cannot be understood, or resembles
 * one of them. */
enum err wishes_named_models(
    struct llm_request *r, struct llm_word **ret, struct wire_fault *ret_fault) MUST_CHECK;

/* Is it one of these members? */
bool wishes_has(const struct llm_request *r, const struct json *name);

/* Is it a member that is honoured here, so that nothing of it is lost where it is not sent on? */
bool wishes_honours(const struct llm_request *r, const struct json *name);

/* Adds what takes these members out of the body, for a provider of the same wire; notes those that
 * the gateway does not honour. */
void wishes_edit(const struct llm_request *r, struct wire_edits *edits, struct wire_drops *drops);
