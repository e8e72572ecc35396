/* unpack.c - one loop around three libraries: zlib, brotli and zstd. */
#include "http/unpack.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    STEP_IN_BYTES = 64 * 1024,
    STEP_OUT_BYTES = 64 * 1024,
    ZSTD_WINDOW_LOG_MOST = 23,
};

/* Header of each block allocated for brotli and zlib; it records the size. */
union block {
    size_t bytes;
    max_align_t align;
};

struct unpack {
    enum unpack_coding coding;
    struct str in;    /* input not consumed yet */
    struct buf out;
    size_t limit_bytes;
    size_t blocks_bytes;    /* allocated by brotli and zlib */
    z_stream zlib;
    bool zlib_begun;
    BrotliDecoderState *br;
    ZSTD_DStream *zstd;
};

bool
unpack_find(const struct http_fields *fields, enum unpack_coding *ret)
{
    static const struct {
        struct str name;
        enum unpack_coding coding;
    } codings[] = {
        { S_INIT("gzip"), UNPACK_GZIP },
        { S_INIT("x-gzip"), UNPACK_GZIP },
        { S_INIT("deflate"), UNPACK_DEFLATE },
        { S_INIT("br"), UNPACK_BR },
        { S_INIT("zstd"), UNPACK_ZSTD },
    };

    *ret = UNPACK_NONE;
    for (size_t i = 0; i < fields->count; i++) {
        struct str word, rest = fields->list[i].value;

        if (!str_ieq(fields->list[i].name, S("content-encoding")))
            continue;
        while (rest.n != 0) {
            size_t c = 0;

            (void)str_cut(rest, ',', &word, &rest);
            word = str_trim(word);
            if (word.n == 0 || str_ieq(word, S("identity")))
                continue;
            while (c < ARRAY_LEN(codings) && !str_ieq(word, codings[c].name))
                c++;
            if (c == ARRAY_LEN(codings) || *ret != UNPACK_NONE)
                return false;
            *ret = codings[c].coding;
        }
    }
    return true;
}

/* --- the decoders' memory --- */

static void *
block_alloc(void *unpack, size_t bytes)
{
    struct unpack *u = unpack;
    union block *b = malloc(sizeof(*b) + bytes);

    if (b == NULL)
        return NULL;
    b->bytes = sizeof(*b) + bytes;
    u->blocks_bytes += b->bytes;
    return b + 1;
}

static void
block_free(void *unpack, void *p)
{
    struct unpack *u = unpack;
    union block *b = p;

    if (b == NULL)
        return;
    u->blocks_bytes -= b[-1].bytes;
    free(b - 1);
}

static void *
zlib_alloc(void *unpack, uInt count, uInt size)
{
    return block_alloc(unpack, (size_t)count * size);
}

/* --- decoders: each consumes from *in and writes at most *n bytes to `room`; *n is then how many
 * it wrote. *ret_end: a member, stream or frame has ended. False: the data are corrupt. --- */

/* Does the body start with zlib's header (RFC 1950)? Interpreted as a raw deflate stream, its first
 * byte would be a stored block with non-zero padding, which no encoder writes. */
static bool
has_zlib_header(struct str in)
{
    unsigned first = in.n >= 2 ? (unsigned char)in.p[0] : 0;

    return (first & 0x0f) == 8 && (first >> 4) <= 7 &&
           (first << 8 | (unsigned char)in.p[1]) % 31 == 0;
}

static bool
decode_zlib(struct unpack *u, struct str *in, char *room, size_t *n, bool *ret_end)
{
    z_stream *z = &u->zlib;

    z->next_in = (Bytef *)(uintptr_t)in->p;
    z->avail_in = (uInt)in->n;
    z->next_out = (Bytef *)room;
    z->avail_out = (uInt)*n;

    int result = inflate(z, Z_NO_FLUSH);

    *in = str_skip(*in, in->n - z->avail_in);
    *n -= z->avail_out;
    *ret_end = result == Z_STREAM_END;
    /* gzip members may be concatenated; nothing may follow a zlib stream */
    if (*ret_end && u->coding == UNPACK_GZIP)
        return inflateReset(z) == Z_OK;
    return *ret_end || result == Z_OK || result == Z_BUF_ERROR;
}

static bool
decode_br(struct unpack *u, struct str *in, char *room, size_t *n, bool *ret_end)
{
    size_t in_left = in->n, out_left = *n;
    const uint8_t *next_in = (const uint8_t *)in->p;
    uint8_t *next_out = (uint8_t *)room;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(u->br, &in_left, &next_in, &out_left, &next_out, NULL);

    *in = str_skip(*in, in->n - in_left);
    *n -= out_left;
    *ret_end = result == BROTLI_DECODER_RESULT_SUCCESS;
    return result != BROTLI_DECODER_RESULT_ERROR;
}

