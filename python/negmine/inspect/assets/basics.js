"use strict";

/* Elements, numbers as text, and the color scheme. */

function byId(id) {
  return document.getElementById(id);
}

/** An element with attributes and children; text is text, never markup. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function number(value) {
  return value.toLocaleString("en");
}

function percent(share) {
  return `${(100 * share).toFixed(1)}%`;
}

function score(value) {
  return value === value ? signed(value, 4) : "unknown";
}

/** A number with a true minus sign. */
function signed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `\u2212${text}` : text;
}

function plain(name) {
  return name.replaceAll("_", " ");
}

/** Light, dark, or what the system asks for; set before the data is read, so that nothing flashes. */
function setTheme() {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => (byId("theme").textContent = dark() ? "Light" : "Dark");
  try {
    const stored = localStorage.getItem("negmine-theme");
    if (["light", "dark"].includes(stored)) root.dataset.theme = stored;
  } catch {
    // A browser that keeps nothing shows what the system asks for.
  }
  system.addEventListener("change", name);
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("negmine-theme", root.dataset.theme);
    } catch {
      // As above.
    }
    name();
  });
  name();
}
