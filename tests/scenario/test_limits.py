"""Whatever clients can grow is bounded; without resources requests are refused early with a clear error, until there are some again."""
import json
import os
import resource
import signal
import stat
import subprocess
import threading
import time

import pytest

from lib import raw
from lib.ask import CALLERS, PATHS, ask, ask_all, body_of
from lib.process import PATIENCE, wait_until


@pytest.fixture
def mock(make):
    return make.mock()


def config_of(mock, **server):
    return {"providers": {"lab": mock.provider(), "ant": mock.provider("anthropic-messages")}, "server": server}


def start(gateway, caller="openai", model="lab/m", stream=True, **more):
    """Sends a question and reads nothing."""
    client = gateway.raw()
    client.send(raw.request("POST", PATHS[caller], body_of(model, stream, **more), gateway.authorization()))
    return client


# --- too many of them ---

def test_requests_beyond_the_limit_get_503_and_retry_after(make, mock):
    gateway = make.gateway(config_of(mock, limits={"requests": 4}), workers=1)
    held = [start(gateway, CALLERS[i % 2], "lab/m;ttft=60s") for i in range(4)]
    wait_until(lambda: mock.stats()["open"] == 4, "the limit to be reached")
    questions = [(c, "lab/m", s) for c in CALLERS for s in (False, True)]
    for (caller, *_), got in zip(questions, ask_all(gateway, questions)):
        assert got.code == "overloaded" and int(got.headers["retry-after"]) >= 1, got
        assert got.status == (529 if caller == "anthropic" else 503) and got.error, got
    assert gateway.get("/livez").status_code == 200          # the operator is never locked out
    for client in held:
        client.close()
    gateway.idle()
    assert ask(gateway, "openai", "lab/m").complete


def test_a_key_s_own_limit_is_429_and_leaves_others_alone(make, mock):
    keys = {"greedy": "greedy-secret-0123456789", "modest": "modest-secret-0123456789"}
    gateway = make.gateway({**config_of(mock, limits={"streams_per_key": 2}),
                            "auth": {"keys": [{"name": n, "key": k} for n, k in keys.items()]}}, workers=1)
    gateway.key = keys["greedy"]
    held = [start(gateway, model="lab/m;ttft=60s") for _ in range(2)]
    wait_until(lambda: mock.stats()["open"] == 2, "the limit to be reached")
    for caller in CALLERS:
        got = ask(gateway, caller, "lab/m")
        assert (got.status, got.code) == (429, "rate_limit_exceeded") and int(got.headers["retry-after"]) >= 1
    gateway.key = keys["modest"]
    assert ask(gateway, "openai", "lab/m").complete
    for client in held:
        client.close()
    gateway.key = keys["greedy"]
    wait_until(lambda: ask(gateway, "openai", "lab/m").complete, "the slots to be free again")
    for got in ask_all(gateway, [("openai", "lab/m", False)] * 2):      # and not one more or less
        assert got.complete
    gateway.idle()


def test_guessing_keys_is_throttled_and_valid_keys_are_served(make, mock):
    """All of them come from one address, as behind a NAT."""
    gateway = make.gateway(config_of(mock, limits={"wrong_keys": 5}), workers=1)
    right = gateway.key
    for i in range(5):
        gateway.key = f"wrong-key-{i}"
        got = ask(gateway, CALLERS[i % 2], "lab/m")
        assert (got.status, got.code) == (401, "invalid_api_key"), got
    for i in range(8):
        gateway.key = f"other-key-{i}"
        got = ask(gateway, CALLERS[i % 2], "lab/m")
        assert (got.status, got.code) == (429, "rate_limit_exceeded"), got
        assert got.headers["x-should-retry"] == "false"
        assert 1 <= int(got.headers["retry-after"]) <= 12 and "key" in got.error["message"], got
        gateway.key = right
        assert ask(gateway, CALLERS[i % 2], "lab/m").complete
    assert gateway.get("/v1/models", headers={"Authorization": ""}).status_code == 401     # no key is no guess
    assert gateway.get("/livez", headers={"Authorization": "Bearer wrong"}).status_code == 200
    assert gateway.metrics().value("openclaw_wrong_keys_throttled_total") == 8
    gateway.reload()                                                   # which forgives nobody
    gateway.key = "wrong-key-again"
    assert ask(gateway, "openai", "lab/m").status == 429
    gateway.reload(config_of(mock, limits={"wrong_keys": 0}))
    gateway.key = "wrong-key-again"
    assert ask(gateway, "openai", "lab/m").status == 401
    gateway.key = right


