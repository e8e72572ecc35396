// The official Anthropic client for Node against a gateway in front of simulated providers of both protocols.
// test_node.py starts them, runs this file once and reports each test by its name.
import assert from "node:assert/strict";
import test from "node:test";
import Anthropic from "@anthropic-ai/sdk";

const { GATEWAY_URL, GATEWAY_KEY, LIMITED_KEY, MOCK_URL } = process.env;
const baseURL = GATEWAY_URL;
const client = new Anthropic({ baseURL, apiKey: GATEWAY_KEY, maxRetries: 0, timeout: 30000 });
const messages = [{ role: "user", content: "moss-grown-prompt-7391" }];
const weather = {
    name: "get_weather",
    input_schema: {
        type: "object",
        properties: { city: { type: "string" }, days: { type: "integer" } },
        required: ["city", "days"],
    },
};
const clock = { name: "get_time", input_schema: { type: "object", properties: {} } };

const asking = (model, more = {}) => ({ model, messages, max_tokens: 1000, ...more });
const create = (model, more = {}, options = {}) => client.messages.create(asking(model, more), options);
const stats = async () => (await fetch(`${MOCK_URL}/mock/stats`)).json();

// `lab` speaks OpenAI's protocol, `claude` Anthropic's; the caller must not notice.
async function both(check) {
    for (const provider of ["lab", "claude"]) await check(provider);
}

async function until(condition, what) {
    for (let i = 0; i < 1500; i++) {
        if (await condition()) return;
        await new Promise((done) => setTimeout(done, 20));
    }
    assert.fail(`waited in vain: ${what}`);
}

test("an answer has its text and usage", () => both(async (provider) => {
    const answer = await create(`${provider}/mock;tokens=12`);
    assert.equal(answer.stop_reason, "end_turn");
    assert.ok(answer.content[0].text);
    assert.equal(answer.usage.output_tokens, 12);
    assert.match(answer.id, /^msg_/);
    assert.match(answer._request_id, /^req_/);
}));

test("a stream says the same as a whole answer", () => both(async (provider) => {
    const whole = await create(`${provider}/mock;tokens=30`);
    const kinds = new Set();
    let text = "";
    for await (const event of await create(`${provider}/mock;tokens=30`, { stream: true })) {
        kinds.add(event.type);
        if (event.type === "content_block_delta") text += event.delta.text;
    }
    assert.equal(text, whole.content[0].text);
    assert.deepEqual([...kinds].filter((k) => k !== "ping"), ["message_start", "content_block_start",
        "content_block_delta", "content_block_stop", "message_delta", "message_stop"]);
}));

test("the stream helper accumulates", () => both(async (provider) => {
    const whole = await create(`${provider}/mock;tokens=9`);
    let text = "";
    const final = await client.messages.stream(asking(`${provider}/mock;tokens=9`))
        .on("text", (piece) => { text += piece; }).finalMessage();
    assert.equal(text, whole.content[0].text);
    assert.equal(final.content[0].text, text);
    assert.equal(final.usage.output_tokens, 9);
    assert.equal(final.usage.input_tokens, whole.usage.input_tokens);
}));

function checkCalls(message) {
    const calls = message.content.filter((b) => b.type === "tool_use");
    assert.equal(message.stop_reason, "tool_use");
    assert.deepEqual(calls.map((c) => c.name), ["get_weather", "get_time", "get_weather"]);
    assert.deepEqual(Object.keys(calls[0].input).sort(), ["city", "days"]);
    assert.deepEqual(calls[1].input, {});
    return calls;
}

test("parallel calls come back, whole and streamed", () => both(async (provider) => {
    checkCalls(await create(`${provider}/tools-3`, { tools: [weather, clock] }));
    let fragments = 0;
    checkCalls(await client.messages.stream(asking(`${provider}/tools-3`, { tools: [weather, clock] }))
        .on("inputJson", () => { fragments++; }).finalMessage());
    assert.ok(fragments > 3);
}));

test("tool results make the round trip", () => both(async (provider) => {
    const first = await create(`${provider}/tools-3`, { tools: [weather, clock] });
    const content = checkCalls(first).map((c) => ({ type: "tool_result", tool_use_id: c.id, content: c.name }));
    const history = [...messages, { role: "assistant", content: first.content }, { role: "user", content }];
    const second = await create(`${provider}/mock`, { tools: [weather, clock], messages: history });
    assert.equal(second.stop_reason, "end_turn");
}));

test("tool choice is kept", () => both(async (provider) => {
    const forced = await create(`${provider}/mock`, { tools: [weather, clock],
        tool_choice: { type: "tool", name: "get_time" } });
    assert.deepEqual(forced.content.filter((b) => b.type === "tool_use").map((b) => b.name), ["get_time"]);
    const none = await create(`${provider}/tools-2`, { tools: [weather], tool_choice: { type: "none" } });
    assert.equal(none.stop_reason, "end_turn");
}));

