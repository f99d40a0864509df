// One of some labels, or several: keys 1 to 9, arrows, and a search where there are many.

import { Control } from "./control.js";
import { el } from "./dom.js";
import { search } from "./fuzzy.js";

const MANY = 10; // from here on labels are searched
const DRAWN = 200; // labels on the page at once; the others are found by searching

const labelsOf = (node) =>
  node.kind === "boolean"
    ? [
        { value: true, text: "true" },
        { value: false, text: "false" },
      ]
    : node.labels;

export class ChoiceControl extends Control {
  constructor(node, context, parent) {
    super(node, context, parent);
    this.isMulti = node.kind === "labels";
    this.options = labelsOf(node).map((label) => ({ ...label, key: JSON.stringify(label.value) }));
    for (const value of this.absences)
      this.options.push({ value, text: value === null ? "null" : "left out", key: String(value), absence: true });
    this.texts = this.options.map((option) => `${option.text}`);
    this.buttons = new Map();
    this.group = el("div", {
      class: "options",
      id: this.id,
      role: this.isMulti ? "group" : "radiogroup",
      "aria-labelledby": `${this.id}-name`,
      "aria-describedby": this.describedBy,
    });
    this.more = el("p", { class: "more", hidden: true });
    this.place(el("div", { class: "field choice" }, this.head("span", {}), this.#search(), this.group, this.more, this.message));
    this.group.addEventListener("keydown", (event) => this.#moved(event));
    this.answer = undefined;
    this.query = "";
    this.value = this.isMulti ? [] : undefined;
    this.#draw();
  }

  #search() {
    if (this.options.length <= MANY) return null;
    const name = this.node.title || this.node.name || "labels";
    this.box = el("input", {
      type: "search",
      class: "search",
      placeholder: `Search ${this.node.labels.length.toLocaleString("en")} labels  ( / )`,
      "aria-label": `Search ${name}`,
      "aria-controls": this.id,
      autocomplete: "off",
      spellcheck: "false",
    });
    this.box.addEventListener("input", () => this.#searched());
    this.box.addEventListener("keydown", (event) => this.#inSearch(event));
    return this.box;
  }

  // What is shown ------------------------------------------------------------------------------------------------------

  #searched() {
    this.query = this.box.value;
    this.at = 0;
    this.#draw();
  }

  #draw() {
    const found = search(this.texts, this.query);
    this.shown = found.slice(0, DRAWN);
    const chosen = this.options.map((option, i) => (this.#isChosen(option) ? i : -1)).filter((i) => i >= 0);
    for (const i of chosen) if (!this.query && !this.shown.includes(i)) this.shown.push(i);
    const drawn = this.shown.map((i) => this.#button(i));
    if (this.group.childNodes.length !== drawn.length || drawn.some((node, i) => this.group.childNodes[i] !== node))
      this.group.replaceChildren(...drawn);
    const rest = found.length - Math.min(found.length, DRAWN);
    this.more.hidden = found.length > 0 && rest === 0;
    this.more.textContent = found.length ? `… and ${rest.toLocaleString("en")} more: search with /` : "No label matches.";
    this.#mark();
  }

  #button(i) {
    if (this.buttons.has(i)) return this.buttons.get(i);
    const option = this.options[i];
    const digit = option.absence ? (option.value === null ? "0" : "") : i < 9 ? String(i + 1) : "";
    const made = el(
      "button",
      {
        type: "button",
        class: option.absence ? "option absence" : "option",
        role: this.isMulti ? "checkbox" : "radio",
        "aria-checked": "false",
        title: option.description ?? null,
        tabindex: "-1",
      },
      digit && el("kbd", { "aria-hidden": "true" }, digit),
      el("span", { class: "label", dir: "auto" }, breakable(option.text)),
    );
    made.addEventListener("click", () => this.choose(i, "pointer"));
    this.buttons.set(i, made);
    return made;
  }

  #isChosen(option) {
    if (!this.isMulti) return option.value === this.value && (option.absence || this.value !== undefined);
    return Array.isArray(this.value) ? !option.absence && this.value.includes(option.value) : option.value === this.value;
  }

  #mark() {
    const chosen = this.shown.find((i) => this.#isChosen(this.options[i]));
    const tabStop = chosen ?? this.shown[0];
    for (const i of this.shown) {
      const [made, option] = [this.buttons.get(i), this.options[i]];
      const isChosen = this.#isChosen(option);
      const isAnswer = this.#isAnswer(option);
      const isFirst = Boolean(this.query) && i === this.shown[this.at];
      // Hundreds of labels, of which two or three change from record to record: the others are left alone.
      const state = `${isChosen} ${isAnswer} ${isFirst}`;
      if (made.state !== state) {
        made.state = state;
        made.setAttribute("aria-checked", String(isChosen));
        made.classList.toggle("answered", isAnswer);
        made.classList.toggle("first", isFirst);
      }
      const tabIndex = i === tabStop ? 0 : -1;
      if (made.tabIndex !== tabIndex) made.tabIndex = tabIndex;
    }
  }

  #isAnswer(option) {
    return Array.isArray(this.answer) ? this.answer.includes(option.value) : this.answer !== undefined && this.answer === option.value;
  }

  // The value ----------------------------------------------------------------------------------------------------------

  get() {
    return this.value;
  }

  set(value) {
    this.value = value === undefined && this.isMulti && this.node.required ? [] : value;
    this.answer = undefined;
    this.#unknown();
    if (this.box) this.box.value = "";
    this.query = "";
    this.#draw();
    if (this.group.scrollHeight > this.group.clientHeight) {
      const chosen = this.group.querySelector("[aria-checked=true]");
      this.group.scrollTop = chosen ? chosen.offsetTop - this.group.clientHeight / 2 : 0;
    }
  }

  /** The answer beside which a person chooses: it is marked, so that a change can be seen. */
  setAnswer(value) {
    this.answer = value;
    this.#mark();
  }

  /** A value that is no label of the schema (of an older schema, say) is shown, and can be taken away. */
  #unknown() {
    const values = Array.isArray(this.value) ? this.value : this.value === undefined ? [] : [this.value];
    for (const value of values) {
      if (this.options.some((option) => option.value === value)) continue;
      this.options.push({ value, text: String(value), key: JSON.stringify(value), description: "not a label of the schema" });
      this.texts.push(String(value));
    }
  }

  get problem() {
    return super.problem && "Choose one.";
  }

  get absences() {
    const { nullable, required } = this.node;
    return [...(nullable ? [null] : []), ...(required || this.node.kind === "labels" ? [] : [undefined])];
  }

  choose(i, how) {
    const option = this.options[i];
    if (!option) return;
    if (!this.isMulti || option.absence) this.value = option.value;
    else {
      const before = Array.isArray(this.value) ? this.value : [];
      this.value = before.includes(option.value) ? before.filter((one) => one !== option.value) : [...before, option.value];
    }
    const hadFocus = this.group.contains(document.activeElement);
    this.#mark();
    if (hadFocus) this.buttons.get(i)?.focus();
    this.setSpan(null);
    this.changed();
    this.context.chosen(this, how);
  }

  /** A digit: 1 to 9 the first labels, 0 null. Return whether it means anything here. */
  digit(key) {
    const i = key === "0" ? this.options.findIndex((option) => option.value === null) : Number(key) - 1;
    if (i < 0 || !this.options[i] || (key !== "0" && this.options[i].absence)) return false;
    if (this.query) this.set(this.value);
    this.choose(i, "key");
    return true;
  }

  turn() {
    const i = this.options.findIndex((option) => option.value === null);
    if (i >= 0) this.choose(i, "pointer");
  }

  // Keys ---------------------------------------------------------------------------------------------------------------

  /** The choice itself, not its search: digits choose. */
  focus() {
    (this.group.querySelector("[tabindex='0']") ?? this.box)?.focus();
  }

  get hasSearch() {
    return Boolean(this.box);
  }

  startSearch() {
    this.box.focus();
    this.box.select();
  }

  #inSearch(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const by = event.key === "ArrowDown" ? 1 : -1;
      this.at = Math.max(0, Math.min(this.shown.length - 1, (this.at ?? 0) + by));
      this.#mark();
      this.buttons.get(this.shown[this.at])?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && this.query.trim()) {
      const found = this.shown[this.at ?? 0];
      if (found !== undefined) {
        this.#ended();
        this.choose(found, "search");
      }
    } else if (event.key === "Escape" && this.query) {
      this.#ended();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #ended() {
    this.box.value = "";
    this.query = "";
    this.#draw();
    this.context.home();
  }

