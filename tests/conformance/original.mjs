// The examples of the API's first page, for @google/genai 1.33.0. Run beside its node_modules: node original.mjs URL
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GoogleGenAI } from "@google/genai";

const MODEL = "gemini-3.8-flash";
const DOT = Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), Buffer.alloc(32)]).toString("base64");
const PAPER = Buffer.from("%PDF-1.4\n%%EOF\n").toString("base64");
const FORECAST = {
  type: "function",
  name: "get_forecast",
  description: "Gets the weather forecast of a town.",
  parameters: { type: "object", properties: { town: { type: "string" } }, required: ["town"] },
};
const SPAM = {
  type: "object",
  properties: { reason: { type: "string" }, kind: { type: "string", enum: ["phishing", "scam", "other"] } },
  required: ["reason", "kind"],
};
const HAM = {
  type: "object",
  properties: { summary: { type: "string" }, safe: { type: "boolean" } },
  required: ["summary", "safe"],
};
const SCHEMA = { type: "object", properties: { decision: { anyOf: [SPAM, HAM] } }, required: ["decision"] };
const VERDICT = { response_format: SCHEMA, response_mime_type: "application/json" };
const LETTER = "Moderate this: you have won a cruise, claim it at https://prizes.example.com/now";

const client = new GoogleGenAI({ apiKey: "none-needed", httpOptions: { baseUrl: process.argv[2] } });
const ask = (input, fields = {}) => client.interactions.create({ model: MODEL, input, ...fields });
const user = (...content) => ({ role: "user", content });
const words = (text) => ({ type: "text", text });
const last = (interaction) => interaction.outputs.at(-1).text;

function answered(interaction) {
  assert.equal(interaction.status, "completed");
  assert.ok(last(interaction));
  return interaction;
}

function callOf(interaction) {
  assert.equal(interaction.status, "requires_action");
  return interaction.outputs.find((one) => one.type === "function_call");
}

const resultFor = (call) => ({
  type: "function_result",
  name: call.name,
  call_id: call.id,
  result: `Rain in ${call.arguments.town}`,
});

function checkVerdict(text) {
  const { decision } = JSON.parse(text);
  assert.ok("reason" in decision || "summary" in decision, text);
}

const media = (type, mime_type, data) => async () => {
  answered(await ask([words("What is in it?"), { type, data, mime_type }]));
};

const builtIn = (tool, input, kind) => async () => {
  const types = answered(await ask(input, { tools: [tool] })).outputs.map((one) => one.type);
  assert.deepEqual(types.slice(0, 2), [`${kind}_call`, `${kind}_result`]);
};

const CASES = {
  "text": async () => answered(await ask("Say something kind about compilers.")),
  "turns with server state": async () => {
    const first = answered(await ask("I am called Ada."));
    answered(await ask("What am I called?", { previous_interaction_id: first.id }));
  },
  "get": async () => {
    const made = answered(await ask("Keep this in mind."));
    assert.equal(last(await client.interactions.get(made.id)), last(made));
  },
  "turns without server state": async () => {
    const history = [user(words("Name three rivers of France."))];
    history.push({ role: "model", content: answered(await ask(history)).outputs });
    answered(await ask([...history, { role: "user", content: "Which is the longest?" }]));
  },
  "image in": media("image", "image/png", DOT),
  "audio in": media("audio", "audio/wav", "UklGRg=="),
  "video in": media("video", "video/mp4", "AAAA"),
  "PDF in": media("document", "application/pdf", PAPER),
  "image out": async () => {
    const made = await ask("Draw a lighthouse.", { response_modalities: ["image"] });
    const picture = made.outputs.find((one) => one.type === "image");
    assert.equal(Buffer.from(picture.data, "base64").subarray(1, 4).toString(), "PNG");
  },
  "agent in the background": async () => {
    const agent = "deep-research-pro-preview-12-2025";
    const job = await client.interactions.create({ agent, input: "The history of tides.", background: true });
    let found = job;
    for (let tries = 0; tries < 100 && found.status === "in_progress"; tries += 1) {
      await sleep(100);
      found = await client.interactions.get(job.id);
    }
    answered(found);
  },
  "function with server state": async () => {
    const first = await ask("What is the forecast for Bergen?", { tools: [FORECAST] });
    const fields = { tools: [FORECAST], previous_interaction_id: first.id };
    assert.match(last(answered(await ask([resultFor(callOf(first))], fields))), /Rain in Bergen/);
  },
  "function without server state": async () => {
    const history = [user(words("What is the forecast for Bergen?"))];
    const first = await ask(history, { tools: [FORECAST] });
    history.push({ role: "model", content: first.outputs }, user(resultFor(callOf(first))));
    assert.match(last(answered(await ask(history))), /Rain in Bergen/);
  },
  "google_search": builtIn({ type: "google_search" }, "Who won the last regatta?", "google_search"),
  "code_execution": builtIn({ type: "code_execution" }, "The 40th prime?", "code_execution"),
  "url_context": builtIn({ type: "url_context" }, "Sum up https://example.com/", "url_context"),
  "MCP": builtIn(
    { type: "mcp_server", name: "tides", url: "https://example.com/mcp" },
    "High water?",
    "mcp_server_tool",
  ),
  "structured output": async () => checkVerdict(last(answered(await ask(LETTER, VERDICT)))),
  "structured output with a tool": async () => {
    const made = answered(await ask(LETTER, { ...VERDICT, tools: [{ type: "url_context" }] }));
    checkVerdict(last(made));
    assert.ok(made.outputs.some((one) => one.type === "url_context_result"));
  },
  "streaming": async () => {
    let said = "";
    let end = null;
    for await (const event of await ask("Explain tides.", { stream: true })) {
      if (event.event_type === "content.delta" && event.delta.type === "text") said += event.delta.text;
      else if (event.event_type === "interaction.complete") end = event.interaction;
    }
    assert.ok(end.usage.total_tokens > 0);
    assert.equal(last(await client.interactions.get(end.id)), said);
  },
  "generation config": async () => {
    const generation_config = { temperature: 0.7, max_output_tokens: 500, thinking_level: "low" };
    assert.ok(answered(await ask("Tell of a brave baker.", { generation_config })).usage.total_thought_tokens > 0);
  },
  "remote file": async () => {
    const picture = { type: "image", uri: "https://example.com/harbour.jpg", mime_type: "image/jpeg" };
    answered(await ask([picture, { type: "text", text: "What do you see?" }]));
  },
  "uploaded file": async () => {
    const path = join(mkdtempSync(join(tmpdir(), "dot-")), "dot.png");
    writeFileSync(path, Buffer.from(DOT, "base64"));
    const file = await client.files.upload({ file: path, config: { mimeType: "image/png" } });
    while ((await client.files.get({ name: file.name })).state !== "ACTIVE") await sleep(100);
    const picture = { type: "image", uri: file.uri, mime_type: file.mimeType };
    answered(await ask([picture, { type: "text", text: "What do you see?" }]));
  },
  "models": async () => {
    const names = [];
    for await (const model of await client.models.list()) names.push(model.name);
    assert.ok(names.includes(`models/${MODEL}`));
  },
};

let passed = 0;
for (const [name, check] of Object.entries(CASES)) {
  try {
    await check();
    passed += 1;
  } catch (error) {
    console.error(`${name}: ${error.stack ?? error}`);
  }
}
const { version } = createRequire(import.meta.url)("./node_modules/@google/genai/package.json");
const total = Object.keys(CASES).length;
console.log(`@google/genai ${version}, outputs: ${passed} of ${total} examples passed`);
process.exit(passed === total ? 0 : 1);
