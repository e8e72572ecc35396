/* fail.h - reads the errors of providers, in all forms seen so far.
 *
 * {"error":{...}}, {"error":"text","code":...}, [{"error":{...}}], {"detail":...}, {"message":...},
 * plain text, a CDN's HTML page: nothing can be assumed. The kind is derived from the status, then
 * refined by the provider's type, code and message. A wire brings a table of its words.
 */
#pragma once

#include "base/json.h"
#include "llm/event.h"

/* What a type or code stands for, whatever its case. */
struct fail_word {
    struct str word;
    enum err kind;
};

struct fail_words {
    const struct fail_word *rows;
    size_t count;
    /* A word that does not blame the caller says more than the status: the protocol has one word
     * for each status. Elsewhere words only refine a status that blames the caller. */
    bool trusted;
};

/* Fills *ret with strings in `a` from an answer's status and body, which may be anything. `status`
 * is 0 if it is unknown; below 400 the document's own is used. Credentials in the words are
 * replaced; retry_after_ms is what the document says, not the answer's fields. */
void fail_read(struct arena *a, const struct fail_words *words, int status, struct str body,
    struct llm_error *ret);

/* The same from a parsed document, which may be NULL. */
void fail_read_document(struct arena *a, const struct fail_words *words, int status,
    const struct json *doc, struct llm_error *ret);

/* The error kind that an HTTP status alone stands for. */
enum err fail_kind(int status);

/* Is it about the gateway's own credentials? What a provider says of those is not the caller's to
 * read. */
static inline bool
fail_is_about_key(enum err kind)
{
    return kind == ERR_UPSTREAM_AUTH || kind == ERR_UPSTREAM_FORBIDDEN;
}

/* A copy of a provider's message fit for a caller: at most 2 KB, control characters gone, anything
 * that looks like a key or token ("sk-...", "Bearer ...", "key=...") replaced by "***". */
struct str fail_scrub(struct arena *a, struct str message);

/* Does a piece of an event stream that nobody decodes say that something failed? */
bool fail_is_told(struct str text) MUST_CHECK;
