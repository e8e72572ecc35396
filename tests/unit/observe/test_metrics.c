/* test_metrics.c - the exposition contains what was counted, in Prometheus' format. */
#include "observe/metrics.c"

#include "tests/test.h"

static const char *const names[] = { "chat", "none" };

static struct str
show(struct metrics *m, struct buf *out)
{
    static const struct metric_extra extra[] = { { "openclaw_extra", "gauge", "More.", 1.5 } };

    buf_init(out, 16 * 1024 * 1024);
    metrics_write(m, extra, 1, out);
    EXPECT(!out->overflow);
    return buf_str(out);
}

static bool
has_line(struct str text, const char *wanted)
{
    struct str line;

    while (text.n != 0) {
        (void)str_cut(text, '\n', &line, &text);
        if (str_eq(line, str_c(wanted)))
            return true;
    }
    print_error("there is no line: %s\n", wanted);
    return false;
}

TEST(the_shards_of_all_workers_are_summed)
{
    struct metrics *m = metrics_create(2, 10, names, ARRAY_LEN(names));
    struct buf out;

    metric_add(&metrics_shard(m, 0)->connections, 2);
    metric_add(&metrics_shard(m, 1)->connections, 3);
    metric_set(&metrics_shard(m, 1)->streams, 4);
    count_status(metrics_shard(m, 0), 0, 200);
    count_status(metrics_shard(m, 1), 0, 200);
    count_status(metrics_shard(m, 1), 1, 404);
    metric_add(&metrics_shard(m, 0)->errors[ERR_AUTH], 1);
    struct str text = show(m, &out);
    EXPECT(has_line(text, "openclaw_connections_accepted_total 5"));
    EXPECT(has_line(text, "openclaw_streams_in_flight 4"));
    EXPECT(has_line(text, "openclaw_requests_total{endpoint=\"chat\",status=\"200\"} 2"));
    EXPECT(has_line(text, "openclaw_requests_total{endpoint=\"none\",status=\"404\"} 1"));
    EXPECT(has_line(text, "openclaw_errors_total{code=\"invalid_api_key\"} 1"));
    EXPECT(has_line(text, "openclaw_extra 1.5"));
    buf_fini(&out);
    metrics_destroy(m);
}

TEST(a_status_outside_the_list_is_reported_as_other)
{
    struct metrics *m = metrics_create(1, 10, names, ARRAY_LEN(names));
    struct buf out;

    count_status(metrics_shard(m, 0), 0, 418);
    count_status(metrics_shard(m, 0), 0, 0);
    EXPECT(
        has_line(show(m, &out), "openclaw_requests_total{endpoint=\"chat\",status=\"other\"} 2"));
    buf_fini(&out);
    metrics_destroy(m);
}

TEST(a_record_counts_once_and_what_is_unknown_counts_as_nothing)
{
    struct metrics *m = metrics_create(1, 10, names, ARRAY_LEN(names));
    struct metric_shard *shard = metrics_shard(m, 0);
    struct metric_series_shard *s = metrics_series_shard(metrics_series(m, S("p"), S("m")), 0);
    struct record r = { .status = 502,
        .error = ERR_UPSTREAM_RESET,
        .client_abort = true,
        .usage = { .input = 7, .output = 3, .known = 1 << COUNT_INPUT | 1 << COUNT_OUTPUT },
        .usage_estimated = true,
        .cost_nanousd = -1,
        .bytes_in = 11,
        .bytes_out = 13,
        .stream = true,
        .first_token_us = -1,
        .duration_us = 100,
        .overhead_us = 10 };
    struct buf out;

    metrics_record(shard, s, &r);
    metrics_record(shard, NULL, &r);                  /* no provider was asked: no time at one */
    metric_add(&shard->errors[ERR_RATE_LIMIT], 2);    /* one code: one line */
    metric_add(&shard->errors[ERR_UPSTREAM_RATE_LIMIT], 3);
    struct str text = show(m, &out);
    EXPECT(has_line(text, "openclaw_requests_total{endpoint=\"chat\",status=\"502\"} 2"));
    EXPECT(has_line(text, "openclaw_errors_total{code=\"upstream_reset\"} 2"));
    EXPECT(has_line(text, "openclaw_errors_total{code=\"rate_limit_exceeded\"} 5"));
    EXPECT(has_line(text, "openclaw_client_aborts_total 2"));
    EXPECT(has_line(text, "openclaw_usage_estimated_total 2"));
    EXPECT(has_line(text, "openclaw_request_body_bytes_total 22"));
    EXPECT(has_line(text, "openclaw_response_body_bytes_total 26"));
    EXPECT(has_line(text, "openclaw_request_duration_seconds_count 1"));
    EXPECT(has_line(text, "openclaw_tokens_input_total{provider=\"p\",model=\"m\"} 7"));
    EXPECT(has_line(text, "openclaw_tokens_cached_total{provider=\"p\",model=\"m\"} 0"));
    EXPECT(has_line(text, "openclaw_cost_unknown_total{provider=\"p\",model=\"m\"} 1"));
    EXPECT(has_line(text, "gen_ai_server_time_to_first_token_seconds_count{provider=\"p\","
                          "model=\"m\"} 0"));
    buf_fini(&out);
    metrics_destroy(m);
}

