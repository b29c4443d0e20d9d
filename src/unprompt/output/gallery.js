"use strict";
addEventListener("DOMContentLoaded", () => {
  const find = (id) => document.getElementById(id);
  const cards = [...document.querySelectorAll(".card")].map((card) => ({ card, text: card.textContent.toLowerCase() }));
  const search = find("search");
  const show = find("show");
  const arrange = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { card, text } of cards) {
      const isShown = (!show.value || card.classList.contains(show.value)) && words.every((word) => text.includes(word));
      card.hidden = !isShown;
      shown += isShown;
    }
    find("count").textContent = shown === cards.length ? `${shown} pictures` : `${shown} of ${cards.length} pictures`;
  };
  search.addEventListener("input", arrange);
  show.addEventListener("input", arrange);
  document.querySelector(".tools").hidden = false;
  arrange();
  for (const { card } of cards) {
    const prompt = card.querySelector(".prompt");
    if (!prompt || !prompt.textContent) continue;
    const button = document.createElement("button");
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy the prompt of ${card.querySelector("h2").textContent}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(prompt.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(prompt);
        button.textContent = "Selected: copy it by keyboard";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    prompt.after(button);
  }
});
