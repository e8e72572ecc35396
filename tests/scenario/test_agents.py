"""OpenAI's agents SDK, which speaks Responses, runs its loop of tools with models of every protocol."""
import asyncio
import json

import openai
import pytest
from lib.script import ANTHROPIC, OLLAMA, OPENAI, Stage, ok

agents = pytest.importorskip("agents", reason="openai-agents is not installed; ./dev test installs it")


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC, OLLAMA])
@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_calls_a_tool_and_answers(make, wire, stream):
    stage = Stage(make)
    upstream = stage.provider("up", wire, ok("", reasoning="Which city?", call=("weather", json.dumps({"city": "Ulm"})),
                                             finish="call"), ok("It is mild."))
    gateway = make.gateway({"providers": {"up": upstream}})
    cities = []

    @agents.function_tool
    def weather(city: str) -> str:
        """The weather of a city."""
        cities.append(city)
        return "mild"

    async def run():
        client = openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)
        agent = agents.Agent(name="weather", instructions="Be terse.", tools=[weather],
                             model=agents.OpenAIResponsesModel(model="up/m", openai_client=client))
        if not stream:
            return (await agents.Runner.run(agent, "Weather?")).final_output
        result = agents.Runner.run_streamed(agent, "Weather?")
        async for _ in result.stream_events():
            pass
        return result.final_output
    agents.set_tracing_disabled(True)
    assert asyncio.run(run()) == "It is mild."
    assert cities == ["Ulm"]
    assert "mild" in json.dumps(stage.received("up")[1].body["messages"])
