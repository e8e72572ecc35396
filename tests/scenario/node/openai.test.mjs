// The official OpenAI client for Node against a gateway in front of a simulated provider.
// test_node.py starts both, runs this file once and reports each test by its name.
import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";

const { GATEWAY_URL, GATEWAY_KEY, LIMITED_KEY, MOCK_URL } = process.env;
const baseURL = `${GATEWAY_URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: GATEWAY_KEY, maxRetries: 0, timeout: 30000 });
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
const clock = { type: "function", function: { name: "get_time", parameters: { type: "object", properties: {} } } };

const chat = (model, more = {}, options = {}) =>
    client.chat.completions.create({ model, messages, ...more }, options);
const stats = async () => (await fetch(`${MOCK_URL}/mock/stats`)).json();

async function until(condition, what) {
    for (let i = 0; i < 1500; i++) {
        if (await condition()) return;
        await new Promise((done) => setTimeout(done, 20));
    }
    assert.fail(`waited in vain: ${what}`);
}

async function textOf(stream) {
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    return text;
}

test("an answer has its text and usage", async () => {
    const answer = await chat("lab/mock;tokens=12");
    assert.ok(answer.choices[0].message.content);
    assert.equal(answer.usage.completion_tokens, 12);
    assert.match(answer._request_id, /^req_/);
});

test("a stream says the same as a whole answer", async () => {
    const whole = (await chat("lab/mock;tokens=30")).choices[0].message.content;
    assert.equal(await textOf(await chat("lab/mock;tokens=30", { stream: true })), whole);
});

test("usage comes at the end of a stream for those who ask", async () => {
    let last, frames = 0;
    const asked = { stream: true, stream_options: { include_usage: true } };
    for await (last of await chat("lab/mock;tokens=7", asked)) frames++;
    assert.equal(last.usage.completion_tokens, 7);
    assert.deepEqual(last.choices, []);
    for await (last of await chat("lab/mock;tokens=7", { stream: true })) frames--;
    assert.equal(frames, 1);
    assert.ok(!last.usage);
});

test("parallel calls come back whole", async () => {
    const answer = await chat("lab/tools-2", { tools: [weather, clock] });
    const calls = answer.choices[0].message.tool_calls;
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    assert.deepEqual(calls.map((c) => c.function.name), ["get_weather", "get_time"]);
    assert.deepEqual(Object.keys(JSON.parse(calls[0].function.arguments)).sort(), ["city", "days"]);
});

test("tools are run and their results make the round trip", async () => {
    const asked = [];
    const runner = client.chat.completions.runTools({
        model: "lab/tools-1", messages,
        tools: [{ type: "function", function: { ...weather.function, parse: JSON.parse,
            function: (args) => { asked.push(args); return "sunny"; } } }],
    }, { maxChatCompletions: 2 });
    await runner.done().catch(() => {});    // the simulated model calls its tool every time
    assert.equal(asked.length >= 1, true);
    assert.ok("city" in asked[0]);
    const results = runner.messages.filter((m) => m.role === "tool");
    assert.equal(results[0].content, "sunny");
});

test("the stream helper puts calls together", async () => {
    const stream = client.chat.completions.stream({ model: "lab/tools-3", messages, tools: [weather, clock] });
    let pieces = 0;
    stream.on("chunk", (c) => { pieces += c.choices[0]?.delta?.tool_calls ? 1 : 0; });
    const final = await stream.finalChatCompletion();
    const calls = final.choices[0].message.tool_calls;
    assert.deepEqual(calls.map((c) => c.function.name), ["get_weather", "get_time", "get_weather"]);
    assert.deepEqual(Object.keys(JSON.parse(calls[2].function.arguments)).sort(), ["city", "days"]);
    assert.ok(pieces > 6);
});

test("an answer by schema is parsed", async () => {
    const answer = await client.chat.completions.parse({
        model: "lab/mock-gpt", messages,
        response_format: { type: "json_schema", json_schema: { name: "event", strict: true, schema: {
            type: "object", properties: { title: { type: "string" }, day: { type: "integer" } },
            required: ["title", "day"], additionalProperties: false } } },
    });
    const parsed = JSON.parse(answer.choices[0].message.content);
    assert.equal(typeof parsed.title, "string");
    assert.equal(Number.isInteger(parsed.day), true);
});

test("images are taken along", async () => {
    const answer = await client.chat.completions.create({ model: "lab/mock-gpt", messages: [{ role: "user", content: [
        { type: "text", text: "What is this?" },
        { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } }] }] });
    assert.ok(answer.choices[0].message.content);
});

test("log probabilities and several choices come back", async () => {
    const answer = await chat("lab/mock;tokens=4", { logprobs: true, top_logprobs: 3, n: 2 });
    assert.equal(answer.choices.length, 2);
    assert.equal(answer.choices[1].logprobs.content.length, 4);
    assert.equal(answer.choices[1].logprobs.content[0].top_logprobs.length, 3);
});

test("embeddings arrive as numbers", async () => {
    const answer = await client.embeddings.create({ model: "lab/mock-embed", input: ["a", "b"], dimensions: 6 });
    assert.equal(answer.data.length, 2);
    assert.equal(answer.data[0].embedding.length, 6);
    assert.equal(typeof answer.data[0].embedding[0], "number");
});

test("text completions, models and moderation work", async () => {
    const text = await client.completions.create({ model: "lab/mock-gpt", prompt: "Once", max_tokens: 3 });
    assert.equal(text.usage.completion_tokens, 3);
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    assert.ok(names.includes("quick"));
    assert.equal((await client.models.retrieve("quick")).id, "quick");
    assert.equal((await client.models.retrieve("lab/any-thing")).id, "lab/any-thing");
    const verdict = await client.moderations.create({ model: "lab/omni-moderation-latest", input: "harmless" });
    assert.equal(verdict.results[0].flagged, false);
});

const errors = [
    ["a bad request", () => client.chat.completions.create({ model: "lab/m", messages: [] }), OpenAI.BadRequestError],
    ["a wrong key", () => new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 }).models.list(),
        OpenAI.AuthenticationError],
    ["a model that the key may not use", () => new OpenAI({ baseURL, apiKey: LIMITED_KEY, maxRetries: 0 })
        .chat.completions.create({ model: "lab/m", messages }), OpenAI.PermissionDeniedError],
    ["an unknown model", () => chat("nowhere/model"), OpenAI.NotFoundError],
    ["a rate limit", () => chat("lab/fault-429"), OpenAI.RateLimitError],
    ["a rate limit before a stream", () => chat("lab/fault-429", { stream: true }), OpenAI.RateLimitError],
    ["a provider's failure", () => chat("lab/fault-500"), OpenAI.InternalServerError],
    ["a reset", () => chat("lab/fault-reset-before"), OpenAI.InternalServerError],
];
for (const [what, call, kind] of errors) {
    test(`${what} is the client's own kind of error`, async () => {
        await assert.rejects(async () => { await call(); }, (e) => {
            assert.ok(e instanceof kind, `${e.constructor.name}: ${e.message}`);
            assert.ok(e.requestID);
            return true;
        });
    });
}

