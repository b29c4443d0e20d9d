// The list of pictures: a card for each, searched, filtered and sorted.

import { captionOf, confidence, confidenceWords, shortName, sureness } from "./entries.js";
import { bar, copyButton, counted, h, icon } from "./dom.js";

const ORDERS = {
  added: (one, other) => one.id - other.id,
  name: (one, other) => one.name.localeCompare(other.name, "en", { numeric: true }),
  surest: (one, other) => sureness(other) - sureness(one) || one.id - other.id,
  least: (one, other) => sureness(one) - sureness(other) || one.id - other.id,
};
const KINDS = {
  all: () => true,
  metadata: (entry) => entry.record?.origin === "metadata",
  prediction: (entry) => entry.record?.origin === "prediction",
  edited: (entry) => entry.caption !== null,
  failed: (entry) => entry.state === "failed",
};

/** The words for where an answer is from. */
export function originOf(entry) {
  if (entry.state === "failed") return "not read";
  if (entry.state !== "answered") return "waiting";
  return entry.record.origin === "metadata" ? "written" : "predicted";
}

export class Gallery {
  constructor(entries, thumbnails, opened) {
    Object.assign(this, { entries, thumbnails, opened, arranged: () => {} });
    this.list = document.getElementById("gallery");
    this.cards = new Map();
    this.search = document.getElementById("search");
    this.show = document.getElementById("show");
    this.sort = document.getElementById("sort");
    for (const control of [this.search, this.show, this.sort]) control.addEventListener("input", () => this.arrange());
    entries.addEventListener("added", ({ detail }) => {
      for (const entry of detail) this.cards.set(entry.id, new Card(entry, this));
      this.arrange();
    });
    entries.addEventListener("changed", ({ detail }) => {
      for (const entry of detail) this.cards.get(entry.id)?.update();
      this.arrangeSoon();
    });
    entries.addEventListener("removed", ({ detail }) => {
      for (const entry of detail) {
        this.cards.get(entry.id)?.element.remove();
        this.cards.delete(entry.id);
      }
      this.arrange();
    });
  }

  /** The entries that are shown, in their order. */
  shown() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    return this.entries.all
      .filter(KINDS[this.show.value])
      .filter((entry) => words.every((word) => haystack(entry).includes(word)))
      .sort(ORDERS[this.sort.value]);
  }

  arrangeSoon() {
    this.soon ??= setTimeout(() => this.arrange(), 150);
  }

  /** Puts the cards in order, moving only those that have to move, so that a field keeps its focus. */
  arrange() {
    clearTimeout(this.soon);
    this.soon = null;
    const shown = this.shown();
    const wanted = shown.map((entry) => this.cards.get(entry.id).element);
    const kept = new Set(wanted);
    const focused = document.activeElement;
    for (const card of [...this.list.children]) {
      if (!kept.has(card) && !card.contains(focused)) card.remove();
    }
    let place = this.list.firstChild;
    for (const card of wanted) {
      if (card === place) place = place.nextSibling;
      else if (card.contains(focused)) place = card.nextSibling;
      else this.list.insertBefore(card, place);
    }
    document.getElementById("nothing").hidden = shown.length > 0 || !this.entries.all.length;
    this.arranged();
    const all = this.entries.all.length;
    const words = shown.length === all ? counted(all, "picture") : `${shown.length.toLocaleString("en")} of ${counted(all, "picture")}`;
    const count = document.getElementById("count");
    if (count.textContent !== words) count.textContent = words;
  }

  /** Marks the card whose details are open. */
  mark(opened) {
    for (const [id, card] of this.cards) card.mark(id === opened?.id);
  }

  focus(entry) {
    this.cards.get(entry.id)?.button.focus();
  }
}

function haystack(entry) {
  const record = entry.record ?? {};
  return [entry.name, captionOf(entry), record.prompt, record.negative_prompt, record.tool, entry.error?.message]
    .filter(Boolean).join("\n").toLowerCase();
}

class Card {
  constructor(entry, gallery) {
    this.entry = entry;
    this.gallery = gallery;
    this.image = h("span", { class: "thumb" });
    this.badge = h("span", { class: "badge" });
    this.sure = h("span", { class: "sure" });
    this.button = h(
      "button",
      { class: "card-open", type: "button", onclick: () => gallery.opened(entry) },
      this.image,
      h("span", { class: "card-name", title: entry.name }, h("span", { class: "unseen" }, "Details of "), shortName(entry)),
    );
    this.caption = h("textarea", {
      class: "caption", rows: 3, spellcheck: false, "aria-label": `Caption of ${shortName(entry)}`,
      oninput: () => this.edited(),
    });
    this.copy = copyButton(() => captionOf(entry), `the caption of ${shortName(entry)}`);
    this.error = h("p", { class: "card-error" });
    this.again = h("button", { class: "button quiet", type: "button", onclick: () => this.retry() }, icon("again"), "Try again");
    this.element = h(
      "li",
      { class: "card" },
      this.button,
      h("div", { class: "card-facts" }, this.badge, this.sure, this.copy),
      this.caption, this.error, this.again,
    );
    this.update();
  }

  update() {
    const { entry } = this;
    const address = this.gallery.thumbnails.address(entry);
    if (address && this.address !== address) {
      this.address = address;
      const [width, height] = entry.shape ?? [1, 1];
      this.image.replaceChildren(h("img", { src: address, alt: "", width, height, loading: "lazy", decoding: "async" }));
    } else if (!address && !this.image.firstChild) {
      this.image.replaceChildren(icon("picture"));
    }
    this.element.dataset.state = entry.state;
    this.badge.textContent = entry.state === "asked" ? "reading" : originOf(entry);
    this.badge.dataset.origin = originOf(entry);
    this.updateAnswer();
  }

  updateAnswer() {
    const { entry } = this;
    const done = entry.state === "answered";
    const failed = entry.state === "failed";
    this.caption.hidden = this.copy.hidden = !done;
    this.error.hidden = !failed;
    this.again.hidden = !(failed && this.gallery.entries.files.has(entry.id));
    this.error.textContent = failed ? entry.error.message : "";
    if (!done) {
      this.sure.replaceChildren();
      return;
    }
    if (document.activeElement !== this.caption && this.caption.value !== captionOf(entry)) this.caption.value = captionOf(entry);
    const sure = confidence(entry.record);
    const words = entry.record.origin === "metadata" ? [entry.record.tool ?? ""] : sure ? [bar(sure.estimate, { range: sure })] : [];
    this.sure.title = sure ? confidenceWords(sure) : "";
    this.sure.replaceChildren(...words, ...(entry.caption === null ? [] : [h("span", { class: "edited" }, "edited")]));
  }

  edited() {
    const { entry, caption } = this;
    this.gallery.entries.change(entry, { caption: caption.value === entry.record.prompt ? null : caption.value });
  }

  retry() {
    this.gallery.entries.change(this.entry, { state: "waiting", error: null });
    this.button.focus();
  }

  mark(isOpen) {
    this.element.toggleAttribute("data-open", isOpen);
    if (isOpen) this.button.setAttribute("aria-current", "true");
    else this.button.removeAttribute("aria-current");
  }
}
