// The form of one record: built once from the schema's tree, filled anew for each record.

import { blank } from "./blank.js";
import { ChoiceControl } from "./choice_control.js";
import { controlOf } from "./control.js";
import { ListControl } from "./list_control.js";
import { makeControl } from "./make_control.js";
import { isWithin } from "./paths.js";

export class Form {
  /** `told` has functions: changed(), chosen(control, how), find(control), focused(control), pages(). */
  constructor(host, form, told) {
    this.host = host;
    this.told = told;
    this.active = null;
    this.definitions = form.definitions ?? {};
    const context = {
      definitions: this.definitions,
      make: (node, parent) => makeControl(node, context, parent),
      changed: () => told.changed(),
      chosen: (control, how) => this.#chosen(control, how),
      find: (control) => told.find(control),
      pages: () => told.pages(),
      home: () => this.home(),
    };
    this.root = makeControl(form.root, context, null);
    this.blank = blank({ ...form.root, nullable: false, required: true }, this.definitions);
    this.root.set(this.blank);
    host.replaceChildren(this.root.element);
    host.classList.toggle("single", this.isSingleChoice);
    host.addEventListener("focusin", (event) => this.#focused(controlOf(event.target)));
  }

  /** Whether the whole answer is one choice, so that one key can answer a record. */
  get isSingleChoice() {
    const leaves = [...this.root.all()].filter((control) => control !== this.root);
    return leaves.length === 1 && leaves[0] instanceof ChoiceControl && !leaves[0].isMulti;
  }

  /** Show values (null: nothing yet), the answer that is judged, and where the values stand. */
  show(values, answer, spans) {
    this.active = null;
    this.root.set(values ?? this.blank);
    this.root.setAnswer?.(answer ?? undefined);
    for (const control of this.root.all()) {
      control.setSpan(null);
      control.show("");
    }
    for (const span of spans) this.#attach(span);
    this.#markCurrent();
  }

  #attach(span) {
    const control = this.at(span.path);
    if (control?.path === span.path) control.setSpan(span);
    else control?.deeper.push(span);
  }

  /** Return the deepest control that holds a path. */
  at(path) {
    let found = null;
    for (const control of this.root.all())
      if (isWithin(path, control.path) && (!found || control.path.length >= found.path.length)) found = control;
    return found;
  }

  get values() {
    return this.root.get();
  }

  /** Where the values stand now: spans that came and were kept, and those that a person has set. */
  get spans() {
    const spans = [];
    for (const control of this.root.all()) {
      if (control.span) spans.push({ ...control.span, path: control.path });
      spans.push(...control.deeper);
    }
    return spans;
  }

  /** Messages that need no server: [{path, message}]. */
  get problems() {
    const controls = [...this.root.all()];
    return controls.filter((control) => control.problem).map((control) => ({ path: control.path, message: control.problem }));
  }

  /** Put each message beside its field and go to the first; return how many there are. */
  showProblems(problems) {
    const byControl = new Map();
    for (const { path, message } of problems) {
      const control = this.at(path ?? "$") ?? this.root;
      const rest = path && path !== control.path ? `${path.slice(control.path.length)}: ` : "";
      byControl.set(control, [...(byControl.get(control) ?? []), rest + message]);
    }
    for (const control of this.root.all()) control.show((byControl.get(control) ?? []).join(" "));
    const first = [...this.root.all()].find((control) => byControl.has(control));
    first?.focus();
    first?.element.scrollIntoView({ block: "nearest" });
  }

  /** Put a selected piece of the source into the field at hand; false where there is none that takes it. */
  fill(text, span) {
    let control = this.active ?? [...this.root.all()].find((one) => one.takesText);
    if (control instanceof ListControl) {
      control.insert(control.items.length);
      control = [...control.items.at(-1).all()].find((one) => one.takesText) ?? control;
    }
    if (!control || control.children.length) return false;
    control.fill(text, span);
    control.focus();
    return true;
  }

  // The field at hand --------------------------------------------------------------------------------------------------

  #focused(control) {
    if (!control || control === this.root) return;
    this.active = control;
    this.#markCurrent();
    this.told.focused(control);
  }

  get choices() {
    return [...this.root.all()].filter((control) => control instanceof ChoiceControl);
  }

  /** The choice that digits and `/` are for: the one at hand, else the first that is open. */
  get choice() {
    const { choices } = this;
    return choices.find((one) => one === this.active) ?? choices.find((one) => one.get() === undefined) ?? choices[0] ?? null;
  }

  #markCurrent() {
    const { choice } = this;
    for (const one of this.choices) one.element.classList.toggle("current", one === choice);
  }

  #chosen(control, how) {
    this.active = control;
    if (how === "key" && !control.isMulti && !this.isSingleChoice) {
      const { choices } = this;
      const next = choices[choices.indexOf(control) + 1];
      if (next) next.focus();
    }
    this.#markCurrent();
    this.told.chosen(control, how);
  }

  /** Leave the fields: keys are commands again. */
  home() {
    this.host.focus({ preventScroll: true });
  }
}
