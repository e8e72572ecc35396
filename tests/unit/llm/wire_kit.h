/* wire_kit.h - takes a request in on one wire and writes it for another, in memory.
 *
 *     struct kit k;
 *     kit_init(&k);
 *     EXPECT_INT(kit_read(&k, &wire_openai_chat, OP_CHAT, S("{...}")), OK);
 *     EXPECT_INT(kit_write(&k, &wire_anthropic, NULL), OK);
 *     EXPECT_STR(kit_text(&k, "messages"), "[...]");
 *     kit_fini(&k);
 */
#pragma once

#include "llm/write.h"

struct kit {
    struct arena *a;
    struct llm_request r;
    struct wire_fault fault;
    struct wire_drops drops;
    struct buf out;
    const struct json *sent;    /* what kit_write() wrote; NULL when that is not JSON */
};

static inline void
kit_init(struct kit *k)
{
    *k = (struct kit){ .a = arena_create(64 * 1024 * 1024) };
    k->drops.arena = k->a;
    buf_init(&k->out, 64 * 1024 * 1024);
}

static inline void
kit_fini(struct kit *k)
{
    buf_fini(&k->out);
    arena_destroy(k->a);
}

/* Parses the body and reads head and conversation, as the gateway does. */
static inline enum err
kit_read(struct kit *k, const struct wire *wire, enum llm_op op, struct str body)
{
    k->r = (struct llm_request){
        .arena = k->a,
        .op = op,
        .wire = wire,
        .body = body,
        .doc = json_parse(k->a, body, NULL, NULL),
    };
    if (k->r.doc == NULL)
        return ERR_BAD_JSON;

    enum err e = llm_request_read(&k->r, &k->fault);

    return e != OK ? e : llm_request_expand(&k->r, &k->fault);
}

/* Writes what was read for a provider; `target` may be NULL for a plain model named "model". */
static inline enum err
kit_write(struct kit *k, const struct wire *wire, const struct wire_target *target)
{
    static const struct wire_target plain = { .model = S_INIT("model") };

    buf_reset(&k->out, 0);

    enum err e =
        write_request(wire, &k->out, &k->r, target != NULL ? target : &plain, &k->drops, &k->fault);

    k->sent = e == OK ? json_parse(k->a, buf_str(&k->out), NULL, NULL) : NULL;
    return e == OK && k->sent == NULL ? ERR_BAD_JSON : e;
}

/* The exact text at a path of what was written; empty when there is nothing. */
static inline struct str
kit_text(const struct kit *k, const char *path)
{
    return json_raw(json_at(k->sent, path));
}

/* The dropped names, joined with blanks. */
static inline struct str
kit_dropped(struct kit *k)
{
    struct str all = S("");

    for (const struct llm_word *w = k->drops.names; w != NULL; w = w->next)
        all = arena_printf(
            k->a, STR_FMT "%s" STR_FMT, STR_ARG(all), all.n > 0 ? " " : "", STR_ARG(w->text));
    return all;
}