TEST(a_histograms_buckets_add_up)
{
    struct metrics *m = metrics_create(1, 10, names, ARRAY_LEN(names));
    struct metric_shard *s = metrics_shard(m, 0);
    struct buf out;

    METRIC_OBSERVE(s, overhead, 10);    /* the bound belongs to its bucket */
    METRIC_OBSERVE(s, overhead, 11);
    METRIC_OBSERVE(s, overhead, 3600000000);
    struct str text = show(m, &out);
    EXPECT(has_line(text, "openclaw_overhead_seconds_bucket{le=\"1e-05\"} 1"));
    EXPECT(has_line(text, "openclaw_overhead_seconds_bucket{le=\"2e-05\"} 2"));
    EXPECT(has_line(text, "openclaw_overhead_seconds_bucket{le=\"1\"} 2"));
    EXPECT(has_line(text, "openclaw_overhead_seconds_bucket{le=\"+Inf\"} 3"));
    EXPECT(has_line(text, "openclaw_overhead_seconds_sum 3600.000021"));
    EXPECT(has_line(text, "openclaw_overhead_seconds_count 3"));
    buf_fini(&out);
    metrics_destroy(m);
}

TEST(every_histogram_has_growing_bounds_within_its_room)
{
    const uint64_t *const all[] = { buckets_duration, buckets_overhead, buckets_genai,
        buckets_first_token };

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        size_t n = 0;

        while (n < METRIC_BUCKETS && all[i][n] != END) {
            EXPECT(n == 0 || all[i][n - 1] < all[i][n]);
            n++;
        }
        EXPECT(n != 0 && n < METRIC_BUCKETS);
    }
}

TEST(each_pair_of_provider_and_model_is_one_series)
{
    struct metrics *m = metrics_create(2, 10, names, ARRAY_LEN(names));
    struct metric_series *s = metrics_series(m, S("openai"), S("gpt-4o"));
    struct buf out;

    EXPECT(metrics_series(m, S("openai"), S("gpt-4o")) == s);
    EXPECT(metrics_series(m, S("openai"), S("gpt-4o-mini")) != s);
    metric_add(&metrics_series_shard(s, 0)->tokens_input, 10);
    metric_add(&metrics_series_shard(s, 1)->tokens_input, 5);
    metric_add(&metrics_series_shard(s, 1)->attempts[ERR_UPSTREAM_TIMEOUT], 1);
    struct str text = show(m, &out);
    EXPECT(has_line(text, "openclaw_tokens_input_total{provider=\"openai\",model=\"gpt-4o\"} 15"));
    EXPECT(has_line(text, "openclaw_upstream_attempts_total{provider=\"openai\",model=\"gpt-4o\","
                          "outcome=\"upstream_timeout\"} 1"));
    buf_fini(&out);
    metrics_destroy(m);
}

