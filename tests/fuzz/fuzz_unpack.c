/* fuzz_unpack.c - compressed bodies: no crash, never more than the limit, work bounded by what came
 * and what is made.
 *
 * The first byte names the coding, the rest is the body.
 */
#include <stdint.h>

#include "http/unpack.h"

enum { LIMIT_BYTES = 256 * 1024, CODINGS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum unpack_state state = UNPACK_MORE;

    if (size == 0)
        return 0;
    struct str packed = str_make((const char *)data + 1, size - 1);
    struct unpack *u =
        unpack_create((enum unpack_coding)(1 + data[0] % CODINGS), packed, LIMIT_BYTES);
    CHECK(u != NULL);
    for (size_t steps = 0; state == UNPACK_MORE; steps++) {
        state = unpack_step(u);
        CHECK(steps <= size / 1024 + LIMIT_BYTES / 1024);
        CHECK(buf_len(unpack_output(u)) <= LIMIT_BYTES + (state == UNPACK_LARGE));
        CHECK(unpack_held_bytes(u) < 40 * 1024 * 1024);
    }
    unpack_destroy(u);
    return 0;
}
