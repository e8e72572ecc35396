"""A provider that answers while a request is still being sent."""
import socket
import threading

from lib.process import PATIENCE

ANSWER = b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":' \
         b'{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'


class EarlyProvider:
    """Parses requests by HTTP's rules: a body is as long as its Content-Length, whatever its contents. `early(send, rest)`
    is called when the beginning of a large body is there; `rest()` reads on until nothing more comes."""

    def __init__(self, early, tls=None):
        self.early, self.tls = early, tls
        self.bodies = []                  # of each request: what was read as its body
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.url = "http://127.0.0.1:%d/v1" % self.address[1]
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
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
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
