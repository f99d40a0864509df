// One node of the form tree on the page: it holds a value, knows its JSON path, and shows messages beside itself.

import { el, newId } from "./dom.js";

const byElement = new WeakMap();

/** Return the innermost control around an element, or null. */
export function controlOf(node) {
  for (let at = node; at; at = at.parentElement) if (byElement.has(at)) return byElement.get(at);
  return null;
}

/** What an empty field means; the words on its chip. `undefined` is no value: left out, or still needed. */
export const stateWord = (control, value) =>
  value === null ? "null" : value === undefined ? (control.node.required ? "no value" : "left out") : "empty";

export class Control {
  constructor(node, context, parent) {
    this.node = node;
    this.context = context;
    this.parent = parent;
    this.span = null;
    this.deeper = []; // spans of what stands inside a value that this page shows as one
    this.id = newId("field");
    this.message = el("p", { class: "message", id: newId("message"), hidden: true });
  }

  /** The element of the whole control; `made` by the subclass. */
  place(element) {
    this.element = element;
    element.dataset.path = "";
    byElement.set(element, this);
    return element;
  }

  get path() {
    return this.parent ? this.parent.path + this.parent.stepOf(this) : "$";
  }

  stepOf(child) {
    return child.node.step;
  }

  get children() {
    return [];
  }

  /** Itself and all controls below it, in the order of the page. */
  *all() {
    yield this;
    for (const child of this.children) yield* child.all();
  }

  /** Values that "nothing here" can stand for, in the order in which the chip turns through them. */
  get absences() {
    const { nullable, required } = this.node;
    return [...(nullable ? [null] : []), ...(required ? [] : [undefined])];
  }

  /** A message of this page's own, before the server is asked; null where there is none. */
  get problem() {
    const isMissing = this.node.required && !this.node.nullable && this.get() === undefined;
    return isMissing ? "A value is needed." : null;
  }

  show(message) {
    this.message.textContent = message;
    this.message.hidden = !message;
    this.element.classList.toggle("wrong", Boolean(message));
    if (this.children.length) return;
    const target = this.element.querySelector("textarea, [role=radiogroup], [role=group], input:not([type=search])");
    if (message) target?.setAttribute("aria-invalid", "true");
    else target?.removeAttribute("aria-invalid");
  }

  /** A person changed this value: its place in the source and its message are of the value before. */
  changed() {
    if (!this.message.hidden) this.show("");
    this.context.changed(this);
  }

  /** Only text that stands in a source can be put in by selecting it. */
  get takesText() {
    return false;
  }

  focus() {
    const takers = "input:not([tabindex='-1']), textarea, [tabindex='0'], button:not([tabindex='-1'])";
    [...this.element.querySelectorAll(takers)].find((one) => one.checkVisibility())?.focus();
  }

  /** The title, what the schema says about it, the place in the source and the chip of "nothing here". */
  head(tag = "label", attributes = { for: this.id }) {
    const { title, name, description } = this.node;
    this.placeMark = el("button", { type: "button", class: "place", tabindex: "-1", hidden: true });
    this.placeMark.addEventListener("click", () => this.context.find(this));
    this.chip = el("button", { type: "button", class: "chip", tabindex: "-1", hidden: true, title: "Change what nothing means here (Alt+N)" });
    this.chip.addEventListener("click", () => this.turn());
    const text = title || name;
    return el(
      "div",
      { class: "head" },
      text && el(tag, { class: "name", id: `${this.id}-name`, ...attributes, dir: "auto" }, text),
      description && this.about(description),
      this.placeMark,
      this.chip,
    );
  }

  /** What the schema says about this field: a line of it, and all of it after a press. */
  about(description) {
    const made = el("span", { class: "about", id: `${this.id}-about`, title: description, dir: "auto" }, description);
    made.addEventListener("click", () => made.classList.toggle("whole"));
    return made;
  }

  get describedBy() {
    return [this.node.description && `${this.id}-about`, this.message.id].filter(Boolean).join(" ");
  }

  /** Turn to the next meaning of "nothing here": null, left out, empty. */
  turn() {
    const states = this.absences;
    if (states.length === 0) return;
    const at = states.indexOf(this.get());
    this.set(states[(at + 1) % states.length]);
    this.setSpan(null);
    this.changed();
  }

  /** Put the value of a selected piece of the source in, with its place. */
  fill(_text, span) {
    this.setSpan(span);
    this.changed();
  }

  setSpan(span) {
    this.span = span;
    this.deeper = [];
    const mark = this.placeMark;
    if (!mark) return;
    mark.hidden = !span;
    if (!span) return;
    mark.className = `place ${span.status ?? "set"}`;
    const word = { fuzzy: "similar", missing: "not in source" }[span.status] ?? "";
    const page = span.page && this.context.pages() > 1 ? `page ${span.page}` : "";
    mark.replaceChildren(el("span", {}, [word, page].filter(Boolean).join(", ") || "in source"));
    mark.title = span.status === "missing" ? "The value was not found in the source" : "Show where it stands (click)";
  }
}
