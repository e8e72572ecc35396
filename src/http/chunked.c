/* chunked.c - a state machine with one state for each position in the grammar of RFC 9112, section
 * 7.1. */
#include "http/chunked.h"

#include "http/text.h"

enum {
    SIZE,    /* zero: the state of a zeroed decoder */
    EXT_NAME_START,
    EXT_NAME,
    EXT_VALUE_START,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_QUOTED_PAIR,
    EXT_QUOTED_END,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    DONE,
};

enum {
    DIGITS_MAX = 15,             /* of the size: less than 2^60 */
    OVERHEAD_MAX = 16 * 1024,    /* bytes of extensions and trailers in one body */
};

/* Trailers that would change the message's framing or its destination. */
static bool
is_refused_trailer(struct str name)
{
    return str_ieq(name, S("content-length")) || str_ieq(name, S("transfer-encoding")) ||
           str_ieq(name, S("host")) || str_ieq(name, S("connection")) ||
           str_ieq(name, S("trailer"));
}

static const char *
take_size(struct chunked *c, char byte)
{
    int digit = str_hex_digit(byte);

    if (digit >= 0) {
        if (++c->digits > DIGITS_MAX)
            return "the chunk size is too large";
        c->left = c->left << 4 | (unsigned)digit;
        return NULL;
    }
    if (c->digits == 0 || (byte != '\r' && byte != ';'))
        return "malformed chunk size";
    c->digits = 0;
    c->state = byte == ';' ? EXT_NAME_START : SIZE_LF;
    return NULL;
}

/* What may follow a complete name or value in an extension. */
static bool
leave_extension(struct chunked *c, char byte)
{
    if (byte != ';' && byte != '\r')
        return false;
    c->state = byte == ';' ? EXT_NAME_START : SIZE_LF;
    return true;
}

static const char *
take_extension(struct chunked *c, char byte)
{
    bool ok = true;

    switch (c->state) {
    case EXT_NAME_START:
        ok = http_is_token_char(byte);
        c->state = EXT_NAME;
        break;
    case EXT_NAME:
        if (byte == '=')
            c->state = EXT_VALUE_START;
        else
            ok = http_is_token_char(byte) || leave_extension(c, byte);
        break;
    case EXT_VALUE_START:
        c->state = byte == '"' ? EXT_QUOTED : EXT_VALUE;
        ok = byte == '"' || http_is_token_char(byte);
        break;
    case EXT_VALUE:
        ok = http_is_token_char(byte) || leave_extension(c, byte);
        break;
    case EXT_QUOTED:
        if (byte == '"')
            c->state = EXT_QUOTED_END;
        else if (byte == '\\')
            c->state = EXT_QUOTED_PAIR;
        else
            ok = !http_is_control(byte);
        break;
    case EXT_QUOTED_PAIR:
        ok = !http_is_control(byte);
        c->state = EXT_QUOTED;
        break;
    default:
        ok = leave_extension(c, byte);
        break;
    }
    return ok ? NULL : "malformed chunk extension";
}

static const char *
take_trailer(struct chunked *c, char byte)
{
    switch (c->state) {
    case TRAILER_START:
        if (byte == '\r') {
            c->state = END_LF;
            return NULL;
        }
        c->name_n = 0;
        c->state = TRAILER_NAME;
        __attribute__((fallthrough));
    case TRAILER_NAME:
        if (byte == ':' && c->name_n != 0) {
            c->state = TRAILER_VALUE;
            return is_refused_trailer(str_make(c->name, c->name_n))
                       ? "a field that must not be sent as a trailer"
                       : NULL;
        }
        if (!http_is_token_char(byte))
            return "malformed trailer field";
        if (c->name_n < CHUNKED_NAME_ROOM)
            c->name[c->name_n++] = byte;
        return NULL;
    case TRAILER_VALUE:
        if (byte == '\r')
            c->state = TRAILER_LF;
        else if (http_is_control(byte))
            return "malformed trailer field";
        return NULL;
    default:
        CHECK_UNREACHABLE();
    }
}

/* Expects a line feed. */
static const char *
take_lf(struct chunked *c, char byte, uint8_t next)
{
    if (byte != '\n')
        return "carriage return without line feed in a chunked body";
    c->state = next;
    return NULL;
}

/* Consumes one byte of framing. */
static const char *
take_byte(struct chunked *c, char byte)
{
    switch (c->state) {
    case SIZE:
        return take_size(c, byte);
    case SIZE_LF:
        return take_lf(c, byte, c->left != 0 ? DATA : TRAILER_START);
    case DATA_CR:
        c->state = DATA_LF;
        return byte == '\r' ? NULL : "a chunk is longer than its size";
    case DATA_LF:
        return take_lf(c, byte, SIZE);
    case TRAILER_LF:
        return take_lf(c, byte, TRAILER_START);
    case END_LF:
        return take_lf(c, byte, DONE);
    default:
        break;
    }
    if (++c->overhead > OVERHEAD_MAX)
        return "chunk extensions or trailers are too large";
    return c->state < SIZE_LF ? take_extension(c, byte) : take_trailer(c, byte);
}

bool
chunked_decode(struct chunked *c, struct str *bytes, struct str *ret_data, const char **ret_why)
{
    *ret_data = str_make(bytes->p, 0);
    while (bytes->n != 0 && c->state != DONE) {
        if (c->state == DATA) {
            size_t n = (size_t)MIN((uint64_t)bytes->n, c->left);

            *ret_data = str_make(bytes->p, n);
            *bytes = str_make(bytes->p + n, bytes->n - n);
            c->left -= n;
            if (c->left == 0)
                c->state = DATA_CR;
            return true;
        }
        const char *why = take_byte(c, bytes->p[0]);
        if (why != NULL) {
            *ret_why = why;
            return false;
        }
        *bytes = str_make(bytes->p + 1, bytes->n - 1);
    }
    return true;
}

bool
chunked_done(const struct chunked *c)
{
    return c->state == DONE;
}

struct str
chunked_header(size_t n, char room[CHUNKED_HEADER_ROOM])
{
    static const char digits[] = "0123456789abcdef";
    char *end = room + CHUNKED_HEADER_ROOM;
    char *p = end;

    *--p = '\n';
    *--p = '\r';
    do {
        *--p = digits[n & 15];
        n >>= 4;
    } while (n != 0);
    return str_make(p, (size_t)(end - p));
}
