// OpenAI's Responses API for models of every protocol: the official client for Node, and Vercel's AI SDK, whose
// openai() uses it and refers to earlier items by their ids.
import assert from "node:assert/strict";
import test from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";

const { GATEWAY_URL, GATEWAY_KEY } = process.env;
const client = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: GATEWAY_KEY, maxRetries: 0, timeout: 30000 });
const openai = createOpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: GATEWAY_KEY });
const parameters = {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
};
const weather = { type: "function", name: "get_weather", strict: true, parameters };

for (const model of ["lab/mock-gpt", "claude/mock-claude", "llama/mock"]) {
    const calling = model.replace(/\/.*/, "/tools-1");

    test(`${model}: a stream says the same as a whole answer`, async () => {
        const whole = await client.responses.create({ model: `${model};tokens=30`, input: "moss-grown-prompt-7391" });
        assert.ok(whole.output_text);
        assert.equal(whole.usage.output_tokens, 30);
        const stream = client.responses.stream({ model: `${model};tokens=30`, input: "moss-grown-prompt-7391" });
        let text = "";
        stream.on("response.output_text.delta", (event) => { text += event.delta; });
        const final = await stream.finalResponse();
        assert.equal(text, final.output_text);
        assert.equal(text, whole.output_text);
    });

    test(`${model}: a call and its result make the round trip by the id of the answer`, async () => {
        const first = await client.responses.create({ model: calling, input: "Weather?", tools: [weather] });
        const call = first.output.find((item) => item.type === "function_call");
        assert.equal(call.name, "get_weather");
        JSON.parse(call.arguments);
        const second = await client.responses.create({
            model: calling, previous_response_id: first.id, tools: [weather],
            input: [{ type: "function_call_output", call_id: call.call_id, output: "mild" }],
        });
        assert.ok(second.output_text);
    });

    test(`${model}: the AI SDK streams text`, async () => {
        const stream = streamText({ model: openai(`${model};tokens=9`), prompt: "moss" });
        let text = "";
        for await (const piece of stream.textStream) text += piece;
        assert.ok(text);
        assert.equal((await stream.usage).outputTokens, 9);
        assert.equal(await stream.finishReason, "stop");
    });

    test(`${model}: the AI SDK finishes a loop of tools`, async () => {
        const ran = [];
        const answer = await generateText({
            model: openai(calling), prompt: "Weather?", stopWhen: stepCountIs(3), maxRetries: 0,
            tools: {
                get_weather: tool({
                    description: "d", inputSchema: jsonSchema(parameters),
                    execute: async (input) => { ran.push(input); return "mild"; },
                }),
            },
        });
        assert.equal(ran.length, 1);
        assert.equal(answer.steps.length, 2);
        assert.ok(answer.text);
    });

    test(`${model}: the AI SDK gets an object that follows a schema`, async () => {
        const answer = await generateObject({
            model: openai(model), prompt: "Where?", schema: jsonSchema(parameters), maxRetries: 0,
        });
        assert.equal(typeof answer.object.city, "string");
    });
}

test("an error has its status", async () => {
    await assert.rejects(client.responses.create({ model: "lab/mock;fault=429", input: "x" }),
        (error) => error instanceof OpenAI.RateLimitError);
});
