// Starts the page, and tells how it goes: progress, refusals, and a server that is busy or gone.

import { Detail } from "./detail.js";
import { counted, h, icon, say } from "./dom.js";
import { Entries } from "./entries.js";
import { exported } from "./exporting.js";
import { Gallery } from "./gallery.js";
import { watchIntake } from "./intake.js";
import { Sending } from "./sending.js";
import { useKey } from "./server.js";
import { Thumbnails } from "./thumbnails.js";

const WIDE = matchMedia("(min-width: 68rem)");
const NAMES_SHOWN = 3;

const find = (id) => document.getElementById(id);
const entries = new Entries();
const thumbnails = new Thumbnails(entries);
const gallery = new Gallery(entries, thumbnails, (entry) => detail.open(entry));
const detail = new Detail(entries, thumbnails, gallery, () => arrange());
const sending = new Sending(entries, showServer);

/** Shows those parts of the page that its state needs. */
function arrange() {
  const count = entries.all.length;
  document.body.dataset.view = count === 0 ? "empty" : count === 1 ? "one" : "many";
  document.body.toggleAttribute("data-detail", detail.entry !== null);
  find("work").hidden = count === 0;
  const title = count ? "Drop more pictures here" : "Which prompt made this picture?";
  if (find("intake-title").textContent !== title) find("intake-title").textContent = title;
  find("export").disabled = !entries.all.some((entry) => entry.state === "answered" || entry.state === "failed");
  showProgress();
}

const openAt = detail.open.bind(detail);
detail.open = (entry, options) => {
  openAt(entry, options);
  arrange();
};

function showProgress() {
  const all = entries.all.length;
  const failed = entries.all.filter((entry) => entry.state === "failed").length;
  const done = failed + entries.all.filter((entry) => entry.state === "answered").length;
  const isShown = all > 1 && done < all;
  const tail = failed ? `, ${failed.toLocaleString("en")} not read` : "";
  const words = `${done.toLocaleString("en")} of ${counted(all, "picture")}${tail}`;
  find("progress").hidden = !isShown;
  find("progress-text").textContent = words;
  find("bar").max = Math.max(1, all);
  find("bar").value = done;
  if (all && done === all && !wasDone) say(all === 1 ? doneWords(entries.all[0]) : `Done: ${words}`);
  wasDone = done === all;
}
let wasDone = true;

function doneWords(entry) {
  if (entry.state === "failed") return `Not read: ${entry.error.message}`;
  return `${entry.record.origin === "metadata" ? "Written prompt" : "Predicted prompt"}: ${entry.record.prompt}`;
}

/** Takes what was chosen, dropped or pasted. */
function take({ files, others, isFolder, isAddress }) {
  if (isAddress && !others.length) {
    notice("That was an address, not a file. Save the picture and drop the file: only that holds its prompt.");
    return;
  }
  const wasEmpty = entries.all.length === 0;
  const added = entries.add(files);
  const copies = files.length - added.length;
  if (others.length) notice(refusal(others, isFolder));
  else if (!files.length) notice("There are no pictures in it.");
  if (copies) notice(`${counted(copies, "picture was", "pictures were")} in the list already.`);
  if (added.length) say(`Added ${counted(added.length, "picture")}`);
  if (added.length && wasEmpty && (added.length === 1 || WIDE.matches)) detail.open(added[0], { focus: false });
  arrange();
}

function refusal(names, isFolder) {
  if (isFolder) return `${counted(names.length, "file in it is no picture, and was", "files in it are no pictures, and were")} left out.`;
  const some = names.slice(0, NAMES_SHOWN).join(", ") + (names.length > NAMES_SHOWN ? ", …" : "");
  return `${some}: ${names.length === 1 ? "not a picture" : "not pictures"}. PNG, JPEG, WebP, GIF, BMP, TIFF and AVIF can be read.`;
}

