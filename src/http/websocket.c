/* websocket.c - frames into messages. */
#include "http/websocket.h"

enum { OP_CONTINUE = 0, OP_TEXT = 1, OP_CONTROL = 8, FINAL = 0x80, MASKED = 0x80 };

void
ws_reader_init(struct ws_reader *r, size_t limit_bytes)
{
    *r = (struct ws_reader){ .head_n = 0 };
    buf_init(&r->message, limit_bytes);
}

void
ws_reader_fini(struct ws_reader *r)
{
    buf_fini(&r->message);
}

/* Bytes of the frame's head, as far as is known. */
static size_t
head_bytes(const struct ws_reader *r)
{
    if (r->head_n < 2)
        return 2;
    switch (r->head[1] & 0x7f) {
    case 126:
        return 4;
    case 127:
        return 10;
    default:
        return 2;
    }
}

static bool
is_control(const struct ws_reader *r)
{
    return (r->head[0] & 0x0f) >= OP_CONTROL;
}

static void
begin_payload(struct ws_reader *r)
{
    unsigned op = r->head[0] & 0x0f;
    size_t n = head_bytes(r);

    r->left = n == 2 ? r->head[1] & 0x7f : 0;
    for (size_t i = 2; i < n; i++)
        r->left = r->left << 8 | r->head[i];
    r->in_payload = true;
    if (op != OP_CONTINUE && !is_control(r)) {
        r->text = op == OP_TEXT;
        buf_reset(&r->message, SIZE_MAX);
    }
}

/* The frame is complete, and with it perhaps a message, whose end is `last`. */
static void
end_frame(
    struct ws_reader *r, struct str last, void (*message)(void *arg, struct str text), void *arg)
{
    bool final = (r->head[0] & FINAL) != 0;

    r->in_payload = false;
    r->head_n = 0;
    if (is_control(r) || !r->text)
        return;
    if (final && buf_len(&r->message) == 0) {
        if (last.n <= r->message.limit)
            message(arg, last);    /* all in one piece: no copy */
        return;
    }
    buf_add(&r->message, last);
    r->text = !r->message.overflow;
    if (!final || !r->text)
        return;
    message(arg, buf_str(&r->message));
    buf_reset(&r->message, 0);
}

void
ws_reader_feed(
    struct ws_reader *r, struct str bytes, void (*message)(void *arg, struct str text), void *arg)
{
    while (bytes.n != 0 && !r->lost) {
        if (!r->in_payload) {
            r->head[r->head_n++] = (uint8_t)bytes.p[0];
            bytes = str_skip(bytes, 1);
            r->lost = r->head_n == 2 && (r->head[1] & MASKED) != 0;
            if (r->head_n < head_bytes(r))
                continue;
            begin_payload(r);
            if (r->left != 0)
                continue;
        }
        struct str part = str_make(bytes.p, (size_t)MIN(bytes.n, r->left));

        bytes = str_skip(bytes, part.n);
        r->left -= part.n;
        if (r->left == 0) {
            end_frame(r, part, message, arg);
        } else if (!is_control(r) && r->text) {
            buf_add(&r->message, part);
            r->text = !r->message.overflow;
        }
    }
}
