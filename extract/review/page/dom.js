// Elements made of names and texts. Nothing that comes from a record, a schema or the server is ever read as HTML.

export const byId = (id) => document.getElementById(id);

/** Return a new element; attributes that are null, undefined or false are left out, `on` holds listeners. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [event, listen] of Object.entries(value)) made.addEventListener(event, listen);
    else if (value !== null && value !== undefined && value !== false)
      made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function button(label, press, attributes = {}) {
  return el("button", { type: "button", ...attributes, on: { click: press } }, label);
}

/** Say something to a screen reader once the work at hand is done. */
export function announce(message) {
  const region = byId("polite");
  region.textContent = "";
  requestAnimationFrame(() => (region.textContent = message));
}

let last = 0;
/** Return an id that no other element of this page has. */
export const newId = (name) => `${name}-${(last += 1)}`;

export const isEditable = (node) =>
  node instanceof HTMLElement &&
  (node.isContentEditable || node.matches("textarea, select, input:not([type=checkbox], [type=radio])"));

export const count = (number) => Number(number).toLocaleString("en");
