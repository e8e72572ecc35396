/* fuzz_socks.c - a SOCKS5 proxy may answer anything, cut anywhere: the outcome does not depend on the
 * cuts, and no more is said than a user, a password and one request. */
#include <stdint.h>

#include "net/socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SAID_MAX = 4 + (3 + 255 + 255) + (7 + 255) };

static enum socks_step
converse(struct str said, size_t piece, struct buf *out, const char **ret_why)
{
    struct socks s = {
        .user = S("user"), .password = S("password"), .host = S("lab"), .port = 443
    };
    enum socks_step step = SOCKS_MORE;
    struct buf in;

    buf_init(&in, 1 << 20);
    buf_init(out, 1 << 20);
    socks_begin(&s, out);
    for (size_t at = 0; at < said.n && step == SOCKS_MORE; at += piece) {
        buf_add(&in, str_make(said.p + at, MIN(piece, said.n - at)));
        step = socks_feed(&s, &in, out, ret_why);
    }
    buf_fini(&in);
    return step;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why_whole = "", *why_cut = "";
    struct buf whole, cut;
    struct str said = str_make((const char *)data, size);
    enum socks_step at_once = converse(said, size + 1, &whole, &why_whole);

    CHECK(converse(said, 1, &cut, &why_cut) == at_once);
    CHECK(str_eq(str_c(why_whole), str_c(why_cut)));
    CHECK(str_eq(buf_str(&whole), buf_str(&cut)));
    CHECK(buf_len(&whole) <= SAID_MAX);
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}
