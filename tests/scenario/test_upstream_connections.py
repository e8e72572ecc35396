"""Connections to providers: when one may carry the next request, and when it must not."""
import socket
import threading
import time

import pytest

from lib.process import PATIENCE

LARGE = "y" * 8_000_000
ANSWER = b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":' \
         b'{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'
REFUSAL = b'{"error":{"message":"slow down","type":"rate_limit_error"}}'


class Provider:
    """Reads requests as HTTP says: a body is as long as its Content-Length, whatever it holds. `early(send, rest)`
    is called when the beginning of a large body is there; `rest()` reads on until nothing more comes."""

    def __init__(self, early):
        self.early = early
        self.bodies = []                  # of each request: what was read as its body
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/v1" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def provider(self):
        return {"wire": "openai-chat", "base_url": self.url}

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(PATIENCE)
        came = b""
        try:
            while True:
                while b"\r\n\r\n" not in came:
                    data = sock.recv(65536)
                    if not data:
                        return
                    came += data
                head, came = came.split(b"\r\n\r\n", 1)
                length = int(next(line.split(b":")[1] for line in head.lower().split(b"\r\n")
                                  if line.startswith(b"content-length")))
                body = bytearray(came[:length])
                came = came[length:]
                self.bodies.append(body)

                def rest(seconds=0.3):
                    sock.settimeout(seconds)
                    try:
                        while len(body) < length:
                            data = sock.recv(min(262144, length - len(body)))
                            if not data:
                                return
                            body.extend(data)
                    except TimeoutError:
                        pass
                    finally:
                        sock.settimeout(PATIENCE)
                if length > 1_000_000:
                    self.early(sock.sendall, rest)
                    rest(PATIENCE)        # whatever comes is this body, until it is complete
                    if len(body) < length:
                        return
                else:
                    rest(PATIENCE)
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                                 % len(ANSWER) + ANSWER)
        except OSError:
            pass
        finally:
            sock.close()

    def close(self):
        self.listener.close()


@pytest.fixture
def provider():
    made = []

    def start(early):
        made.append(Provider(early))
        return made[-1]
    yield start
    for one in made:
        one.close()


def sized(status, body):
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body)), body


def chunked(status, body):
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" % status
    return head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("head, rest", [
    sized(b"429 Too Many Requests", REFUSAL), chunked(b"429 Too Many Requests", REFUSAL),
    sized(b"413 Content Too Large", REFUSAL), sized(b"401 Unauthorized", b"{}"), sized(b"500 Failed", REFUSAL),
    sized(b"200 OK", ANSWER), chunked(b"200 OK", ANSWER),
], ids=["429", "429 chunked", "413", "401", "500", "200", "200 chunked"])
@pytest.mark.parametrize("reads", [True, False], ids=["after reading", "at once"])
def test_an_answer_during_an_upload_never_lets_the_next_request_into_the_body(make, provider, head, rest, reads):
    """The provider's key and another caller's words would be read as the rest of the first body."""
    def early(send, read_on):
        send(head)
        if reads:
            read_on()
        send(rest)

    lab = provider(early)
    gateway = make.gateway({"providers": {"lab": lab.provider()}}, workers=1)
    first = gateway.chat("lab/m", user=LARGE)
    assert first.status_code in (200, 413, 429, 502), first.text
    gateway.idle()
    for _ in range(3):
        answer = gateway.chat("lab/m", user="somebody else")
        assert answer.status_code == 200, answer.text
    time.sleep(0.1)
    assert b"somebody else" not in lab.bodies[0] and b"uthorization" not in lab.bodies[0]
    assert len(lab.bodies) == 4 and lab.connections <= 2
