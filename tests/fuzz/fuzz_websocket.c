/* fuzz_websocket.c - messages are the same however their bytes are cut, and never longer than the
 * limit.
 *
 * The first byte says how the rest is cut.
 */
#include <stdint.h>
#include <stdlib.h>

#include "http/websocket.h"

enum { LIMIT_BYTES = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
on_message(void *arg, struct str text)
{
    CHECK(text.n <= LIMIT_BYTES);
    buf_add(arg, text);
    buf_add_c(arg, '\0');
}

/* The messages, each with a NUL behind it. */
static struct buf
messages(struct str bytes, size_t step)
{
    struct ws_reader r;
    struct buf all;

    buf_init(&all, SIZE_MAX);
    ws_reader_init(&r, LIMIT_BYTES);
    while (bytes.n != 0) {
        size_t n = MIN(step, bytes.n);
        char *copy = check_alloc(malloc(n));    /* of its own size: reads beyond it are seen */

        memcpy(copy, bytes.p, n);
        ws_reader_feed(&r, str_make(copy, n), on_message, &all);
        free(copy);
        bytes = str_skip(bytes, n);
    }
    ws_reader_fini(&r);
    return all;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str bytes = str_make((const char *)data + 1, size - 1);
    struct buf whole = messages(bytes, SIZE_MAX), cut = messages(bytes, 1 + data[0] % 16);

    CHECK(str_eq(buf_str(&whole), buf_str(&cut)));
    CHECK(buf_len(&whole) <= size);
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}
