/* websocket.h - reads the messages of a WebSocket that is only passed through (RFC 6455, section 5).
 *
 * The bytes go on as they are, whatever they are; what is read here is for accounting. Only what a
 * server sends can be read: clients mask their frames.
 */
#pragma once

#include "base/buf.h"

struct ws_reader {
    struct buf message;    /* of a text message in several frames, or in several pieces */
    uint8_t head[10];      /* of the frame that begins: two bytes, and its longer length */
    uint8_t head_n;
    uint64_t left;    /* bytes of its payload to come */
    bool in_payload;
    bool text;    /* the message is text, and not too long so far */
    bool lost;    /* these are not frames that can be read; nothing is read any more */
};

/* Messages longer than `limit_bytes` are skipped. */
void ws_reader_init(struct ws_reader *r, size_t limit_bytes);
void ws_reader_fini(struct ws_reader *r);

/* Calls `message` with each whole text message that the bytes complete; it is valid during the call. */
void ws_reader_feed(
    struct ws_reader *r, struct str bytes, void (*message)(void *arg, struct str text), void *arg);