test("thinking makes the round trip", () => both(async (provider) => {
    const thinking = { type: "enabled", budget_tokens: 2000 };
    const asked = asking(`${provider}/mock;reasoning=7`, { thinking, max_tokens: 4000 });
    const answer = await client.messages.stream(asked).finalMessage();
    assert.deepEqual(answer.content.map((b) => b.type), ["thinking", "text"]);
    assert.equal(Boolean(answer.content[0].signature), provider === "claude");
    const again = await client.messages.create({ ...asked, messages: [...messages,
        { role: "assistant", content: answer.content }, { role: "user", content: "go on" }] });
    assert.equal(again.content[0].thinking, answer.content[0].thinking);
}));

test("images and system text are taken along", () => both(async (provider) => {
    const content = [{ type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
        { type: "text", text: "What is this?" }];
    const system = [{ type: "text", text: "Be terse.", cache_control: { type: "ephemeral" } }];
    const answer = await create(`${provider}/mock`, { system, messages: [{ role: "user", content }] });
    assert.ok(answer.content[0].text);
}));

test("tokens are counted, models listed", () => both(async (provider) => {
    const counted = await client.messages.countTokens({ model: `${provider}/mock`, messages });
    assert.ok(counted.input_tokens > 0);
    const names = [];
    for await (const model of client.models.list({ limit: 1 })) names.push(model.id);
    assert.deepEqual(names.slice(0, 2).sort(), ["haiku", "quick"]);
    assert.equal((await client.models.retrieve("quick")).type, "model");
}));

const errors = [
    ["a bad request", () => create("lab/m", { messages: [] }), Anthropic.BadRequestError],
    ["a wrong key", () => new Anthropic({ baseURL, apiKey: "wrong", maxRetries: 0 }).models.list(),
        Anthropic.AuthenticationError],
    ["a model that the key may not use", () => new Anthropic({ baseURL, apiKey: LIMITED_KEY, maxRetries: 0 })
        .messages.create(asking("claude/m")), Anthropic.PermissionDeniedError],
    ["an unknown model", () => create("nowhere/model"), Anthropic.NotFoundError],
    ...["lab", "claude"].flatMap((p) => [
        [`${p}: a rate limit`, () => create(`${p}/fault-429`), Anthropic.RateLimitError],
        [`${p}: a rate limit before a stream`, () => create(`${p}/fault-429`, { stream: true }),
            Anthropic.RateLimitError],
        [`${p}: a provider's failure`, () => create(`${p}/fault-500`), Anthropic.InternalServerError],
        [`${p}: overload`, () => create(`${p}/fault-529`), Anthropic.InternalServerError],
        [`${p}: a reset`, () => create(`${p}/fault-reset-before`), Anthropic.InternalServerError],
    ]),
];
for (const [what, call, kind] of errors) {
    test(`${what} is the client's own kind of error`, async () => {
        await assert.rejects(async () => { await call(); }, (e) => {
            assert.ok(e instanceof kind, `${e.constructor.name}: ${e.message}`);
            assert.ok(e.requestID && e.error.error.type && e.error.error.message);
            return true;
        });
    });
}

for (const fault of ["reset-mid", "error-mid", "truncated"]) {
    test(`a stream with ${fault} throws`, () => both(async (provider) => {
        const stream = client.messages.stream(asking(`${provider}/mock;tokens=20;tps=200;fault=${fault};after=5`));
        await assert.rejects(stream.finalMessage(), Anthropic.APIError);
    }));
}

test("overload has its own status", () => both(async (provider) => {
    await assert.rejects(create(`${provider}/fault-529;retry-after=7`),
        (e) => e.status === 529 && e.headers.get("retry-after") === "7");
}));

test("leaving a stream cancels the provider", () => both(async (provider) => {
    const before = (await stats()).aborted;
    let pieces = 0;
    const slow = asking(`${provider}/mock;tokens=100000;tps=200`, { stream: true, max_tokens: 200000 });
    for await (const event of await client.messages.create(slow)) {
        if (event.type === "content_block_delta" && ++pieces === 10) break;
    }
    await until(async () => (await stats()).aborted > before, "the provider to notice");
}));

test("streams at once do not mix", () => both(async (provider) => {
    await Promise.all(Array.from({ length: 30 }, async (_, i) => {
        const content = `number ${i} of thirty, with some more words`;
        const answer = await client.messages.stream(asking(`${provider}/mock;echo;tps=300`,
            { messages: [{ role: "user", content }] })).finalMessage();
        assert.equal(answer.content[0].text, content);
    }));
}));
