/* cmd_health.c - `openclaw health`: is a gateway alive? For the health checks of containers and
 * supervisors, which have no HTTP client at hand. */
#include <stdio.h>

#include "app/app.h"
#include "chat/turn.h"
#include "cli/ask.h"
#include "cli/flags.h"

static void
on_text(void *arg, struct str piece, bool thinking)
{
    (void)arg;
    (void)piece;
    (void)thinking;
}

static int
ask(const struct origin *o, const char *url, const char *path)
{
    /* Any wire will do: the answer is a document. */
    struct chat_line *line = chat_line_create(o, wire_at(0), S("User-Agent: openclaw-health\r\n"));
    enum chat_outcome outcome = chat_ask(line, str_c(path), S(""), on_text, NULL);

    if (outcome == CHAT_REFUSED)
        (void)fprintf(stderr, "openclaw health: %s%s returned %d\n", url, path, chat_status(line));
    else if (outcome != CHAT_DONE)
        (void)fprintf(
            stderr, "openclaw health: %s: " STR_FMT "\n", url, STR_ARG(chat_message(line)));
    chat_line_destroy(line);
    return outcome == CHAT_DONE ? 0 : 1;
}

int
cmd_health(int argc, char **argv)
{
    const char *url = "http://127.0.0.1:8080";
    bool ready = false;
    bool insecure = false;
    const struct flag list[] = {
        { "ready", 0, FLAG_BOOL, NULL, "ask /readyz instead, which fails while it drains", &ready,
            NULL },
        { "insecure", 0, FLAG_BOOL, NULL, "do not verify the server's certificate", &insecure,
            NULL },
    };
    const struct flags flags = {
        .usage = "openclaw health [--ready] [URL]",
        .about = "Asks /livez of a gateway, by default of the one at http://127.0.0.1:8080. Exits "
                 "with 0 when it is healthy, else says what is wrong and exits with 1.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = 1,
    };
    int rest;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return verdict;
    if (rest == 1)
        url = argv[1];

    struct str path;
    struct origin *o = ask_origin("health", url, insecure, &path);
    int status = o != NULL ? ask(o, url, ready ? "/readyz" : "/livez") : 2;
    origin_destroy(o);
    return status;
}
