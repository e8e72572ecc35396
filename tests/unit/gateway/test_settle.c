/* test_settle.c - what the record of a request says, whatever became of it. */
#include "gateway/settle.c"

#include "mock/hub.h"
#include "tests/unit/gateway/gateway_world.h"

static struct gateway_world w;

/* Is there one line of the log, and does it contain all of these? */
static void
expect_logged(const char *const *texts)
{
    EXPECT_INT(gateway_world_logged(&w, "\"request_id\""), 1);
    for (; *texts != NULL; texts++) {
        if (gateway_world_logged(&w, *texts) != 1)
            print_error("'%s' is not in:\n" STR_FMT, *texts, STR_ARG(buf_str(&w.log)));
        EXPECT_INT(gateway_world_logged(&w, *texts), 1);
    }
}

static double
logged_number(const char *name)
{
    const struct json *line = json_parse(w.arena, str_trim(buf_str(&w.log)), NULL, NULL);
    const struct json *value = json_get(line, str_c(name));

    EXPECT(value != NULL);
    return value != NULL ? atof(arena_printf(w.arena, STR_FMT, STR_ARG(json_raw(value))).p) : -1;
}

TEST(the_record_of_an_answer_counts_time_at_the_provider_apart)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_chat(&w, "", WORLD_CHAT("mock/m;head=300ms", "")), 200);
    gateway_world_stop(&w);
    expect_logged((const char *[]){ "\"status\":200", "\"model\":\"m;head=300ms\"",
        "\"endpoint\":\"chat_completions\"", "\"finish_reason\":\"stop\"", "\"method\":\"POST\"",
        NULL });
    EXPECT_INT(gateway_world_logged(&w, "tokens_estimated"), 0);
    EXPECT_INT(gateway_world_logged(&w, "client_abort"), 0);
    EXPECT(logged_number("duration_ms") >= 300);
    EXPECT(logged_number("ttft_ms") >= 300);
    EXPECT(logged_number("gateway_ms") < logged_number("duration_ms") - 290);
    EXPECT(logged_number("gateway_ms") > 0);
    EXPECT(logged_number("bytes_in") > 50 && logged_number("bytes_out") > 100);
    EXPECT(logged_number("tokens_input") > 0 && logged_number("tokens_output") > 0);
    gateway_world_forget(&w);
}

TEST(health_checks_are_logged_only_if_they_fail)
{
    gateway_world_start(&w, "");
    EXPECT_INT(gateway_world_ask(&w, "GET /livez", "", ""), 200);
    EXPECT_INT(gateway_world_ask(&w, "GET /metrics", "", ""), 200);
    EXPECT_INT(gateway_world_ask(&w, "DELETE /livez", "", ""), 405);
    gateway_world_stop(&w);
    expect_logged((const char *[]){ "\"status\":405", NULL });
    gateway_world_forget(&w);
}

static void
await(atomic_ullong *counter)
{
    for (int i = 0; i < 500 && atomic_load(counter) == 0; i++)
        pause_ms(10);
    EXPECT_INT(atomic_load(counter), 1);
}

/* Asks, awaits the request at the provider, or `said` in the answer, and hangs up. */
static void
ask_and_leave(const char *body, const char *said)
{
    int fd = peer_connect(w.port);

    EXPECT(peer_send(fd, gateway_world_text(&w, "POST /v1/chat/completions", "", body)));
    await(&w.hub->count.requests);
    EXPECT(said == NULL || peer_await(fd, &w.answer, said));
    (void)close(fd);
    await(&w.hub->count.aborted);
}

TEST(a_caller_who_leaves_before_the_answer_is_the_failure)
{
    gateway_world_start(&w, "");
    ask_and_leave(WORLD_CHAT("mock/m;head=30s", ""), NULL);
    gateway_world_stop(&w);
    expect_logged((const char *[]){
        "\"status\":499", "\"error\":\"client_gone\"", "\"client_abort\":true", NULL });
    EXPECT_INT(gateway_world_logged(&w, "tokens_output"), 0);
    EXPECT_INT(gateway_world_logged(&w, "ttft_ms"), 0);
    gateway_world_forget(&w);
}

TEST(a_caller_who_leaves_a_stream_pays_for_an_estimate)
{
    gateway_world_start(&w, "");
    ask_and_leave(WORLD_CHAT("mock/m;tokens=100000;tps=100", ",\"stream\":true"), "\"content\":\"");
    gateway_world_stop(&w);
    expect_logged((const char *[]){ "\"status\":200", "\"error\":\"client_gone\"",
        "\"client_abort\":true", "\"tokens_estimated\":true", NULL });
    EXPECT(logged_number("tokens_output") >= 1 && logged_number("tokens_output") < 10000);
    EXPECT(logged_number("tokens_input") >= 1);
    gateway_world_forget(&w);
}

TEST(a_request_that_is_none_is_recorded_too)
{
    gateway_world_start(&w, "");
    int fd = peer_connect(w.port);

    EXPECT(peer_send(fd, S("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")));
    (void)peer_recv_all(fd, &w.answer);
    (void)close(fd);
    gateway_world_stop(&w);
    expect_logged((const char *[]){ "\"status\":400", "\"client_ip\":\"127.0.0.1\"", NULL });
    EXPECT_INT(gateway_world_logged(&w, "ttft_ms"), 0);
    EXPECT_INT(gateway_world_logged(&w, "gateway_ms"), 0);
    EXPECT_INT(gateway_world_logged(&w, "cost_nanousd"), 0);
    EXPECT(logged_number("bytes_out") > 50);
    gateway_world_forget(&w);
}
