#!/usr/bin/env python3
"""upstream.py PORT CHUNKS EVERY_MS - a provider that streams at a constant rate.

Answers every POST with CHUNKS events of exactly 100 bytes, one every EVERY_MS, each in its own
write, then a finish, usage and [DONE]. Cheap enough to share its CPU with the load generator.
"""
import asyncio
import json
import sys


def event(data, length=None):
    """One server-sent event as an HTTP chunk; padded so that the event has `length` bytes."""
    if length:
        data["choices"][0]["delta"]["content"] = ""
        missing = length - len(f"data: {json.dumps(data, separators=(',', ':'))}\n\n")
        data["choices"][0]["delta"]["content"] = ("sky " * length)[:missing]
    text = f"data: {data if isinstance(data, str) else json.dumps(data, separators=(',', ':'))}\n\n"
    return f"{len(text):x}\r\n{text}\r\n".encode()


def chunk(delta, finish=None):
    return {"id": "b", "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


HEAD = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
TOKEN = event({"id": "b", "choices": [{"index": 0, "delta": {}}]}, length=100)
TAIL = (event(chunk({}, "stop"))
        + event({"id": "b", "object": "chat.completion.chunk", "choices": [],
                 "usage": {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300}})
        + event("[DONE]") + b"0\r\n\r\n")


async def serve(reader, writer, chunks, every_s):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    await reader.readexactly(int(line.split(b":")[1]))
            writer.write(HEAD)
            for _ in range(chunks):
                writer.write(TOKEN)
                await asyncio.sleep(every_s)
            writer.write(TAIL)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    port, chunks, every_ms = map(int, sys.argv[1:])
    server = await asyncio.start_server(
        lambda r, w: serve(r, w, chunks, every_ms / 1000), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


asyncio.run(main())