static bool
decode_zstd(struct unpack *u, struct str *in, char *room, size_t *n, bool *ret_end)
{
    ZSTD_inBuffer from = { in->p, in->n, 0 };
    ZSTD_outBuffer to = { room, *n, 0 };
    size_t result = ZSTD_decompressStream(u->zstd, &to, &from);

    *in = str_skip(*in, from.pos);
    *n = to.pos;
    *ret_end = result == 0;
    return !ZSTD_isError(result);
}

static bool
decode(struct unpack *u, struct str *in, char *room, size_t *n, bool *ret_end)
{
    switch (u->coding) {
    case UNPACK_GZIP:
    case UNPACK_DEFLATE:
        return decode_zlib(u, in, room, n, ret_end);
    case UNPACK_BR:
        return decode_br(u, in, room, n, ret_end);
    case UNPACK_ZSTD:
        return decode_zstd(u, in, room, n, ret_end);
    case UNPACK_NONE:
        break;
    }
    CHECK_UNREACHABLE();
}

static bool
may_follow_itself(enum unpack_coding coding)
{
    return coding == UNPACK_GZIP || coding == UNPACK_ZSTD;
}

/* --- interface --- */

static bool
begin_decoder(struct unpack *u)
{
    int window = 15 + (u->coding == UNPACK_GZIP ? 16 : 0);

    switch (u->coding) {
    case UNPACK_GZIP:
    case UNPACK_DEFLATE:
        u->zlib.zalloc = zlib_alloc;
        u->zlib.zfree = block_free;
        u->zlib.opaque = u;
        if (u->coding == UNPACK_DEFLATE && !has_zlib_header(u->in))
            window = -15;
        u->zlib_begun = inflateInit2(&u->zlib, window) == Z_OK;
        return u->zlib_begun;
    case UNPACK_BR:
        u->br = BrotliDecoderCreateInstance(block_alloc, block_free, u);
        return u->br != NULL;
    case UNPACK_ZSTD:
        u->zstd = ZSTD_createDStream();
        return u->zstd != NULL && !ZSTD_isError(ZSTD_DCtx_setParameter(
                                      u->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MOST));
    case UNPACK_NONE:
        break;
    }
    CHECK_UNREACHABLE();
}

struct unpack *
unpack_create(enum unpack_coding coding, struct str packed, size_t limit_bytes)
{
    struct unpack *u = calloc(1, sizeof(*u));

    if (u == NULL)
        return NULL;
    u->coding = coding;
    u->in = packed;
    u->limit_bytes = limit_bytes;
    buf_init(&u->out, limit_bytes + 1);    /* one more byte, to detect that the limit is exceeded */
    if (!begin_decoder(u)) {
        unpack_destroy(u);
        return NULL;
    }
    return u;
}

enum unpack_state
unpack_step(struct unpack *u)
{
    size_t read = 0, made = 0;

    while (read < STEP_IN_BYTES && made < STEP_OUT_BYTES) {
        struct str in = str_make(u->in.p, MIN(u->in.n, STEP_IN_BYTES - read));
        size_t n = MIN(STEP_OUT_BYTES - made, u->limit_bytes + 1 - buf_len(&u->out));
        size_t before = in.n;
        bool end = false;
        char *room = buf_reserve(&u->out, n);

        if (room == NULL)
            return UNPACK_NO_MEMORY;
        if (!decode(u, &in, room, &n, &end))
            return UNPACK_BAD;
        buf_commit(&u->out, n);
        u->in = str_skip(u->in, before - in.n);
        read += before - in.n;
        made += n;
        if (buf_len(&u->out) > u->limit_bytes)
            return UNPACK_LARGE;
        if (end && u->in.n == 0)
            return UNPACK_DONE;
        if (end ? !may_follow_itself(u->coding) : before == in.n && n == 0)
            return UNPACK_BAD;    /* trailing or missing data */
    }
    return UNPACK_MORE;
}

struct buf *
unpack_output(struct unpack *u)
{
    return &u->out;
}

size_t
unpack_held_bytes(const struct unpack *u)
{
    return u->out.cap + u->blocks_bytes + (u->zstd != NULL ? ZSTD_sizeof_DStream(u->zstd) : 0);
}

void
unpack_destroy(struct unpack *u)
{
    if (u == NULL)
        return;
    if (u->zlib_begun)
        (void)inflateEnd(&u->zlib);
    if (u->br != NULL)
        BrotliDecoderDestroyInstance(u->br);
    ZSTD_freeDStream(u->zstd);    /* NULL is a no-op */
    buf_fini(&u->out);
    free(u);
}