  #moved(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const buttons = this.shown.map((i) => this.buttons.get(i));
    const on = buttons.indexOf(document.activeElement);
    const down = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const to = on < 0 ? null : down ? buttons[on + down] : beside(buttons, on, { ArrowRight: 1, ArrowLeft: -1 }[event.key]);
    if (!to && !down) return;
    event.preventDefault();
    event.stopPropagation();
    if (!to) return;
    for (const one of buttons) one.tabIndex = one === to ? 0 : -1;
    to.focus();
  }
}

/** A long name may break after an underscore, not in the middle of a word. */
function breakable(text) {
  return text.split(/(?<=[_/])/).flatMap((part, i) => (i ? [el("wbr"), part] : [part]));
}

/** Return the button of the next column, at the same height or as near as can be. */
function beside(buttons, on, direction) {
  if (!direction) return null;
  const here = buttons[on].getBoundingClientRect();
  const boxes = buttons.map((one) => one.getBoundingClientRect());
  const isBeside = (box) => (direction > 0 ? box.left > here.left + 1 : box.left < here.left - 1);
  const distance = (box) => Math.abs(box.left - here.left) * 10 + Math.abs(box.top - here.top);
  let best = -1;
  boxes.forEach((box, i) => {
    if (isBeside(box) && (best < 0 || distance(box) < distance(boxes[best]))) best = i;
  });
  return best < 0 ? null : buttons[best];
}
