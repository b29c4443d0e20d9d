// What leaves the page: a table, records, or the captions as files beside the pictures' names.

import { captionOf } from "./entries.js";
import { zip } from "./zip.js";

const COLUMNS = [
  "source", "caption", "prompt", "origin", "confidence", "confidence_low", "confidence_high", "concepts", "tool",
  "negative_prompt", "settings", "error_kind", "error_message",
];

/** A file of the entries that are done: {blob, name}. */
export async function exported(entries, format) {
  const done = entries.filter((entry) => entry.state === "answered" || entry.state === "failed");
  if (format === "csv") return { blob: blob([csv(done)], "text/csv"), name: "prompts.csv" };
  if (format === "jsonl") return { blob: blob([jsonl(done)], "application/x-ndjson"), name: "prompts.jsonl" };
  const files = captionFiles(done.filter((entry) => entry.record), format);
  return { blob: await zip(files), name: `captions-${format}.zip` };
}

function blob(parts, type) {
  return new Blob(parts, { type: `${type};charset=utf-8` });
}

/** A row for each entry, quoted by RFC 4180; the columns are those of `unprompt --format csv`, and the caption. */
export function csv(entries) {
  const rows = entries.map((entry) => COLUMNS.map((column) => cell(value(entry, column))).join(","));
  return [COLUMNS.join(","), ...rows, ""].join("\n");
}

/** A record for each entry, as `unprompt --format jsonl` has it, and the caption. */
export function jsonl(entries) {
  return entries.map((entry) => `${JSON.stringify(entry.record
    ? { ...entry.record, caption: captionOf(entry) }
    : { source: entry.name, error: entry.error })}\n`).join("");
}

function value(entry, column) {
  if (column === "source") return entry.name;
  if (column === "caption") return entry.record ? captionOf(entry) : null;
  if (column === "confidence") return entry.record?.confidence?.estimate;
  if (column.startsWith("confidence_")) return entry.record?.confidence?.[column.slice("confidence_".length)];
  if (column === "concepts") {
    return entry.record?.concepts?.map(({ name, probability }) => `${name} ${probability.toFixed(2)}`).join("; ");
  }
  if (column.startsWith("error_")) return entry.error?.[column.slice("error_".length)];
  return entry.record?.[column];
}

function cell(found) {
  if (found === null || found === undefined) return "";
  const text = typeof found === "object" ? JSON.stringify(found) : String(found);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A file for each caption: the picture's name, folder included, with another ending. No two have the same. */
export function captionFiles(entries, ending) {
  const taken = new Set();
  return entries.map((entry) => {
    const stem = safePath(entry.name).replace(/\.[^./]*$/, "");
    let path = `${stem}.${ending}`;
    for (let number = 2; taken.has(path.toLowerCase()); number += 1) path = `${stem} (${number}).${ending}`;
    taken.add(path.toLowerCase());
    return { path, text: `${captionOf(entry)}\n` };
  });
}

/** A relative path that leads nowhere but below the folder in which it is unpacked. */
function safePath(name) {
  const parts = name.split(/[/\\]/).map((part) => part.replace(/[\u0000-\u001f<>:"|?*]/g, "_").replace(/[. ]+$/, ""));
  return parts.filter((part) => part && part !== "." && part !== "..").join("/") || "picture";
}