def test_connections_beyond_the_limit_get_503(make, mock):
    gateway = make.gateway(config_of(mock, limits={"connections": 20}), workers=1)
    held = []
    for _ in range(40):
        client = gateway.raw()
        held.append(client)
    told = 0
    for client in held:
        client.send(raw.request("GET", "/livez"))
        answer = client.read()
        assert answer.status in (200, 503), answer
        if answer.status == 503:
            assert answer.header("retry-after") and answer.json()["error"]["code"] == "overloaded"
            assert client.closed_by_peer()
            told += 1
    assert 20 <= told <= 21         # the harness holds one of its own
    for client in held:
        client.close()
    wait_until(lambda: gateway.get("/livez").status_code == 200, "room again")


def test_connections_closed_without_an_answer_are_counted_and_logged(make, mock):
    gateway = make.gateway(config_of(mock, limits={"connections": 10}), workers=1)
    assert gateway.metrics().value("openclaw_connections_dropped_total") == 0
    held = [gateway.raw() for _ in range(100)]        # ten are served, 64 get an error
    wait_until(lambda: gateway.metrics().value("openclaw_connections_dropped_total") >= 20, "the count")
    wait_until(lambda: "closed without an answer" in gateway.stderr(), "the log to say so")
    told = [line for line in gateway.stderr().splitlines() if "closed without an answer" in line]
    assert "server.limits.connections: 10" in told[0] and "127.0.0.1" in told[0] and len(told) < 12
    for client in held:
        client.close()


# --- too slow ---

def test_a_client_that_reads_nothing_slows_the_provider(make, mock, sanitized):
    """The backlog is the kernel's; ours stays small, and the provider is not read."""
    gateway = make.gateway(config_of(mock, limits={"write_stall": "10m"}))
    assert ask(gateway, "openai", "lab/m").complete
    before = gateway.metrics().value("process_resident_memory_bytes")
    mock.reset()
    clients = [start(gateway, caller, f"{provider}/m;tokens=9000000", max_tokens=100000000)
               for caller in CALLERS for provider in ("lab", "ant") for _ in range(2)]

    seen = []

    def steady():
        seen.append(mock.stats()["output_tokens"])
        time.sleep(0.1)
        return len(seen) > 5 and seen[-5] == seen[-1] > 0
    wait_until(steady, "the provider to be held back")
    assert mock.stats()["open"] == len(clients) and mock.stats()["completed"] == 0
    grown = gateway.metrics().value("process_resident_memory_bytes") - before
    assert sanitized or grown < 12e6, f"{grown / 1e6} MB for {len(clients)} callers who read nothing"
    for client in clients:
        client.close()
    wait_until(lambda: mock.stats()["open"] == 0, "the provider's work to be cancelled")
    gateway.idle()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_reads_nothing_for_too_long_is_dropped(make, mock, stream):
    gateway = make.gateway(config_of(mock, limits={"write_stall": "400ms", "answer": "64MB"}))
    clients = [start(gateway, caller, "lab/m;tokens=4000000" + ("" if stream else ";event-tokens=1000"), stream,
                     max_tokens=10000000) for caller in CALLERS]
    lines = wait_until(lambda: len(gateway.access_log()) == 2 and gateway.access_log(), "both to be settled")
    for line in lines:
        assert line["tokens_output"] > 0 and line["status"] == 200, line
        assert line["client_abort"] and line["error"] == "client_gone", line
    wait_until(lambda: gateway.metrics().value("openclaw_connections_open") <= 1, "the connections to be closed")
    assert mock.stats()["open"] == 0
    for client in clients:
        tail = b""
        with pytest.raises(raw.Cut):
            while True:
                client._more()
                tail, client.buffer = client.buffer[-5:], b""
        assert tail != b"0\r\n\r\n"
        client.close()
    gateway.idle()


