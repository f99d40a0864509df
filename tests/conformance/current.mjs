// The examples of the API's page, for @google/genai 3.x. Run beside its node_modules: node current.mjs BASE_URL
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
const VERDICT = { type: "text", mime_type: "application/json", schema: SCHEMA };
const LETTER = "Moderate this: you have won a cruise, claim it at https://prizes.example.com/now";

const client = new GoogleGenAI({ apiKey: "none-needed", httpOptions: { baseUrl: process.argv[2] } });
const ask = (input, fields = {}) => client.interactions.create({ model: MODEL, input, ...fields });
const user = (text) => ({ type: "user_input", content: [{ type: "text", text }] });

function answered(interaction) {
  assert.equal(interaction.status, "completed");
  assert.ok(interaction.output_text);
  return interaction;
}

function callOf(interaction) {
  assert.equal(interaction.status, "requires_action");
  return interaction.steps.find((step) => step.type === "function_call");
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
  const seen = answered(await ask([{ type: "text", text: "What is in it?" }, { type, data, mime_type }]));
  assert.ok(seen.usage.input_tokens_by_modality.some((entry) => entry.modality === type));
};

const builtIn = (tool, input, kind) => async () => {
  const types = answered(await ask(input, { tools: [tool] })).steps.map((step) => step.type);
  assert.deepEqual(types.slice(0, 2), [`${kind}_call`, `${kind}_result`]);
};

const CASES = {
  "text": async () => answered(await ask("Say something kind about compilers.")),
  "turns with server state": async () => {
    const first = answered(await ask("I am called Ada."));
    const second = answered(await ask("What am I called?", { previous_interaction_id: first.id }));
    assert.equal(second.previous_interaction_id, first.id);
  },
  "get": async () => {
    const made = answered(await ask("Keep this in mind."));
    const kept = await client.interactions.get(made.id, { include_input: true });
    assert.deepEqual(kept.steps.map((step) => step.type), ["user_input", "model_output"]);
  },
  "turns without server state": async () => {
    const history = [user("Name three rivers of France.")];
    history.push(...answered(await ask(history, { store: false })).steps);
    answered(await ask([...history, user("Which is the longest?")], { store: false }));
  },
  "image in": media("image", "image/png", DOT),
  "audio in": media("audio", "audio/wav", "UklGRg=="),
  "video in": media("video", "video/mp4", "AAAA"),
  "PDF in": media("document", "application/pdf", PAPER),
  "image out": async () => {
    const made = await ask("Draw a lighthouse.", { response_format: { type: "image" } });
    const contents = made.steps.flatMap((step) => step.content ?? []);
    const picture = contents.find((content) => content.type === "image");
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
    assert.match(answered(await ask([resultFor(callOf(first))], fields)).output_text, /Rain in Bergen/);
  },
  "function without server state": async () => {
    const history = [user("What is the forecast for Bergen?")];
    const first = await ask(history, { tools: [FORECAST], store: false });
    history.push(...first.steps, resultFor(callOf(first)));
    const second = answered(await ask(history, { tools: [FORECAST], store: false }));
    assert.match(second.output_text, /Rain in Bergen/);
  },
  "google_search": builtIn({ type: "google_search" }, "Who won the last regatta?", "google_search"),
  "code_execution": builtIn({ type: "code_execution" }, "The 40th prime?", "code_execution"),
  "url_context": builtIn({ type: "url_context" }, "Sum up https://example.com/", "url_context"),
  "MCP": builtIn(
    { type: "mcp_server", name: "tides", url: "https://example.com/mcp" },
    "High water?",
    "mcp_server_tool",
  ),
  "structured output": async () => checkVerdict(answered(await ask(LETTER, { response_format: VERDICT })).output_text),
  "structured output with a tool": async () => {
    const made = answered(await ask(LETTER, { response_format: VERDICT, tools: [{ type: "url_context" }] }));
    checkVerdict(made.output_text);
    assert.ok(made.steps.some((step) => step.type === "url_context_result"));
  },
  "streaming": async () => {
    let said = "";
    let end = null;
    for await (const event of await ask("Explain tides.", { stream: true })) {
      if (event.event_type === "step.delta" && event.delta.type === "text") said += event.delta.text;
      else if (event.event_type === "interaction.completed") end = event.interaction;
    }
    assert.ok(end.usage.total_tokens > 0);
    assert.equal((await client.interactions.get(end.id)).output_text, said);
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
console.log(`@google/genai ${version}, steps: ${passed} of ${total} examples passed`);
process.exit(passed === total ? 0 : 1);
