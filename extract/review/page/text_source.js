// A source of text: spans are highlighted, a selected piece goes into the field at hand.

import { pointsBefore, unitsOf } from "./code_points.js";
import { el } from "./dom.js";

const MANY_SPANS = 2000; // more are not drawn
const LONG = 50_000; // characters; each line with a direction of its own takes seconds to lay out then
const LAID_OUT = 110; // longest line of a text whose columns should stand under each other

class Column {
  constructor({ name, text, cut }, isOnly) {
    this.name = name;
    this.text = text ?? "";
    const lines = this.text.length < 100_000 ? this.text.split("\n") : [];
    const isLaidOut = lines.length > 2 && lines.every((line) => line.length <= LAID_OUT) && / {3}/.test(this.text);
    const size = this.text.length > LONG ? "long" : isOnly && this.text.length < 400 && lines.length < 4 ? "short" : "";
    this.box = el("div", {
      class: `text ${size} ${isLaidOut ? "laid-out" : ""}`,
      dir: "auto",
      tabindex: "0",
      role: "region",
      "aria-label": `${name}: source text. Press t to select in it by keys.`,
    });
    const heading = isOnly ? null : el("h3", { dir: "auto" }, name);
    const rest = cut ? el("p", { class: "absent" }, "The text goes on; only its first million characters are shown.") : null;
    const none = text === null ? el("p", { class: "absent" }, "null") : null;
    this.element = el("div", { class: "column" }, heading, none ?? this.box, rest);
  }

  /** Draw the spans. A long text is laid out anew only where other spans stand in it, not for another active one. */
  mark(spans, active) {
    const drawn = JSON.stringify(spans.map(({ start, end, status, path }) => [start, end, status, path]));
    if (drawn !== this.drawn) this.#draw(spans);
    this.drawn = drawn;
    for (const mark of this.box.querySelectorAll("mark")) mark.classList.toggle("active", mark.paths.includes(active));
  }

  #draw(spans) {
    const placed = spans.filter((span) => Number.isInteger(span.start) && span.end > span.start).slice(0, MANY_SPANS);
    const offsets = [...new Set(placed.flatMap((span) => [span.start, span.end]))].sort((a, b) => a - b);
    const units = new Map(unitsOf(this.text, offsets).map((unit, i) => [offsets[i], unit]));
    const located = placed.map((span) => ({ span, from: units.get(span.start), to: units.get(span.end) }));
    const cuts = [...new Set([0, this.text.length, ...units.values()])].sort((a, b) => a - b);
    const pieces = [];
    for (let i = 0; i + 1 < cuts.length; i += 1) {
      const piece = this.text.slice(cuts[i], cuts[i + 1]);
      const over = located.filter(({ from, to }) => from <= cuts[i] && to >= cuts[i + 1]);
      pieces.push(over.length ? marked(piece, over.map((one) => one.span)) : piece);
    }
    this.box.replaceChildren(...pieces);
  }

  /** Return the UTF-16 offset of a place in the box. */
  offsetOf(node, offset) {
    const range = document.createRange();
    range.selectNodeContents(this.box);
    range.setEnd(node, offset);
    return range.toString().length;
  }
}

function marked(piece, spans) {
  const [shortest] = [...spans].sort((a, b) => a.end - a.start - (b.end - b.start));
  const paths = spans.map((span) => span.path);
  const made = el("mark", { class: shortest.status ?? "set", title: paths.join("\n") }, piece);
  made.paths = paths;
  return made;
}

export class TextSource {
  constructor(row, told) {
    this.told = told;
    this.columns = (row.source.columns ?? []).map((column, _, all) => new Column(column, all.length === 1));
    this.element = el("div", { class: "texts" }, this.columns.map((column) => column.element));
    this.element.addEventListener("pointerup", (event) => event.pointerType === "mouse" && setTimeout(() => this.#take()));
    this.element.addEventListener("click", (event) => this.#clicked(event));
    this.element.addEventListener("keydown", (event) => this.#key(event));
    for (const { box } of this.columns) {
      // With `t` the text has a caret and is selected by keys; nothing can be written into it.
      for (const name of ["beforeinput", "drop", "paste", "cut"]) box.addEventListener(name, (event) => event.preventDefault());
      box.addEventListener("blur", () => box.removeAttribute("contenteditable"));
    }
    this.onSelection = () => this.#offer();
    document.addEventListener("selectionchange", this.onSelection);
    this.spans = [];
  }

  close() {
    document.removeEventListener("selectionchange", this.onSelection);
  }

  mark(spans, active = null) {
    this.spans = spans;
    this.columns.forEach((column, i) => {
      const here = spans.filter((span) => (span.column ?? this.columns[0].name) === column.name);
      column.mark(here, active);
    });
  }

  /** Scroll to where the value at a path stands. */
  find(path) {
    this.mark(this.spans, path);
    const mark = this.element.querySelector("mark.active");
    mark?.scrollIntoView({ block: "nearest" });
    return Boolean(mark);
  }

  #clicked(event) {
    const mark = event.target.closest("mark");
    if (mark && getSelection().isCollapsed) this.told.picked(mark.paths[0]);
  }

  // Selecting ----------------------------------------------------------------------------------------------------------

  /** The selected piece and its span, or null. Blanks at its ends are left out. */
  get #selected() {
    const selection = getSelection();
    if (!selection.rangeCount || selection.isCollapsed) return null;
    const range = selection.getRangeAt(0);
    const column = this.columns.find(({ box }) => box.contains(range.startContainer) && box.contains(range.endContainer));
    if (!column) return null;
    let from = column.offsetOf(range.startContainer, range.startOffset);
    let to = column.offsetOf(range.endContainer, range.endOffset);
    while (from < to && /\s/.test(column.text[from])) from += 1;
    while (to > from && /\s/.test(column.text[to - 1])) to -= 1;
    if (from === to) return null;
    const span = { start: pointsBefore(column.text, from), end: pointsBefore(column.text, to), column: column.name, page: null };
    return { text: column.text.slice(from, to), span };
  }

  #take() {
    const found = this.#selected;
    if (!found) return false;
    getSelection().removeAllRanges();
    this.told.selected(found.text, found.span);
    return true;
  }

  /** On a touch screen the handles still move: a button offers what is selected. */
  #offer() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const isTouch = matchMedia("(pointer: coarse)").matches;
      const found = isTouch ? this.#selected : null;
      this.told.offer(found ? found.text : null, () => this.#take());
    }, 250);
  }

  /** Give the text a caret, for selecting by keys; false where there is no text. */
  enter() {
    const box = this.columns[0]?.box;
    if (!box) return false;
    const first = (box.querySelector("mark.active") ?? box.querySelector("mark") ?? box).firstChild;
    box.setAttribute("contenteditable", "true");
    box.setAttribute("inputmode", "none");
    box.setAttribute("spellcheck", "false");
    box.focus();
    if (first) getSelection().collapse(first, 0);
    return true;
  }

  #key(event) {
    const box = event.target.closest(".text");
    if (!box?.isContentEditable) return;
    if (event.key === "Enter") {
      event.preventDefault();
      event.stopPropagation();
      box.removeAttribute("contenteditable");
      if (!this.#take()) this.told.returned();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.told.returned();
    }
  }
}
