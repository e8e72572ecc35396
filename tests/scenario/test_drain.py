"""The drain: not ready first, then no new connections; streams finish, and what is left at the deadline is cut visibly."""
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import process, raw
from lib.ask import CALLERS, PATHS, ask, ask_all, body_of
from lib.held import Held
from lib.process import wait_until


@pytest.fixture
def mock(make):
    return make.mock()


def start_stream(gateway, caller="openai", knobs="tokens=150;tps=100"):
    client = gateway.raw()
    client.send(raw.request("POST", PATHS[caller], body_of(f"lab/m;{knobs}", True, max_tokens=100000),
                            gateway.authorization()))
    assert client.read_head().status == 200
    client.read_chunk()
    return client


def rest_of(client):
    """Reads the rest, and whether the answer's framing was complete."""
    body = b""
    try:
        while chunk := client.read_chunk():
            body += chunk
    except raw.Cut:
        return body, False
    return body, True


def refused(gateway):
    try:
        socket.create_connection(gateway.address, 5).close()
    except ConnectionError:
        return True
    except TimeoutError:    # its SYN was dropped
        pass
    return False


def ended(gateway):
    """The exit status, once it has one."""
    status = wait_until(lambda: (gateway.program.process.poll(),) if not gateway.program.running() else None, "its end")
    return status[0]


def forget_clients(gateway):
    for client in gateway.clients:
        client.close()
    gateway.clients, gateway._kept = [], None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_streams_complete_and_new_connections_are_refused(make, number):
    held = Held(make)
    gateway = make.gateway({"providers": {"held": held.provider}, "server": {"drain_deadline": "10m"}})
    streams = [held.stream(gateway, caller) for caller in CALLERS for _ in range(2)]
    whole = gateway.raw()
    whole.send(raw.request("POST", "/v1/chat/completions", body_of("held/m"), gateway.authorization()))
    wait_until(lambda: held.waiting == len(streams) + 1, "the requests to be under way")
    idle = gateway.raw()
    idle.send(raw.request("GET", "/livez"))
    assert idle.read().status == 200
    gateway.program.send_signal(number)
    wait_until(lambda: refused(gateway), "new connections to be refused")
    assert idle.closed_by_peer()
    held.go.set()
    for client in streams:
        held.assert_complete(client)
        assert client.closed_by_peer()
    answer = whole.read()
    assert answer.status == 200 and answer.header("connection") == "close"
    assert whole.closed_by_peer()
    assert ended(gateway) == 0
    lines = gateway.access_log()
    assert len(lines) == len(streams) + 1 and all(line["status"] == 200 and "error" not in line for line in lines)
    assert "ended" in gateway.stderr()


def test_requests_are_served_until_load_balancers_notice_the_drain(make, mock):
    """During the grace period /readyz returns 503, /livez 200, and requests are answered."""
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"drain_grace": "60s"}})
    assert gateway.get("/readyz").status_code == 200
    gateway.program.send_signal(signal.SIGTERM)
    wait_until(lambda: gateway.get("/readyz").status_code == 503, "/readyz to turn")
    assert gateway.get("/readyz").json()["status"] == "draining"
    assert gateway.get("/livez").status_code == 200
    assert gateway.metrics().value("openclaw_draining") == 1
    for got in ask_all(gateway, [(c, "lab/m", s) for c in CALLERS for s in (False, True)]):
        assert got.complete
    assert gateway.program.running()
    gateway.program.send_signal(signal.SIGTERM)     # enough of grace
    assert ended(gateway) == 0
    forget_clients(gateway)


def test_connections_are_marked_as_closing_during_the_grace_period(make, mock):
    """A pool that reads Connection: close moves by itself; closing an idle connection can meet a request half-way."""
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"drain_grace": "60s"}})
    with gateway.raw() as client:
        assert client.ask("GET", "/readyz")[0].header("connection") is None
        gateway.program.send_signal(signal.SIGTERM)
        gateway.program.wait_for("draining")
        answer, _ = client.ask("GET", "/readyz")
        assert answer.status == 503 and answer.header("connection") == "close"
        assert client.closed_by_peer()
    gateway.program.send_signal(signal.SIGTERM)
    assert ended(gateway) == 0
    forget_clients(gateway)


@pytest.mark.parametrize("where", ["tcp", "unix"])
def test_connections_queued_in_the_kernel_are_served_when_the_listeners_close(make, mock, tmp_path, where):
    """The gateway sleeps while callers connect and ask; the order to drain is the first that it hears."""
    path = str(tmp_path / "gateway.sock")
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "server": {"listen": ["127.0.0.1:0", f"unix:{path}"]}})
    address = gateway.address if where == "tcp" else path
    forget_clients(gateway)
    gateway.program.send_signal(signal.SIGSTOP)
    clients = [raw.RawClient(address) for _ in range(40)]
    for client in clients[:30]:
        client.send(raw.request("POST", "/v1/chat/completions", body_of("lab/m"), gateway.authorization()))
    gateway.program.send_signal(signal.SIGINT)
    gateway.program.send_signal(signal.SIGCONT)
    gateway.program.wait_for("draining")
    for client in clients[30:]:     # connected in time, asks a little later
        client.send(raw.request("POST", "/v1/chat/completions", body_of("lab/m"), gateway.authorization()))
    for client in clients:
        assert client.read().status == 200
        assert client.closed_by_peer()
        client.close()
    assert ended(gateway) == 0
    assert len(gateway.access_log()) == len(clients)


