// The official clients of Google, Cohere and Mistral for Node, against simulated providers of three protocols behind the
// gateway. test_node.py starts both, runs this file once and reports each test by its name.
import assert from "node:assert/strict";
import test from "node:test";
import { GoogleGenAI } from "@google/genai";
import { Mistral } from "@mistralai/mistralai";
import { CohereClientV2 } from "cohere-ai";

const { GATEWAY_URL, GATEWAY_KEY } = process.env;
const google = new GoogleGenAI({ apiKey: GATEWAY_KEY, httpOptions: { baseUrl: GATEWAY_URL } });
const cohere = new CohereClientV2({ token: GATEWAY_KEY, environment: GATEWAY_URL });
const mistral = new Mistral({ apiKey: GATEWAY_KEY, serverURL: GATEWAY_URL });
const messages = [{ role: "user", content: "moss-grown-prompt-7391" }];
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "look", description: "looks", parameters: schema } }];
const models = ["lab/mock", "claude/mock", "llama/mock"];

test("google: whole, in a stream, and a call", async () => {
    for (const model of models) {
        const asking = { model: `${model};tokens=12`, contents: "Hello" };
        const whole = await google.models.generateContent(asking);
        assert.equal(whole.usageMetadata.candidatesTokenCount, 12);
        let text = "";
        for await (const chunk of await google.models.generateContentStream(asking)) text += chunk.text ?? "";
        assert.equal(text, whole.text);
        const config = { tools: [{ functionDeclarations: [{ name: "look", parametersJsonSchema: schema }] }] };
        const called = await google.models.generateContent({ model: `${model};tools=1`, contents: "Hello", config });
        assert.equal(called.functionCalls[0].name, "look");
    }
});

test("cohere: whole, in a stream, and a call", async () => {
    for (const model of models) {
        const whole = await cohere.chat({ model: `${model};tokens=12`, messages });
        assert.equal(whole.usage.tokens.outputTokens, 12);
        let text = "";
        for await (const event of await cohere.chatStream({ model: `${model};tokens=12`, messages }))
            if (event.type === "content-delta") text += event.delta.message.content.text;
        assert.equal(text, whole.message.content[0].text);
        const called = await cohere.chat({ model: `${model};tools=1`, messages, tools });
        assert.equal(called.message.toolCalls[0].function.name, "look");
    }
    assert.ok((await cohere.models.list()).models.length > 0);
});

test("mistral: whole, in a stream, and a call of a stream", async () => {
    for (const model of models) {
        const whole = await mistral.chat.complete({ model: `${model};tokens=12`, messages });
        assert.equal(whole.usage.completionTokens, 12);
        let text = "";
        for await (const { data } of await mistral.chat.stream({ model: `${model};tokens=12`, messages }))
            text += data.choices[0].delta.content ?? "";
        assert.equal(text, whole.choices[0].message.content);
        const calls = [];
        for await (const { data } of await mistral.chat.stream({ model: `${model};tools=2`, messages, tools }))
            calls.push(...(data.choices[0].delta.toolCalls ?? []));
        assert.equal(calls.length, 2);
        assert.ok(JSON.parse(calls[0].function.arguments).city);
    }
    assert.ok((await mistral.models.list()).data.length > 0);
});
