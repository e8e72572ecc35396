"""clients.py - clients that wrk cannot simulate: thousands of streams at once, and bodies of megabytes.

One thread, non-blocking sockets and epoll: so that 9,000 streams cost the load generator little.
"""
import select
import socket
import time

from servers import KEY

ENDS = (b"data: [DONE]", b"event: message_stop")    # terminators of OpenAI's and Anthropic's streams


def request_bytes(path, body):
    body = body if isinstance(body, bytes) else body.encode()
    return (f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {KEY}\r\nanthropic-version: 2023-06-01\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def run_streams(port, path, body, count, timeout_s=120):
    """Opens `count` streams and reads each to its end. Returns how many were complete."""
    request = request_bytes(path, body)
    epoll = select.epoll()
    open_streams = {}    # fd -> [socket, the last bytes that it received]
    complete = 0
    deadline = time.monotonic() + timeout_s

    def read_some(wait_s):
        nonlocal complete
        for fd, _ in epoll.poll(wait_s):
            sock, tail = open_streams[fd]
            try:
                data = sock.recv(65536)
            except ConnectionError:
                data = b""
            tail = (tail + data)[-400:]
            whole = any(end in tail for end in ENDS)
            if whole or not data:
                complete += whole
                epoll.unregister(fd)
                del open_streams[fd]
                sock.close()
            else:
                open_streams[fd][1] = tail

    for opened in range(count):
        sock = socket.create_connection(("127.0.0.1", port), 10)
        sock.sendall(request)
        open_streams[sock.fileno()] = [sock, b""]
        epoll.register(sock, select.EPOLLIN)
        if opened % 50 == 0:
            read_some(0)
    while open_streams and time.monotonic() < deadline:
        read_some(1)
    for sock, _ in open_streams.values():
        sock.close()
    epoll.close()
    return complete


def read_answer(sock):
    """Reads one answer with a Content-Length; returns its status."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(65536) or fail()
    head, rest = data.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                  if line.lower().startswith(b"content-length:"))
    while len(rest) < length:
        rest += sock.recv(65536) or fail()
    return int(head.split()[1])


def fail():
    raise SystemExit("the proxy closed the connection of a large request")


def post_again_and_again(port, path, body, times=None, until=None, pause_s=0):
    """Sends `body` `times` times, or until the event `until` is set."""
    request = request_bytes(path, body)
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        while times != 0 and not (until and until.is_set()):
            sock.sendall(request)
            status = read_answer(sock)
            if status != 200:
                raise SystemExit(f"a large request was answered {status}")
            times = times - 1 if times else None
            time.sleep(pause_s)