def test_the_grace_period_ends_by_itself(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"drain_grace": "300ms"}})
    client = start_stream(gateway)
    gateway.program.send_signal(signal.SIGTERM)
    body, framed = rest_of(client)
    assert framed and b"[DONE]" in body
    assert ended(gateway) == 0
    forget_clients(gateway)


def test_connections_cut_at_the_deadline_look_cut_to_the_client(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"drain_deadline": "400ms"}})
    clients = [start_stream(gateway, caller, "tokens=100000;tps=50") for caller in CALLERS]
    gateway.program.send_signal(signal.SIGTERM)
    for client in clients:
        body, framed = rest_of(client)
        assert not framed and b"[DONE]" not in body and b"message_stop" not in body
    assert ended(gateway) == 0
    gateway.program.wait_for("the drain deadline has passed")
    lines = gateway.access_log()
    assert len(lines) == 2 and all(line["error"] and line["tokens_estimated"] for line in lines), lines
    wait_until(lambda: mock.stats()["open"] == 0, "the provider's work to be cancelled")
    forget_clients(gateway)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_at_once(make, mock, second):
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"drain_deadline": "1h"}})
    client = start_stream(gateway, knobs="tokens=100000;tps=50")
    gateway.program.send_signal(signal.SIGTERM)
    wait_until(lambda: refused(gateway), "the drain")
    assert gateway.program.running()
    gateway.program.send_signal(second)
    assert ended(gateway) == 0
    assert not rest_of(client)[1]
    assert len(gateway.access_log()) == 1
    forget_clients(gateway)


@pytest.mark.parametrize("command", ["serve", "mock"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_during_the_start_end_it_in_order(tmp_path, command, number):
    """Who sees the banner may ask for the end at once; the default action of the signal would cut callers."""
    args = [process.BIN, command, "--listen", "127.0.0.1:0"]
    if command == "serve":
        args += ["--set", "server.drain_grace=0s"]
    for _ in range(10):
        with process.ends_in_time(args, cwd=tmp_path, bufsize=0, env=process.environment(), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as program:
            said = b""
            while b"127.0.0.1:" not in said:
                assert (more := program.stdout.read(1)), said
                said += more
            program.send_signal(number)
            said += program.stdout.read()
            assert program.wait() == 0, said


def test_an_unused_gateway_ends_without_waiting_for_the_deadline(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider()}, "server": {"drain_deadline": "1h"}})
    assert gateway.stop() == 0
    assert gateway.access_log() == []


def test_a_pipelined_request_after_the_last_answer_is_not_left_waiting(make):
    """The connection says close with the answer under way; what was pipelined behind is not half served."""
    held = Held(make)
    gateway = make.gateway({"providers": {"held": held.provider}, "server": {"drain_deadline": "10m"}})
    client = gateway.raw()
    one = raw.request("POST", "/v1/chat/completions", body_of("held/m"), gateway.authorization())
    client.send(one + one)
    wait_until(lambda: held.waiting == 1, "the first to be under way")
    gateway.program.send_signal(signal.SIGTERM)
    wait_until(lambda: refused(gateway), "the drain")
    held.go.set()
    answer = client.read()
    assert answer.status == 200 and answer.header("connection") == "close"
    assert client.closed_by_peer()
    assert ended(gateway) == 0
    assert len(gateway.access_log()) == 1
    forget_clients(gateway)


def test_drain_under_load_answers_or_refuses_and_never_cuts(make, mock):
    gateway = make.gateway({"providers": {"lab": mock.provider()},
                            "server": {"drain_deadline": "60s", "drain_grace": "200ms"}})
    outcomes = []
    until = time.monotonic() + 2 * process.PATIENCE

    def go(_):
        while time.monotonic() < until:
            try:
                got = ask(gateway, "openai", "lab/m;tokens=30;tps=200", True)
            except ConnectionRefusedError:
                return
            outcomes.append(got)
        raise AssertionError("connections are still accepted")

    with ThreadPoolExecutor(8) as pool:
        done = pool.map(go, range(8))
        wait_until(lambda: len(outcomes) >= 16, "some answers")
        gateway.program.send_signal(signal.SIGTERM)
        list(done)
    assert ended(gateway) == 0
    for got in outcomes:
        assert got.complete, got
    assert len([line for line in gateway.access_log() if line["status"] == 200]) == len(outcomes)
    forget_clients(gateway)
