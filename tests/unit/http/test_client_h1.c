/* test_client_h1.c - what becomes of an HTTP/1 connection after its answer. */
#include "http/client_h1.c"

#include "tests/unit/http/client_world.h"

TEST(the_idle_timeout_that_a_server_announces_is_obeyed)
{
    static const struct {
        const char *answer;
        unsigned idle;
        uint64_t rest_ms;
    } said[] = {
        { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\nContent-Length: 2\r\n\r\nok", 1,
            5000 },
        { "HTTP/1.1 200 OK\r\nkeep-alive: max=7 , Timeout = 30\r\nContent-Length: 2\r\n\r\nok", 1,
            30000 },
        { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok", 0, 0 },
        { "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=soon\r\nContent-Length: 2\r\n\r\nok", 1,
            POOL_NOT_SAID },
    };

    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        struct world *w = new_world();
        struct record r;
        int fd = begin_and_accept(w, &r);

        EXPECT(peer_send(fd, str_c(said[i].answer)));
        EXPECT(becomes(&r.over, 1));
        count(w);
        EXPECT_INT(w->idle, said[i].idle);
        if (w->idle != 0)
            EXPECT(r.call->announced_idle_ms == said[i].rest_ms);
        close(fd);
        finish(&r);
        end_world(w);
    }
}