def read_slowly(client, seconds):
    """The whole answer, a bit at a time, over so long at least."""
    answer = client.read_head()
    left = int(answer.header("content-length"))
    pause = seconds / 40
    for _ in range(40):
        left -= len(client._bytes(left // 60))
        time.sleep(pause)
    return client._bytes(left)


def test_a_slow_reader_of_a_document_is_not_idle(make, mock):
    gateway = make.gateway(config_of(mock, limits={"idle": "200ms"}))
    client = start(gateway, "openai", "lab/m;tokens=4000000;event-tokens=1000", False, max_tokens=10000000)
    assert read_slowly(client, 1.2).endswith(b"}")
    assert client.closed_by_peer()         # now it is


@pytest.mark.parametrize("how", ["leaves", "reads on"])
def test_a_document_is_settled_when_it_has_been_read(make, mock, how):
    gateway = make.gateway(config_of(mock))
    client = start(gateway, "openai", "lab/m;tokens=4000000;event-tokens=1000", False, max_tokens=10000000)
    wait_until(lambda: mock.stats()["completed"] == 1 and mock.stats()["open"] == 0, "the answer to be there")
    time.sleep(0.2)
    assert not gateway.access_log() and gateway.metrics().value("openclaw_exchanges_in_flight") >= 1
    size = int(client.read_head().header("content-length"))
    if how == "leaves":
        client.reset()
    else:
        assert client._bytes(size).endswith(b"}")
    line = gateway.last_access()
    assert line["status"] == 200 and line["tokens_output"] == 4000000, line
    assert line["attempts"][0]["outcome"] == "ok", line        # the provider did its work
    if how == "leaves":
        assert line["client_abort"] and line["error"] == "client_gone" and line["bytes_out"] < size, line
    else:
        assert "error" not in line and "client_abort" not in line and line["bytes_out"] == size, line
    assert gateway.metrics().value("openclaw_client_aborts_total") == (how == "leaves")
    gateway.idle()


def test_a_slow_reader_of_a_document_gets_it_while_draining(make):
    document = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "x" * 18_000_000}, "finish_reason": "stop"}]}
    sent = threading.Event()

    def answer(conn):
        conn.answer(200, document)
        sent.set()

    upstream = make.upstream(answer)
    gateway = make.gateway({"providers": {"lab": upstream.provider()}, "server": {"drain_deadline": "60s"}})
    client = start(gateway, stream=False)
    assert sent.wait(PATIENCE)
    gateway.program.send_signal(signal.SIGTERM)
    assert read_slowly(client, 0.5).endswith(b"}")
    client.close()
    assert gateway.program.process.wait(PATIENCE) == 0
    gateway.clients, gateway._kept = [], None


def test_the_total_timeout_applies_to_slow_readers(make, mock):
    config = config_of(mock, limits={"write_stall": "10m"})
    config["timeouts"] = {"total": "1s"}
    gateway = make.gateway(config)
    client = start(gateway, model="lab/m;tokens=4000000", max_tokens=10000000)
    line = gateway.last_access()
    assert line["error"] == "deadline_exceeded", line
    client.close()


def test_a_body_that_does_not_arrive_is_408(make, mock):
    """Ten seconds' grace, then at least the configured rate."""
    gateway = make.gateway(config_of(mock, limits={"body_rate": "1MB"}))
    clients = []
    for fields, piece in (({"Content-Length": "100000"}, b'{"model"'),
                          ({"Transfer-Encoding": "chunked", "Content-Length": None}, b'8\r\n{"model"\r\n')):
        client = gateway.raw()
        client.send(raw.request("POST", "/v1/chat/completions", b"", {**gateway.authorization(), **fields}))
        client.send(piece)
        clients.append(client)
    for client in clients:
        answer = client.read()
        assert answer.status == 408 and answer.header("connection") == "close", answer
        assert answer.json()["error"]["code"] == "request_timeout"
        assert client.closed_by_peer()
        client.close()
    gateway.last_access(2)
    assert [line["error"] for line in gateway.access_log()] == ["request_timeout"] * 2
    gateway.idle()


# --- too large ---

