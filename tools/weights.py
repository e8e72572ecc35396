#!/usr/bin/env python3
"""weights.py WEIGHTS.TXT OUT.C - makes C arrays of the learnt tables of the request analysis (src/route/weights.h).
The build runs it.

The text is lines of base85 of zlib of: the names, types and dimensions of the tables as JSON on one line, then their
numbers, one byte or two (little-endian) each. tools/analysis_train.py writes it.
"""
import base64
import json
import pathlib
import struct
import sys
import zlib

C_TYPES = {"b": "int8_t", "h": "int16_t", "i": "int32_t"}


def read(path):
    """The tables as {name: (type, dimensions, numbers)}."""
    text = "".join(path.read_text().splitlines()[1:])
    head, _, data = zlib.decompress(base64.b85decode(text)).partition(b"\n")
    head = json.loads(head)
    tables, at = {}, 0
    for name, kind, dimensions in head:
        count = 1
        for d in dimensions:
            count *= d
        size = count * struct.calcsize(kind)
        tables[name] = kind, dimensions, struct.unpack(f"<{count}{kind}", data[at:at + size])
        at += size
    return tables


def write(path, tables):
    """What read() reads."""
    head = [[name, kind, dimensions] for name, (kind, dimensions, _) in tables.items()]
    data = json.dumps(head).encode() + b"\n"
    for kind, _, numbers in tables.values():
        data += struct.pack(f"<{len(numbers)}{kind}", *numbers)
    text = base64.b85encode(zlib.compress(data, 9)).decode()
    lines = [text[i:i + 118] for i in range(0, len(text), 118)]
    path.write_text("# Learnt tables of the request analysis: tools/analysis_train.py writes them, tools/weights.py reads them.\n"
                    + "\n".join(lines) + "\n")


def c_array(name, kind, dimensions, numbers):
    sizes = "".join(f"[{d}]" for d in dimensions)

    def braces(level, part):
        if level == len(dimensions) - 1:
            return "{" + ",".join(map(str, part)) + "}"
        step = len(part) // dimensions[level]
        return "{" + ",\n".join(braces(level + 1, part[i:i + step]) for i in range(0, len(part), step)) + "}"

    return f"const {C_TYPES[kind]} weights_{name}{sizes} = {braces(0, numbers)};\n"


def main():
    tables = read(pathlib.Path(sys.argv[1]))
    out = ["/* Made by tools/weights.py. */\n#include \"route/weights.h\"\n\n"]
    out += [c_array(name, *table) for name, table in tables.items()]
    pathlib.Path(sys.argv[2]).write_text("".join(out))


if __name__ == "__main__":
    main()
