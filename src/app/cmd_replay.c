/* cmd_replay.c - `openclaw replay`: what another configuration would have done with yesterday's traffic. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <zlib.h>

#include "app/app.h"
#include "app/config_flags.h"
#include "app/replay.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "net/loop.h"

enum {
    OUTPUT_MAX = 64 * 1024 * 1024,
    ARENA_MAX = 16 * 1024 * 1024,
    BLOCK_BYTES = 4 * 1024 * 1024,    /* read at a time; the longest line that is understood */
    THREADS_MOST = 8,
};

/* A thread with a block of whole lines. */
struct log_part {
    struct replay *replay;
    struct thread *thread;
    struct str lines;
    char *block;
};

static void
run(void *arg)
{
    struct log_part *p = arg;
    struct str line, rest = p->lines;

    while (rest.n != 0) {
        (void)str_cut(rest, '\n', &line, &rest);
        line = str_trim(line);
        if (line.n != 0)
            replay_line(p->replay, line);
    }
}

static void
wait_for(struct log_part *p)
{
    if (p->thread != NULL)
        thread_join(p->thread);
    p->thread = NULL;
}

/* Fills the part's block with whole lines after the rest of the last block. False at the end, or after
 * saying why it cannot be read; *ret_failed tells. */
static bool
fill(gzFile in, struct log_part *p, struct buf *rest, const char *path, bool *ret_failed)
{
    size_t n = buf_len(rest);
    int got = 1, why;

    memcpy(p->block, buf_str(rest).p, n);
    buf_reset(rest, SIZE_MAX);
    while (n < BLOCK_BYTES && (got = gzread(in, p->block + n, (unsigned)(BLOCK_BYTES - n))) > 0)
        n += (size_t)got;
    if (got < 0) {
        (void)fprintf(stderr, "openclaw replay: %s: %s\n", path, gzerror(in, &why));
        *ret_failed = true;
        return false;
    }
    size_t end = n;
    while (got != 0 && end != 0 && p->block[end - 1] != '\n')
        end--;
    if (end ==
        0)    /* one line that is longer than all: it is read in pieces, none of which is JSON */
        end = n;
    buf_add(rest, str_make(p->block + end, n - end));
    p->lines = str_make(p->block, end);
    return end != 0;
}

/* Reads the log in blocks, which threads work on in turn. */
static bool
read_log(gzFile in, const char *path, struct log_part *parts, size_t count)
{
    struct buf rest;
    bool failed = false;

    buf_init(&rest, BLOCK_BYTES);
    for (size_t i = 0;; i = (i + 1) % count) {
        wait_for(&parts[i]);
        if (!fill(in, &parts[i], &rest, path, &failed))
            break;
        parts[i].thread = thread_start("replay", run, &parts[i]);
    }
    for (size_t i = 0; i < count; i++)
        wait_for(&parts[i]);
    buf_fini(&rest);
    return !failed;
}

static bool
replay_log(const char *path, const struct snapshot *s, struct replay *ret)
{
    bool input = strcmp(path, "-") == 0;
    gzFile in = input ? gzdopen(STDIN_FILENO, "rb") : gzopen(path, "rb");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = (size_t)MIN(MAX(cores, 1), THREADS_MOST);
    struct log_part parts[THREADS_MOST] = { { .replay = NULL } };

    if (in == NULL) {
        perror(path);
        return false;
    }
    (void)gzbuffer(in, 1024 * 1024);
    for (size_t i = 0; i < count; i++) {
        parts[i].replay = replay_create(s);
        parts[i].block = check_alloc(malloc(BLOCK_BYTES));
    }
    bool done = read_log(in, path, parts, count);
    for (size_t i = 0; i < count; i++) {
        replay_merge(ret, parts[i].replay);
        replay_destroy(parts[i].replay);
        free(parts[i].block);
    }
    (void)gzclose(in);
    return done;
}

/* 0: it went through the whole log. 2: the configuration is wrong. */
static int
replay_with(struct config_flags *config, const char *path, bool json)
{
    struct arena *a = arena_create(ARENA_MAX);
    struct conf_problems problems;
    int status = 2;
    struct buf out;

    conf_problems_init(&problems, a);
    struct conf *c = config_flags_load(config, &problems);
    struct str simulated_url = c->provider_count == 0 ? S("http://127.0.0.1:1/v1") : S("");
    struct snapshot *s = snapshot_build(c, simulated_url, &problems);
    struct replay *r = replay_create(s);

    if (problems.count != 0) {
        conf_problems_print(&problems, s->conf->path, STDERR_FILENO);
    } else {
        status = replay_log(path, s, r) ? 0 : 1;
        buf_init(&out, OUTPUT_MAX);
        if (json)
            replay_write(r, &out);
        else
            replay_view(r, &out);
        output_print(&out);
    }
    replay_destroy(r);
    snapshot_unref(s);
    arena_destroy(a);
    return status;
}

int
cmd_replay(int argc, char **argv)
{
    struct config_flags config = { .path = NULL };
    bool json = false;
    const struct flag list[] = {
        { "config", 'c', FLAG_TEXT, "FILE",
            "the configuration to replay it with (from OPENCLAW_CONFIG)", &config.path, NULL },
        { "set", 's', FLAG_CALL, "KEY=VALUE", "a setting put over the file; may be given again",
            &config, config_flags_set },
        { "json", 0, FLAG_BOOL, NULL, "print it as JSON", &json, NULL },
    };
    const struct flags flags = {
        .usage = "openclaw replay LOG [-c FILE] [--json]",
        .about =
            "Makes the decisions of an access log again with another configuration: how many "
            "requests would have gone elsewhere, from where to where, and what they would have "
            "cost. LOG has JSON lines and may be compressed with gzip; - is standard input. "
            "What cannot be decided from what was recorded is counted, with what was missing.",
        .list = list,
        .count = ARRAY_LEN(list),
        .words = 1,
    };
    int rest;
    enum flags_verdict verdict = flags_parse(&flags, argc, argv, &rest);

    if (verdict != FLAGS_OK)
        return verdict;
    if (rest != 1) {
        (void)fprintf(stderr, "openclaw replay: which log? write openclaw replay LOG -c FILE\n");
        return 2;
    }
    config_flags_from_environment(&config);
    int status = replay_with(&config, argv[1], json);
    config_flags_fini(&config);
    return status;
}
