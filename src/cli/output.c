/* output.c - standard output is checked once, at the end, instead of after every printf. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"

/* Otherwise the first file or socket that is opened would get the number of one of them. */
void
output_open(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

static int print_errno;    /* errno of the write that failed, or 0 */

void
output_text(struct str text)
{
    errno = 0;
    if (fwrite(text.p, 1, text.n, stdout) != text.n)
        print_errno = errno;
}

void
output_print(struct buf *b)
{
    output_text(buf_str(b));
    buf_fini(b);
}

/* A closed pipe is not reported: the reader closed it on purpose. */
int
output_close(int status)
{
    errno = print_errno;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno != EPIPE)
        (void)fprintf(stderr, "openclaw: standard output cannot be written%s%s\n",
            errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    return status != 0 ? status : 1;
}

const char *
output_age(uint64_t ms, char *room)
{
    unsigned long long s = ms / 1000;

    if (s < 60)
        (void)snprintf(room, OUTPUT_AGE_ROOM, "%llus", s);
    else if (s < 3600)
        (void)snprintf(room, OUTPUT_AGE_ROOM, "%llum", s / 60);
    else if (s < 24 * 3600)
        (void)snprintf(room, OUTPUT_AGE_ROOM, "%lluh %llum", s / 3600, s / 60 % 60);
    else
        (void)snprintf(room, OUTPUT_AGE_ROOM, "%llud %lluh", s / (24 * 3600), s / 3600 % 24);
    return room;
}

const char *
output_size(uint64_t bytes, char *room)
{
    static const char *const units[] = { "KB", "MB", "GB", "TB" };
    double v = (double)bytes / 1024;
    size_t i = 0;

    if (bytes < 1024) {
        (void)snprintf(room, OUTPUT_SIZE_ROOM, "%llu B", (unsigned long long)bytes);
        return room;
    }
    for (; v >= 1024 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
        v /= 1024;
    (void)snprintf(room, OUTPUT_SIZE_ROOM, "%.1f %s", v, units[i]);
    return room;
}

/* Bytes of the first `columns` characters of UTF-8 text; *ret_columns: how many it has. */
static size_t
bytes_of_columns(struct str text, unsigned columns, unsigned *ret_columns)
{
    size_t n = 0;

    *ret_columns = 0;
    while (n < text.n && *ret_columns < columns) {
        do
            n++;
        while (n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80);
        ++*ret_columns;
    }
    return n;
}

void
output_cell(struct buf *out, struct str text, unsigned width)
{
    struct buf visible;
    unsigned columns;

    buf_init(&visible, 64 * 1024);
    log_add_visible(&visible, text);
    size_t n = bytes_of_columns(buf_str(&visible), width, &columns);
    buf_add(out, str_make(buf_str(&visible).p, n));
    buf_printf(out, "%*s", (int)(width - columns + 2), "");
    buf_fini(&visible);
}

unsigned
output_columns(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

unsigned
output_lines(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}