def test_a_refused_client_gets_the_error_although_its_body_is_unread(make, mock):
    """A close with unread bytes would reset the connection and tear the answer away."""
    gateway = make.gateway(config_of(mock))
    for headers, status in (({"Authorization": "Bearer wrong"}, 401), (gateway.authorization(), 413)):
        client = gateway.raw()
        body = b"x" * (40 << 20 if status == 413 else 4 << 20)
        sent = threading.Thread(target=lambda: send_quietly(client, raw.request(
            "POST", "/v1/chat/completions", body, headers)), daemon=True)
        sent.start()
        answer = client.read()
        assert answer.status == status and answer.header("connection") == "close", answer
        assert answer.json()["error"]["message"]
        client.close()
        sent.join(4 * PATIENCE)
    gateway.idle()


def send_quietly(client, data):
    try:
        client.send(data)
    except OSError:
        pass


def held_bodies(gateway, caller, count, size, sent):
    """Callers who announce a body of this size, send a part of it, and wait."""
    clients = []
    for _ in range(count):
        client = gateway.raw()
        client.send(raw.request("POST", PATHS[caller], b"", {**gateway.authorization(), "Content-Length": str(size),
                                                             "Content-Type": "application/json"}))
        begin = b'{"model": "lab/m", "max_tokens": 20, "messages": [{"role": "user", "content": "'
        client.send(begin.ljust(sent, b"x"))
        clients.append(client)
    return clients


def held_by(gateway):
    return gateway.metrics().value("openclaw_held_bytes")


def test_declaring_large_bodies_reserves_nothing(make, mock):
    """Sixteen callers announce 32 MB each and send next to nothing."""
    gateway = make.gateway(config_of(mock))
    clients = held_bodies(gateway, "openai", 16, 32 << 20, 1000)
    assert ask(gateway, "openai", "lab/m", padding="x" * 3000000).complete
    wait_until(lambda: held_by(gateway) < 1 << 20, "what was announced not to count")
    for client in clients:
        client.close()
    gateway.idle()


@pytest.mark.parametrize("fields", [{"Content-Length": "10000000"},
                                    {"Transfer-Encoding": "chunked", "Content-Length": None}])
def test_a_body_has_a_deadline_however_steadily_it_arrives(make, mock, fields):
    gateway = make.gateway(config_of(mock, limits={"body_deadline": "2s", "body_rate": 0}))
    client = gateway.raw()
    client.send(raw.request("POST", PATHS["openai"], b"", {**gateway.authorization(), **fields}))
    done = threading.Event()

    def drip():
        while not done.wait(0.05):
            send_quietly(client, b"x" * 100 if "Transfer-Encoding" not in fields else b"64\r\n" + b"x" * 100 + b"\r\n")
    sender = threading.Thread(target=drip, daemon=True)
    sender.start()
    answer = client.read()
    done.set()
    sender.join(4 * PATIENCE)
    assert (answer.status, answer.json()["error"]["code"]) == (408, "request_timeout"), answer
    client.close()
    gateway.idle()
    wait_until(lambda: held_by(gateway) == 0, "everything to be given back")


@pytest.mark.parametrize("caller", CALLERS)
def test_large_bodies_share_what_the_process_may_hold(make, mock, caller):
    gateway = make.gateway(config_of(mock, limits={"body": "2MB", "held": "4MB"}))
    size = 2000000
    clients = held_bodies(gateway, caller, 3, size, 1400000)
    wait_until(lambda: held_by(gateway) >= 4200000, "all of it to be taken")
    for stream in (False, True):
        got = ask(gateway, caller, "lab/m", stream, padding="x" * 200000)
        assert (got.status, got.code) == (529 if caller == "anthropic" else 503, "overloaded"), got
        assert int(got.headers["retry-after"]) >= 1 and got.error, got
        assert ask(gateway, caller, "lab/m", stream).complete          # a small one is served
    assert gateway.metrics().value("openclaw_held_refused_total") == 2
    assert gateway.metrics().value("openclaw_errors_total", code="overloaded") == 2
    assert mock.stats()["requests"] == 2

    clients[0].send(b'"}]}'.rjust(size - 1400000, b"x"))               # what was let in comes to its end
    assert clients[0].read().status == 200
    wait_until(lambda: held_by(gateway) < 3000000, "its room to be given back")
    assert ask(gateway, caller, "lab/m", padding="x" * 200000).complete
    for client in clients:                                             # some leave in the middle
        client.close()
    wait_until(lambda: held_by(gateway) == 0, "everything to be given back")
    gateway.idle()


