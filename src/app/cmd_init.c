/* cmd_init.c - `openclaw init`: a starter file in which every setting is explained and switched
 * off. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "base/json_out.h"
#include "conf/conf.h"

/* All of it, or false with errno. */
static bool
write_all(int fd, struct str s)
{
    while (s.n != 0) {
        ssize_t n = write(fd, s.p, s.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        s = str_skip(s, (size_t)n);
    }
    return true;
}

/* Creates a file; an existing one is left alone. Only owner and group may read it, since it may
 * hold keys later. */
static bool
write_file(const char *path, struct str text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return false;

    bool ok = write_all(fd, text);
    int error = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        error = errno;
    }
    if (!ok)
        (void)unlink(path);
    errno = error;
    return ok;
}

static int
report(const char *path, bool ok, bool json)
{
    if (!ok) {
        (void)fprintf(stderr, "openclaw init: %s: %s%s\n", path, strerrordesc_np(errno),
            errno == EEXIST ? "; write another name, or remove it first" : "");
        return 1;
    }
    if (!json) {
        (void)printf(
            "wrote %s; next: openclaw check -c %s && openclaw serve -c %s\n", path, path, path);
        return 0;
    }

    struct buf out;
    struct json_out o = json_out(&out);

    buf_init(&out, 64 * 1024);
    out_object(&o);
    out_text(&o, "file", str_c(path));
    out_end(&o);
    buf_add_c(&out, '\n');
    output_print(&out);
    return 0;
}

int
cmd_init(int argc, char **argv)
{
    bool json = false;
    const struct flag list[] = {
        { "json", 0, FLAG_BOOL, NULL, "print the result as JSON", &json, NULL },
    };
    const struct flags flags = {
        .usage = "openclaw init [FILE] [--json]",
        .about = "Writes a starter configuration that explains every setting, to openclaw.yaml or "
                 "the given file; - is standard output. A file that is there already is not "
                 "touched.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = SIZE_MAX,
    };
    int rest;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return verdict;
    if (rest > 1) {
        (void)fprintf(stderr, "openclaw init: one file at a time; write openclaw init FILE\n");
        return 2;
    }

    const char *path = rest == 1 ? argv[1] : "openclaw.yaml";
    struct str text = str_c(conf_starter);

    if (strcmp(path, "-") != 0)
        return report(path, write_file(path, text), json);
    output_text(text);
    return 0;
}
