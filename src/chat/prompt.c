/* prompt.c - the prompt of `openclaw chat`: libedit on a terminal, getline() elsewhere. */
#include "chat/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/talk.h"

enum { HISTORY_LINES = 1000 };

struct chat_prompt {
    EditLine *edit;         /* NULL: lines are read without editing */
    History *history;       /* of this conversation and, with a file, of earlier ones */
    char path[PATH_MAX];    /* of the history; empty: it is not kept */
    char *line;             /* of getline() */
    size_t room;
};

/* --- the history's file --- */

/* $XDG_STATE_HOME/openclaw/chat_history, or below ~/.local/state. False when neither is known.
   Missing folders may be created, except the first *ret_kept_n bytes of the path. */
static bool
find_history(char *room, size_t size, size_t *ret_kept_n)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    bool has_state = state != NULL && state[0] == '/';    /* a relative path must be ignored */
    const char *given = has_state ? state : home;

    if (given == NULL || given[0] != '/')
        return false;
    *ret_kept_n = has_state ? 0 : strlen(given);
    int n =
        snprintf(room, size, "%s%s/openclaw/chat_history", given, has_state ? "" : "/.local/state");
    return n > 0 && (size_t)n < size;
}

/* Creates missing folders after the first `kept_n` bytes, for this user only. */
static void
make_folders(const char *path, size_t kept_n)
{
    char folder[PATH_MAX];

    for (size_t i = kept_n + 1; path[i] != '\0'; i++) {
        if (path[i] != '/')
            continue;
        memcpy(folder, path, i);
        folder[i] = '\0';
        (void)mkdir(folder, 0700);    /* failures show when the file is opened */
    }
}

/* Writes the whole history: it is short, and the process may be killed at any time.
   Conversations are private, so only the owner may read the file. */
static void
save_history(const struct chat_prompt *p)
{
    HistEvent event;
    int fd = open(p->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *f = fd >= 0 && fchmod(fd, 0600) == 0 ? fdopen(fd, "w") : NULL;

    if (f != NULL) {
        (void)history(p->history, &event, H_SAVE_FP, f);
        (void)fclose(f);
    } else if (fd >= 0) {
        (void)close(fd);
    }
}

static void
open_history(struct chat_prompt *p, bool keep)
{
    HistEvent event;
    size_t kept_n;

    p->history = history_init();
    CHECK(p->history != NULL);
    (void)history(p->history, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(p->history, &event, H_SETUNIQUE, 1);
    if (keep && find_history(p->path, sizeof(p->path), &kept_n)) {
        make_folders(p->path, kept_n);
        (void)history(p->history, &event, H_LOAD, p->path);
    } else {
        p->path[0] = '\0';
    }
}

static void
add_to_history(struct chat_prompt *p, const char *line)
{
    HistEvent event;

    (void)history(p->history, &event, H_ENTER, line);
    if (p->path[0] != '\0')
        save_history(p);
}

/* --- editing --- */

static char *
prompt_text(EditLine *edit)
{
    static char text[] = "> ";

    (void)edit;
    return text;
}

/* Waits for a byte. SIGINT is blocked except while waiting, so that none is missed. Returns 1, 0
   at the end of input, or -1 after an interrupt or an error. */
static int
read_byte(char *ret)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    sigset_t none;

    (void)sigemptyset(&none);
    for (;;) {
        int ready = ppoll(&input, 1, NULL, &none);

        if (talk_is_interrupted() || (ready < 0 && errno != EINTR))
            return -1;
        if (ready > 0)
            return (int)read(STDIN_FILENO, ret, 1);
    }
}

/* Reads one character. libedit's own function goes on reading after a signal, but Ctrl-C must
   cancel the line. */
static int
read_character(EditLine *edit, wchar_t *ret)
{
    mbstate_t state = { 0 };
    char byte;

    (void)edit;
    for (;;) {
        int n = read_byte(&byte);

        if (n <= 0)
            return n;
        size_t taken = mbrtowc(ret, &byte, 1, &state);
        if (taken == (size_t)-1)
            state = (mbstate_t){ 0 };    /* not a character of this locale: ignored */
        else if (taken != (size_t)-2)
            return 1;
    }
}

/* Characters are decoded by the user's locale, or else C.UTF-8: the "C" locale is ASCII only. */
static void
set_locale(void)
{
    if (setlocale(LC_CTYPE, "") == NULL || MB_CUR_MAX == 1)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
}

struct chat_prompt *
chat_prompt_create(bool editing, bool keep)
{
    struct chat_prompt *p = check_alloc(calloc(1, sizeof(*p)));

    if (!editing)
        return p;
    set_locale();
    p->edit = el_init("openclaw", stdin, stdout, stderr);
    if (p->edit == NULL)
        return p;
    open_history(p, keep);
    (void)el_set(p->edit, EL_PROMPT, prompt_text);
    (void)el_set(p->edit, EL_EDITOR, "emacs");
    (void)el_set(p->edit, EL_HIST, history, p->history);
    (void)el_set(p->edit, EL_GETCFN, read_character);
    (void)el_set(p->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    (void)el_source(p->edit, NULL);    /* the user's ~/.editrc */
    return p;
}

void
chat_prompt_destroy(struct chat_prompt *p)
{
    if (p == NULL)
        return;
    if (p->edit != NULL) {
        el_end(p->edit);
        history_end(p->history);
    }
    free(p->line);
    free(p);
}

/* --- reading --- */

static enum chat_prompt_outcome
read_plainly(struct chat_prompt *p, struct str *ret)
{
    (void)fputs("> ", stdout);
    (void)fflush(stdout);
    errno = 0;
    ssize_t n = getline(&p->line, &p->room, stdin);
    if (n >= 0) {
        *ret = str_trim(str_make(p->line, (size_t)n));
        return PROMPT_LINE;
    }
    if (errno != EINTR)
        return PROMPT_END;
    clearerr(stdin);
    return PROMPT_INTERRUPTED;
}

static enum chat_prompt_outcome
read_edited(struct chat_prompt *p, struct str *ret)
{
    int n = 0;
    sigset_t interrupt;

    (void)sigemptyset(&interrupt);
    (void)sigaddset(&interrupt, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &interrupt, NULL);
    /* Before the prompt is shown, so that what is typed is never edited by the kernel. */
    (void)el_set(p->edit, EL_PREP_TERM, 1);
    const char *line = el_gets(p->edit, &n);
    (void)sigprocmask(SIG_UNBLOCK, &interrupt, NULL);
    if (line == NULL || n <= 0)
        return talk_is_interrupted() ? PROMPT_INTERRUPTED : PROMPT_END;
    *ret = str_trim(str_make(line, (size_t)n));
    if (ret->n == 0)
        return PROMPT_LINE;
    free(p->line);    /* libedit reuses the buffer of the line */
    p->line = str_dup_c(*ret);
    p->room = ret->n + 1;
    add_to_history(p, p->line);
    *ret = str_c(p->line);
    return PROMPT_LINE;
}

enum chat_prompt_outcome
chat_prompt_read(struct chat_prompt *p, struct str *ret)
{
    (void)talk_take_interrupt();
    return p->edit != NULL ? read_edited(p, ret) : read_plainly(p, ret);
}
