/* needs.h - what a request really uses, found by one walk over its parsed body.
 *
 * Routing must not send a picture to a model that is blind, and most requests go to a provider of
 * their own wire, so that their conversation is never expanded (llm/request.h). Each wire says with a
 * few words where its body has such things (struct needs_words). Linear in the body; allocates
 * nothing.
 */
#pragma once

#include "base/base.h"

enum need {
#define NEED(id, name, says) NEED_##id,
#include "llm/needs.def"
#undef NEED
    NEED_COUNT
};
#define NEED_BIT(id) (1u << NEED_##id)

struct needs {
    uint32_t bits;            /* NEED_BIT()s */
    int64_t input_tokens;     /* an estimate from above, see needs.c */
    int64_t output_tokens;    /* the caller's limit; 0: not said */
    uint32_t messages, tools;
    /* Hashes, the same on every machine; 0: there is none. `prefix`: of the tools and the system
     * text, which all requests of one application begin with (of the first message, if there are
     * neither). `conversation`: of these and the first message, which stay the same from turn to
     * turn. Of a long text, its length, beginning and end count. */
    uint64_t prefix, conversation;
};

struct llm_request;

/* What the request needs. One whose document is not an object needs what its operation does. */
void needs_find(const struct llm_request *r, struct needs *ret);

/* "tools", as configured; the sentence's part: "it uses tools". */
const char *need_name(enum need n) NEVER_NULL;
const char *need_says(enum need n) NEVER_NULL;

/* --- how a wire says where things stand --- */

/* What follows from a member, or from a part of a message. */
enum need_rule {
    /* of the document, or of an object in it */
    NEED_IS_ASKED,     /* the bits, if it asks for anything: not false, 0, empty, "none" or disabled */
    NEED_IS_LISTED,    /* the bits, if the list has the word that need_name() has for them */
    NEED_IS_FORMAT,    /* the bits, if it is a JSON schema or has one */
    NEED_IS_TURNS,     /* messages, or texts */
    NEED_IS_SYSTEM,    /* text that precedes the first message */
    NEED_IS_TOOLS,     /* a list of tools: the bits */
    NEED_IS_LIMIT,     /* of the answer's tokens */
    NEED_IS_OBJECT,    /* its members are looked up in the same table */
    /* of a message */
    NEED_IS_CONTENT,    /* text, or parts */
    NEED_IS_ROLE,
    /* of the document, of a message, or the part itself */
    NEED_IS_MEDIUM,    /* the bits; a list of media, or one */
    NEED_IS_TYPED,     /* the same, the bits of its "mimeType" */
    /* the part */
    NEED_IS_TEXT,
    NEED_IS_RESULT,    /* the bits; its content is text or parts */
    NEED_IS_OTHER,     /* the bits, and it counts with all that is in it */
};

struct need_word {
    struct str name;
    enum need_rule rule;
    uint32_t bits;
};

struct needs_words {
    /* each ends with an empty name */
    const struct need_word *members;     /* of the document */
    const struct need_word *messages;    /* members of a message */
    const struct need_word *parts;       /* types of parts; of messages too, where they have one */
    /* a part has no type: it is an object in a member of that name, {"image":{...}} */
    bool keyed;
    /* tokens of what its models' templates add to tools, beyond what others' do */
    unsigned more_with_tools;
};
