// The official Ollama client for Node against a gateway in front of simulated providers of three protocols.
// test_node.py starts them, runs this file once and reports each test by its name.
import assert from "node:assert/strict";
import test from "node:test";
import { Ollama } from "ollama";

const { GATEWAY_URL, GATEWAY_KEY, LIMITED_KEY, MOCK_URL } = process.env;
const clientWith = (key) => new Ollama({ host: GATEWAY_URL, headers: { Authorization: `Bearer ${key}` } });
const client = clientWith(GATEWAY_KEY);
const user = (content, more = {}) => [{ role: "user", content, ...more }];
const messages = () => user("moss-grown-prompt-7391");
const weather = {
    type: "function",
    function: {
        name: "get_weather",
        description: "The weather somewhere",
        parameters: {
            type: "object",
            properties: { city: { type: "string" }, days: { type: "integer" } },
            required: ["city", "days"],
        },
    },
};
const clock = { type: "function", function: { name: "get_time", parameters: { type: "object", properties: {} } } };
const schema = {
    type: "object",
    properties: { title: { type: "string" }, day: { type: "integer" } },
    required: ["title", "day"],
    additionalProperties: false,
};

const chat = (model, more = {}) => client.chat({ model, messages: messages(), ...more });
const stats = async () => (await fetch(`${MOCK_URL}/mock/stats`)).json();

// `llama` speaks Ollama's own protocol, the others do not; the caller must not notice.
const foreign = ["lab", "claude"];
async function all(check) {
    for (const provider of ["llama", ...foreign]) await check(provider);
}

// What the provider was asked in the newest request that holds this text.
async function newest(mark) {
    const asked = await (await fetch(`${MOCK_URL}/mock/requests?last=50`)).json();
    return JSON.parse(asked.reverse().find((r) => r.body.includes(mark)).body);
}

async function until(condition, what) {
    for (let i = 0; i < 1500; i++) {
        if (await condition()) return;
        await new Promise((done) => setTimeout(done, 20));
    }
    assert.fail(`waited in vain: ${what}`);
}

async function partsOf(stream) {
    const parts = [];
    for await (const part of await stream) parts.push(part);
    return parts;
}

const textOf = (parts) => parts.map((p) => p.message.content).join("");

test("models are listed and shown", async () => {
    const names = async (c) => (await c.list()).models.map((m) => m.model);
    await until(async () => (await names(client)).includes("llama/mock-gpt"), "the providers' own lists");
    assert.deepEqual((await names(client)).slice(0, 2).sort(), ["haiku", "quick"]);
    assert.deepEqual(await names(clientWith(LIMITED_KEY)), ["quick"]);
    assert.deepEqual((await client.ps()).models, []);
    assert.match((await client.version()).version, /^\d+\.\d+/);
    const shown = await client.show({ model: "claude/mock-claude" });
    assert.deepEqual(shown.capabilities, ["completion", "tools"]);
});

test("an answer has its text and counts", () => all(async (provider) => {
    const answer = await chat(`${provider}/mock;tokens=12`);
    assert.equal(answer.message.role, "assistant");
    assert.ok(answer.message.content);
    assert.deepEqual([answer.done, answer.done_reason, answer.eval_count], [true, "stop", 12]);
    assert.ok(answer.prompt_eval_count > 0);
}));

test("a stream says the same as a whole answer", () => all(async (provider) => {
    const whole = await chat(`${provider}/mock;tokens=30`);
    const parts = await partsOf(chat(`${provider}/mock;tokens=30`, { stream: true }));
    assert.equal(textOf(parts), whole.message.content);
    const last = parts.pop();
    assert.ok(parts.length > 20 && parts.every((p) => p.done === false));
    assert.deepEqual([last.done, last.done_reason, last.eval_count], [true, "stop", 30]);
}));

test("a limit of tokens is obeyed", () => all(async (provider) => {
    const answer = await chat(`${provider}/mock;tokens=50`, { options: { num_predict: 7 } });
    assert.deepEqual([answer.done_reason, answer.eval_count], ["length", 7]);
}));

test("a prompt is answered, whole and streamed", () => all(async (provider) => {
    const asking = () => ({ model: `${provider}/mock;echo`, prompt: "Once upon a time", system: "Be terse." });
    const whole = await client.generate(asking());
    assert.deepEqual([whole.response, whole.done, whole.done_reason], ["Once upon a time", true, "stop"]);
    const parts = await partsOf(client.generate({ ...asking(), stream: true }));
    assert.equal(parts.map((p) => p.response).join(""), "Once upon a time");
    assert.ok(parts.length > 2 && parts.at(-1).done);
}));

function checkCalls(calls) {
    assert.deepEqual(calls.map((c) => c.function.name), ["get_weather", "get_time", "get_weather"]);
    assert.deepEqual(Object.keys(calls[0].function.arguments).sort(), ["city", "days"]);
    assert.deepEqual(calls[1].function.arguments, {});
}

test("parallel calls come back, whole and streamed", () => all(async (provider) => {
    const tools = [weather, clock];
    checkCalls((await chat(`${provider}/tools-3`, { tools })).message.tool_calls);
    const parts = await partsOf(chat(`${provider}/tools-3`, { tools, stream: true }));
    checkCalls(parts.flatMap((p) => p.message.tool_calls ?? []));
}));