test("a body that is too large is status 413", async () => {
    const large = [{ role: "user", content: "x".repeat(1200000) }];
    await assert.rejects(client.chat.completions.create({ model: "lab/m", messages: large }), { status: 413 });
});

for (const fault of ["reset-mid", "error-mid", "truncated"]) {
    test(`a stream with ${fault} throws`, async () => {
        const stream = await chat(`lab/mock;tokens=20;tps=200;fault=${fault};after=5`, { stream: true });
        await assert.rejects(textOf(stream));
    });
}

test("a rate limit says when to try again", async () => {
    await assert.rejects(chat("lab/fault-429;retry-after=7"), (e) => e.headers.get("retry-after") === "7");
});

test("the client retries what may pass", async () => {
    const before = (await stats()).faulted;
    await assert.rejects(chat("lab/fault-503;retry-after=1", {}, { maxRetries: 1 }), { status: 503 });
    assert.ok((await stats()).faulted >= before + 2);
});

test("a client that loses patience cancels the provider", async () => {
    const before = (await stats()).aborted;
    await assert.rejects(chat("lab/mock;head=60s", {}, { timeout: 300 }), OpenAI.APIConnectionTimeoutError);
    await until(async () => (await stats()).aborted > before, "the provider to notice");
});

test("leaving a stream cancels the provider", async () => {
    const before = (await stats()).aborted;
    let chunks = 0;
    for await (const chunk of await chat("lab/mock;tokens=100000;tps=200", { stream: true })) {
        if (chunk.choices[0].delta.content && ++chunks === 10) break;
    }
    await until(async () => (await stats()).aborted > before, "the provider to notice");
});

test("an abort signal cancels the provider", async () => {
    const before = (await stats()).aborted;
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 200);
    await assert.rejects(chat("lab/mock;head=60s", {}, { signal: abort.signal }), OpenAI.APIUserAbortError);
    await until(async () => (await stats()).aborted > before, "the provider to notice");
});

test("fifty streams at once do not mix", async () => {
    const all = Array.from({ length: 50 }, async (_, i) => {
        const content = `number ${i} of fifty, with some more words`;
        const stream = await client.chat.completions.create({ model: "lab/mock;echo;tps=300", stream: true,
            messages: [{ role: "user", content }] });
        assert.equal(await textOf(stream), content);
    });
    await Promise.all(all);
});
