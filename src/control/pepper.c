/* pepper.c - reads or makes the file, and compares it with what the store knows. */
#include "control/pepper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"

enum { RANDOM_BYTES = 32, CHECK_BYTES = 16 };

/* What the store has of it: of no use to find it. */
#define CHECKED_TEXT S("openclaw: is this the same pepper?")

static bool
fail(struct why why, const char *path, const char *what)
{
    return why_say(why, "%s cannot be %s: %s", path, what, strerror(errno));
}

/* Writes a new one beside the path and gives it the name, unless another process was faster. */
static bool
make_file(const char *folder, const char *path, struct why why)
{
    uint8_t random[RANDOM_BYTES];
    char text[2 * RANDOM_BYTES + 2], draft[PATH_MAX];
    int n = snprintf(draft, sizeof(draft), "%s/.pepper-%d", folder, (int)getpid());

    if (n < 0 || (size_t)n >= sizeof(draft))
        return why_say(why, "the folder's name is too long");
    clock_random_bytes(random, sizeof(random));
    digest_hex(random, sizeof(random), text);
    text[2 * RANDOM_BYTES] = '\n';
    (void)unlink(draft);
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(why, draft, "made");
    bool written = write(fd, text, 2 * RANDOM_BYTES + 1) == 2 * RANDOM_BYTES + 1 && fsync(fd) == 0;
    if (!written)
        (void)fail(why, draft, "written");
    (void)close(fd);
    if (written && link(draft, path) != 0 && errno != EEXIST)
        written = fail(why, path, "made");
    (void)unlink(draft);
    explicit_bzero(random, sizeof(random));
    explicit_bzero(text, sizeof(text));
    return written;
}

static bool
is_whole(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (str_hex_digit(text.p[i]) < 0)
            return false;
    return text.n == 2 * RANDOM_BYTES;
}

struct str
pepper_load(const char *folder, char room[PEPPER_ROOM], struct why why)
{
    char path[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/pepper", folder);

    if (n < 0 || (size_t)n >= sizeof(path)) {
        (void)why_say(why, "the folder's name is too long");
        return S("");
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && make_file(folder, path, why))
        fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)fail(why, path, "read");
        return S("");
    }
    ssize_t got = read(fd, room, PEPPER_ROOM);
    bool private = fstat(fd, &st) == 0 && (st.st_mode & 077) == 0;
    (void)close(fd);
    struct str text = str_trim(str_make(room, got > 0 ? (size_t)got : 0));
    if (!private)
        (void)why_say(why, "%s can be read by others; make it private: chmod 600", path);
    else if (!is_whole(text))
        (void)why_say(why, "%s does not hold 64 hexadecimal digits", path);
    return private && is_whole(text) ? text : S("");
}

static void
take_value(void *ctx, const struct store_value *row, size_t n)
{
    bool *same = ctx;
    const char *wanted = row[1].s.p;

    *same = n == 2 && row[0].s.n == 2 * CHECK_BYTES && memcmp(row[0].s.p, wanted, row[0].s.n) == 0;
}

enum store_result
pepper_check(struct store *s, struct str pepper)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    char hex[2 * CHECK_BYTES + 1];
    bool same = false;

    digest_hmac_sha256(pepper, CHECKED_TEXT, digest);
    digest_hex(digest, CHECK_BYTES, hex);
    const struct store_value arg = store_text(str_c(hex));
    enum store_result r = store_run(s,
        "INSERT INTO facts (name, value) VALUES ('pepper', ?1) ON CONFLICT (name) DO NOTHING", &arg,
        1, NULL, NULL);
    if (r == STORE_OK)
        r = store_run(s, "SELECT value, CAST(?1 AS TEXT) FROM facts WHERE name = 'pepper'", &arg, 1,
            take_value, &same);
    return r == STORE_OK && !same ? STORE_CONFLICT : r;
}
