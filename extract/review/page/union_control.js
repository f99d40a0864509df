// One of several shapes: the tag is chosen first, then the form of that shape is filled.

import { blank } from "./blank.js";
import { Control } from "./control.js";
import { el } from "./dom.js";

const ABSENT = { null: "null", undefined: "left out" };

export class UnionControl extends Control {
  constructor(node, context, parent) {
    super(node, context, parent);
    this.made = new Map();
    this.inputs = new Map();
    this.body = el("div", { class: "members" });
    this.tags = el("div", { class: "tags", id: this.id, role: "radiogroup", "aria-labelledby": `${this.id}-name` });
    for (const choice of node.choices) this.#option(choice.tag, choice.title ?? choice.tag, () => this.choose(choice.tag));
    for (const value of this.absences) this.#option(`${value} `, ABSENT[value], () => this.leave(value));
    this.place(
      el("div", { class: "field group", role: "group", "aria-labelledby": `${this.id}-name` }, this.head("span", {}), this.tags, this.body, this.message),
    );
    this.set(undefined);
  }

  #option(key, words, choose) {
    const input = el("input", { type: "radio", name: this.id, on: { change: choose } });
    this.inputs.set(key, input);
    this.tags.append(el("label", { class: "tag" }, input, el("span", { dir: "auto" }, words)));
  }

  get children() {
    return this.tag === null ? [] : [this.made.get(this.tag)];
  }

  stepOf() {
    return "";
  }

  get problem() {
    return super.problem && "Choose one.";
  }

  get() {
    if (this.tag === null) return this.value;
    return { tag: this.tag, value: this.made.get(this.tag).get() ?? null };
  }

  set(value) {
    const isShape = value !== null && typeof value === "object" && this.node.choices.some((one) => one.tag === value.tag);
    this.tag = isShape ? value.tag : null;
    this.value = value === null ? null : undefined;
    if (isShape) this.#of(value.tag).set(value.value);
    this.#drawn();
  }

  setAnswer(value) {
    if (value?.tag === this.tag && this.tag !== null) this.made.get(this.tag).setAnswer?.(value.value);
  }

  #of(tag) {
    if (!this.made.has(tag)) {
      const { node } = this.node.choices.find((one) => one.tag === tag);
      this.made.set(tag, this.context.make({ ...node, required: true, nullable: node.nullable && node.kind !== "object" }, this));
    }
    return this.made.get(tag);
  }

  /** Another shape keeps what it shares by name with the one before. */
  choose(tag) {
    const before = this.tag === null ? null : this.made.get(this.tag).get();
    const isNew = !this.made.has(tag);
    const control = this.#of(tag);
    this.tag = tag;
    if (isNew || control.get() === undefined) {
      const fresh = blank({ ...control.node, nullable: false, required: true }, this.context.definitions);
      const shared = isPlain(before) && isPlain(fresh) ? control.node.members.filter(({ name }) => before[name] !== undefined) : [];
      control.set(isPlain(fresh) ? { ...fresh, ...Object.fromEntries(shared.map(({ name }) => [name, before[name]])) } : fresh);
    }
    this.#drawn();
    this.changed();
  }

  leave(value) {
    this.tag = null;
    this.value = value;
    this.#drawn();
    this.changed();
  }

  turn() {
    if (this.absences.length) this.leave(this.absences[0]);
  }

  #drawn() {
    this.body.replaceChildren(...(this.tag === null ? [] : [this.made.get(this.tag).element]));
    const key = this.tag ?? `${this.value} `;
    for (const [name, input] of this.inputs) input.checked = name === key;
  }
}

const isPlain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
