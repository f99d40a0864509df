// A list that grows, shrinks and is put in another order, by pointer and by keys.

import { blank } from "./blank.js";
import { Control, controlOf, stateWord } from "./control.js";
import { announce, button, el } from "./dom.js";

export class ListControl extends Control {
  constructor(node, context, parent) {
    super(node, context, parent);
    this.items = [];
    this.rows = el("ol", { class: "items" });
    this.name = node.title || node.name || "list";
    this.itemName = node.item.title || node.item.name || "item";
    this.adder = button(`Add ${this.itemName}`, () => this.insert(this.items.length), { class: "add", id: this.id });
    const head = this.head("span", {});
    this.place(
      el("div", { class: "field group list-field", role: "group", "aria-labelledby": `${this.id}-name` }, head, this.rows, this.adder, this.message),
    );
    this.rows.addEventListener("keydown", (event) => this.#key(event));
    this.set(undefined);
  }

  get children() {
    return this.items;
  }

  stepOf(child) {
    return `[${this.items.indexOf(child)}]`;
  }

  get absences() {
    return [...super.absences, "list"];
  }

  get() {
    return this.absent ? this.value : this.items.map((item) => item.get() ?? null);
  }

  set(value) {
    this.absent = !Array.isArray(value);
    this.value = value === null ? null : undefined;
    const values = this.absent ? [] : value;
    // Items that are there are used again: a record of twenty lines shows without twenty new forms.
    while (this.items.length > values.length) this.#drop(this.items.length - 1);
    while (this.items.length < values.length) this.#grow(this.items.length);
    values.forEach((one, i) => this.items[i].set(one));
    this.#drawn();
  }

  setAnswer(value) {
    if (Array.isArray(value)) this.items.forEach((item, i) => item.setAnswer?.(value[i]));
  }

  turn() {
    const states = [...super.absences, []];
    const at = this.absent ? states.indexOf(this.value) : states.length - 1;
    this.set(states[(at + 1) % states.length]);
    this.changed();
  }

  #drawn() {
    const isEmpty = this.items.length === 0;
    this.chip.hidden = !isEmpty;
    this.chip.textContent = this.absent ? stateWord(this, this.value) : "empty list";
    this.chip.disabled = super.absences.length === 0 && !this.absent;
    this.rows.hidden = isEmpty;
    this.items.forEach((item, i) => {
      item.row.querySelector(".index").textContent = i + 1;
      item.row.setAttribute("aria-label", `${this.itemName} ${i + 1} of ${this.items.length}`);
    });
  }

  // Growing, shrinking, order ------------------------------------------------------------------------------------------

  #grow(at) {
    const item = this.context.make(this.node.item, this);
    const tool = (sign, words, press) => button(sign, press, { class: "quiet", tabindex: "-1", "aria-label": words, title: words });
    item.row = el(
      "li",
      { class: "item" },
      el("span", { class: "index", "aria-hidden": "true" }),
      item.element,
      el(
        "span",
        { class: "tools" },
        tool("↑", "Move up (Alt+↑)", () => this.move(item, -1)),
        tool("↓", "Move down (Alt+↓)", () => this.move(item, 1)),
        tool("×", "Remove (Alt+Delete)", () => this.remove(item)),
      ),
    );
    this.rows.insertBefore(item.row, this.rows.children[at] ?? null);
    this.items.splice(at, 0, item);
    return item;
  }

  #drop(at) {
    const [item] = this.items.splice(at, 1);
    item.row.remove();
  }

  insert(at) {
    this.absent = false;
    const item = this.#grow(at);
    const whole = { ...this.node.item, required: true };
    item.set(blank(whole, this.context.definitions));
    this.#drawn();
    this.changed();
    item.focus();
    announce(`${this.itemName} ${at + 1} added`);
  }

  remove(item) {
    const at = this.items.indexOf(item);
    this.#drop(at);
    this.#drawn();
    this.changed();
    (this.items[Math.min(at, this.items.length - 1)] ?? { focus: () => this.adder.focus() }).focus();
    announce(`${this.itemName} ${at + 1} removed, ${this.items.length} left`);
  }

  move(item, by) {
    const from = this.items.indexOf(item);
    const to = from + by;
    if (to < 0 || to >= this.items.length) return;
    const held = document.activeElement;
    this.items.splice(from, 1);
    this.items.splice(to, 0, item);
    this.rows.insertBefore(item.row, this.rows.children[by > 0 ? to + 1 : to] ?? null);
    if (item.row.contains(held)) held.focus();
    this.#drawn();
    this.changed();
    announce(`moved to ${to + 1} of ${this.items.length}`);
  }

  /** The item of this list in which an element stands. */
  #around(node) {
    let control = controlOf(node);
    while (control && control.parent !== this) control = control.parent;
    return control;
  }

  #key(event) {
    if (!event.altKey || event.ctrlKey || event.metaKey) return;
    const item = this.#around(event.target);
    if (!item) return;
    if (event.key === "ArrowUp") this.move(item, -1);
    else if (event.key === "ArrowDown") this.move(item, 1);
    else if (event.key === "Delete" || event.key === "Backspace") this.remove(item);
    else if (event.key === "Enter") this.insert(this.items.indexOf(item) + 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
