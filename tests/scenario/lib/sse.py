"""Event streams, taken apart by the book (CR, LF, CRLF; comments; fields), frames with their raw bytes."""
import dataclasses
import json
import re


@dataclasses.dataclass
class Frame:
    raw: bytes
    event: str = ""
    data: str | None = None
    comments: int = 0
    complete: bool = True     # a blank line ended it

    def json(self):
        return json.loads(self.data)


def _frame(raw, complete):
    frame = Frame(raw, complete=complete)
    data = []
    for line in re.split(rb"\r\n|\n|\r", raw):
        if line.startswith(b":"):
            frame.comments += 1
        name, colon, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value.decode(errors="replace"))
        elif name == b"event" and colon:
            frame.event = value.decode(errors="replace")
    if data:
        frame.data = "\n".join(data)
    return frame


def frames(stream):
    """The frames of a stream; concatenated raw bytes give the stream again."""
    result, start = [], 0
    for end in re.finditer(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))+", stream):
        result.append(_frame(stream[start:end.end()], True))
        start = end.end()
    if start < len(stream):
        result.append(_frame(stream[start:], False))
    return result


def data(stream):
    """The data of the frames that have any."""
    return [f.data for f in frames(stream) if f.data is not None]
