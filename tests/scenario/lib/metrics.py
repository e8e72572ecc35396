"""A Prometheus text, read: Metrics(text)["openclaw_requests_total"], .value(name, status="200")."""
import re

LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Metrics(dict):
    """Maps a sample's name to a list of (labels, value)."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        self.types = {}
        self.helps = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.types, f"TYPE twice: {name}"
                self.types[name] = kind
            elif line.startswith("# HELP "):
                _, _, name, sentence = line.split(" ", 3)
                self.helps[name] = sentence
            elif line and not line.startswith("#"):
                match = LINE.match(line)
                assert match, f"not a sample: {line!r}"
                name, labels, value = match.groups()
                self.setdefault(name, []).append((dict(LABEL.findall(labels or "")), float(value)))

    def value(self, name, **labels):
        """The sum of the samples that carry these labels; 0 when there are none."""
        return sum(v for have, v in self.get(name, [])
                   if all(have.get(k) == str(want) for k, want in labels.items()))