def test_held_memory_is_released_on_every_path(make, mock):
    """Refused, malformed, too large in the end, failed at the provider, passed through, chunked."""
    gateway = make.gateway({**config_of(mock, limits={"body": "1MB", "held": "2MB"}), "default_provider": "lab"})
    padding = "x" * 300000
    for model in ("lab/m", "lab/m;status=500", "lab/m;status=429", "ant/m", "nowhere/m", "lab/m;reset-after=0"):
        for stream in (False, True):
            ask(gateway, "openai", model, stream, padding=padding)
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/models"):
        gateway.post(path, {"model": "lab/m", "input": padding})
        gateway.post(path, {"model": "lab/m", "input": padding}, headers={"Authorization": "Bearer wrong"})
    for size in (300000, 3000000):
        for end in (b"0\r\n\r\n", b"nonsense\r\n", b""):
            with gateway.raw() as client:
                send_quietly(client, raw.request("POST", PATHS["openai"], b"", {
                    **gateway.authorization(), "Content-Length": None, "Transfer-Encoding": "chunked"}))
                send_quietly(client, b"%x\r\n" % size + b" " * size + b"\r\n" + end)
                if end:
                    try:
                        assert client.read().status == (413 if size > 1_000_000 else 400)
                    except raw.Cut:
                        pass
    # answers in one piece, large, read and not read
    assert ask(gateway, "openai", "lab/m;tokens=100000;event-tokens=1000", max_tokens=1000000).complete
    client = start(gateway, "openai", "lab/m;tokens=1500000;event-tokens=1000", False, max_tokens=10000000)
    gateway.last_access(20)
    client.close()
    gateway.idle()
    wait_until(lambda: gateway.metrics().value("openclaw_held_bytes") == 0, "everything to be given back")
    wide = ask(gateway, "openai", "lab/m", padding="x" * 900000)
    assert wide.complete, wide


JSON_BOMBS = {
    "depth": b'{"model": "lab/m", "messages": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "objects": b'{"model": "lab/m", "messages": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
    "values": b'{"model": "lab/m", "messages": [' + b"1," * 1200000 + b"1]}",
    "a name": b'{"model": "' + b"x" * 300000 + b'", "messages": []}',
    "the same key twice": b'{"model": "lab/m", "model": "lab/other", "messages": []}',
}


@pytest.mark.parametrize("bomb", JSON_BOMBS)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_json_has_limits(make, mock, bomb, path):
    gateway = make.gateway({**config_of(mock), "default_provider": "lab"})
    with gateway.raw() as client:
        answer, broke = client.ask("POST", path, JSON_BOMBS[bomb], {**gateway.authorization(),
                                                                    "Content-Type": "application/json"})
    assert not broke and answer.status == (413 if bomb in ("depth", "objects", "values") else 400), answer
    assert answer.json()["error"]["message"]
    line = gateway.last_access()
    assert line["status"] == answer.status and len(line.get("model_requested", "")) < 400, line
    assert mock.stats()["requests"] == 0


# --- descriptors ---

def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat_file:
        fields = stat_file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_without_descriptors_it_sheds_load_without_spinning_and_recovers(make, mock):
    gateway = make.gateway(config_of(mock))
    assert ask(gateway, "openai", "lab/m").complete
    pid = gateway.program.pid
    open_before = descriptors(pid)
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_before + 12, hard))
    held = []
    for _ in range(60):
        client = gateway.raw(seconds=5)
        client.send(b"POST /v1/chat")            # at work, so that closing idle connections makes no room
        held.append(client)
        time.sleep(0.02)                         # read before the next one comes: until then it is idle
    time.sleep(1.5)
    began, used = time.monotonic(), cpu_seconds(pid)
    time.sleep(1)
    busy = (cpu_seconds(pid) - used) / (time.monotonic() - began)
    assert busy < 0.5, f"it spins: {busy:.0%} of a core while it can do nothing"
    assert gateway.program.running()
    outcomes = {"answered": 0, "closed": 0}
    for client in held[:60]:
        try:
            client.send(raw.request("POST", "/v1/chat/completions", body_of("lab/m"), gateway.authorization())[13:])
            answer = client.read()
            assert answer.status == 200, answer                     # there is always a descriptor for the provider
            outcomes["answered"] += 1
        except (raw.Cut, OSError):
            outcomes["closed"] += 1
    assert outcomes["closed"] > 20 and outcomes["answered"] > 0, outcomes
    for client in held:
        client.close()

    def recovered():
        try:
            return ask(gateway, "openai", "lab/m").complete
        except (raw.Cut, OSError):
            return False
    wait_until(recovered, "it to serve again")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    gateway.clients, gateway._kept = [], None
    assert gateway.metrics().value("openclaw_connections_shed_total") > 0
    gateway.idle()