TEST(the_number_of_series_is_bounded_however_many_models_are_named)
{
    struct metrics *m = metrics_create(1, 10, names, ARRAY_LEN(names));
    struct metric_series *other = NULL;
    struct buf out;
    char name[32];

    for (int i = 0; i < 10000; i++) {
        int n = snprintf(name, sizeof(name), "model-%d", i);
        struct metric_series *s = metrics_series(m, S("p"), str_make(name, (size_t)n));
        if (i >= 10) {
            EXPECT(other == NULL || s == other);
            other = s;
        }
    }
    EXPECT_INT(m->series_count, 11);
    struct str text = show(m, &out);
    EXPECT(has_line(text, "openclaw_metric_series_overflow_total 9990"));
    EXPECT(has_line(text, "openclaw_tokens_input_total{provider=\"p\",model=\"other\"} 0"));
    buf_fini(&out);
    metrics_destroy(m);
}

TEST(two_names_above_the_length_limit_are_not_merged)
{
    struct metrics *m = metrics_create(1, 10, names, ARRAY_LEN(names));
    char one[600], two[600];

    memset(one, 'x', sizeof(one));
    memset(two, 'x', sizeof(two));
    one[599] = '1';
    two[599] = '2';
    struct metric_series *a = metrics_series(m, S("p"), str_make(one, sizeof(one)));
    struct metric_series *b = metrics_series(m, S("p"), str_make(two, sizeof(two)));
    EXPECT(a == b);
    EXPECT(strcmp(a->model, "other") == 0);
    metrics_destroy(m);
}

TEST(special_characters_in_labels_are_escaped)
{
    struct buf out;

    buf_init(&out, 4096);
    write_label(&out, "model", "a\\b\"c\nd");
    EXPECT_STR(buf_str(&out), "model=\"a\\\\b\\\"c\\nd\"");
    buf_fini(&out);
}

TEST(every_family_has_one_help_and_one_type_line_before_its_samples)
{
    struct metrics *m = metrics_create(1, 10, names, ARRAY_LEN(names));
    struct map *seen = map_create();
    struct str family = S(""), line;
    struct buf out;

    count_status(metrics_shard(m, 0), 0, 200);
    (void)metrics_series(m, S("p"), S("m"));
    for (struct str text = show(m, &out); text.n != 0;) {
        (void)str_cut(text, '\n', &line, &text);
        if (str_starts(line, S("# HELP "))) {
            struct str rest;
            (void)str_cut(str_skip(line, 7), ' ', &family, &rest);
            EXPECT(rest.n != 0);
            EXPECT(map_put(seen, family, seen) == NULL);
        } else if (str_starts(line, S("# TYPE "))) {
            EXPECT(str_starts(str_skip(line, 7), family));
        } else {
            EXPECT(str_starts(line, family));
        }
    }
    map_destroy(seen);
    buf_fini(&out);
    metrics_destroy(m);
}

TEST(cpu_time_of_the_process_is_reported)
{
    EXPECT(metrics_cpu_seconds() > 0 && metrics_cpu_seconds() < 3600);
}

static void
add_sum(void *arg, const struct metric_series_sum *s)
{
    buf_printf(arg, STR_FMT "/" STR_FMT ": %llu %llu %llu %llu\n", STR_ARG(s->provider),
        STR_ARG(s->model), (unsigned long long)s->attempts, (unsigned long long)s->failures,
        (unsigned long long)s->tokens_input, (unsigned long long)s->tokens_output);
}

TEST(series_are_summed_over_workers_and_a_client_that_leaves_is_not_a_failure)
{
    struct metrics *m = metrics_create(2, 10, names, ARRAY_LEN(names));
    struct metric_series *s = metrics_series(m, S("p"), S("m"));
    struct buf out;

    (void)metrics_series(m, S("q"), S("n"));
    metric_add(&metrics_series_shard(s, 0)->attempts[OK], 3);
    metric_add(&metrics_series_shard(s, 1)->attempts[OK], 4);
    metric_add(&metrics_series_shard(s, 1)->attempts[ERR_UPSTREAM_ERROR], 2);
    metric_add(&metrics_series_shard(s, 1)->attempts[ERR_CLIENT_GONE], 1);
    metric_add(&metrics_series_shard(s, 0)->tokens_input, 50);
    metric_add(&metrics_series_shard(s, 1)->tokens_output, 60);
    buf_init(&out, 4096);
    metrics_each_series(m, add_sum, &out);
    EXPECT_STR(buf_str(&out), "p/m: 10 2 50 60\nq/n: 0 0 0 0\n");
    buf_fini(&out);
    metrics_destroy(m);
}
