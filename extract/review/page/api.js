// Calls to the server: the token in a header, errors as values with a message that can be shown.

import { token } from "./token.js";

/** The server cannot be reached; what was to be sent is still here. */
export class Unreachable extends Error {}

/** The server answered with an error. `problems` are the messages at fields, `code` its kind. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.error?.message ?? `the server answered ${status}`);
    this.status = status;
    this.code = body?.error?.code ?? "";
    this.problems = Array.isArray(body?.errors) ? body.errors : [];
  }
}

async function call(path, options = {}) {
  const headers = { "X-Review-Token": token(), ...(options.body ? { "Content-Type": "application/json" } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("the server cannot be reached");
  }
  if (response.ok) return response;
  throw new Refused(response.status, await response.json().catch(() => null));
}

const read = async (path, options) => {
  const response = await call(path, options);
  try {
    return await response.json();
  } catch {
    throw new Unreachable("the server ended in the middle of its answer");
  }
};
const send = (path, body) => read(path, { method: "POST", body: JSON.stringify(body) });

export const getTask = () => read("/api/task");
export const getRow = (number) => read(`/api/rows/${number}`);
export const getNext = (number) => read(`/api/next?after=${number}`);
export const getProgress = () => read("/api/progress");
export const getTasks = (start, count) => read(`/api/tasks?start=${start}&count=${count}`);
export const getWords = (number, page) => read(`/api/rows/${number}/pages/${page}/words`);
export const decide = (number, decision) => send(`/api/rows/${number}/decisions`, decision);
export const undo = () => send("/api/undo", {});

const ahead = new Map(); // what is fetched for the record that comes next
const AHEAD = 3;

const bytes = async (path, options) => {
  const response = await call(path, options);
  try {
    return await response.blob();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("the server ended in the middle of its answer");
  }
};

/** Fetch bytes before they are needed. */
export function fetchAhead(path) {
  if (ahead.has(path)) return;
  const fetching = bytes(path);
  fetching.catch(() => ahead.delete(path));
  ahead.set(path, fetching);
  while (ahead.size > AHEAD) ahead.delete(ahead.keys().next().value);
}

/** Return the bytes behind a path of a row as a blob: URL; whoever asks releases it. */
export async function blobUrl(path, options = {}) {
  const fetching = ahead.get(path);
  ahead.delete(path);
  return URL.createObjectURL(await (fetching ?? bytes(path, options)));
}