def test_idle_connections_are_closed_first_when_descriptors_run_out(make, mock):
    gateway = make.gateway(config_of(mock))
    assert ask(gateway, "openai", "lab/m").complete
    pid = gateway.program.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid) + 60, hard))
    resting = []
    for _ in range(150):                          # more than the limit, one after the other
        client = gateway.raw()
        client.send(raw.request("GET", "/livez"))
        assert client.read().status == 200
        resting.append(client)
    for _ in range(10):
        with gateway.raw() as client:             # each needs a connection to the provider as well
            client.send(raw.request("POST", "/v1/chat/completions", body_of("lab/m"), gateway.authorization()))
            assert client.read().status == 200
    assert any(client.closed_by_peer(0.1) for client in resting[:20])
    gateway.clients, gateway._kept = [], None
    gateway.reload()                              # files can be opened
    assert gateway.metrics().value("openclaw_connections_shed_total") == 0
    for client in resting:
        client.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


# --- logs that cannot be written ---

def test_a_full_log_disk_stops_nothing_and_is_counted(make, mock, tmp_path):
    """/dev/full stands for the disk; a link leads there, and later to a file again."""
    link = tmp_path / "access"
    link.symlink_to("/dev/full")
    gateway = make.gateway({**config_of(mock), "observe": {"access": {"path": str(link)}}})
    for got in ask_all(gateway, [(c, "lab/m", s) for c in CALLERS for s in (False, True)] * 4):
        assert got.complete
    padding = "/v1/" + "x" * 6000
    for _ in range(900):              # more than the queue holds
        assert gateway.get(padding).status_code == 404
    wait_until(lambda: gateway.metrics().value("openclaw_access_log_dropped_total") > 0, "drops to be counted")
    link.unlink()
    link.symlink_to(tmp_path / "room-again")
    gateway.reload()
    gateway.access_path = tmp_path / "room-again"

    asked = set()

    def written():        # the first ones may still find the queue full
        after = ask(gateway, "openai", "lab/m")
        assert after.complete
        asked.add(after.id)
        return any(line["request_id"] in asked for line in gateway.access_log())
    wait_until(written, "lines to be written again")


def can_mount(directory):
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", directory], capture_output=True,
                          timeout=PATIENCE)
    return done.returncode == 0


