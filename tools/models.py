#!/usr/bin/env python3
"""models.py CATALOG_DIR OUT.C - makes the tables of src/catalog/model.h of models.txt and bases.txt there. The build runs it.

The two files say facts in words, one model a line, so that a change is one line of a diff; models.txt explains them. The
tables are constants: sorted, and each list of prices, set of traits and price sheet is there once.
"""
import pathlib
import re
import sys
from decimal import Decimal, InvalidOperation

MODES = ["chat", "embedding", "rerank", "image", "transcription", "speech", "moderation", "realtime"]
STATUSES = ["active", "preview", "deprecated"]
MEDIA = ["text", "image", "audio", "video", "file", "embedding", "score", "label"]
EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max", "default"]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TOKENS = {"context": "context_tokens", "max_input": "input_tokens", "output": "output_tokens", "cache_min": "cache_tokens",
          "dimensions": "dimensions"}
BASES = {"quality": ("quality_permille", 10), "coding": ("quality_coding_permille", 10),
         "agentic": ("quality_agentic_permille", 10), "tokens_per_s": ("tokens_per_s", 1),
         "first_token_s": ("first_token_ms", 1000)}


# Traits, and abilities that a model lacks, that follow its weights wherever they are served.
OF_WEIGHTS = {"thinking": "", "no_forced_tools": "", "no_prefill": "", "-temperature": "sampling_fixed", "-prefill": "no_prefill"}


class Wrong(Exception):
    """What is wrong with a line, and what to write instead."""


