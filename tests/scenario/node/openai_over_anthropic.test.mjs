// The official OpenAI client for Node against a simulated Anthropic provider behind the gateway.
// test_node.py starts both, runs this file once and reports each test by its name.
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";

const { GATEWAY_URL, GATEWAY_KEY } = process.env;
const client = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: GATEWAY_KEY, maxRetries: 0, timeout: 30000 });
const messages = [{ role: "user", content: "moss-grown-prompt-7391" }];
const weather = {
    type: "function",
    function: {
        name: "get_weather",
        parameters: {
            type: "object",
            properties: { city: { type: "string" }, days: { type: "integer" } },
            required: ["city", "days"],
            additionalProperties: false,
        },
    },
};
const clock = { type: "function", function: { name: "get_time" } };

const chat = (model, more = {}) => client.chat.completions.create({ model, messages, ...more });

async function textOf(stream) {
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    return text;
}

test("a stream says the same as a whole answer", async () => {
    const whole = await chat("claude/mock;tokens=30");
    assert.equal(whole.usage.completion_tokens, 30);
    assert.equal(await textOf(await chat("claude/mock;tokens=30", { stream: true })),
        whole.choices[0].message.content);
});

test("an alias of such a model is as good", async () => {
    assert.ok((await chat("haiku")).choices[0].message.content);
});

test("usage comes at the end of a stream for those who ask", async () => {
    let last;
    for await (last of await chat("claude/mock;tokens=7", { stream: true, stream_options: { include_usage: true } }));
    assert.equal(last.usage.completion_tokens, 7);
    assert.deepEqual(last.choices, []);
});

test("the stream helper puts calls together", async () => {
    const stream = client.chat.completions.stream({ model: "claude/tools-3", messages, tools: [weather, clock] });
    const calls = (await stream.finalChatCompletion()).choices[0].message.tool_calls;
    assert.deepEqual(calls.map((c) => c.function.name), ["get_weather", "get_time", "get_weather"]);
    assert.deepEqual(Object.keys(JSON.parse(calls[2].function.arguments)).sort(), ["city", "days"]);
    assert.equal(calls[1].function.arguments, "{}");
});

test("tool results make the round trip", async () => {
    const first = (await chat("claude/tools-2", { tools: [weather, clock] })).choices[0].message;
    const results = first.tool_calls.map((c) => ({ role: "tool", tool_call_id: c.id, content: c.function.name }));
    const second = await chat("claude/mock", { tools: [weather, clock], messages: [...messages, first, ...results] });
    assert.equal(second.choices[0].finish_reason, "stop");
});

test("an answer by schema is parsed", async () => {
    const answer = await client.chat.completions.parse({
        model: "claude/mock", messages,
        response_format: { type: "json_schema", json_schema: { name: "event", strict: true, schema: {
            type: "object", properties: { title: { type: "string" }, day: { type: "integer" } },
            required: ["title", "day"], additionalProperties: false } } },
    });
    assert.equal(typeof JSON.parse(answer.choices[0].message.content).title, "string");
});

test("what it cannot do is refused clearly", async () => {
    await assert.rejects(chat("claude/mock", { n: 2 }), (e) => e.status === 400 && e.param === "n");
    await assert.rejects(client.embeddings.create({ model: "claude/mock", input: "x" }), OpenAI.BadRequestError);
});

test("what it has not is left out and named", async () => {
    const { response } = await chat("claude/mock", { logprobs: true, seed: 5 }).withResponse();
    assert.deepEqual(response.headers.get("x-openclaw-dropped").split(", ").sort(), ["logprobs", "seed"]);
});

for (const [fault, status] of [["429", 429], ["529", 503], ["401", 502], ["404", 404], ["context", 400]]) {
    test(`fault ${fault} has status ${status}`, async () => {
        await assert.rejects(chat(`claude/fault-${fault}`), (e) => e.status === status && e.error.message !== "");
    });
}

for (const fault of ["reset-mid", "error-mid", "truncated", "no-done"]) {
    test(`a stream with ${fault} throws`, async () => {
        const stream = await chat(`claude/mock;tokens=20;tps=200;fault=${fault};after=5`, { stream: true });
        await assert.rejects(textOf(stream), OpenAI.APIError);
    });
}
