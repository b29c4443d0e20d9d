// Sends the waiting pictures, some at a time, and waits where the server is busy, loading or gone.

import { Busy, Gone, NeedsKey, Refused, about, predict, ready } from "./server.js";

const MOST_FILES = 16;
const MOST_BYTES = 24_000_000;
const LONGEST_PAUSE_S = 15;

/** Works through the entries. `told({state, seconds, message})` says how the server is: "ready", "busy", ... */
export class Sending {
  constructor(entries, told) {
    this.entries = entries;
    this.told = told;
    this.together = MOST_FILES;
    this.style = "";
    this.misses = 0;
    this.wake = () => {};
    this.abort = new AbortController();
    entries.addEventListener("added", () => this.wake());
    entries.addEventListener("changed", () => this.wake());
    entries.addEventListener("removed", () => this.stopIfNobodyWaits());
  }

  /** For ever: asks about what waits, and sleeps until something does. */
  async run() {
    for (;;) {
      try {
        await this.step();
      } catch (error) {
        await this.weather(error);
      }
    }
  }

  async step() {
    if (!this.isReady) {
      await ready();
      const { preset, limits, styles } = await about();
      this.mostFiles = Math.min(MOST_FILES, limits.pictures ?? MOST_FILES);
      this.mostBytes = Math.min(MOST_BYTES, (limits.body_mb ?? Infinity) * 900_000);
      this.isReady = true;
      this.misses = 0;
      this.told({ state: "ready", preset, styles });
    }
    const batch = this.batch();
    if (!batch.length) {
      await new Promise((resolve) => { this.wake = resolve; });
      return;
    }
    await this.ask(batch);
    this.together = Math.min(this.mostFiles, this.together * 2);
    this.misses = 0;
  }

  async ask(batch) {
    this.abort = new AbortController();
    const files = batch.map((entry) => ({ file: this.entries.files.get(entry.id), name: entry.name }));
    for (const entry of batch) this.entries.change(entry, { state: "asked" });
    try {
      await predict(files, this.style, (position, record) => this.settle(batch[position], record), this.abort.signal);
      for (const entry of batch) if (entry.state === "asked") this.fail(entry, "no-answer", "the server did not answer");
    } catch (error) {
      const left = batch.filter((entry) => entry.state === "asked");
      if (error instanceof Refused && batch.length === 1) {
        this.fail(batch[0], error.kind, error.message);
        return;
      }
      for (const entry of left) this.entries.change(entry, { state: "waiting" });
      if (error.name === "AbortError") return;
      if (!(error instanceof Refused)) throw error;
      this.alone = new Set(left); // one of them is refused: which, is seen when each is sent alone
    }
  }

  settle(entry, record) {
    if (!entry || entry.state !== "asked") return;
    if (record.error) {
      this.fail(entry, record.error.kind ?? record.error.type ?? "", record.error.message ?? "it cannot be read");
      return;
    }
    const { embedding, position: _position, ...rest } = record;
    const vector = embedding ? Float32Array.from(embedding) : null;
    this.entries.change(entry, { state: "answered", record: { ...rest, source: entry.name }, vector, error: null });
  }

  fail(entry, kind, message) {
    this.entries.change(entry, { state: "failed", error: { kind, message } });
  }

  batch() {
    const batch = [];
    let bytes = 0;
    for (const entry of this.entries.waiting()) {
      if (this.alone?.delete(entry)) return batch.length ? batch : [entry];
      bytes += entry.size;
      if (batch.length && (batch.length >= Math.min(this.together, this.mostFiles) || bytes > this.mostBytes)) break;
      batch.push(entry);
    }
    return batch;
  }

  stopIfNobodyWaits() {
    if (!this.entries.isWorking()) this.abort.abort();
  }

  /** Waits as long as an error asks for. */
  async weather(error) {
    if (error.name === "AbortError") return;
    this.misses += 1;
    if (error instanceof NeedsKey) {
      this.told({ state: "key", message: error.message });
      await new Promise((resolve) => { this.keyGiven = resolve; });
      return;
    }
    if (error instanceof Busy) {
      this.together = Math.max(1, this.together >> 1);
      if (error.loading) this.isReady = false;
      await this.pause(error.loading ? "loading" : "busy", error.seconds, error.message);
      return;
    }
    if (error instanceof Gone) {
      this.isReady = false;
      await this.pause("gone", Math.min(LONGEST_PAUSE_S, 2 ** (this.misses - 1)), error.message);
      return;
    }
    console.error(error);
    await this.pause("gone", 5, String(error.message ?? error));
  }

  async pause(state, seconds, message) {
    for (let left = seconds; left > 0; left -= 1) {
      this.told({ state, seconds: left, message });
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.hurry = () => { clearTimeout(timer); left = 0; resolve(); };
      });
    }
    if (state === "busy") this.told({ state: "ready" });
  }
}
