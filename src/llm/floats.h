/* floats.h - vectors of float32 as text: as JSON numbers, and as base64 of their bytes.
 *
 * Both directions are exact: base64 holds the float32 nearest to each number, least significant
 * byte first, as OpenAI's API has it; a number is the shortest that reads back as the same float32
 * among those of six to nine digits. Linear in the text; nothing is allocated but the result.
 */
#pragma once

#include "base/buf.h"

/* Appends the base64 of a JSON list of numbers, without quotes. False: it is not such a list. */
bool floats_add_base64(struct buf *out, struct str numbers) MUST_CHECK;

/* Appends the JSON list of numbers that base64 text says. False: it is malformed, not a whole
 * number of floats, or one of them is not finite. */
bool floats_add_numbers(struct buf *out, struct str base64) MUST_CHECK;
