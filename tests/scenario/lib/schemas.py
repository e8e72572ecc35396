"""The schemas of the providers' own descriptions (specs in OPENCLAW_SHARED), as JSON Schema: problems(wire, body).

OpenAPI is JSON Schema already; Google's protobuf reflection and AWS's shapes become it here. Members that no schema
names are a problem at the top of a request, and everywhere where the description is closed by nature (protobuf,
AWS), unless recorded traffic has them (specs/observed): descriptions are older than the APIs.
"""
import functools
import gzip
import json

import jsonschema

from lib.process import SHARED

SPECS = SHARED / "specs"
OPENAPI = {       # wire -> file, path, and what it lacks
    "openai-chat": ("openai-core.openapi.json", "/chat/completions"),
    "openai-responses": ("openai-core.openapi.json", "/responses"),
    "anthropic-messages": ("openrouter-core.openapi.json.gz", "/messages"),
    "mistral": ("mistral-core.openapi.json", "/v1/chat/completions"),
    "cohere-v2": ("cohere-v2.fields.json", "/v2/chat"),
    "ollama": ("ollama.openapi.json", "/api/chat"),
}


def _load(name):
    path = SPECS / name
    return json.loads((gzip.open(path) if name.endswith(".gz") else path.open("rb")).read())


@functools.cache
def _observed(wire):
    """The names of members in recorded requests."""
    found = json.loads((SPECS / "observed" / f"{wire}.json").read_text())["request"]
    newer = {"serviceTier"} if wire == "gemini" else set()      # documented, but not in the package of its messages yet
    return newer | {step.removesuffix("[]") for path in found for step in path.replace("[]", "").split(".")}


# --- OpenAPI ---

def _lenient(schema):
    """oneOf means what its discriminator says; without acting on that, several branches may fit."""
    if isinstance(schema, list):
        return [_lenient(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    return {"anyOf" if k == "oneOf" and "anyOf" not in schema else k: _lenient(v) for k, v in schema.items()}


def _openapi(wire):
    name, path = OPENAPI[wire]
    doc = _lenient(_load(name))
    schema = doc["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return {**doc, "$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema],
            "unevaluatedProperties": False}


# --- protobuf ---

SCALARS = {"string": {"type": "string"}, "bytes": {"type": "string"}, "bool": {"type": "boolean"},
           "float": {"type": "number"}, "double": {"type": "number"}, "int32": {"type": "integer"},
           "uint32": {"type": "integer"}, "int64": {"type": ["integer", "string"]},
           "google.protobuf.Struct": {"type": "object"}, "google.protobuf.Value": {}, "google.protobuf.ListValue": {},
           "google.protobuf.Duration": {"type": "string"}, "google.protobuf.Timestamp": {"type": "string"}}


def _protobuf(wire, name, message):
    doc = _load(name)
    definitions = {}

    def walk(nested, prefix):
        for key, value in nested.items():
            full = f"{prefix}{key}"
            if "values" in value:
                definitions[full] = {"enum": list(value["values"])}
            elif "fields" in value:
                definitions[full] = ("message", value["fields"])
            walk(value.get("nested") or {}, full + ".")

    walk(doc["nested"], "")

    def of_type(kind, inside):
        kind = kind.removeprefix(".").removeprefix(doc["package"] + ".")
        if kind in SCALARS:
            return SCALARS[kind]
        scopes = inside.split(".")
        for n in range(len(scopes), -1, -1):
            full = ".".join([*scopes[:n], kind])
            if full in definitions:
                return {"$ref": f"#/$defs/{full}"}
        return {}

    def field(row, inside):
        one = of_type(row["type"], inside)
        if "keyType" in row:
            return {"type": "object", "additionalProperties": one}
        return {"type": "array", "items": one} if row.get("rule") == "repeated" else one

    resolved = {}
    for full, value in definitions.items():
        if isinstance(value, dict):
            resolved[full] = value
            continue
        members = {key: field(row, full) for key, row in value[1].items()}
        resolved[full] = {"type": "object", "additionalProperties": False,
                          "properties": {**{name: {} for name in _observed(wire)}, **members}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": resolved, "$ref": f"#/$defs/{message}"}


# --- AWS ---

def _aws(wire, name, shape):
    shapes = _load(name)["shapes"]

    def of(one):
        kind = one["type"]
        if one.get("document"):
            return {}
        if kind == "structure":
            members = {m.get("locationName", n): {"$ref": f"#/$defs/{m['shape']}"} for n, m in one["members"].items()
                       if m.get("location") is None}
            required = [n for n in one.get("required", []) if one["members"][n].get("location") is None]
            schema = {"type": "object", "required": required, "additionalProperties": False,
                      "properties": {**{name: {} for name in _observed(wire)}, **members}}
            if one.get("union"):
                schema.update({"minProperties": 1, "maxProperties": 1})
            return schema
        if kind == "list":
            schema = {"type": "array", "items": {"$ref": f"#/$defs/{one['member']['shape']}"}}
            return {**schema, **{to: one[k] for k, to in (("min", "minItems"), ("max", "maxItems")) if k in one}}
        if kind == "map":
            return {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{one['value']['shape']}"}}
        if kind == "string":
            if one.get("enum"):
                return {"enum": one["enum"]}
            return {"type": "string", **{to: one[k] for k, to in (("min", "minLength"), ("max", "maxLength")) if k in one},
                    **({"pattern": f"^(?:{one['pattern']})$"} if "pattern" in one else {})}
        if kind in ("integer", "long"):
            return {"type": "integer", **{to: one[k] for k, to in (("min", "minimum"), ("max", "maximum")) if k in one}}
        if kind in ("float", "double"):
            return {"type": "number", **{to: one[k] for k, to in (("min", "minimum"), ("max", "maximum")) if k in one}}
        return {"boolean": {"type": "boolean"}, "blob": {"type": "string"}, "timestamp": {}}[kind]

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {n: of(s) for n, s in shapes.items()},
            "$ref": f"#/$defs/{shape}"}


@functools.cache
def _validator(wire):
    if wire == "gemini":
        schema = _protobuf(wire, "gemini-generativelanguage-v1beta.proto.json", "GenerateContentRequest")
    elif wire == "bedrock-converse":
        schema = _aws(wire, "bedrock-converse.shapes.json", "ConverseRequest")
    else:
        schema = _openapi(wire)
    return jsonschema.Draft202012Validator(schema)


def known(wire):
    """Whether there is a description of that wire."""
    return wire in OPENAPI or wire in ("gemini", "bedrock-converse")


def _deepest(error):
    """The branch of an anyOf or oneOf that came furthest says most."""
    while error.context:
        error = max(error.context, key=lambda e: (len(e.absolute_path), -len(e.context or ())))
    return error


def problems(wire, body):
    """What the description has against a request, as sentences; nothing: it is valid."""
    return [f"{'.'.join(map(str, e.absolute_path)) or 'request'}: {_deepest(e).message[:200]}"
            f" (at {'.'.join(map(str, _deepest(e).absolute_path))})" for e in _validator(wire).iter_errors(body)]
