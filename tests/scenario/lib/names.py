"""A DNS server that answers, drops, delays and fails as configured.

    names = NameServer()
    names.zone["provider.test"] = Name(["127.0.0.1"], ttl=1)
    gateway = make.gateway({"server": {"dns": names.address}, "providers": ...})
    names.asked["provider.test"]                # questions so far, both families

Other names do not exist.
"""
import collections
import dataclasses
import ipaddress
import socket
import struct
import threading

A, AAAA = 1, 28


@dataclasses.dataclass
class Name:
    addresses: list = dataclasses.field(default_factory=list)
    ttl: int = 60
    rcode: int = 0             # 2: SERVFAIL, 3: NXDOMAIN, 5: REFUSED
    drops: int = 0             # questions to leave unanswered before the next answer
    hangs: bool = False        # no answer at all
    tcp_only: bool = False     # over UDP only "too long, ask over TCP"


class NameServer:
    def __init__(self, **zone):
        self.zone = dict(zone)
        self.asked = collections.Counter()
        self.over_tcp = 0
        self.silent = False    # as if it were gone
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True:            # the same port for both
            self.tcp = socket.create_server(("127.0.0.1", 0))
            try:
                self.udp.bind(self.tcp.getsockname())
                break
            except OSError:
                self.tcp.close()
        self.address = "127.0.0.1:%d" % self.udp.getsockname()[1]
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=self._serve_tcp, daemon=True).start()

    def close(self):
        self.udp.close()
        self.tcp.close()

    def _answer(self, question, tcp):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind, _ = struct.unpack("!HH", question[at + 1:at + 5])
        host = ".".join(labels)
        name = self.zone.get(host)
        self.asked[host] += 1
        self.over_tcp += tcp
        if self.silent or (name and name.hangs):
            return None
        if name and name.drops:
            name.drops -= 1
            return None
        flags = 0x8180 | (name.rcode if name else 3)
        found = []
        if name and not name.rcode:
            found = [a for a in map(ipaddress.ip_address, name.addresses) if a.version == (4 if kind == A else 6)]
            if name.tcp_only and not tcp:
                found, flags = [], flags | 0x0200
        head = question[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
        return head + question[12:at + 5] + b"".join(
            struct.pack("!HHHIH", 0xc00c, kind, 1, name.ttl, len(a.packed)) + a.packed for a in found)

    def _serve_udp(self):
        while True:
            try:
                question, peer = self.udp.recvfrom(1500)
                answer = self._answer(question, False)
                if answer:
                    self.udp.sendto(answer, peer)
            except OSError:
                return

    def _serve_tcp(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _serve_connection(self, connection):
        with connection, connection.makefile("rb") as stream:
            try:
                while size := stream.read(2):
                    answer = self._answer(stream.read(int.from_bytes(size, "big")), True)
                    if answer:
                        connection.sendall(len(answer).to_bytes(2, "big") + answer)
            except OSError:
                return