test("tool results make the round trip", () => all(async (provider) => {
    const tools = [weather, clock];
    const { message } = await chat(`${provider}/tools-2`, { tools });
    const results = message.tool_calls.map((c) =>
        ({ role: "tool", content: `result-${provider} ${c.function.name}`, tool_name: c.function.name }));
    const second = await chat(`${provider}/mock`, { tools, messages: [...messages(), message, ...results] });
    assert.ok(second.message.content && !second.message.tool_calls);
    const text = JSON.stringify((await newest(`result-${provider}`)).messages);
    assert.ok(text.indexOf(`result-${provider} get_weather`) < text.indexOf(`result-${provider} get_time`));
}));

test("thinking arrives whole and streamed", () => all(async (provider) => {
    const asking = { think: true, options: { num_predict: 4000 } };
    const { message } = await chat(`${provider}/mock;reasoning=9;tokens=6`, asking);
    assert.ok(message.thinking && message.content);
    const parts = await partsOf(chat(`${provider}/mock;reasoning=9;tokens=6`, { ...asking, stream: true }));
    assert.equal(parts.map((p) => p.message.thinking ?? "").join(""), message.thinking);
    assert.equal(textOf(parts), message.content);
}));

test("pictures arrive", () => all(async (provider) => {
    const mark = `picture-of-${provider}`;
    const picture = "iVBORw0KGgo=";
    const asked = user(mark, { images: [new Uint8Array(Buffer.from(picture, "base64"))] });
    assert.ok((await chat(`${provider}/mock`, { messages: asked })).message.content);
    assert.ok(JSON.stringify((await newest(mark)).messages).includes(picture));
}));

test("an answer by schema can be parsed", () => all(async (provider) => {
    for (const stream of [false, true]) {
        const answer = await chat(`${provider}/mock`, { format: schema, stream });
        const event = JSON.parse(stream ? textOf(await partsOf(answer)) : answer.message.content);
        assert.equal(typeof event.title, "string");
        assert.ok(Number.isInteger(event.day));
    }
}));

test("texts are embedded by every provider whose protocol has that", async () => {
    for (const provider of ["llama", ...foreign.filter((p) => p !== "claude")]) {
        const answer = await client.embed({ model: `${provider}/mock-embed`, input: ["a", "b"], dimensions: 6 });
        assert.deepEqual(answer.embeddings.map((v) => v.length), [6, 6]);
    }
    await assert.rejects(client.embed({ model: "claude/mock-embed", input: "a" }), { status_code: 400 });
});

const errors = [
    ["an unknown model", () => chat("nowhere/model"), 404],
    ["an unknown model before a stream", () => chat("nowhere/model", { stream: true }), 404],
    ["an unknown model of a prompt", () => client.generate({ model: "nowhere/model", prompt: "x" }), 404],
    ["an unknown model to embed", () => client.embed({ model: "nowhere/model", input: "x" }), 404],
    ["an unknown model to show", () => client.show({ model: "nowhere/model" }), 404],
    ["a wrong key", () => clientWith("wrong").list(), 401],
    ["a forbidden model", () => clientWith(LIMITED_KEY).chat({ model: "lab/m", messages: messages() }), 403],
    ...["llama", ...foreign].flatMap((p) => [
        [`${p}: a model that it does not have`, () => chat(`${p}/fault-404`), 404],
        [`${p}: a rate limit`, () => chat(`${p}/fault-429`, { stream: true }), 429],
        [`${p}: a reset`, () => chat(`${p}/fault-reset-before`), 502],
    ]),
];
for (const [what, call, status] of errors) {
    test(`${what} is a ResponseError with its status`, async () => {
        await assert.rejects(async () => { await call(); }, (e) => {
            assert.equal(e.name, "ResponseError");
            assert.equal(e.status_code, status);
            assert.ok(e.error && typeof e.error === "string");
            return true;
        });
    });
}

for (const fault of ["error-mid", "reset-mid", "truncated"]) {
    test(`a stream with ${fault} throws`, () => all(async (provider) => {
        let text = "";
        await assert.rejects(async () => {
            for await (const part of await chat(`${provider}/mock;tokens=20;tps=200;fault=${fault};after=5`,
                { stream: true })) text += part.message.content;
        }, (e) => !e.message.startsWith("Did not receive done"));
        assert.ok(text);
    }));
}

test("aborting a stream cancels the provider", () => all(async (provider) => {
    const before = (await stats()).aborted;
    const stream = await chat(`${provider}/mock;tokens=100000;tps=200`,
        { stream: true, options: { num_predict: 200000 } });
    let parts = 0;
    await assert.rejects(async () => {
        for await (const part of stream) if (part.message.content && ++parts === 10) stream.abort();
    }, { name: "AbortError" });
    await until(async () => (await stats()).aborted > before, "the provider to notice");
}));

test("streams at once do not mix", () => all(async (provider) => {
    await Promise.all(Array.from({ length: 30 }, async (_, i) => {
        const content = `number ${i} of thirty, with some more words`;
        const parts = await partsOf(chat(`${provider}/mock;echo;tps=300`, { messages: user(content), stream: true }));
        assert.equal(textOf(parts), content);
    }));
}));
