// The list of pictures: what the gallery shows, the queue works on and the storage keeps.

import * as storage from "./storage.js";

const SAVED_AFTER_MS = 300;

/**
 * An entry: id, name (with its folder), size, pasted, state ("waiting", "asked", "answered", "failed"), record, error
 * {kind, message}, caption (null: the prompt as it is), thumbnail (a Blob or null), isUnseen (the browser cannot show
 * it), shape [width, height], vector (of the answer), similar (the prompts near to it, once asked for), trial (the prompt
 * that was tried). `files` has the files by id, until a reload.
 */
export class Entries extends EventTarget {
  constructor() {
    super();
    this.all = [];
    this.files = new Map();
    this.next = 1;
    this.changed = new Set();
    this.saving = [];
    this.timer = 0;
  }

  /** Takes up what was kept of this tab. */
  async restore() {
    const kept = await storage.load();
    for (const entry of kept) {
      if (entry.state === "waiting" || entry.state === "asked") {
        const message = "this picture was still waiting when the page was reloaded; add it again";
        Object.assign(entry, { state: "failed", error: { kind: "reloaded", message } });
      }
    }
    this.all = [...kept, ...this.all];
    this.next = Math.max(0, ...this.all.map((entry) => entry.id)) + 1;
    if (kept.length) this.tell("added", kept);
  }

  /** Adds files [{file, name, pasted}]; those that are here already are left out. Returns the new entries. */
  add(found) {
    const known = new Set(this.all.filter((entry) => this.files.has(entry.id)).map(mark));
    const added = [];
    for (const { file, name, pasted } of found) {
      const entry = {
        id: this.next, name, size: file.size, modified: file.lastModified, pasted, state: "waiting", record: null,
        error: null, caption: null, thumbnail: null, isUnseen: false, shape: null, vector: null, similar: null, trial: "",
      };
      if (!pasted && known.has(mark(entry))) continue;
      known.add(mark(entry));
      this.next += 1;
      this.files.set(entry.id, file);
      this.all.push(entry);
      added.push(entry);
    }
    if (added.length) {
      this.keep(added);
      this.tell("added", added);
    }
    return added;
  }

  /** Changes an entry, and tells everyone. */
  change(entry, values) {
    if (!this.all.includes(entry)) return; // cleared meanwhile
    Object.assign(entry, values);
    this.keep([entry]);
    this.tell("changed", [entry]);
  }

  remove(entries) {
    const gone = new Set(entries);
    this.all = this.all.filter((entry) => !gone.has(entry));
    for (const entry of gone) {
      this.files.delete(entry.id);
      this.changed.delete(entry);
    }
    storage.forget(gone);
    this.tell("removed", entries);
  }

  waiting() {
    return this.all.filter((entry) => entry.state === "waiting" && this.files.has(entry.id));
  }

  isWorking() {
    return this.all.some((entry) => entry.state === "waiting" || entry.state === "asked");
  }

  keep(entries) {
    for (const entry of entries) this.changed.add(entry);
    this.timer ||= setTimeout(() => this.flush(), SAVED_AFTER_MS);
  }

  async flush() {
    this.timer = 0;
    const changed = [...this.changed];
    this.changed.clear();
    this.saving = changed;
    await storage.save(changed);
    if (this.saving === changed) this.saving = [];
  }

  /** Keeps at once what is not in the database yet. */
  leave() {
    storage.saveAtOnce([...new Set([...this.saving, ...this.changed])]);
    this.flush(); // in time in some browsers, and the only way for thumbnails
  }

  tell(what, entries) {
    this.dispatchEvent(new CustomEvent(what, { detail: entries }));
  }
}

/** What a trainer reads: the caption, or the prompt where nobody changed it. */
export function captionOf(entry) {
  return entry.caption ?? entry.record?.prompt ?? "";
}

/** How sure an answer is, from 0 to 1: written prompts are certain, failures come last. */
export function sureness(entry) {
  const record = entry.record;
  if (!record) return -1;
  if (record.origin === "metadata") return record.certainty === "ambiguous" ? 0.99 : 1;
  return confidence(record)?.estimate ?? 0;
}

/** How near a record's answer should be to the true prompt: {estimate, low, high}, or null if the preset cannot say. */
export function confidence(record) {
  const found = record.confidence;
  return [found?.estimate, found?.low, found?.high].every(Number.isFinite) ? found : null;
}

/** The confidence as words, with its range. */
export function confidenceWords({ estimate, low, high }) {
  return `confidence ${estimate.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
}

/** The name without its folder. */
export function shortName(entry) {
  return entry.name.slice(entry.name.lastIndexOf("/") + 1);
}

function mark(entry) {
  return JSON.stringify([entry.name, entry.size, entry.modified]);
}
