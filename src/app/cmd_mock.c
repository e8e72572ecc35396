/* cmd_mock.c - `openclaw mock`: the simulated provider as a program, on one thread or several. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/app.h"
#include "cli/flags.h"
#include "mock/mock.h"

enum { THREADS_MAX = 64, FLAGS_OWN = 9, FLAGS_MAX = 64, MODELS_MAX = 256 };

struct mock_settings {
    const char *listen;
    const char *key;
    const char *models;
    const char *replay;
    uint64_t threads;
    uint64_t record;
    uint64_t idle_us;
    bool record_default;
    bool json;
    struct mock_options options;
};

/* One serving thread; the first is the main thread. */
struct mock_lane {
    struct mock_hub *hub;
    struct str address;
    struct loop *loop;
    struct mock *mock;
    struct thread *thread;
};

/* A knob as an option of the command line. */
struct knob_flag {
    struct mock_plan *plan;
    const char *name;
};

static bool
set_knob(void *value, struct str text, struct why why)
{
    const struct knob_flag *k = value;

    return mock_plan_set(k->plan, str_c(k->name), text, why);
}

static void
print_table(const char *title, enum mock_table table)
{
    struct mock_row row;

    printf("\n%s\n", title);
    for (size_t i = 0; mock_table_row(table, i, &row); i++)
        flags_print_line(row.name, row.help);
}

static void
print_tables(void)
{
    printf("\n");
    flags_print_text("The options from --head on (knobs) can also be set by x-mock-KNOB header "
                     "fields, in the query (x-mock-KNOB=value) and in the model's name, which "
                     "overrides the others.");
    print_table("model names:", MOCK_NAMES);
    print_table("faults:", MOCK_FAULTS);
}

/* The options of the command, then one for each knob. */
static size_t
make_flags(struct mock_settings *s, struct flag *flags, struct knob_flag *knobs)
{
    const struct flag own[FLAGS_OWN] = {
        { "listen", 'l', FLAG_TEXT, "ADDR",
            "where to listen (127.0.0.1:8089; port 0 takes a free one)", &s->listen, NULL },
        { "threads", 't', FLAG_COUNT, "N", "serving threads (1)", &s->threads, NULL },
        { "key", 'k', FLAG_TEXT, "KEY", "the only key that is accepted (any, or none)", &s->key,
            NULL },
        { "models", 'm', FLAG_TEXT, "A,B",
            "the models that exist; others get 404 (a few are listed, all work)", &s->models,
            NULL },
        { "replay", 'r', FLAG_TEXT, "DIR", "folder of recorded cases for models 'replay:CASE'",
            &s->replay, NULL },
        { "record", 0, FLAG_BOOL, NULL,
            "remember the last 1000 requests for GET /mock/requests?last=N", &s->record_default,
            NULL },
        { "record-last", 0, FLAG_COUNT, "N", "remember the last N requests", &s->record, NULL },
        { "idle", 0, FLAG_TIME, "TIME", "close idle connections after this long (5m)", &s->idle_us,
            NULL },
        { "json", 0, FLAG_BOOL, NULL, "print the address as JSON", &s->json, NULL },
    };
    size_t n = FLAGS_OWN;
    struct mock_row row;

    memcpy(flags, own, sizeof(own));
    for (size_t i = 0; mock_table_row(MOCK_KNOBS, i, &row); i++) {
        CHECK(n < FLAGS_MAX);
        knobs[i] = (struct knob_flag){ &s->options.plan, row.name };
        flags[n++] = (struct flag){
            .name = row.name,
            .kind = FLAG_CALL,
            .arg = row.arg,
            .help = row.help,
            .value = &knobs[i],
            .call = set_knob,
        };
    }
    return n;
}

static enum flags_verdict
read_settings(struct mock_settings *s, int argc, char **argv)
{
    struct flag flags[FLAGS_MAX];
    struct knob_flag knobs[FLAGS_MAX];
    struct flags all = {
        .usage = "openclaw mock [--listen ADDR] [options]",
        .about = "A simulated provider: speaks the OpenAI, Anthropic and Ollama protocols, streams "
                 "at a set pace, "
                 "calls tools, and breaks in every way that a provider can.",
        .list = flags,
        .count = make_flags(s, flags, knobs),
        .more = print_tables,
    };
    enum flags_verdict verdict = flags_parse(&all, argc, argv, NULL);

    if (verdict != FLAGS_OK)
        return verdict;
    if (s->threads < 1 || s->threads > THREADS_MAX) {
        fprintf(stderr, "openclaw mock: --threads must be from 1 to %d\n", THREADS_MAX);
        return FLAGS_WRONG;
    }
    return FLAGS_OK;
}

