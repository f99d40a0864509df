// The keys of this page, in a dialog.

import { button, el } from "./dom.js";

const KEYS = [
  ["Answer", [
    ["1 … 9", "choose a label of the choice at hand (0: null)"],
    ["/", "search the labels; ↑ ↓ and Enter choose"],
    ["Enter", "accept and go on (Ctrl+Enter from anywhere)"],
    ["s", "skip"],
    ["u", "undo the last decision"],
    ["a", "next at once: a chosen label is accepted (one choice only)"],
  ]],
  ["Move", [
    ["← →", "previous and next row"],
    ["↓ Tab", "into the fields, from field to field"],
    ["Esc", "leave a field: letters are commands again"],
    ["l", "list of rows"],
    ["i", "what the schema says about the fields, in full"],
    ["+ −", "larger and smaller pages"],
    ["Space", "play or pause a sound"],
  ]],
  ["In a field", [
    ["Alt+N", "null, left out or empty: what nothing means"],
    ["Shift+Enter", "new line in a text"],
    ["Alt+↑ ↓", "move an item of a list"],
    ["Alt+Enter", "add an item below"],
    ["Alt+Delete", "remove an item"],
  ]],
  ["Source", [
    ["select", "put the selected text into the field at hand, with its place"],
    ["click", "on a highlighted place: go to its field"],
    ["t  Alt+T", "select by keys: arrows, Shift+arrows, then Enter"],
  ]],
];

export function makeHelp(dialog) {
  const parts = KEYS.map(([title, keys]) =>
    el("section", {}, el("h3", {}, title), el("dl", {}, keys.map(([key, does]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, does)]))),
  );
  const close = button("Close", () => dialog.close(), { class: "quiet" });
  dialog.replaceChildren(el("div", { class: "bar" }, el("h2", { id: "help-title" }, "Keys"), close), el("div", { class: "keys" }, parts));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return () => dialog.showModal();
}
