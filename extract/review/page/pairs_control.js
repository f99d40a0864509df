// Names with values: a map, or the further members of an object.

import { blank } from "./blank.js";
import { Control, controlOf, stateWord } from "./control.js";
import { announce, button, el } from "./dom.js";
import { memberStep } from "./paths.js";

export class PairsControl extends Control {
  constructor(node, context, parent) {
    super(node, context, parent);
    this.pairs = [];
    this.rows = el("ul", { class: "items pairs" });
    this.adder = button("Add entry", () => this.insert(), { class: "add", id: this.id });
    this.names = this.#names();
    this.place(
      el(
        "div",
        { class: "field group", role: "group", "aria-labelledby": `${this.id}-name` },
        this.head("span", {}),
        this.names,
        this.rows,
        this.adder,
        this.message,
      ),
    );
    this.rows.addEventListener("keydown", (event) => this.#key(event));
    this.set(undefined);
  }

  #names() {
    const labels = this.node.key?.labels;
    if (!labels) return null;
    const options = labels.map((label) => el("option", { value: label.value ?? label }));
    return el("datalist", { id: `${this.id}-names` }, options);
  }

  get children() {
    return this.pairs.map((pair) => pair.control);
  }

  stepOf(child) {
    const pair = this.pairs.find((one) => one.control === child);
    return memberStep(pair ? pair.key.value : "");
  }

  get absences() {
    return [...super.absences, "map"];
  }

  get problem() {
    const keys = this.pairs.map((pair) => pair.key.value);
    return new Set(keys).size < keys.length ? "Two entries have the same name." : super.problem;
  }

  get() {
    return this.absent ? this.value : this.pairs.map((pair) => [pair.key.value, pair.control.get() ?? null]);
  }

  set(value) {
    this.absent = !Array.isArray(value);
    this.value = value === null ? null : undefined;
    this.pairs = [];
    this.rows.replaceChildren();
    for (const [key, one] of this.absent ? [] : value) this.#grow(key).control.set(one);
    this.#drawn();
  }

  setAnswer() {}

  turn() {
    const states = [...super.absences, []];
    const at = this.absent ? states.indexOf(this.value) : states.length - 1;
    this.set(states[(at + 1) % states.length]);
    this.changed();
  }

  #drawn() {
    this.chip.hidden = this.pairs.length > 0;
    this.chip.textContent = this.absent ? stateWord(this, this.value) : "empty";
    this.chip.disabled = super.absences.length === 0 && !this.absent;
    this.rows.hidden = this.pairs.length === 0;
  }

  #grow(name) {
    const key = el("input", {
      type: "text",
      class: "key",
      "aria-label": "Name",
      placeholder: "name",
      autocomplete: "off",
      list: this.names ? this.names.id : null,
    });
    key.value = name;
    key.addEventListener("input", () => this.changed());
    const control = this.context.make({ ...this.node.value, required: true }, this);
    const pair = { key, control };
    const remove = button("×", () => this.remove(pair), { class: "quiet", tabindex: "-1", "aria-label": "Remove (Alt+Delete)" });
    pair.row = el("li", { class: "item" }, key, control.element, el("span", { class: "tools" }, remove));
    this.pairs.push(pair);
    this.rows.append(pair.row);
    return pair;
  }

  insert() {
    this.absent = false;
    const pair = this.#grow("");
    pair.control.set(blank({ ...this.node.value, required: true }, this.context.definitions));
    this.#drawn();
    this.changed();
    pair.key.focus();
  }

  remove(pair) {
    const at = this.pairs.indexOf(pair);
    this.pairs.splice(at, 1);
    pair.row.remove();
    this.#drawn();
    this.changed();
    (this.pairs[Math.min(at, this.pairs.length - 1)]?.key ?? this.adder).focus();
    announce(`entry removed, ${this.pairs.length} left`);
  }

  #key(event) {
    if (!event.altKey || !["Delete", "Backspace"].includes(event.key)) return;
    const control = controlOf(event.target);
    const pair = this.pairs.find((one) => one.row.contains(event.target));
    if (!pair || (control !== this && control?.parent !== this)) return;
    event.preventDefault();
    event.stopPropagation();
    this.remove(pair);
  }
}