def c_text(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def number(text):
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Wrong(f"'{text}' is not a number") from None
    if value < 0:
        raise Wrong(f"'{text}' is below zero")
    return value


def whole(text):
    if not text.isdigit():
        raise Wrong(f"'{text}' is not a whole number")
    return int(text)


def date(text):
    match = re.fullmatch(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", text)
    if not match:
        raise Wrong(f"'{text}' is not a date; write 2026-11-20, 2026-11 or 2026")
    return int(match[1]) * 10000 + int(match[2] or 0) * 100 + int(match[3] or 0)


def bits(text, names, what):
    mask = 0
    for name in text.split(","):
        if name not in names:
            raise Wrong(f"'{name}' is not {what}; use {', '.join(names)}")
        mask |= 1 << names.index(name)
    return mask


class Tables:
    """The constants that rows point to: each text of C once, under a name."""

    def __init__(self):
        self.names = {}
        self.lines = []

    def name(self, kind, declaration, text):
        if text not in self.names:
            self.names[text] = f"{kind}_{len(self.names)}"
            self.lines.append(f"static const {declaration.format(self.names[text])} = {text};")
        return self.names[text]

    def array(self, kind, of, elements):
        return self.name(kind, f"struct {of} {{}}[]", "{ " + ", ".join(elements) + " }") if elements else "NULL"


class Reader:
    def __init__(self, folder, tables):
        self.tables = tables
        self.abilities = re.findall(r"^ABILITY\((\w+)", (folder / "abilities.def").read_text(), re.M)
        self.units = {name: int(per) for name, per in
                      re.findall(r"^PRICE\((\w+), (\d+)", (folder / "prices.def").read_text(), re.M)}
        self.traits = dict((name, (kind, words.split("|"))) for kind, name, words in re.findall(
            r'^(FLAG|WORD)\((\w+), "([^"]*)"', (folder / "../llm/traits.def").read_text(), re.M))

        self.tokenizers = re.findall(r"^(?:EXACT|ESTIMATE)\((\w+)", (folder / "../tokens/families.def").read_text(), re.M)
        self.makers = {}    # the words of rows that are at the maker of their weights, by base
        for line in (folder / "models.txt").read_text().splitlines():
            if f" base={line.split(' ')[0]} " in line:
                self.makers[line.split(" ")[0]] = line.split("$")[0].split()

    # --- prices ---

    def prices(self, words):
        """A struct price_list: nano-dollars per 1,000 units."""
        found = {}
        for word in words:
            name, _, text = word.partition("=")
            if name not in self.units:
                raise Wrong(f"'{name}' is not a price; see prices.def")
            if name in found:
                raise Wrong(f"{name} is there twice")
            amount = number(text) * 10**12 / self.units[name]
            if amount != int(amount):
                raise Wrong(f"{word}: more digits than a nano-dollar per 1,000 has")
            found[name] = int(amount)
        if not found:
            return "{ 0 }"
        known = sum(1 << i for i, name in enumerate(self.units) if name in found)
        amounts = ", ".join(str(found[name]) for name in self.units if name in found)
        return f"{{ {self.tables.name('prices', 'int64_t {}[]', '{ ' + amounts + ' }')}, {known:#x} }}"

    def spans(self, text):
        """The struct price_spans of mon-fri=01:00-04:00,06:00-10:00 and others, with ';' between them."""
        found = []
        for part in text.split(";"):
            days, _, times = part.partition("=")
            first, _, last = days.partition("-")
            if first not in DAYS or (last or first) not in DAYS:
                raise Wrong(f"'{days}' names no days; write mon or mon-fri")
            mask = sum(1 << i for i in range(DAYS.index(first), DAYS.index(last or first) + 1))
            for time in times.split(","):
                match = re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", time)
                if not match:
                    raise Wrong(f"'{time}' is not a time of the day; write 01:00-04:00")
                begin, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
                if not begin < end <= 1440:
                    raise Wrong(f"'{time}' does not end after it begins")
                found.append(f"{{ {mask:#x}, {begin}, {end} }}")
        return found

    def sheet(self, sections):
        """A struct price_sheet of ["$", word...], ["$>N", word...], ["$@NAME:WHEN", word...]."""
        plan, base, tiers, windows, above = False, "{ 0 }", [], [], 0
        for head, *words in sections:
            if head == "$":
                plan = "plan" in words
                base = self.prices([w for w in words if w != "plan"])
            elif head.startswith("$>"):
                if whole(head[2:]) <= above:
                    raise Wrong(f"{head}: tiers ascend")
                above = whole(head[2:])
                tiers.append(f"{{ {above}, {self.prices(words)} }}")
            elif head.startswith("$@"):
                name, _, when = head[2:].partition(":")
                spans = self.spans(when.removeprefix("!"))
                windows.append(f"{{ S_INIT({c_text(name)}), {'true' if when[:1] == '!' else 'false'}, "
                               f"{self.tables.array('spans', 'price_span', spans)}, {len(spans)}, {self.prices(words)} }}")
            else:
                raise Wrong(f"'{head}': write $, $>TOKENS or $@NAME:WHEN")
        return self.tables.name("sheet", "struct price_sheet {}", (
            f"{{ {base}, {self.tables.array('tiers', 'price_tier', tiers)}, {len(tiers)}, "
            f"{self.tables.array('windows', 'price_window', windows)}, {len(windows)}, {'true' if plan else 'false'}, 0, NULL }}"))

    # --- models ---

    def trait(self, word):
        name, _, value = word[1:].partition("=")
        kind, words = self.traits.get(name, (None, None))
        if kind == "FLAG":
            return name, "YES" if value in ("", "true") else "NO"
        if kind == "WORD" and value in words:
            return name, str(words.index(value) + 1)
        raise Wrong(f"'{word}' is not a trait and its value; see traits.def")

    def model(self, words):
        """The members of a struct model_row, by name, and its other names."""
        head, *rest = words
        provider, _, name = head.partition("/")
        if not provider or not name:
            raise Wrong(f"'{head}': write provider/model")
        begin = next((i for i, w in enumerate(rest) if w.startswith("$")), len(rest))
        said, traits = {}, {}
        m = {"id": f"S_INIT({c_text(head)})", "mode": "chat", "status": "active", "takes": "text", "makes": "text"}
        for word in rest[:begin]:
            key, equal, value = word.partition("=")
            if word in MODES:
                m["mode"] = word
            elif word in STATUSES:
                m["status"] = word
            elif word == "floating":
                m["floating"] = "true"
            elif word[0] in "+-":
                if word[1:] not in self.abilities or word[1:] in said:
                    raise Wrong(f"'{word}' is not an ability, or is there twice; see abilities.def")
                said[word[1:]] = word[0] == "+"
            elif word[0] == ".":
                key, traits[key] = self.trait(word)[0], self.trait(word)[1]
            elif key in TOKENS and equal:
                m[TOKENS[key]] = whole(value)
            elif key in ("ends", "released"):
                m[key] = date(value)
            elif key in ("takes", "makes", "alias", "base", "region") and value:
                m[key] = value
            elif key == "tokenizer":
                if value not in self.tokenizers:
                    raise Wrong(f"'{value}' is not a tokenizer; see src/tokens/families.def")
                m["tokenizer"] = self.tokenizers.index(value) + 1
            elif key == "replacement" and value:
                m[key] = c_text(value.replace(",", " or "))
            elif key == "efforts":
                m[key] = bits(value, EFFORTS, "a word of effort")
            else:
                raise Wrong(f"'{word}' is not understood; the top of the file lists what may stand here")
        sections = []
        for word in rest[begin:]:
            if word.startswith("$"):
                sections.append([])
            sections[-1].append(word)
        if m["mode"] == "chat":
            said.setdefault("streaming", True)
        m["can"] = sum(1 << self.abilities.index(a) for a, yes in said.items() if yes)
        m["cannot"] = sum(1 << self.abilities.index(a) for a, yes in said.items() if not yes)
        m["takes"], m["makes"] = bits(m["takes"], MEDIA, "a kind of content"), bits(m["makes"], MEDIA, "a kind of content")
        self.inherit(m.get("base"), said, traits)
        m["traits"] = "&" + self.row_traits(m["mode"], said, traits)
        m["price"] = "&" + self.sheet(sections) if sections else None
        m["region"] = c_text(m["region"]) if "region" in m else None
        m["mode"], m["status"] = f"MODE_{m['mode'].upper()}", f"STATUS_{m['status'].upper()}"
        return m, [f"{provider}/{other}" for other in m.pop("alias", "").split(",") if other]

    def inherit(self, base, said, traits):
        """What a model refuses, it refuses at every host: from its maker's row, unless its own says otherwise."""
        for word in self.makers.get(base, []):
            if word[0] == "." and self.trait(word)[0] in OF_WEIGHTS:
                traits.setdefault(*self.trait(word))
            if word in OF_WEIGHTS and word[1:] not in said:
                traits.setdefault(OF_WEIGHTS[word], "YES")

    def row_traits(self, mode, said, traits):
        """What the wires must know follows mostly from the abilities."""
        if mode == "embedding":
            traits.setdefault("embedding", "YES")
        if said.get("reasoning"):
            traits.setdefault("reasoning", "YES")
        if "temperature" in said:
            traits.setdefault("sampling_fixed", "NO" if said["temperature"] else "YES")
        if "prefill" in said:
            traits.setdefault("no_prefill", "NO" if said["prefill"] else "YES")
        text = ", ".join(f".{name} = {value}" for name, value in sorted(traits.items())) or ".max_output = 0"
        return self.tables.name("traits", "struct traits {}", f"{{ {text} }}")


def base(words):
    """The members of a struct model_base."""
    head, *rest = words
    m = {"id": f"S_INIT({c_text(head)})"}
    for word in rest:
        key, _, value = word.partition("=")
        if key == "assumed" and value:
            m["quality_assumed"] = "true"
        elif key in BASES:
            member, factor = BASES[key]
            m[member] = max(1, int(number(value) * factor + Decimal("0.5")))
        else:
            raise Wrong(f"'{word}' is not understood; the top of the file lists what may stand here")
    return m


def read(path, row):
    """row(words) of each line, by the line's first word."""
    found, last = {}, b""
    for at, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            if words[0].encode() <= last:
                raise Wrong(f"'{words[0]}' is not sorted, or there twice")
            last = words[0].encode()
            found[words[0]] = row(words)
        except Wrong as why:
            sys.exit(f"{path}:{at}: {why}")
    return found


def slots(names):
    """A hash table of the names: the number of each from 1 on, 0 where there is none; see model_row()."""
    size = 1 << (2 * len(names) - 1).bit_length()
    table = [0] * size
    for number, name in enumerate(names, 1):
        h = 2166136261
        for byte in name.encode():
            h = (h ^ byte) * 16777619 & 0xFFFFFFFF
        while table[h & (size - 1)]:
            h += 1
        table[h & (size - 1)] = number
    return table


def initialiser(members):
    return "{ " + ", ".join(f".{k} = {v}" for k, v in members.items() if v is not None) + " },"


def main():
    folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    tables = Tables()
    bases = read(folder / "bases.txt", base)
    models = read(folder / "models.txt", Reader(folder, tables).model)
    aliases = {}
    for m, others in models.values():
        if "base" in m:    # one of which nothing else is known is a row as well: hosts of it share it
            bases.setdefault(m["base"], {"id": f"S_INIT({c_text(m['base'])})"})
    bases = dict(sorted(bases.items(), key=lambda b: b[0].encode()))
    place = {name: i for i, name in enumerate(bases)}
    lines = ["/* Made by tools/models.py of models.txt and bases.txt; change those. */", '#include "catalog/model.h"', "",
             *tables.lines, "", "const struct model_base model_bases[] = {"]
    lines += ["    " + initialiser(b) for b in bases.values()]
    lines += ["};", f"const size_t model_base_count = {len(bases)};", "", "const struct model_row model_table[] = {"]
    for i, (name, (m, others)) in enumerate(models.items()):
        if "base" in m:
            m["base"] = f"&model_bases[{place[m['base']]}]"
        lines.append("    " + initialiser(m))
        for other in others:
            if other in models or other in aliases:
                sys.exit(f"{folder}/models.txt: {name}: its other name {other} is taken")
            aliases[other] = i
    lines += ["};", f"const size_t model_table_count = {len(models)};", "", "const struct model_alias model_aliases[] = {"]
    lines += [f"    {{ S_INIT({c_text(a)}), &model_table[{i}] }}," for a, i in
              sorted(aliases.items(), key=lambda a: a[0].encode())]
    table = slots([*models, *sorted(aliases, key=str.encode)])
    lines += ["};", f"const size_t model_alias_count = {len(aliases)};", "", "const uint16_t model_slots[] = {",
              "    " + ", ".join(map(str, table)), "};", f"const uint32_t model_slots_mask = {len(table) - 1};"]
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
