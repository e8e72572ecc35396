/* sample.h - a bounded sample of a request's text, for what must cost the same for any request.
 *
 * The beginning, middle and end of the last thing the user said, the beginning of the system's text and
 * the end of what was said before. Taken from the parsed body, with the words of the caller's wire
 * (struct needs_words); escapes are resolved in the sampled bytes only. Allocates nothing.
 */
#pragma once

#include "base/base.h"

/* Of the user's text; of each of the others. */
#define SAMPLE_USER_BYTES 1536
#define SAMPLE_OTHER_BYTES 384

struct llm_sample {
    /* slices of `room`; a longer text is a third each of its beginning, middle and end, in lines of
     * their own */
    struct str user, system, earlier;
    /* Bytes of the body's strings that are text, and how many of them the sample looked at: escapes
     * count as they are spelled. */
    uint64_t bytes, sampled;
    size_t used;
    char room[SAMPLE_USER_BYTES + 2 * SAMPLE_OTHER_BYTES + 16];
};

struct llm_request;

/* The sample of a request whose body was parsed; empty for one without text. The document must outlive
 * nothing: the sample is a copy. */
void sample_take(const struct llm_request *r, struct llm_sample *ret);

/* A sample of a text, as if it were all of a request. */
void sample_text(struct str text, struct llm_sample *ret);
