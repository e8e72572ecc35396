// OpenRouter's provider for the AI SDK against OpenRouter's API of a gateway, in front of simulated providers.
// test_node.py starts both, runs this file once and reports each test by its name.
import assert from "node:assert/strict";
import test from "node:test";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { generateText, streamText, tool, jsonSchema } from "ai";

const { GATEWAY_URL, GATEWAY_KEY, LIMITED_KEY } = process.env;
const baseURL = `${GATEWAY_URL}/api/v1`;
const openrouter = createOpenRouter({ baseURL, apiKey: GATEWAY_KEY, compatibility: "strict" });
const prompt = "moss-grown-prompt-7391";
const ask = (model, more = {}) => generateText({ model, prompt, maxRetries: 0, ...more });

test("an answer has its text, its usage and who gave it", async () => {
    const answer = await ask(openrouter("lab/mock-gpt", { usage: { include: true } }));
    assert.ok(answer.text.length > 0);
    assert.ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0);
    assert.equal(answer.providerMetadata.openrouter.provider, "lab");
});

test("a stream has its text and its usage", async () => {
    const stream = streamText({ model: openrouter("lab/mock-gpt"), prompt, maxRetries: 0 });
    let text = "";
    for await (const piece of stream.textStream) text += piece;
    assert.ok(text.length > 0);
    assert.ok((await stream.usage).outputTokens > 0);
});

test("a stream of another protocol's provider names it", async () => {
    const stream = streamText({ model: openrouter("claude/mock-claude"), prompt, maxRetries: 0 });
    let text = "";
    for await (const piece of stream.textStream) text += piece;
    assert.ok(text.length > 0);
    assert.equal((await stream.providerMetadata).openrouter.provider, "claude");
});

test("provider.only and ignore choose among the targets of an alias", async () => {
    const of = async (provider) =>
        (await ask(openrouter("either", { provider }))).providerMetadata.openrouter.provider;
    assert.equal(await of({ only: ["claude"] }), "claude");
    assert.equal(await of({ ignore: ["lab"] }), "claude");
    assert.equal(await of({ order: ["claude"] }), "claude");
    assert.equal(await of({ order: ["lab"] }), "lab");
});

test("models are tried after the first", async () => {
    const answer = await ask(openrouter("nobody/has-this", { models: ["claude/mock-claude"] }));
    assert.equal(answer.providerMetadata.openrouter.provider, "claude");
});

test("demands that nothing meets are an error that says why", async () => {
    const model = openrouter("lab/mock-gpt", { provider: { zdr: true } });
    await assert.rejects(ask(model), (error) => {
        assert.equal(error.statusCode, 404);
        assert.match(error.message, /not known what it does with prompts/);
        return true;
    });
});

test("a field that is not valid is an error that names it", async () => {
    const model = openrouter("lab/mock-gpt", { extraBody: { provider: { sort: "fastest" } } });
    await assert.rejects(ask(model), (error) => {
        assert.equal(error.statusCode, 400);
        assert.match(error.message, /provider\.sort: must be price, throughput or latency/);
        return true;
    });
});

test("a tool is called", async () => {
    const weather = tool({
        description: "The weather somewhere",
        inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"] }),
    });
    const answer = await ask(openrouter("lab/mock-gpt"), { tools: { weather }, toolChoice: "required" });
    assert.equal(answer.toolCalls[0].toolName, "weather");
});

test("reasoning reaches a provider in its own words", async () => {
    const answer = await ask(openrouter("claude/mock-claude", { reasoning: { effort: "low" } }));
    assert.ok(answer.text.length > 0);
});

test("a key that is limited to models may not name others", async () => {
    const limited = createOpenRouter({ baseURL, apiKey: LIMITED_KEY });
    assert.ok((await ask(limited("quick"))).text.length > 0);
    await assert.rejects(ask(limited("quick", { models: ["claude/mock-claude"] })), (error) => {
        assert.equal(error.statusCode, 403);
        return true;
    });
});
