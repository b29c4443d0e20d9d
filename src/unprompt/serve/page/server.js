// Talks to the server that sent this page, and to no other.

const base = new URL(".", document.baseURI);
const KEY = "unprompt-key";

/** The server has no room now, or still loads its models; `seconds` says when to ask again. */
export class Busy extends Error {
  constructor(message, seconds, loading) {
    super(message);
    this.seconds = seconds;
    this.loading = loading;
  }
}

/** The server cannot be reached. */
export class Gone extends Error {}

/** The server asks for a key, or for another one. */
export class NeedsKey extends Error {}

/** The server refuses what was sent; `kind` is its word for the reason. */
export class Refused extends Error {
  constructor(message, status, kind) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

/** Keeps a key until the tab is closed. */
export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** What the server says of itself: {preset, limits, styles}, as far as it does. */
export async function about() {
  const found = await parsed(await ask("v1/models"));
  return { preset: found.data?.[0]?.id ?? "", limits: found.limits ?? {}, styles: found.styles ?? [] };
}

/** Resolves once the models are loaded. Throws Busy until then. */
export async function ready() {
  await ask("ready");
}

/**
 * Asks for the prompts of some pictures; `style` is "" for the preset's own. `answered(position, record)` is called for each as it comes; a picture that
 * cannot be read has a record with `error`.
 */
export async function predict(files, style, answered, signal) {
  const form = new FormData();
  for (const { file, name } of files) form.append("file", file, name);
  if (style) form.append("style", style);
  const response = await ask("v1/predict?text=true&top=5&embedding=true", {
    method: "POST",
    body: form,
    headers: { Accept: "application/x-ndjson" },
    signal,
  });
  if ((response.headers.get("content-type") ?? "").includes("ndjson")) {
    await eachLine(response, (record) => answered(record.position, record));
    return;
  }
  const found = await parsed(response);
  (found.results ?? [found]).forEach((record, at) => answered(record.position ?? at, record));
}

/** The prompts of the server's bank that are nearest to a vector: [{text, similarity}]. */
export async function similar(vector, count, signal) {
  return (await send("v1/similar", { embedding: Array.from(vector), n: count }, signal)).results;
}

/** How near some prompts come to a picture, whatever its file says: their cosines, in order. */
export async function scores(picture, prompts, signal) {
  const form = new FormData();
  form.append("file", picture, "picture");
  for (const prompt of prompts) form.append("prompt", prompt);
  const found = await parsed(await ask("v1/score", { method: "POST", body: form, signal }));
  return found.scores.map((each) => each.similarity);
}

async function send(path, value, signal) {
  const headers = { "Content-Type": "application/json" };
  return parsed(await ask(path, { method: "POST", body: JSON.stringify(value), headers, signal }));
}

async function parsed(response) {
  try {
    return await response.json();
  } catch {
    throw new Gone("the answer broke off");
  }
}

async function ask(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
  let response;
  try {
    response = await fetch(new URL(path, base), { ...options, headers, cache: "no-store", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Gone("the server cannot be reached");
  }
  if (response.ok) return response;
  throw await refusal(response);
}

async function refusal(response) {
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch { /* a proxy may answer in HTML */ }
  const message = typeof error.message === "string" ? error.message : `the server answered ${response.status}`;
  const status = response.status;
  if (status === 401) return new NeedsKey(message);
  if (status === 429 || status === 503) {
    const seconds = Number.parseInt(response.headers.get("Retry-After"), 10);
    return new Busy(message, Math.min(Math.max(seconds || 2, 1), 120), status === 503);
  }
  if (status === 502 || status === 504 && !error.message) return new Gone(message);
  return new Refused(message, status, error.type ?? "");
}

async function eachLine(response, use) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line) use(JSON.parse(line));
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Gone("the answers broke off");
  }
}
