// Makes elements. All text goes in as text, never as markup: prompts come from strangers' files.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties and children; `null` children are left out. Names with "-" and "role" are attributes. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, value === true ? "" : value);
    else element[key] = value;
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** One of the pictograms of index.html; it is decoration, so the button around it has words. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A number from 0 to 1 as a bar and in digits. `mark` draws a second value on the bar. */
export function bar(share, { digits = 2, mark = null, range = null } = {}) {
  const known = Number.isFinite(share);
  const track = h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "fill" }));
  track.style.setProperty("--share", known ? Math.min(Math.max(share, 0), 1) : 0);
  if (range) {
    track.append(h("span", { class: "spread" }));
    track.style.setProperty("--low", Math.min(Math.max(range.low, 0), 1));
    track.style.setProperty("--high", Math.min(Math.max(range.high, 0), 1));
  }
  if (Number.isFinite(mark)) {
    track.append(h("span", { class: "mark" }));
    track.style.setProperty("--mark", Math.min(Math.max(mark, 0), 1));
  }
  return h("span", { class: "bar" }, track, h("span", { class: "number" }, known ? share.toFixed(digits) : "–"));
}

/** A button that copies what `text` returns, and says that it did. */
export function copyButton(text, what, { words = false } = {}) {
  const label = h("span", { class: words ? "" : "unseen" }, "Copy", h("span", { class: "unseen" }, ` ${what}`));
  const button = h("button", { class: "button copy", type: "button", title: words ? null : "Copy" }, icon("copy"), label);
  let back = 0;
  button.addEventListener("click", async () => {
    const done = await copied(text());
    say(done ? `Copied ${what}` : "The browser did not allow to copy");
    button.dataset.done = done;
    button.querySelector("use").setAttribute("href", done ? "#icon-done" : "#icon-close");
    clearTimeout(back);
    back = setTimeout(() => {
      delete button.dataset.done;
      button.querySelector("use").setAttribute("href", "#icon-copy");
    }, 1600);
  });
  return button;
}

/** Copies a text; false if it was not possible. Plain http has no clipboard API, so an old way follows. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "unseen", value: text });
    const focused = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focused?.focus();
    return done;
  }
}

/** Says something to a screen reader. */
export function say(text) {
  const place = document.getElementById("spoken");
  place.textContent = "";
  setTimeout(() => { place.textContent = text; }, 50);
}

/** `3 pictures`, `1 picture`. */
export function counted(number, one, several = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : several}`;
}

/** Bytes for people. */
export function megabytes(size) {
  return size < 1e6 ? `${Math.max(1, Math.round(size / 1e3))} kB` : `${(size / 1e6).toFixed(1)} MB`;
}