/** A line that can be dismissed. */
function notice(text) {
  const line = h("p", { class: "notice" }, h("span", {}, text),
    h("button", { class: "button plain", type: "button", title: "Dismiss", onclick: () => line.remove() }, icon("close"), h("span", { class: "unseen" }, "Dismiss")));
  const place = find("notices");
  place.append(line);
  while (place.children.length > 4) place.firstChild.remove();
}

/** Words in another style: pictures whose prompt was predicted, and whose caption nobody edited, are asked about again. */
find("style").addEventListener("input", () => {
  sending.style = find("style").value;
  for (const entry of entries.all) {
    const isOwn = entry.record?.origin === "prediction" && entry.caption === null && entries.files.has(entry.id);
    if (entry.state === "answered" && isOwn) entries.change(entry, { state: "waiting" });
  }
});

let presetName = "";

/** Says how the server is: in one word above, and in a sentence where pictures have to wait for it. */
function showServer({ state, seconds, message, preset, styles }) {
  presetName = preset ?? presetName;
  if (styles) find("styles").hidden = !styles.length;
  const words = {
    ready: presetName ? `Ready · preset ${presetName}` : "Ready", loading: "Loading its models", busy: "Busy", gone: "No answer", key: "Asks for a key",
  }[state];
  const server = find("server");
  if (server.dataset.state !== state) {
    server.dataset.state = state;
    find("server-text").textContent = words;
  }
  find("key-form").hidden = state !== "key";
  const alert = find("alerts");
  if (state === "ready" || state === "key") {
    if (state === "ready" && alert.dataset.state === "gone") say("The server is back");
    alert.replaceChildren();
    alert.dataset.state = state;
    return;
  }
  const sentences = {
    loading: "The server is loading its models. Your pictures wait here.",
    busy: "The server is busy. Your pictures wait their turn.",
    gone: "The server does not answer. Your pictures stay here until it is back.",
  };
  if (alert.dataset.state !== state || !alert.firstChild) {
    alert.dataset.state = state;
    // The countdown is not announced: an alert that changes each second would be read each second.
    const now = h("button", { class: "button quiet", type: "button", onclick: () => sending.hurry?.() }, "Ask now");
    alert.replaceChildren(h("div", { class: `alert ${state}` }, h("p", { title: message }, sentences[state]), h("span", { class: "countdown", "aria-hidden": "true" }), state === "loading" ? null : now));
  }
  alert.querySelector(".countdown").textContent = `again in ${seconds} s`;
}

async function save() {
  const format = find("format").value;
  const chosen = gallery.shown();
  const { blob, name } = await exported(chosen, format);
  const address = URL.createObjectURL(blob);
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  const part = chosen.length < entries.all.length ? ` of the ${counted(chosen.length, "picture")} that are shown` : "";
  say(`Saved ${name}${part}`);
}

function clear() {
  if (!confirm(`Remove ${counted(entries.all.length, "picture")} from this page, with ${entries.all.length === 1 ? "its caption" : "their captions"}?`)) return;
  entries.remove([...entries.all]);
  find("notices").replaceChildren();
  arrange();
  find("choose").focus();
}

entries.addEventListener("added", arrange);
entries.addEventListener("removed", arrange);
let soon = 0;
entries.addEventListener("changed", () => { soon ||= setTimeout(() => { soon = 0; arrange(); }, 100); });
find("export").addEventListener("click", save);
find("clear").addEventListener("click", clear);
find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(find("key").value);
  find("key").value = "";
  find("key-form").hidden = true;
  sending.keyGiven?.();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || find("work").hidden) return;
  if (event.target.closest("input, textarea, select")) return;
  event.preventDefault();
  find("search").focus();
});
addEventListener("beforeunload", (event) => {
  if (entries.isWorking()) event.preventDefault();
});
addEventListener("pagehide", () => entries.leave());

watchIntake(take);
await entries.restore();
arrange();
if (entries.all.length === 1 || (entries.all.length && WIDE.matches)) detail.open(entries.all[0], { focus: false });
sending.run();
