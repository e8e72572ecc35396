/* admin_client.h - how commands find a running gateway and ask its admin API. */
#pragma once

#include "base/json.h"
#include "cli/flags.h"
#include "net/dial.h"

struct talk;

/* Filled by the flags; see ADMIN_FLAGS. */
struct admin_client {
    const char *command;    /* for messages */
    const char *socket;     /* NULL: look for it */
    const char *url;        /* NULL: a socket */
    bool json;
    struct arena *arena;    /* holds the answers */
    struct origin *origin;
    struct talk *line;
    struct str base;    /* path before /admin/v1 */
    struct buf fields;
    /* What to do if no gateway runs on this machine, and none was named; NULL: say so. False after
     * saying what went wrong. */
    bool (*without)(struct admin_client *c, void *arg);
    bool missing;    /* so it is, or is to be */
};

#define ADMIN_FLAG_SOCKET(c)                                                                       \
    {                                                                                              \
        "socket", 's', FLAG_TEXT, "PATH",                                                          \
            "the gateway's socket (server.admin_socket); left out: "                               \
            "the only one that answers on this machine",                                           \
            &(c).socket, NULL                                                                      \
    }
#define ADMIN_FLAG_URL(c)                                                                          \
    {                                                                                              \
        "url", 'u', FLAG_TEXT, "URL",                                                              \
            "its address instead, to read only: with a key whose routes "                          \
            "name 'admin' (from OPENCLAW_API_KEY)",                                                \
            &(c).url, NULL                                                                         \
    }
#define ADMIN_FLAG_JSON(c)                                                                         \
    {                                                                                              \
        "json", 0, FLAG_BOOL, NULL, "print it as JSON", &(c).json, NULL                            \
    }

/* Finds the gateway, connects, and has `act` do the rest, which returns false after saying what went
 * wrong. Returns the command's exit status. */
int admin_client_run(
    struct admin_client *c, bool (*act)(struct admin_client *c, void *arg), void *arg);

/* GET of a path below /admin/v1/, or POST if there is a body. The document, which lives as long as the
 * client; NULL after saying what went wrong. *ret_text (may be NULL): its text. Whatever the server
 * says, none of it can control a terminal. */
const struct json *admin_client_ask(
    struct admin_client *c, const char *path, struct str body, struct str *ret_text) MUST_CHECK;

/* The same with any method, and a query after the path. An answer without a body is an empty object. */
const struct json *admin_client_send(struct admin_client *c, struct str method, const char *path,
    struct str body, struct str *ret_text) MUST_CHECK;

/* What a problem document says: its detail, and a line for each of its errors. */
struct str admin_problem(const struct admin_client *c, const struct json *problem, int status);

/* A JSON text whose strings have no control characters; those are written as escapes. */
struct str admin_shown_json(const struct admin_client *c, struct str text);

/* The name as the last part of a path; a '/' in it stays. */
struct str admin_encode(struct arena *a, const char *name);

/* A text, and members of a document, as a terminal may show them; 0 or empty where there is none. */
struct str admin_shown(const struct admin_client *c, struct str text);
struct str admin_text(const struct admin_client *c, const struct json *doc, const char *name);
uint64_t admin_number(const struct json *doc, const char *name);
