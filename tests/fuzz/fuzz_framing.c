/* fuzz_framing.c - streamed answers: no crash, the same frames however the bytes are cut, and the
 * frames' bytes put together are the stream.
 *
 * The first byte says of which framing the rest is, and how it is cut.
 */
#include <stdint.h>
#include <stdlib.h>

#include "llm/framing.h"

enum { LIMIT_BYTES = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
    const struct framing *framing;
    struct str whole;    /* the stream */
    size_t raw_n;
    size_t frames;
    uint64_t hash;
    bool broken;    /* an error, or told to stop */
    size_t stop_after;
};

static void
hash_bytes(struct heard *h, struct str s)
{
    h->hash = (h->hash ^ s.n) * 1099511628211u;
    for (size_t i = 0; i < s.n; i++)
        h->hash = (h->hash ^ (unsigned char)s.p[i]) * 1099511628211u;
}

static bool
hear(void *arg, const struct frame *frame)
{
    struct heard *h = arg;

    CHECK(frame->raw.n != 0 && frame->raw.n <= LIMIT_BYTES);
    CHECK(h->raw_n + frame->raw.n <= h->whole.n);
    CHECK(memcmp(h->whole.p + h->raw_n, frame->raw.p, frame->raw.n) == 0);
    CHECK(frame->has_data || frame->data.n == 0);
    h->raw_n += frame->raw.n;
    if (h->framing == &framing_json_array && !frame->has_data)    /* blanks come as they come */
        return true;
    hash_bytes(h, frame->event);
    hash_bytes(h, frame->data);
    h->hash += frame->has_data;
    h->frames++;
    return h->frames != h->stop_after;
}

static void
read_stream(struct heard *h, struct str bytes, size_t step)
{
    struct framing_reader r;
    enum err e = OK;

    h->whole = bytes;
    framing_init(&r, h->framing, LIMIT_BYTES);
    while (e == OK && bytes.n != 0 && (h->stop_after == 0 || h->frames < h->stop_after)) {
        size_t n = MIN(step, bytes.n);

        e = framing_feed(&r, str_make(bytes.p, n), hear, h);
        bytes = str_skip(bytes, n);
    }
    if (e == OK && (h->stop_after == 0 || h->frames < h->stop_after))
        e = framing_end(&r, hear, h);
    h->broken = e != OK;
    CHECK(e == OK || e == ERR_UPSTREAM_TOO_LARGE ||
          (h->framing->end_lines == 0 &&
              (e == ERR_UPSTREAM_PROTOCOL || e == ERR_UPSTREAM_TRUNCATED)));
    framing_fini(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    static const struct framing *const framings[] = { &framing_sse, &framing_ndjson,
        &framing_json_array, &framing_aws_events };
    struct str bytes = str_make((const char *)data + 1, size - 1);
    size_t stop_after = data[0] >= 0x80 ? (size_t)(data[0] & 0xf) : 0;
    const struct framing *framing = framings[data[0] / 32 % ARRAY_LEN(framings)];
    struct heard whole = { .framing = framing, .stop_after = stop_after };
    struct heard cut = { .framing = framing, .stop_after = stop_after };

    read_stream(&whole, bytes, MAX(bytes.n, 1));
    read_stream(&cut, bytes, (size_t)data[0] % 32 + 1);
    CHECK(whole.broken == cut.broken);
    CHECK(whole.frames == cut.frames && whole.hash == cut.hash && whole.raw_n == cut.raw_n);
    CHECK(whole.broken || stop_after != 0 || whole.raw_n == bytes.n);
    return 0;
}
