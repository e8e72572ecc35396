/* socks.c - the client side of SOCKS5: composes requests and parses replies. */
#include "net/socks.h"

enum {
    VERSION = 5,
    LOGIN_VERSION = 1,
    METHOD_NONE = 0,
    METHOD_LOGIN = 2,
    METHOD_REFUSED = 0xff,
    COMMAND_CONNECT = 1,
    KIND_V4 = 1,
    KIND_NAME = 3,
    KIND_V6 = 4,
    TEXT_MAX = 255,
};

/* The reply's codes; those that depend on the address say so. */
static const struct {
    const char *why;
    bool other_address_may_do;
} replies[] = {
    { "", false },
    { "the SOCKS proxy failed", true },
    { "the SOCKS proxy does not allow it", false },
    { "the SOCKS proxy found the network unreachable", true },
    { "the SOCKS proxy found the host unreachable", true },
    { "the SOCKS proxy was refused the connection", true },
    { "the SOCKS proxy waited too long", true },
    { "the SOCKS proxy does not know CONNECT", false },
    { "the SOCKS proxy does not know this kind of address", true },
};

static void
add_byte(struct buf *out, unsigned byte)
{
    buf_add_c(out, (char)byte);
}

static void
add_text(struct buf *out, struct str text)
{
    CHECK(text.n <= TEXT_MAX);
    add_byte(out, (unsigned)text.n);
    buf_add(out, text);
}

void
socks_begin(struct socks *s, struct buf *out)
{
    bool has_login = s->user.n != 0;

    s->awaits = SOCKS_METHOD;
    add_byte(out, VERSION);
    add_byte(out, has_login ? 2 : 1);
    add_byte(out, METHOD_NONE);
    if (has_login)
        add_byte(out, METHOD_LOGIN);
}

static void
add_login(const struct socks *s, struct buf *out)
{
    add_byte(out, LOGIN_VERSION);
    add_text(out, s->user);
    add_text(out, s->password);
}

static void
add_connect(const struct socks *s, struct buf *out)
{
    struct address literal;
    const struct address *a = s->target;

    if (a == NULL && address_parse(s->host, 0, &literal))
        a = &literal;
    add_byte(out, VERSION);
    add_byte(out, COMMAND_CONNECT);
    add_byte(out, 0);
    if (a == NULL) {
        add_byte(out, KIND_NAME);
        add_text(out, s->host);
    } else if (a->any.sa_family == AF_INET) {
        add_byte(out, KIND_V4);
        buf_add(out, str_make((const char *)&a->v4.sin_addr, 4));
    } else {
        add_byte(out, KIND_V6);
        buf_add(out, str_make((const char *)&a->v6.sin6_addr, 16));
    }
    add_byte(out, s->port >> 8);
    add_byte(out, s->port & 0xff);
}

static unsigned
byte_at(const struct buf *in, size_t i)
{
    return (unsigned char)buf_str(in).p[i];
}

/* The number of bytes of the reply at the front, 0: not known yet, SIZE_MAX: it is none. */
static size_t
reply_length(const struct buf *in)
{
    size_t n = buf_len(in);

    if (n < 5)
        return 0;
    switch (byte_at(in, 3)) {
    case KIND_V4:
        return 4 + 4 + 2;
    case KIND_V6:
        return 4 + 16 + 2;
    case KIND_NAME:
        return 4 + 1 + byte_at(in, 4) + 2;
    default:
        return SIZE_MAX;
    }
}

static enum socks_step
fail(const char **ret_why, const char *why)
{
    *ret_why = why;
    return SOCKS_FAILED;
}

static enum socks_step
take_method(struct socks *s, struct buf *in, struct buf *out, const char **ret_why)
{
    unsigned method = byte_at(in, 1);

    buf_consume(in, 2);
    if (method == METHOD_LOGIN && s->user.n != 0) {
        s->awaits = SOCKS_LOGIN;
        add_login(s, out);
    } else if (method == METHOD_NONE) {
        s->awaits = SOCKS_REPLY;
        add_connect(s, out);
    } else if (method == METHOD_REFUSED) {
        return fail(ret_why,
            s->user.n != 0
                ? "the SOCKS proxy takes neither user and password nor none"
                : "the SOCKS proxy wants a user and a password; write socks5://user:password@host");
    } else {
        return fail(ret_why, "the SOCKS proxy chose a method that was not offered");
    }
    return SOCKS_MORE;
}

static enum socks_step
take_reply(struct buf *in, const char **ret_why)
{
    size_t n = reply_length(in);
    unsigned code = buf_len(in) >= 2 ? byte_at(in, 1) : 0;

    /* Some proxies close right after a refusal, without an address. */
    if (code != 0) {
        const char *why = code < ARRAY_LEN(replies) ? replies[code].why : "the SOCKS proxy refused";

        (void)fail(ret_why, why);
        return code < ARRAY_LEN(replies) && replies[code].other_address_may_do ? SOCKS_AGAIN
                                                                               : SOCKS_FAILED;
    }
    if (n == SIZE_MAX)
        return fail(ret_why, "the SOCKS proxy's reply makes no sense");
    if (n == 0 || buf_len(in) < n)
        return SOCKS_MORE;
    buf_consume(in, n);
    return SOCKS_OPEN;
}

enum socks_step
socks_feed(struct socks *s, struct buf *in, struct buf *out, const char **ret_why)
{
    enum socks_step step = SOCKS_MORE;

    while (step == SOCKS_MORE && buf_len(in) >= 2) {
        unsigned version = s->awaits == SOCKS_LOGIN ? LOGIN_VERSION : VERSION;
        size_t before = buf_len(in);

        if (byte_at(in, 0) != version)
            return fail(ret_why, "the proxy does not speak SOCKS5");
        if (s->awaits == SOCKS_METHOD) {
            step = take_method(s, in, out, ret_why);
        } else if (s->awaits == SOCKS_REPLY) {
            step = take_reply(in, ret_why);
        } else if (byte_at(in, 1) != 0) {
            step = fail(ret_why, "the SOCKS proxy refused the user or the password");
        } else {
            buf_consume(in, 2);
            s->awaits = SOCKS_REPLY;
            add_connect(s, out);
        }
        if (buf_len(in) == before)
            break;    /* not complete */
    }
    return step;
}
