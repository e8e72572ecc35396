#!/usr/bin/env python3
"""options.py OPTIONS.DEF OUT.C - makes the texts of `openclaw config schema`, `config reference` and `init` from the
table of settings, as C arrays (src/conf/conf.h names them). The build runs it.

The schema is JSON Schema (2020-12), for editors that complete and check YAML. The reference is docs/configuration.md.
In the starter file "# text" is a comment and "#key: value" a setting: removing every '#' that is not followed by a blank
gives a complete configuration.
"""
import json
import pathlib
import re
import sys
import textwrap

# The arguments of each kind of row, by position; '-' is of no interest here.
ROWS = {
    "SECTION": "id - path help", "ENTRY": "id - - - example path help", "ITEM": "id - - short_form path help",
    "STRING": "section key - form flags default example help", "STRINGS": "section key - - flags default example help",
    "MARKED_STRINGS": "section key - - - flags example help",
    "DURATION": "section key - default min max example help", "SIZE": "section key - default min max help",
    "COUNT": "section key - choices default min max example help", "BOOL": "section key - default help",
    "CHOICE": "section key - choices - default help", "ENUM": "section key - - choices - example help",
    "WITHIN": "section key within help", "PART": "section key - flags within help",
    "MAP": "section key - - within - example help", "LIST": "section key - - flags within example help",
    "PAIRS": "section key - - example help", "JSON": "section key - example help", "LATER": "section key help",
}
TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|(\()|(\))|(,)|([^\s"(),]+)')
OR_REFERENCE = r"|\$\{"    # a text with a reference may become valid once the reference is replaced

INTRO = """\
# Configuration

<!-- Made by `openclaw config reference` from src/conf/options.def; change it there. -->

One YAML file, given with `openclaw serve -c FILE`. Nothing in it is required: without a file OpenClaw listens
on 127.0.0.1:8080 and uses every known provider whose key is in the environment.

* `openclaw init` writes a starter file that lists every setting.
* `openclaw check -c FILE` reports everything that is wrong, as `file:line:col: what is wrong; what to write instead`.
* `openclaw config schema` prints a JSON Schema, for editors that complete and check YAML.
* `--set key.path=value` overrides the file: `--set server.workers=2`, `--set 'server.listen=[":80"]'`,
  `--set 'models."gpt-4.1".targets=[openai/gpt-4.1]'`. An empty value means the default. Values are checked as those
  of the file are.

## Values

| kind | how to write it |
|---|---|
| time | a whole number and its unit: `500ms`, `10s`, `5m`, `1h` |
| size | `64KB`, `32MB`, `1GB` (1 KB is 1024 bytes), or plain bytes |
| number | a whole number |
| decimal number | `0.25`, `-1.5`; a share may be written as `25%` |
| text or list | one text, or `[several, texts]` |

In every text `${NAME}` is the environment variable NAME, which must be set and not empty; `${NAME:-default}` has a
default for when it is not; `$$` is a dollar sign. Between `{ }` and `[ ]` write them in quotes: `"${NAME}"`. Where a
value is marked *secret*, `file:/path` stands for what that file holds, without the line end. Secrets are never shown
in a message, a log or a metric.

Anchors and aliases (`&name`, `*name`) may be used for whole values; merge keys and tags may not. A file has up to
1 MB. An unknown setting is an error, never ignored.
"""

STARTER = """\
# OpenClaw's configuration. Every setting is here, with its default or an example.
# Take the # away from a line to use it; `openclaw check -c FILE` tells what is wrong.
#
# "${NAME}" is the environment variable NAME, "${NAME:-text}" has a default, $$ is a dollar
# sign. Keys and header fields may be read from a file: file:/run/secrets/openai
"""


class Row:
    """One row: `kind` and its arguments by name, '' where the row has none."""

    def __init__(self, kind, arguments):
        names = ROWS[kind].split()
        assert len(arguments) == len(names), f"{kind}({', '.join(arguments)})"
        self.kind = kind
        self.form = self.flags = self.default = self.example = self.choices = self.within = self.short_form = self.help = ""
        self.__dict__.update((n, a) for n, a in zip(names, arguments) if n != "-")
        if kind == "PAIRS":
            self.flags = "OPTION_SECRET"
        if kind in ("SIZE", "BOOL", "CHOICE"):
            self.example = self.default


def read(text):
    """(sections by id, settings in order)."""
    sections, settings = {}, []
    for match in re.finditer(rf"^({'|'.join(ROWS)})\(", text, re.M):
        arguments, depth, at = [""], 1, match.end()
        while depth > 0:
            token = TOKEN.search(text, at)
            at = token.end()
            string, opening, closing, comma, word = token.groups()
            depth += bool(opening) - bool(closing)
            if comma and depth == 1:
                arguments.append("")
            elif string is not None:
                arguments[-1] += string.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
            elif word:
                arguments[-1] += word
        row = Row(match[1], arguments)
        if match[1] in ("SECTION", "ENTRY", "ITEM"):
            sections[row.id] = row
        elif match[1] != "LATER":
            settings.append(row)
    return sections, settings


def of(section):
    return [o for o in settings if o.section == section]


# --- the reference page ---

def unit_text(o, bound):
    """A bound as it is written in a file."""
    number = int(bound)
    units = {"DURATION": [("h", 3600000), ("m", 60000), ("s", 1000), ("ms", 1)],
             "SIZE": [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("", 1)], "COUNT": [("", 1)]}[o.kind]
    if number == 0:
        return "0s" if o.kind == "DURATION" else "0"
    return next(f"{number // factor}{name}" for name, factor in units if number % factor == 0)


def kind_text(o):
    if o.kind in ("CHOICE", "ENUM"):
        return ", ".join(f"`{word}`" for word in o.choices.split("|"))
    if o.form == "FORM_DECIMAL":
        return "decimal number"
    text = {"STRING": "text", "STRINGS": "text or list", "MARKED_STRINGS": "text or list", "DURATION": "time",
            "SIZE": "size", "COUNT": "number", "BOOL": "`true` or `false`", "WITHIN": "section", "PART": "section",
            "MAP": "names, each with a section", "LIST": "list of sections", "PAIRS": "names and texts",
            "JSON": "names and any values"}[o.kind]
    if o.kind == "COUNT" and o.choices:
        text = f"`{o.choices}` or " + text
    if o.kind in ("DURATION", "SIZE", "COUNT"):
        text += f", {unit_text(o, o.min)} to {unit_text(o, o.max)}"
    return text + (", *secret*" if "OPTION_SECRET" in o.flags else "")


def reference():
    page = INTRO
    for s in sections.values():
        page += f"\n## `{s.path}`\n\n" if s.path else "\n## The top level\n\n"
        page += s.help + (f" A bare text stands for its `{s.short_form}`." if s.short_form else "")
        page += "\n\n| setting | value | default | meaning |\n|---|---|---|---|\n"
        for o in of(s.id):
            required = "OPTION_REQUIRED" in o.flags
            default = "required " if required else f"`{o.default}` " if o.default else ""
            page += f"| `{o.key}` | {kind_text(o)} | {default}| {o.help}"
            if o.within:
                page += f" See `{sections[o.within].path}`."
            elif not o.default and o.example and not o.choices:
                page += f" Example: `{o.example}`"
            page += " |\n"
    return page


# --- the schema ---

def scalar_schema(o):
    """The constraints of a single value; None for lists and sections."""
    text = {"type": "string", "minLength": 1}
    if o.kind == "STRING" and o.form == "FORM_DECIMAL":
        return {"type": ["number", "string"], "pattern": "^-?[0-9]+([.][0-9]+)?%?$" + OR_REFERENCE}
    if o.kind == "STRING":
        return text
    if o.kind in ("STRINGS", "MARKED_STRINGS"):
        return {"anyOf": [text, {"type": "array", "minItems": 1, "items": text}]}
    if o.kind == "DURATION":
        return {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$" + OR_REFERENCE}
    if o.kind == "SIZE":
        return {"type": ["integer", "string"], "minimum": int(o.min), "maximum": int(o.max),
                "pattern": "^[0-9]+(KB|MB|GB)?$" + OR_REFERENCE}
    if o.kind == "COUNT":
        word = "|" + o.choices if o.choices else ""
        return {"anyOf": [{"type": "integer", "minimum": int(o.min), "maximum": int(o.max)},
                          {"type": "string", "pattern": f"^([0-9]+{word})$" + OR_REFERENCE}]}
    if o.kind == "BOOL":
        return {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": "^(true|false)$" + OR_REFERENCE}]}
    if o.kind in ("CHOICE", "ENUM"):
        return {"anyOf": [{"enum": o.choices.split("|")}, {"type": "string", "pattern": r"\$\{"}]}
    if o.kind == "PAIRS":
        return {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
    return {"type": "object"} if o.kind == "JSON" else None


def setting_schema(o, inherits):
    schema = {"description": o.help}
    if o.kind in ("WITHIN", "PART"):
        schema |= section_schema(o.within, "OPTION_INHERITS" in o.flags)
    elif o.kind == "MAP":
        schema |= {"type": ["object", "null"], "additionalProperties": section_schema(o.within)}
    elif o.kind == "LIST":
        item = section_schema(o.within)
        if sections[o.within].short_form:
            item = {"anyOf": [{"type": "string", "minLength": 1}, item]}
        required = "OPTION_REQUIRED" in o.flags
        schema |= {"type": "array", "minItems": 1} if required else {"type": ["array", "null"]}
        schema["items"] = item
    else:
        schema |= scalar_schema(o)
    if o.default and not inherits:
        bare = o.kind == "BOOL" or (o.kind == "COUNT" and o.default.isdigit())
        schema["default"] = json.loads(o.default) if bare else o.default
    return schema


def section_schema(section, inherits=False):
    """`inherits`: what is left out comes from elsewhere, so that there are no defaults."""
    required = [o.key for o in of(section) if "OPTION_REQUIRED" in o.flags]
    return {"type": ["object", "null"], "additionalProperties": False,
            "properties": {o.key: setting_schema(o, inherits) for o in of(section)},
            **({"required": required} if required else {})}


def schema():
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "OpenClaw's configuration",
                       **section_schema("root")}, indent=2, ensure_ascii=False) + "\n"


# --- the starter file ---

def starter_lines(section, indent, live):
    """The settings of a section; the names of sections are switched on if it is `live`."""
    for n, o in enumerate(of(section)):
        first_of_item = n == 0 and sections[section].kind == "ITEM"
        left = " " * (indent - 2 if first_of_item else indent)
        name = f"{left}{'' if live else '#'}{o.key}:"
        value = o.default or o.example
        if section == "root":
            yield ""
        yield from textwrap.wrap(o.help, 100, initial_indent=left + "# ", subsequent_indent=left + "# ",
                                 break_long_words=False, break_on_hyphens=False)
        if "OPTION_INHERITS" in o.flags:
            yield f"{left}#{o.key}: {{first_token: 20s}}"
        elif o.kind in ("WITHIN", "PART"):
            yield name
            yield from starter_lines(o.within, indent + 2, live)
        elif o.kind == "MAP":
            yield name
            yield from (f"{left}  #{line}" for line in o.example.splitlines())
            yield f"{left}  #{sections[o.within].example}:"
            yield from starter_lines(o.within, indent + 4, False)
        elif o.kind == "LIST":
            yield name
            yield from starter_lines(o.within, indent + 4, False)
        else:
            yield f"{left}#{'- ' if first_of_item else ''}{o.key}:{' ' if value else ''}{value}"


def starter():
    return STARTER + "".join(line + "\n" for line in starter_lines("root", 0, True))


def c_array(name, text):
    """A string literal may be too short for it."""
    numbers = ", ".join(str(byte) for byte in text.encode("ascii") + b"\0")
    return f"const char {name}[] = {{\n" + "\n".join(textwrap.wrap(numbers, 100)) + "\n};\n"


if __name__ == "__main__":
    sections, settings = read(pathlib.Path(sys.argv[1]).read_text())
    pathlib.Path(sys.argv[2]).write_text(
        '#include "conf/conf.h"\n\n' + c_array("conf_schema", schema()) + c_array("conf_reference", reference()) +
        c_array("conf_starter", starter()))