def test_lines_are_written_when_the_disk_has_room_again(make, mock, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if not can_mount(disk):
        pytest.skip("mounting a small disk needs privileges")
    try:
        log, filler = disk / "access.log", disk / "filler"
        gateway = make.gateway({**config_of(mock), "observe": {"access": {"path": str(log)}}})
        gateway.access_path = log
        first = ask(gateway, "openai", "lab/m")
        gateway.access(first.id)
        fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
        with pytest.raises(OSError, match="No space left"):
            while True:
                os.write(fd, b"x" * 4096)
        os.close(fd)
        blocked = [ask(gateway, "openai", "lab/m") for _ in range(40)]
        assert all(got.complete for got in blocked)
        filler.unlink()
        for got in blocked:               # nothing was lost: they waited in memory
            gateway.access(got.id)
        assert gateway.metrics().value("openclaw_access_log_dropped_total") == 0
        gateway.stop()
    finally:
        subprocess.run(["umount", "-l", disk], check=True, timeout=PATIENCE)


def test_a_blocked_pipe_stops_nothing(make, mock, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    gateway = make.gateway({**config_of(mock), "observe": {"access": {"path": str(pipe)}}})
    for _ in range(30):                   # far more than a pipe holds
        for _ in range(5):
            assert gateway.get("/v1/" + "x" * 6000).status_code == 404
    got = ask(gateway, "openai", "lab/m")
    assert got.complete
    data = b""

    def drained():
        nonlocal data
        try:
            data += os.read(reader, 65536)
        except BlockingIOError:
            pass
        return got.id.encode() in data
    wait_until(drained, "the line behind all the others", pause=0.001)
    os.close(reader)                      # and a reader who went away is no reason to die
    assert ask(gateway, "openai", "lab/m").complete
    assert stat.S_ISFIFO(os.stat(pipe).st_mode) and gateway.program.running()


# --- sizes that a configuration chooses ---

def test_configured_parameters_of_any_number_and_size_reach_the_provider(make, mock):
    params = {f"p{i}": i for i in range(12)} | {"temperature": 0.25, "user": "u" * 6000, "metadata": {"a": ["b"] * 2000}}
    gateway = make.gateway({**config_of(mock), "models": {"set": {"targets": [{"model": "lab/m", "params": params}]},
                                                          "across": {"targets": [{"model": "ant/m",
                                                                                  "params": {"top_k": 7}}]}}})
    asked = {f"p{i}": "the caller's" for i in range(0, 12, 2)}
    body = {**body_of("set"), **asked, "temperature": 1, "metadata": {"x": "y"}}
    answer = gateway.post("/v1/chat/completions", body)
    assert answer.status_code == 200, answer.text
    got = mock.last_request()["json"]
    assert {k: got[k] for k in params} == params and got["model"] == "m"
    assert got["messages"] == body["messages"]
    assert ask(gateway, "openai", "across").complete
    assert mock.last_request()["json"]["top_k"] == 7


def test_configured_parameters_win_over_what_the_gateway_would_add(make, mock):
    """Both want to write stream_options; the body stays valid JSON without a key twice."""
    gateway = make.gateway({**config_of(mock), "models": {"set": {"targets": [
        {"model": "lab/m", "params": {"stream_options": {"include_usage": True, "include_obfuscation": False}}}]}}})
    for more in ({}, {"stream_options": {"include_usage": False}}, {"stream_options": None}):
        got = ask(gateway, "openai", "set", True, **more)
        assert got.complete, got
        pairs = json.loads(mock.last_request()["body"], object_pairs_hook=list)
        assert len({k for k, _ in pairs}) == len(pairs), pairs


# --- what is kept ---

def messages_of(size, each):
    """A conversation of about so many bytes of JSON, in turns of `each` bytes."""
    count = max(1, size // (each + 45))
    return [{"role": ("user", "assistant")[i % 2], "content": "x" * each} for i in range(count)]


@pytest.mark.parametrize("provider", ["lab", "ant"])
@pytest.mark.parametrize("size, each, count", [(2000000, 100, 10), (2000000, 1999000, 10), (30000000, 1000, 2)])
def test_a_stream_keeps_a_few_kilobytes_whatever_the_request(make, mock, provider, size, each, count, sanitized):
    gateway = make.gateway(config_of(mock), workers=1)
    for _ in range(2):
        assert ask(gateway, "openai", f"{provider}/m", messages=messages_of(size, each)).complete

    def resident():
        return gateway.metrics().value("process_resident_memory_bytes")

    body = {"model": f"{provider}/m;tps=0.1;tokens=50", "stream": True, "messages": messages_of(size, each),
            "max_tokens": 100}
    before = resident()
    clients = []
    for _ in range(count):
        client = gateway.raw()
        client.send(raw.request("POST", PATHS["openai"], json.dumps(body).encode(), gateway.authorization()))
        clients.append(client)
    for client in clients:
        client.read_head()
        client.read_chunk()
    wait_until(lambda: held_by(gateway) <= count * 16384, "the requests to be given back")
    if not sanitized:
        wait_until(lambda: resident() - before < 6000000 + count * 20000, "the memory to go back to the system")
    for client in clients:
        client.close()
    gateway.idle()
    wait_until(lambda: held_by(gateway) == 0, "everything to be given back")
    mock.reset()            # it recorded too much to be read back


@pytest.mark.parametrize("provider", ["lab", "ant"])
def test_memory_derived_from_a_request_counts(make, mock, provider):
    """Beside its bytes: a body of 2 MB in small pieces is parsed into many times as much."""
    gateway = make.gateway(config_of(mock), workers=1)
    client = gateway.raw()
    body = {"model": f"{provider}/m;ttft=60s", "stream": True, "messages": messages_of(2000000, 10)}
    client.send(raw.request("POST", PATHS["openai"], json.dumps(body).encode(), gateway.authorization()))
    wait_until(lambda: mock.stats()["open"] == 1, "the request to be sent")
    assert held_by(gateway) > {"lab": 3500000, "ant": 7000000}[provider]
    client.close()
    gateway.idle()
    wait_until(lambda: held_by(gateway) == 0, "everything to be given back")


def test_a_request_that_needs_more_than_the_limit_is_refused(make, mock):
    gateway = make.gateway(config_of(mock, limits={"body": "2MB", "held": "4MB"}), workers=1)
    got = ask(gateway, "openai", "ant/m", messages=messages_of(1900000, 10))
    assert (got.status, got.code) == (503, "overloaded") and int(got.headers["retry-after"]) >= 1, got
    wait_until(lambda: held_by(gateway) == 0, "everything to be given back")
    assert ask(gateway, "openai", "ant/m").complete
    assert mock.stats()["requests"] == 1


@pytest.mark.parametrize("provider", ["lab", "ant"])
def test_folding_obeys_the_answer_limit(make, provider):
    """The caller wants a document; the provider streams, and does not stop."""
    event = {"lab": 'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":'
                    '{"content":"%s"}}]}\n\n',
             "ant": 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
                    '{"type":"text_delta","text":"%s"}}\n\n'}[provider] % ("x" * 1000)
    begin = "" if provider == "lab" else (
        'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant",'
        '"model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
        'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
        '{"type":"text","text":""}}\n\n')
    sent = []

    def handler(conn):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + begin.encode())
        for _ in range(60):
            conn.send(event.encode() * 1000)
            sent.append(1)

    upstream = make.upstream(handler)
    wire = {"lab": "openai-chat", "ant": "anthropic-messages"}[provider]
    gateway = make.gateway({"providers": {provider: upstream.provider(wire)},
                            "server": {"limits": {"answer": "1MB"}}}, workers=1)
    for caller in CALLERS:
        del sent[:]
        got = ask(gateway, caller, f"{provider}/m")
        assert got.status == 502 and got.code == "upstream_too_large", got
        assert len(sent) < 30
    wait_until(lambda: held_by(gateway) == 0, "everything to be given back")


@pytest.mark.parametrize("ended", [True, False])
def test_a_large_stream_is_folded_into_a_document_only_when_it_is_complete(make, ended):
    """It is written on a helper thread, after the same checks."""
    text = "0123456789" * 100

    def streaming(conn):
        conn.head(200, "text/event-stream")
        for i in range(600):
            delta = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
                {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]}
            conn.chunk(f"data: {json.dumps(delta)}\n\n".encode())
        if ended:
            delta["choices"] = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
            conn.chunk(f"data: {json.dumps(delta)}\n\ndata: [DONE]\n\n".encode())
        conn.end_chunks()
    gateway = make.gateway({"providers": {"lab": make.upstream(streaming).provider()}})
    answer = gateway.post("/v1/chat/completions", {"model": "lab/m", "messages": [{"role": "user", "content": "x"}]})
    if ended:
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"] == text * 600
    else:
        assert answer.status_code == 502 and answer.json()["error"]["code"] == "upstream_truncated"


@pytest.mark.parametrize("caller", CALLERS)
def test_a_large_document_becomes_the_stream_that_was_asked_for(make, caller):
    """A helper thread reads it; what it holds is given back."""
    text = "0123456789" * 60_000
    message = {"role": "assistant", "content": text}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
             "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
             "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}
    lab = make.upstream(lambda conn: conn.answer(200, json.dumps(whole).encode()))
    gateway = make.gateway({"providers": {"lab": lab.provider()}}, workers=1)
    path = "/v1/messages" if caller == "anthropic" else "/v1/chat/completions"
    answer = gateway.post(path, {"model": "lab/m", "max_tokens": 50, "stream": True,
                                 "messages": [{"role": "user", "content": "x"}]})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    if caller == "anthropic":
        said = "".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta")
        assert events[-1]["type"] == "message_stop"
    else:
        said = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
        assert answer.text.rstrip().endswith("data: [DONE]")
    assert said == text
    wait_until(lambda: held_by(gateway) == 0, "everything to be given back")
