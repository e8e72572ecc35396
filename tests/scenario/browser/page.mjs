// Runs in a browser: calls the gateway as a web page does and sends home what each call came to.
// Which calls: the page's address says where the gateway is, which key to use and which parts to run.
const asked = new URLSearchParams(location.search);
const [GATEWAY, KEY, PARTS] = ["gateway", "key", "parts"].map((name) => asked.get(name));
const messages = [{ role: "user", content: "Hello" }];

// The fields of the official SDKs among them: each must be allowed by the preflight.
const headers = {
    authorization: `Bearer ${KEY}`,
    "content-type": "application/json",
    "x-stainless-lang": "js",
    "x-stainless-package-version": "6.0.0",
    "x-stainless-retry-count": "0",
    "x-request-id": "from-the-page",
};

const chat = (model, more = {}, options = {}) =>
    fetch(`${GATEWAY}/v1/chat/completions`, {
        method: "POST",
        headers,
        body: JSON.stringify({ model, messages, ...more }),
        ...options,
    });

// What a page can see of an answer.
const seen = async (answer) => ({
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    body: await answer.text(),
});

const parts = {
    whole: async () => seen(await chat("lab/m")),

    async stream() {
        const answer = await chat("lab/m;tokens=20;tps=40", { stream: true });
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        const times = [];
        let body = "";
        for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
            times.push(performance.now());
            body += piece.value;
        }
        return { status: answer.status, body, pieces: times.length, spread_ms: times.at(-1) - times[0] };
    },

    async cancel() {
        const stop = new AbortController();
        const answer = await chat("lab/m;tokens=100000;tps=20", { stream: true }, { signal: stop.signal });
        await answer.body.getReader().read();
        stop.abort();
        return { id: answer.headers.get("x-request-id") };
    },

    wrong_key: async () => seen(await chat("lab/m", {}, { headers: { ...headers, authorization: "Bearer no" } })),
    no_model: async () => seen(await chat("nowhere/m")),
    provider_fails: async () => seen(await chat("lab/fault-503")),
    no_route: async () => seen(await fetch(`${GATEWAY}/nowhere`, { headers })),
    too_large: async () => seen(await chat("lab/m", { user: "x".repeat(3 << 20) })),
    models: async () => seen(await fetch(`${GATEWAY}/v1/models`, { headers })),
    not_json: async () => seen(await fetch(`${GATEWAY}/v1/chat/completions`, {
        method: "POST", headers: { ...headers, "content-type": "text/plain" }, body: "Hello" })),

    // Needs no preflight; what comes back must be closed to the page all the same.
    simple: async () => seen(await fetch(`${GATEWAY}/livez`)),

    blind: async () => seen(await fetch(`${GATEWAY}/v1/chat/completions`, {
        method: "POST", headers: { "content-type": "text/plain" }, body: JSON.stringify({ model: "lab/m", messages }) })),

    async openai() {
        const { default: OpenAI } = await import("openai");
        const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: KEY, dangerouslyAllowBrowser: true, maxRetries: 0 });
        const answer = await client.chat.completions.create({ model: "lab/m", messages });
        let streamed = "";
        for await (const chunk of await client.chat.completions.create({ model: "ant/m", messages, stream: true }))
            streamed += chunk.choices[0]?.delta?.content ?? "";
        const error = await client.chat.completions.create({ model: "nowhere/m", messages }).catch((e) => e);
        return { text: answer.choices[0].message.content, streamed, request_id: answer._request_id,
                 error: error.constructor.name, error_code: error.code };
    },

    async anthropic() {
        const { default: Anthropic } = await import("@anthropic-ai/sdk");
        const client = new Anthropic({ baseURL: GATEWAY, apiKey: KEY, dangerouslyAllowBrowser: true, maxRetries: 0 });
        const answer = await client.messages.create({ model: "ant/m", max_tokens: 100, messages });
        const streamed = await client.messages.stream({ model: "lab/m", max_tokens: 100, messages }).finalText();
        const error = await client.messages.create({ model: "nowhere/m", max_tokens: 100, messages }).catch((e) => e);
        return { text: answer.content[0].text, streamed, request_id: answer._request_id, error: error.constructor.name };
    },
};

const results = {};
for (const part of PARTS.split(","))
    results[part] = await parts[part]().catch((e) => ({ thrown: `${e.name}: ${e.message}` }));
await fetch("/done", { method: "POST", body: JSON.stringify(results) });
