/* output.c - standard output is checked once, at the end, instead of after every printf. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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

static int print_error;    /* errno of the write that failed, or 0 */

void
output_text(struct str text)
{
    errno = 0;
    if (fwrite(text.p, 1, text.n, stdout) != text.n)
        print_error = errno;
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
    errno = print_error;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno != EPIPE)
        (void)fprintf(stderr, "openclaw: standard output cannot be written%s%s\n",
            errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    return status != 0 ? status : 1;
}

unsigned
output_columns(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}
