#!/usr/bin/env python3
"""vocab.py make DIR OUT.C - makes the tables of src/tokens/vocab.h and src/tokens/scan.h from the files in DIR. The build runs it.
vocab.py update PACKAGE.TGZ DIR - makes those files: the vocabularies from npm's js-tiktoken, the classes from Unicode's.

The vocabularies are OpenAI's, as published with tiktoken under the MIT license. A vocabulary is the xz of two runs: the length of each token, a byte each, and the tokens themselves, both in the order of rank.
classes.txt has the general categories that the scanner distinguishes, a range a line.
"""
import base64
import hashlib
import json
import lzma
import pathlib
import re
import sys
import tarfile

PACKAGE = "js-tiktoken 1.0.21"
PACKAGE_SHA256 = "3b1f24b185565ca9a8d8f51466dfc4f99d67f1f05bc009258710ddb7a8d810fa"
UNICODE = "16.0.0"    # of tiktoken 0.14: unicodedata2==16.0.0
VOCABULARIES = ["cl100k_base", "o200k_base"]
LONGEST = 128    # bytes of a token
PER_BUCKET = 2

# enum token_class, by the letters of classes.txt
CLASSES = {"L": "CLASS_LETTER", "M": "CLASS_MARK", "N": "CLASS_NUMBER", "U": "CLASS_UPPER", "l": "CLASS_LOWER",
           "s": "CLASS_SPACE", "r": "CLASS_NEWLINE"}
ORDER = [None, "s", "r", "N", "L", "U", "l", "M"]
SPACES = [0x09, 0x0B, 0x0C, 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]


# --- what is committed ---

def read_vocabulary(path):
    """The tokens in the order of rank."""
    data = lzma.decompress(path.read_bytes())
    count = int.from_bytes(data[:4], "little")
    tokens, at = [], 4 + count
    for length in data[4:4 + count]:
        tokens.append(data[at:at + length])
        at += length
    return tokens


def write_vocabulary(path, tokens):
    data = len(tokens).to_bytes(4, "little") + bytes(map(len, tokens)) + b"".join(tokens)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 21, "lc": 4, "lp": 0, "pb": 0}]
    path.write_bytes(lzma.compress(data, check=lzma.CHECK_CRC32, filters=filters))


def read_classes(path):
    """The class of each code point, as a place in ORDER."""
    found = bytearray(0x110000)
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        span, letter = line.split()
        first, _, last = span.partition("-")
        for i, c in enumerate(range(int(first, 16), int(last or first, 16) + 1)):
            found[c] = ORDER.index("Ul"[i % 2] if letter == "A" else letter)
    return found


def write_classes(path):
    import unicodedata2
    if unicodedata2.unidata_version != UNICODE:
        sys.exit(f"vocab.py: this is Unicode {unicodedata2.unidata_version}; pip install unicodedata2=={UNICODE}")
    letters = {"Lu": "U", "Lt": "U", "Ll": "l", "Lm": "L", "Lo": "L"}

    def letter(c):
        if c in (0x0A, 0x0D) or c in SPACES:
            return "s" if c in SPACES else "r"
        category = unicodedata2.category(chr(c))
        return letters.get(category) or (category[0] if category[0] in "MN" else ".")

    text, c = "".join(map(letter, range(0x110000))), 0
    lines = [f"# Unicode {UNICODE}; made by tools/vocab.py. U: Lu and Lt, l: Ll, A: these two in turn, L: Lm and Lo, M, N,",
             "# s: White_Space, r: CR and LF. Code points that are not listed are none of these."]
    while c < len(text):
        run = re.compile(r"(?:Ul){3,}|(.)\1*", re.S).match(text, c)
        span = f"{c:x}" if run.end() == c + 1 else f"{c:x}-{run.end() - 1:x}"
        if text[c] != ".":
            lines.append(f"{span} {text[c] if run[1] else 'A'}")
        c = run.end()
    path.write_text("\n".join(lines) + "\n")


def update(package, folder):
    data = package.read_bytes()
    if hashlib.sha256(data).hexdigest() != PACKAGE_SHA256:
        sys.exit(f"vocab.py: {package} is not the package of {PACKAGE}")
    with tarfile.open(package) as tar:
        for name in VOCABULARIES:
            text = tar.extractfile(f"package/dist/ranks/{name}.cjs").read().decode()
            write_vocabulary(folder / f"{name}.xz", tokens_of(text))
    write_classes(folder / "classes.txt")


