// All about one picture: what is written or predicted, what else it could be, and how near a prompt of one's own comes.

import { captionOf, confidence, shortName } from "./entries.js";
import { bar, copyButton, h, icon, megabytes } from "./dom.js";
import { originOf } from "./gallery.js";
import { scores, similar } from "./server.js";

const TYPED_AFTER_MS = 250;
const SPOKEN_AFTER_MS = 900;
const SIMILAR = 10;
const LARGEST_SENT = 1_000_000; // a larger picture is sent reduced: it goes to the server with each pause in typing

export class Detail {
  constructor(entries, thumbnails, gallery, closed) {
    Object.assign(this, { entries, thumbnails, gallery, closed });
    this.element = document.getElementById("detail");
    this.entry = null;
    entries.addEventListener("changed", ({ detail }) => {
      if (detail.includes(this.entry)) this.follow();
    });
    gallery.arranged = () => { if (this.entry) this.showSteps(); };
    entries.addEventListener("removed", ({ detail }) => {
      if (detail.includes(this.entry)) this.close({ focus: false });
    });
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) this.close();
    });
  }

  open(entry, { focus = true } = {}) {
    this.leave();
    this.entry = entry;
    this.element.hidden = false;
    this.render();
    this.gallery.mark(entry);
    if (focus) {
      this.element.querySelector("h2").focus({ preventScroll: true });
      this.element.scrollIntoView({ block: "nearest" });
      this.element.scrollTop = 0;
    }
  }

  close({ focus = true } = {}) {
    const { entry } = this;
    this.leave();
    this.entry = null;
    this.element.hidden = true;
    this.element.replaceChildren();
    this.gallery.mark(null);
    this.closed();
    if (focus && entry) this.gallery.focus(entry);
  }

  leave() {
    this.asking?.abort();
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = null;
  }

  /** Draws anew what depends on the answer; a caption that is being typed is left alone. */
  follow() {
    const { entry } = this;
    if (stateOf(entry) !== this.drawn) {
      this.leave();
      const inside = this.element.contains(document.activeElement);
      this.render();
      if (inside) this.element.querySelector("h2").focus({ preventScroll: true });
      return;
    }
    if ((entry.thumbnail && !this.hasPicture) || entry.isUnseen !== this.isUnseen) this.element.querySelector(".figure")?.replaceWith(this.figure());
    if (this.caption && document.activeElement !== this.caption) {
      this.caption.value = captionOf(entry);
      this.showEdited();
    }
  }

  render() {
    const { entry } = this;
    this.drawn = stateOf(entry);
    this.asking = new AbortController();
    this.caption = null;
    this.element.replaceChildren(this.head(), h("div", { class: "detail-body" }, entry.state === "failed" && !entry.thumbnail ? null : this.figure(), h("div", { class: "detail-words" }, this.words())));
  }

  head() {
    const { entry } = this;
    const step = (by, what, name) => h("button", { class: "button plain step", type: "button", title: what, onclick: () => this.open(this.beside(by)) },
      icon(name), h("span", { class: "unseen" }, what));
    this.steps = [step(-1, "Previous picture", "back"), step(1, "Next picture", "next")];
    this.showSteps();
    return h("div", { class: "detail-head" },
      h("button", { class: "button plain close", type: "button", onclick: () => this.close() },
        h("span", { class: "narrow" }, icon("back"), "All", h("span", { class: "unseen" }, " pictures")), h("span", { class: "wide" }, icon("close"), h("span", { class: "unseen" }, "Close the details"))),
      h("h2", { id: "detail-title", tabIndex: -1 }, shortName(entry)),
      h("div", { class: "steps" }, this.steps),
    );
  }

  /** The picture before or after this one in the list as it is shown. */
  beside(by) {
    const shown = this.gallery.shown();
    const at = shown.indexOf(this.entry);
    return at < 0 ? undefined : shown[at + by];
  }

  showSteps() {
    [-1, 1].forEach((by, at) => { this.steps[at].disabled = !this.beside(by); });
  }

  figure() {
    const { entry } = this;
    const file = this.entries.files.get(entry.id);
    const small = this.thumbnails.address(entry);
    let image = h("div", { class: "no-picture" }, icon("picture"), entry.isUnseen ? h("p", {}, "The browser cannot show it") : null);
    this.hasPicture = Boolean(small);
    this.isUnseen = entry.isUnseen;
    if (small) {
      if (file) this.address = URL.createObjectURL(file);
      const [width, height] = entry.shape ?? [];
      image = h("img", { src: this.address ?? small, width, height, alt: `The picture ${shortName(entry)}`, decoding: "async" });
    }
    const facts = [entry.shape && `${entry.shape[0]} × ${entry.shape[1]}`, megabytes(entry.size), entry.name.includes("/") && entry.name];
    return h("figure", { class: "figure" }, image, h("figcaption", {}, facts.filter(Boolean).join(" · ")));
  }

  words() {
    const { entry } = this;
    if (entry.state === "failed") return this.failure();
    if (entry.state !== "answered") return [h("p", { class: "reading" }, entry.state === "asked" ? "Reading it…" : "Waiting for its turn…")];
    const { record } = entry;
    return [
      this.prompt(), this.notes(), this.negative(), this.concepts(), this.editing(), this.trying(), this.settings(),
      this.texts(), this.resources(), this.candidates(), this.similar(), this.origin(record),
    ];
  }

  failure() {
    const { entry } = this;
    const again = this.entries.files.has(entry.id)
      ? h("button", { class: "button", type: "button", onclick: () => this.entries.change(entry, { state: "waiting", error: null }) }, icon("again"), "Try again")
      : null;
    return [h("div", { class: "failure" }, h("h3", {}, "This picture was not read"), h("p", {}, entry.error.message),
      entry.error.kind ? h("p", { class: "hint" }, `kind: ${entry.error.kind}`) : null, again)];
  }

  prompt() {
    const { record } = this.entry;
    const written = record.origin === "metadata";
    return h("section", { class: "prompt" },
      h("div", { class: "kicker" },
        h("h3", { class: "badge", "data-origin": originOf(this.entry) }, written ? `Written by ${record.tool ?? "the generator"}` : "Predicted"),
        record.certainty && record.certainty !== "written" ? h("span", { class: "hint" }, record.certainty) : null,
        written ? null : this.sureness(confidence(record))),
      h("p", { class: "prompt-text" }, record.prompt || "No words: only a vector was asked for."),
      record.prompt ? copyButton(() => record.prompt, "the prompt", { words: true }) : null);
  }

  sureness(sure) {
    if (!sure) return null;
    const range = `${sure.low.toFixed(2)} to ${sure.high.toFixed(2)}`;
    return h("span", { class: "sure", title: "The estimated cosine with the true prompt, and the range that holds four in five of them" },
      h("span", { class: "hint" }, "confidence"), bar(sure.estimate, { range: sure }), h("span", { class: "hint" }, range));
  }

  notes() {
    const { entry } = this;
    const notes = [];
    if (entry.record.note) notes.push(entry.record.note);
    if (entry.pasted && entry.record.origin !== "metadata") {
      notes.push("This picture was pasted. A browser saves what it pastes anew, without the prompt that its file may hold: choose or drop the file itself to read that.");
    }
    const missing = Object.keys(entry.record.model?.missing ?? {});
    if (missing.length) notes.push(`Answered without ${missing.join(", ")}: the server lacks their models.`);
    return notes.map((note) => h("p", { class: "note" }, note));
  }

  negative() {
    const text = this.entry.record.negative_prompt;
    return text ? h("section", { class: "part" }, partHead("Negative prompt", copyButton(() => text, "the negative prompt")), h("p", { class: "negative" }, text)) : null;
  }

  concepts() {
    const found = this.entry.record.concepts;
    if (!Array.isArray(found) || !found.length) return null;
    const chip = ({ name, probability }) => h("li", { class: "chip" }, name, h("span", { class: "number" }, probability.toFixed(2)));
    return h("section", { class: "part" }, partHead("What it sees"), h("ul", { class: "chips concepts" }, found.map(chip)));
  }

  editing() {
    const { entry } = this;
    this.caption = h("textarea", { id: "caption", rows: 3, spellcheck: false, value: captionOf(entry), oninput: () => {
      const value = this.caption.value;
      this.entries.change(entry, { caption: value === entry.record.prompt ? null : value });
      this.showEdited();
    } });
    this.reset = h("button", { class: "button quiet", type: "button", onclick: () => {
      this.caption.value = entry.record.prompt;
      this.entries.change(entry, { caption: null });
      this.showEdited();
      this.caption.focus();
    } }, "Back to the prompt");
    const part = h("section", { class: "part" },
      h("div", { class: "part-head" }, h("h3", {}, h("label", { for: "caption" }, "Caption")), h("span", { class: "hint" }, "what an export writes"),
        this.reset, copyButton(() => captionOf(entry), "the caption")),
      this.caption);
    this.showEdited();
    return part;
  }

  showEdited() {
    this.reset.hidden = this.entry.caption === null;
  }

  /** The field to type a prompt, and how near it comes. */
  trying() {
    const { entry } = this;
    const { record } = entry;
    if (!this.sent(entry)) return null;
    const field = h("textarea", { id: "trial", rows: 2, value: entry.trial ?? "", placeholder: "Type a prompt of your own", spellcheck: false, "aria-describedby": "trial-hint" });
    const found = h("div", { class: "trial-found" });
    const spoken = h("p", { class: "unseen", role: "status" });
    let timer = 0;
    let speaking = 0;
    let asked = new AbortController();
    const measure = async () => {
      asked.abort();
      asked = new AbortController();
      const { signal } = asked;
      const text = field.value.trim();
      entry.trial = field.value;
      if (!text) {
        found.replaceChildren();
        spoken.textContent = "";
        return;
      }
      found.dataset.stale = "";
      try {
        const prompts = record.prompt ? [text, record.prompt] : [text];
        const [cosine, mark] = await scores(this.sent(entry), prompts, signal);
        if (signal.aborted || this.entry !== entry) return;
        delete found.dataset.stale;
        const what = record.origin === "metadata" ? "the written prompt" : "the predicted prompt";
        const than = Number.isFinite(mark) ? `${what}: ${mark.toFixed(2)}` : "";
        found.replaceChildren(bar(cosine, { mark }), h("span", { class: "hint" }, than));
        clearTimeout(speaking);
        speaking = setTimeout(() => { spoken.textContent = `Similarity ${cosine.toFixed(2)}; ${than}`; }, SPOKEN_AFTER_MS);
      } catch (error) {
        if (error.name === "AbortError" || this.entry !== entry) return;
        delete found.dataset.stale;
        found.replaceChildren(h("span", { class: "problem", role: "alert" }, `Not measured: ${error.message}`));
        if (error.seconds) timer = setTimeout(measure, error.seconds * 1000);
      }
    };
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(measure, TYPED_AFTER_MS);
    });
    this.asking.signal.addEventListener("abort", () => { asked.abort(); clearTimeout(timer); clearTimeout(speaking); });
    if (field.value) measure();
    return h("section", { class: "part trial" },
      h("div", { class: "part-head" }, h("h3", {}, h("label", { for: "trial" }, "How near does a prompt come?"))),
      field, found, spoken,
      h("p", { class: "hint", id: "trial-hint" }, "The cosine between your words and the picture, as you type: 1 is the same, around 0 is unrelated."));
  }

  /** What is sent to measure prompts by: the file, or the thumbnail where that is large or no longer here. */
  sent(entry) {
    const file = this.entries.files.get(entry.id);
    return file && (file.size <= LARGEST_SENT || !entry.thumbnail) ? file : entry.thumbnail;
  }

  settings() {
    const { record } = this.entry;
    const settings = Object.entries(record.settings ?? {});
    if (!settings.length) return null;
    const lines = () => settings.map(([name, value]) => `${name}: ${shown(value)}`).join("\n");
    return h("section", { class: "part" }, partHead("Settings", copyButton(lines, "the settings")),
      h("dl", { class: "settings" }, settings.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, shown(value))))));
  }

  texts() {
    const texts = (this.entry.record.texts ?? []).filter((each) => each && typeof each.text === "string");
    const told = new Set([this.entry.record.prompt, this.entry.record.negative_prompt]);
    const others = texts.filter((each) => !told.has(each.text));
    if (!others.length) return null;
    return h("details", { class: "part more" }, h("summary", {}, `Other texts in the file (${others.length})`),
      h("ul", { class: "texts" }, others.map((each) => h("li", {}, h("span", { class: "hint" }, [each.role, each.node].filter(Boolean).join(" · ")), h("p", {}, each.text), copyButton(() => each.text, "this text")))));
  }

  resources() {
    const found = (this.entry.record.resources ?? []).filter((each) => each && each.name);
    if (!found.length) return null;
    return h("section", { class: "part" }, partHead("Made with"), h("ul", { class: "chips" }, found.map((each) =>
      h("li", { class: "chip" }, h("span", { class: "hint" }, each.kind), each.name, Number.isFinite(each.weight) ? h("span", { class: "number" }, String(each.weight)) : null))));
  }

  candidates() {
    const { record } = this.entry;
    const found = (record.candidates ?? []).map((each) => (typeof each === "string" ? { text: each } : each));
    const others = found.filter((each) => each.text !== record.prompt);
    return others.length ? h("section", { class: "part" }, partHead("It could also be"), this.ranked(others)) : null;
  }

  similar() {
    const { entry } = this;
    const place = h("div", { class: "similar", "aria-busy": "true" }, h("p", { class: "hint" }, "Looking for similar prompts…"));
    this.fillSimilar(entry, place, this.asking.signal);
    return h("section", { class: "part" }, partHead("Most similar prompts"), place);
  }

  async fillSimilar(entry, place, signal) {
    try {
      entry.similar ??= entry.vector ? await similar(entry.vector, SIMILAR, signal) : [];
      place.replaceChildren(entry.similar.length ? this.ranked(entry.similar) : h("p", { class: "hint" }, "None were found."));
    } catch (error) {
      if (error.name === "AbortError") return;
      const again = h("button", { class: "button quiet", type: "button", onclick: () => this.fillSimilar(entry, place, signal) }, icon("again"), "Try again");
      place.replaceChildren(h("p", { class: "hint" }, `Not found: ${error.message}`), again);
    } finally {
      place.removeAttribute("aria-busy");
    }
  }

  ranked(found) {
    return h("ol", { class: "ranked" }, found.map((each) => h("li", {},
      h("p", {}, each.text), Number.isFinite(each.similarity) ? bar(each.similarity) : h("span"), copyButton(() => each.text, "this prompt"))));
  }

  origin(record) {
    const model = record.model ?? {};
    const votes = Array.isArray(record.votes) ? record.votes : [];
    if (!votes.length && !model.preset) return null;
    return h("details", { class: "part more" }, h("summary", {}, "What computed this"),
      h("dl", { class: "settings" },
        model.preset ? h("div", {}, h("dt", {}, "preset"), h("dd", {}, String(model.preset))) : null,
        model.unprompt ? h("div", {}, h("dt", {}, "unprompt"), h("dd", {}, String(model.unprompt))) : null,
        votes.map((vote) => h("div", {}, h("dt", {}, `member ${vote.member}`), h("dd", {}, [`weight ${vote.weight}`, vote.text].filter(Boolean).join(" · "))))));
  }
}

function stateOf(entry) {
  return JSON.stringify([entry.state, entry.error]);
}

function partHead(title, ...ways) {
  return h("div", { class: "part-head" }, h("h3", {}, title), ...ways);
}

function shown(value) {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}
