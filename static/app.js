/* The console works without this file. It adds: the theme of the system, copy buttons, and keys. */

"use strict";

const root = document.documentElement;

function show_theme() {
  const chosen = root.dataset.theme || "auto";
  const is_dark = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.bsTheme = is_dark ? "dark" : "light";
}

show_theme();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show_theme);

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  const said = document.getElementById("said");
  said.textContent = "";
  said.textContent = button.dataset.copied;
  button.classList.add("text-green");
  setTimeout(() => button.classList.remove("text-green"), 1500);
}

document.addEventListener("DOMContentLoaded", () => {
  const menu = document.getElementById("menu");
  if (menu && matchMedia("(max-width: 61.99rem)").matches) menu.open = false;
  if (navigator.clipboard) {
    for (const button of document.querySelectorAll(".copy")) button.hidden = false;
  }
});

document.addEventListener("click", (event) => {
  const button = event.target.closest(".copy");
  if (button) copy(button);
});

document.addEventListener("keydown", (event) => {
  const is_typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key === "/" && !is_typing && !event.ctrlKey && !event.metaKey) {
    const search = document.querySelector("form[role=search] input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
});
