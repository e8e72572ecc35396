/* media.h - images, audio, video and files of a conversation: what they are, and where.
 *
 * Resolved once, when a caller's request is read: a "data:" URL becomes bytes and their type, and
 * the first bytes overrule the type that the caller gave, because providers check it and callers
 * often get it wrong. Writers find exactly one of url, data and file_id, and a true type.
 */
#pragma once

#include "base/json_out.h"
#include "llm/request.h"

static inline bool
media_is(enum llm_part_kind kind)
{
    return kind == PART_IMAGE || kind == PART_AUDIO || kind == PART_VIDEO || kind == PART_FILE;
}

/* Sets a part's bytes, in base64, and their type: `mime` unless the bytes show another one. */
void media_set_data(struct llm_part *part, struct str mime, struct str base64);

/* Sets a part's URL, or the bytes of a "data:" URL. False if that is malformed. */
bool media_set_url(struct llm_part *part, struct str url);

/* Whether a file of that type is text, which is sent as text where protocols know few types. */
bool media_is_text(struct str mime);

/* The text of such a file. OK, ERR_UNSUPPORTED if its base64 is malformed, or ERR_TOO_LARGE. */
enum err media_text(struct arena *a, const struct llm_part *part, struct str *ret) MUST_CHECK;

/* The kind of what has that type: a picture, sound, a video or a file. */
enum llm_part_kind media_kind_of(struct str mime);

/* A copy in `a`; NULL if memory runs out. */
struct llm_part *media_copy(struct arena *a, const struct llm_part *part);

/* Writes the URL as a value, "data:mime;base64,..." if there are bytes. */
void media_add_url(struct json_out *o, const struct llm_part *part);
