// An object with its members, or a tuple with its places. Members are made when they are first needed, so that
// types which contain themselves end.

import { blank } from "./blank.js";
import { Control, stateWord } from "./control.js";
import { button, el } from "./dom.js";

export class ObjectControl extends Control {
  constructor(node, context, parent) {
    super(node, context, parent);
    this.isTuple = node.kind === "tuple";
    this.members = null;
    this.body = el("div", { class: "members" });
    this.fill = button("Add", () => this.turn(), { class: "add", id: this.id });
    const isRoot = parent === null;
    const head = this.head("span", {});
    this.place(
      el(
        "div",
        { class: isRoot ? "root" : "field group", role: isRoot ? null : "group", "aria-labelledby": isRoot ? null : `${this.id}-name` },
        isRoot ? null : head,
        this.fill,
        this.body,
        this.message,
      ),
    );
    this.set(undefined);
  }

  get children() {
    if (this.absent || !this.members) return [];
    return this.extra ? [...this.members, this.extra] : this.members;
  }

  stepOf(child) {
    return child === this.extra ? "" : child.node.step;
  }

  get problem() {
    return this.parent && this.absent ? super.problem : null;
  }

  #made() {
    if (this.members) return;
    this.members = this.node.members.map((member) => this.context.make(member, this));
    if (this.node.extra && !this.isTuple) {
      const node = { kind: "map", value: this.node.extra, key: {}, title: "Further members", step: "", required: true, constraints: {} };
      this.extra = this.context.make(node, this);
    }
    this.body.replaceChildren(...this.members.map((member) => member.element), ...(this.extra ? [this.extra.element] : []));
  }

  get() {
    if (this.absent) return this.value;
    if (this.isTuple) return this.members.map((member) => member.get() ?? null);
    const pairs = this.members.map((member) => [member.node.name, member.get()]);
    const extra = this.extra ? this.extra.get() : [];
    return Object.fromEntries([...pairs, ...extra].filter(([, value]) => value !== undefined));
  }

  set(value) {
    this.absent = value === null || typeof value !== "object";
    this.value = value === null ? null : undefined;
    if (!this.absent) {
      this.#made();
      this.members.forEach((member, i) => member.set(this.isTuple ? value[i] : own(value, member.node.name)));
      const named = new Set(this.node.members.map((member) => member.name));
      this.extra?.set(Object.entries(value).filter(([name]) => !named.has(name)));
    }
    this.body.hidden = this.absent;
    this.fill.hidden = !this.absent;
    this.chip.hidden = this.absences.length === 0 && !this.absent;
    this.chip.textContent = this.absent ? stateWord(this, this.value) : "remove";
  }

  setAnswer(value) {
    if (this.absent || !value || typeof value !== "object") return;
    this.members.forEach((member, i) => member.setAnswer?.(this.isTuple ? value[i] : own(value, member.node.name)));
  }

  turn() {
    const full = blank({ ...this.node, nullable: false, required: true }, this.context.definitions);
    const hadFocus = this.element.contains(document.activeElement);
    this.set(this.absent ? full : this.absences[0]);
    this.changed();
    if (hadFocus) (this.absent ? this.fill : (this.members[0] ?? this.extra))?.focus();
  }
}

const own = (value, name) => (Object.hasOwn(value, name) ? value[name] : undefined);