/* "a,b" -> names. */
static size_t
split_models(struct str list, struct str *names)
{
    size_t n = 0;

    while (list.n > 0 && n < MODELS_MAX) {
        str_cut(list, ',', &names[n], &list);
        names[n] = str_trim(names[n]);
        if (names[n].n != 0)
            n++;
    }
    return n;
}

static void
stop_loop(void *loop)
{
    loop_stop(loop);
}

static void
on_signal(void *loop, int signo)
{
    (void)signo;
    loop_stop(loop);
}

static bool
open_lane(struct mock_lane *lane)
{
    char why[512];

    lane->mock = mock_start(lane->loop, lane->address, lane->hub, WHY(why));
    if (lane->mock == NULL)
        fprintf(stderr, "openclaw mock: %s\n", why);
    return lane->mock != NULL;
}

static void
run_lane(void *arg)
{
    struct mock_lane *lane = arg;

    loop_run(lane->loop);
    mock_stop(lane->mock);
}

static void
announce(const struct mock_settings *s, struct str address)
{
    struct str tail = address;
    uint64_t port = 0;

    for (size_t i = 0; i < address.n; i++)
        if (address.p[i] == ':')
            tail = str_skip(address, i + 1);
    str_u64(tail, &port);
    if (s->json)
        printf("{\"listening\":\"http://" STR_FMT "\",\"port\":%llu}\n", STR_ARG(address),
            (unsigned long long)port);
    else
        printf("listening on http://" STR_FMT "\n", STR_ARG(address));
    fflush(stdout);
}

/* The main thread serves as well; the others then listen on the same address. */
static int
serve(const struct mock_settings *s, struct mock_hub *hub)
{
    struct mock_lane lanes[THREADS_MAX] = { { .hub = hub, .address = str_c(s->listen) } };
    size_t count = 0;
    int status = 1;

    for (size_t i = 0; i < s->threads; i++) {
        lanes[i].hub = hub;
        lanes[i].address = i == 0 ? str_c(s->listen) : mock_address(lanes[0].mock);
        lanes[i].loop = loop_create();
        if (!open_lane(&lanes[i])) {
            loop_destroy(lanes[i].loop);
            break;
        }
        count++;
    }
    if (count == s->threads) {
        /* before anybody knows the address and could ask us to stop */
        loop_on_signal(lanes[0].loop, SIGTERM, on_signal, lanes[0].loop);
        loop_on_signal(lanes[0].loop, SIGINT, on_signal, lanes[0].loop);
        announce(s, mock_address(lanes[0].mock));
        for (size_t i = 1; i < count; i++)
            lanes[i].thread = thread_start("mock", run_lane, &lanes[i]);
        loop_run(lanes[0].loop);
        status = 0;
    }
    for (size_t i = 1; i < count && status == 0; i++) {
        CHECK(loop_post(lanes[i].loop, stop_loop, lanes[i].loop));
        thread_join(lanes[i].thread);
        lanes[i].mock = NULL;
    }
    for (size_t i = count; i-- > 0;) {
        mock_stop(lanes[i].mock);
        loop_destroy(lanes[i].loop);
    }
    return status;
}

int
cmd_mock(int argc, char **argv)
{
    struct mock_settings s = {
        .listen = "127.0.0.1:8089", .threads = 1, .options = MOCK_OPTIONS_DEFAULT
    };
    struct str models[MODELS_MAX];
    char why[512];
    enum flags_verdict verdict = read_settings(&s, argc, argv);

    if (verdict != FLAGS_OK)
        return verdict;
    s.options.key = str_c(s.key);
    s.options.models = models;
    s.options.model_count = split_models(str_c(s.models), models);
    s.options.replay_path = s.replay;
    s.options.record = s.record_default && s.record == 0 ? 1000 : s.record;
    s.options.idle_ms = s.idle_us / 1000;

    struct mock_hub *hub = mock_hub_create(&s.options, WHY(why));
    if (hub == NULL) {
        fprintf(stderr, "openclaw mock: %s\n", why);
        return 1;
    }
    int status = serve(&s, hub);
    mock_hub_destroy(hub);
    return status;
}
