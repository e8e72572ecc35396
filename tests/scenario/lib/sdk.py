"""What the tests of the official SDKs ask for: a question, a picture, tools, a schema; and how to see it arrive."""
import json

import pydantic

from lib.process import PROMPT

ASK = [{"role": "user", "content": PROMPT}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PIXEL_URL = f"data:image/png;base64,{PIXEL}"
WEATHER_INPUT = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
NO_INPUT = {"type": "object", "properties": {}}


def openai_tool(name, parameters, **more):
    return {"type": "function", "function": {"name": name, "parameters": parameters, **more}}


class Event(pydantic.BaseModel):
    title: str
    day: int
    guests: list[str]


def newest_request(mock, mark):
    """The body of the newest request at the provider that holds this text."""
    return json.loads(next(r for r in reversed(mock.requests(50)) if mark in r["body"])["body"])
