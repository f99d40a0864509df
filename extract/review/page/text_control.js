// Fields that are typed: text, numbers and Decimals as written, dates and times, JSON as a last resort.

import { Control, stateWord } from "./control.js";
import { el } from "./dom.js";
import { reading } from "./reading.js";

const NUMBERS = new Set(["integer", "number", "decimal"]);
const EXAMPLES = {
  date: "2026-11-28",
  datetime: "2026-11-28T15:30:00",
  time: "15:30:00",
  duration: "P1DT2H",
  json: "{ }",
};
const GROWS = CSS.supports("field-sizing", "content");
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$|^[+-]?(inf(inity)?|nan)$/i;

export class TextControl extends Control {
  constructor(node, context, parent) {
    super(node, context, parent);
    const isLong = node.kind === "text" || node.kind === "json";
    this.box = el(isLong ? "textarea" : "input", {
      id: this.id,
      ...(isLong ? { rows: 1 } : { type: "text" }),
      inputmode: node.kind === "integer" ? "numeric" : NUMBERS.has(node.kind) ? "decimal" : null,
      autocomplete: "off",
      autocapitalize: node.kind === "text" ? null : "off",
      spellcheck: node.kind === "text" ? null : "false",
      dir: node.kind === "text" ? "auto" : null,
      "aria-describedby": this.describedBy,
      "aria-label": node.title || node.name ? null : "Value",
      class: node.kind,
    });
    this.box.addEventListener("input", () => this.typed());
    const tail = node.kind === "date" ? this.calendar() : null;
    this.place(el("div", { class: "field" }, this.head(), el("div", { class: "box" }, this.box, tail), this.message));
    this.set(undefined);
  }

  get takesText() {
    return this.node.kind !== "json";
  }

  get absences() {
    return [...super.absences, ...(this.node.kind === "text" ? [""] : [])];
  }

  get problem() {
    const value = this.value;
    if (typeof value === "string") {
      const { kind } = this.node;
      if (NUMBERS.has(kind) && !NUMBER.test(value.trim())) return "This is no number: write it as 1234.50.";
      if (kind === "json" && !isJson(value)) return "This is no JSON.";
    }
    return super.problem;
  }

  get() {
    return this.value;
  }

  set(value) {
    this.typedBefore = null;
    this.#put(value);
  }

  #put(value) {
    this.value = value === undefined || value === null ? value : String(value);
    this.box.value = this.value ?? "";
    this.#drawn();
  }

  typed() {
    const text = this.box.value;
    // An emptied text is the empty text; an emptied number or date is no number.
    if (text !== "" || this.node.kind === "text") this.value = text;
    else this.value = this.node.nullable ? null : undefined;
    this.setSpan(null);
    this.#drawn();
    this.changed();
  }

  /** The meanings of "nothing here", and then what was typed before. */
  turn() {
    const before = this.value;
    if (typeof before === "string" && before !== "") this.typedBefore = before;
    const states = [...this.absences, ...(this.typedBefore ? [this.typedBefore] : [])];
    if (states.length === 0) return;
    this.#put(states[(states.indexOf(before) + 1) % states.length]);
    this.setSpan(null);
    this.changed();
  }

  fill(text, span) {
    this.set(reading(text, this.node.kind));
    this.setSpan(span);
    this.changed();
  }

  #drawn() {
    const isFilled = typeof this.value === "string" && this.value !== "";
    this.chip.hidden = isFilled;
    this.chip.textContent = stateWord(this, this.value);
    this.chip.disabled = this.absences.length < (this.value === undefined && this.node.required ? 1 : 2);
    const hint = isFilled || this.value === "" ? "" : (EXAMPLES[this.node.kind] ?? "");
    this.box.placeholder = hint && `as ${hint}`;
    if (this.box.localName === "textarea" && !GROWS) this.#grow();
  }

  /** Where the browser does not let a text box grow by itself: about as many lines as its text. */
  #grow() {
    const lines = this.box.value.split("\n").reduce((sum, line) => sum + 1 + Math.floor(line.length / 60), 0);
    this.box.rows = Math.min(Math.max(lines, 1), 12);
  }

  /** A button that opens the browser's own calendar; what it chooses is written into the text box. */
  calendar() {
    const hidden = el("input", { type: "date", class: "picker", tabindex: "-1", "aria-hidden": "true" });
    hidden.addEventListener("input", () => {
      this.box.value = hidden.value;
      this.typed();
      this.box.focus();
    });
    const open = el("button", { type: "button", class: "quiet", tabindex: "-1", title: "Calendar" }, "▾");
    open.setAttribute("aria-label", "Calendar");
    open.addEventListener("click", () => {
      hidden.value = this.box.value;
      hidden.showPicker?.();
    });
    return [open, hidden];
  }
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
