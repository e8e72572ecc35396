/* cmd_health.c - `openclaw health`: is a gateway alive? For the health checks of containers and
 * supervisors, which have no HTTP client at hand. */
#include <stdio.h>

#include "app/app.h"
#include "cli/talk.h"
#include "cli/ask.h"
#include "cli/flags.h"

static int
ask(const struct origin *o, const char *url, const char *path)
{
    /* Any wire will do: the answer is a document. */
    struct talk *line = talk_create(o, wire_at(0), S("User-Agent: openclaw-health\r\n"));
    enum talk_outcome outcome = talk_ask(line, str_c(path), S(""), NULL);

    if (outcome == TALK_REFUSED)
        (void)fprintf(stderr, "openclaw health: %s%s returned %d\n", url, path, talk_status(line));
    else if (outcome != TALK_DONE)
        (void)fprintf(
            stderr, "openclaw health: %s: " STR_FMT "\n", url, STR_ARG(talk_message(line)));
    talk_destroy(line);
    return outcome == TALK_DONE ? 0 : 1;
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
