"""Very many requests at one time, over raw sockets: a client library would measure itself.

    answers = flood(gateway.address, [raw.request(...), ...], at_once=400)

Every request is asked again while `again(answer)` says so, by the same connection.
"""
import asyncio
import dataclasses
import random
import time

from lib.process import PATIENCE


@dataclasses.dataclass
class Reply:
    number: int      # of the request
    status: int
    fields: dict     # names in lower case
    body: bytes
    began: float     # time.monotonic()
    ended: float


async def _read(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = {}
    for line in filter(None, head[1:]):
        name, value = line.split(": ", 1)
        fields[name.lower()] = value
    status = int(head[0].split()[1])
    if "content-length" in fields:
        return status, fields, await reader.readexactly(int(fields["content-length"]))
    body = b""
    while True:
        size = int(await reader.readuntil(b"\r\n"), 16)
        body += await reader.readexactly(size)
        await reader.readexactly(2)
        if size == 0:
            return status, fields, body


async def _flood(address, requests, at_once, again, pause):
    waiting = list(enumerate(requests))[::-1]
    replies = []
    begun = 0

    async def client():
        nonlocal begun
        reader, writer = await asyncio.open_connection(*address)
        begun += 1
        while begun < min(at_once, len(requests)):    # all connections first
            await asyncio.sleep(0.01)
        while waiting:
            number, data = waiting.pop()
            while True:
                start = time.monotonic()
                writer.write(data)
                await writer.drain()
                reply = Reply(number, *await asyncio.wait_for(_read(reader), PATIENCE), start, time.monotonic())
                replies.append(reply)
                if not again(reply, replies):
                    break
                await asyncio.sleep(pause * random.random())
        writer.close()

    await asyncio.gather(*(client() for _ in range(min(at_once, len(requests)))))
    return replies


def flood(address, requests, at_once, again=lambda reply, replies: False, pause=0.1):
    """Every reply, in the order in which they came."""
    return asyncio.run(_flood(address, requests, at_once, again, pause))
