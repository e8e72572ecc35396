/* warmth.h - which target holds which prompt in its cache, as far as requests through this process tell.
 *
 * Providers keep what they have read of a prompt for some minutes, and read a prompt that begins in the same
 * way faster and for a tenth of the price, but only where it was read before. Two things are remembered
 * under their hashes (llm/needs.h): a conversation, whose next turn repeats all of it; and the beginning
 * that all requests of an application share.
 *
 * One table of fixed size for the process, shared by all threads without locks: what it forgets was used
 * longest ago. Times are clock_now_us().
 */
#pragma once

#include "base/base.h"

struct health;

#define WARMTH_MS 300000u           /* what most providers keep it for, after each use */
#define WARMTH_LEAST_TOKENS 1024    /* shorter prompts most do not keep */

/* The target has read `tokens` that are known as `hash` (0: nothing is noted), and keeps them so long. */
void warmth_note(
    const struct health *target, uint64_t hash, int64_t tokens, uint64_t keeps_ms, uint64_t now_us);

/* The same of what is only the beginning of a prompt of `tokens`: the shortest prompt so far says how much
 * that can be. */
void warmth_note_beginning(
    const struct health *target, uint64_t hash, int64_t tokens, uint64_t keeps_ms, uint64_t now_us);

/* Tokens of `hash` that the target holds; 0: none, or not known. */
int64_t warmth_tokens(const struct health *target, uint64_t hash, uint64_t now_us);

/* Tests only: forgets everything. */
void warmth_forget_for_tests(void);