def tokens_of(text):
    """The tokens of a file of js-tiktoken: lines of "! FIRST_RANK" and tokens in base64."""
    document = json.loads(text[text.index("{"):text.rindex("}") + 1])
    tokens = []
    for line in document["bpe_ranks"].split("\n"):
        _, first, *words = line.split(" ")
        if int(first) != len(tokens):
            sys.exit("vocab.py: ranks are missing")
        tokens += map(base64.b64decode, words)
    return tokens


# --- the tables ---

def ends(token):
    """The two numbers that a token's first and last bytes are; all of it, if it has at most 16. See vocab.c."""
    n = len(token)
    if n >= 8:
        return int.from_bytes(token[:8], "little"), int.from_bytes(token[-8:], "little")
    if n >= 4:
        return int.from_bytes(token[:4], "little"), int.from_bytes(token[-4:], "little")
    return token[0] | token[n // 2] << 8 | token[-1] << 16, 0


def bucket(token, buckets):
    a, b = ends(token)
    h = (a * 0x9E3779B97F4A7C15 ^ b * 0xC2B2AE3D27D4EB4F) & 0xFFFFFFFFFFFFFFFF
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93 & 0xFFFFFFFFFFFFFFFF
    return (h >> 32) * buckets >> 32


def c_bytes(name, data):
    """Bytes as texts of C, which compile faster than numbers."""
    printable = {c: chr(c) for c in range(0x20, 0x7F) if chr(c) not in '"\\?'}
    escaped = [printable.get(c, f"\\{c:03o}") for c in range(256)]
    lines = ["".join(map(escaped.__getitem__, data[i:i + 64])) for i in range(0, len(data), 64)]
    return [f"static const char {name}[] =", *(f'    "{line}"' for line in lines), "    ;"]


def c_numbers(name, of, numbers):
    lines = [", ".join(map(str, numbers[i:i + 32])) + "," for i in range(0, len(numbers), 32)]
    return [f"static const {of} {name}[] = {{", *lines, "};"]


def vocabulary(name, tokens):
    """By length, and in each by bucket: the bytes of the tokens, their ranks, and where each bucket begins."""
    by_length = [[] for _ in range(LONGEST + 1)]
    for rank, token in enumerate(tokens):
        by_length[len(token)].append((token, rank))
    sizes, starts, ranks, data = [], [], [], bytearray()
    for some in by_length:
        buckets = (len(some) + PER_BUCKET - 1) // PER_BUCKET
        sizes.append(f"{{ {len(data)}, {len(ranks)}, {len(starts)}, {buckets} }},")
        placed = sorted((bucket(token, buckets), rank, token) for token, rank in some)
        at = 0
        for b in range(buckets):
            starts.append(len(ranks) + at)
            while at < len(placed) and placed[at][0] == b:
                at += 1
        ranks += [rank for _, rank, _ in placed]
        data += b"".join(token for _, _, token in placed)
    starts.append(len(ranks))
    data += bytes(16)    # reading in words does not end outside
    return [*c_bytes(f"{name}_bytes", data), *c_numbers(f"{name}_ranks", "uint32_t", ranks),
            *c_numbers(f"{name}_starts", "uint32_t", starts),
            f"const struct vocab vocab_{name} = {{", f"    {name}_bytes, {name}_ranks, {name}_starts, {{", *sizes, "} };"]


def classes(found):
    pages, index = {}, []
    for at in range(0, len(found), 256):
        page = bytes(found[at:at + 256])
        index.append(pages.setdefault(page, len(pages)))
    if len(pages) > 256:
        sys.exit("vocab.py: too many pages of classes")
    return ["const uint8_t token_pages[] = {", ", ".join(map(str, index)), "};",
            f"const uint8_t token_classes[{len(pages)}][256] = {{",
            *("{ " + ", ".join(map(str, page)) + " }," for page in pages), "};"]


def make(folder, out):
    lines = ["/* Made by tools/vocab.py of the files in src/tokens. */", '#include "tokens/scan.h"', '#include "tokens/vocab.h"',
             '#pragma GCC diagnostic ignored "-Woverlength-strings"', ""]
    for name in VOCABULARIES:
        lines += vocabulary(name.removesuffix("_base"), read_vocabulary(folder / f"{name}.xz"))
    lines += [f"_Static_assert({CLASSES[letter]} == {i}, \"\");" for i, letter in enumerate(ORDER) if letter]
    lines += classes(read_classes(folder / "classes.txt"))
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    command, first, second = sys.argv[1:]
    {"make": make, "update": update}[command](pathlib.Path(first), pathlib.Path(second))
