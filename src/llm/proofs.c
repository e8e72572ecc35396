/* proofs.c - collects the proofs of an answer's reasoning, and puts them back into a history. */
#include "llm/proofs.h"

#include <stdio.h>

#include "base/json_out.h"

#define ID_MOST_BYTES 100u

/* --- text --- */

static const uint64_t seeds[2] = { 0xcbf29ce484222325u, 0x9e3779b97f4a7c15u };

/* Clients trim texts and join them, and write arguments in their own way: blanks and braces do not
 * count. Who makes two answers with one hash confuses only itself, because proofs belong to a key. */
static void
hash_words(uint64_t hash[2], struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c <= ' ' || c == '{' || c == '}')
            continue;
        hash[0] = (hash[0] ^ c) * 0x100000001b3u;
        hash[1] = (hash[1] + c) * 0xff51afd7ed558ccdu;
        hash[1] ^= hash[1] >> 29;
    }
}

static struct str
name_from(struct str call, char room[PROOFS_NAME_BYTES])
{
    if (call.n == 0 || call.n > ID_MOST_BYTES)
        return S("");
    return str_make(
        room, (size_t)snprintf(room, PROOFS_NAME_BYTES, "call " STR_FMT, STR_ARG(call)));
}

static struct str
name_from_words(const uint64_t text[2], const uint64_t calls[2], char room[PROOFS_NAME_BYTES])
{
    int n = snprintf(room, PROOFS_NAME_BYTES, "said %016llx%016llx%016llx%016llx",
        (unsigned long long)text[0], (unsigned long long)text[1], (unsigned long long)calls[0],
        (unsigned long long)calls[1]);

    return str_make(room, (size_t)n);
}

/* --- answers --- */

void
proofs_init(struct proofs *p)
{
    *p = (struct proofs){ .text = { seeds[0], seeds[1] }, .calls = { seeds[0], seeds[1] } };
    buf_init(&p->list, PROOFS_MOST_BYTES);
    buf_init(&p->reasoning, PROOFS_MOST_BYTES);
    buf_init(&p->call, ID_MOST_BYTES + 1);
}

void
proofs_fini(struct proofs *p)
{
    buf_fini(&p->list);
    buf_fini(&p->reasoning);
    buf_fini(&p->call);
}

/* {"origin":1,"text":"...","signature":"..."}; or with "redacted", or the number of the "call" that is
 * signed, which is negative for reasoning. */
static void
add(struct proofs *p, enum llm_origin origin, struct str signature, struct str redacted,
    int64_t call)
{
    struct json_out o = { .b = &p->list, .comma = buf_len(&p->list) > 0 };

    out_object(&o);
    out_i64(&o, "origin", origin);
    out_text_if(&o, "text", buf_str(&p->reasoning));
    out_text_if(&o, "signature", signature);
    out_text_if(&o, "redacted", redacted);
    if (call >= 0)
        out_i64(&o, "call", call);
    out_end(&o);
    if (p->reasoning.overflow)    /* a signature proves all of the text, or nothing */
        p->list.overflow = true;
    buf_reset(&p->reasoning, PROOFS_MOST_BYTES);
}

void
proofs_take(struct proofs *p, const struct llm_event *ev)
{
    if (ev->choice != 0)
        return;
    switch (ev->kind) {
    case EVENT_TEXT:
    case EVENT_REFUSAL:
        p->says = p->says || ev->text.n > 0;
        hash_words(p->text, ev->text);
        break;
    case EVENT_REASONING:
        buf_add(&p->reasoning, ev->text);
        break;
    case EVENT_SIGNATURE:
        add(p, ev->origin, ev->signature, S(""), -1);
        break;
    case EVENT_REDACTED:
        buf_reset(&p->reasoning, PROOFS_MOST_BYTES);
        add(p, ev->origin, S(""), ev->text, -1);
        break;
    case EVENT_TOOL_START:
        p->says = true;
        hash_words(p->calls, ev->name);
        if (ev->tool == 0)
            buf_add(&p->call, ev->id);
        if (ev->signature.n > 0)
            add(p, ORIGIN_GEMINI, ev->signature, S(""), ev->tool);
        break;
    case EVENT_TOOL_ARGS:
        hash_words(p->calls, ev->text);
        break;
    default:
        break;
    }
}

struct str
proofs_kept(const struct proofs *p)
{
    return p->list.overflow || p->call.overflow ? S("") : buf_str(&p->list);
}

struct str
proofs_name(const struct proofs *p, enum proofs_by by, char room[PROOFS_NAME_BYTES])
{
    if (by == BY_CALL)
        return name_from(buf_str(&p->call), room);
    return p->says ? name_from_words(p->text, p->calls, room) : S("");
}

/* --- histories --- */

static bool
is_proof(const struct llm_part *part)
{
    return (part->kind == PART_REASONING && (part->signature.n > 0 || part->redacted.n > 0)) ||
           (part->kind == PART_TOOL_CALL && part->signature.n > 0);
}

struct str
proofs_name_of(const struct llm_message *m, enum proofs_by by, char room[PROOFS_NAME_BYTES])
{
    uint64_t text[2] = { seeds[0], seeds[1] };
    uint64_t calls[2] = { seeds[0], seeds[1] };
    struct str call = S("");
    bool says = false;

    if (m->role != ROLE_ASSISTANT)
        return S("");
    for (const struct llm_part *part = m->parts; part != NULL; part = part->next) {
        if (is_proof(part))
            return S("");
        if (part->kind == PART_TOOL_CALL) {
            call = call.n == 0 ? part->id : call;
            hash_words(calls, part->name);
            hash_words(calls, part->args);
            says = true;
        } else if (part->kind == PART_TEXT || part->kind == PART_REFUSAL) {
            hash_words(text, part->text);
            says = says || part->text.n > 0;
        }
    }
    if (by == BY_CALL)
        return name_from(call, room);
    return says ? name_from_words(text, calls, room) : S("");
}

static void
sign_call(struct llm_message *m, int64_t number, struct str signature)
{
    for (struct llm_part *part = m->parts; part != NULL; part = part->next)
        if (part->kind == PART_TOOL_CALL && number-- == 0)
            part->signature = signature;
}

void
proofs_restore(struct llm_request *r, struct llm_message *m, struct str kept)
{
    struct arena *a = r->arena;
    struct str text = arena_printf(a, "[" STR_FMT "]", STR_ARG(kept));
    struct json_iter it = json_iter(json_parse(a, text, NULL, NULL));
    struct llm_part *first = NULL;
    struct llm_part **tail = &first;

    while (json_next(&it)) {
        int64_t origin = json_i64(json_get(it.value, S("origin")), 0);
        struct str signature = json_str(a, json_get(it.value, S("signature")));
        int64_t call = json_i64(json_get(it.value, S("call")), -1);

        if (origin <= 0 || origin >= ORIGINS)
            continue;
        if (call >= 0) {
            sign_call(m, call, signature);
            continue;
        }

        struct llm_part *part = llm_part_add(a, &tail, PART_REASONING);

        part->origin = (enum llm_origin)origin;
        part->text = json_str(a, json_get(it.value, S("text")));
        part->signature = signature;
        part->redacted = json_str(a, json_get(it.value, S("redacted")));
    }
    *tail = m->parts;
    m->parts = first;
}
