// The list of rows beside the record: only what is in sight is on the page, and it is fetched in slices.

import { getTasks } from "./api.js";
import { count, el } from "./dom.js";

const HEIGHT = 44; // pixels of one row, as in the stylesheet
const SLICE = 100;
const TALLEST = 8_000_000; // browsers draw no taller elements
const KEPT = 20; // slices

const SIGNS = { open: "", right: "✓", corrected: "✎", skipped: "↷" };

export class TaskList {
  constructor(nav, total, open) {
    Object.assign(this, { nav, total, openRow: open });
    this.slices = new Map();
    this.current = 0;
    this.space = el("div", { class: "space" });
    this.rows = el("ol", { class: "rows" });
    this.scroller = el("div", { class: "scroller", tabindex: "-1" }, this.space, this.rows);
    nav.replaceChildren(this.#jump(), this.scroller);
    this.space.style.height = `${Math.min(total * HEIGHT, TALLEST)}px`;
    this.scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    this.rows.addEventListener("click", (event) => {
      const row = event.target.closest("button[data-number]");
      if (row) open(Number(row.dataset.number));
    });
  }

  #jump() {
    const box = el("input", { type: "text", inputmode: "numeric", class: "jump", placeholder: `Go to 1–${count(this.total)}`, "aria-label": "Go to row number" });
    box.addEventListener("keydown", (event) => {
      const number = Number(box.value.replace(/\D/g, ""));
      if (event.key !== "Enter") return;
      event.preventDefault();
      event.stopPropagation();
      if (number >= 1 && number <= this.total) this.openRow(number);
      box.value = "";
    });
    return box;
  }

  get isOpen() {
    return !this.nav.hidden;
  }

  toggle(isOpen = !this.isOpen) {
    this.nav.hidden = !isOpen;
    if (isOpen) this.show(this.current);
  }

  /** How many rows one pixel of scrolling stands for, once the list is taller than a browser draws. */
  get #first() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const range = Math.max(scrollHeight - clientHeight, 1);
    const last = Math.max(this.total - clientHeight / HEIGHT, 0);
    return this.total * HEIGHT <= TALLEST ? scrollTop / HEIGHT : (scrollTop / range) * last;
  }

  show(number) {
    this.current = number;
    if (!this.isOpen) return;
    const { clientHeight, scrollHeight } = this.scroller;
    const visible = clientHeight / HEIGHT;
    const first = this.#first;
    if (number - 1 < first || number > first + visible) {
      const target = Math.max(0, number - 1 - visible / 3);
      const isScaled = this.total * HEIGHT > TALLEST;
      const last = Math.max(this.total - visible, 1);
      this.scroller.scrollTop = isScaled ? (target / last) * (scrollHeight - clientHeight) : target * HEIGHT;
    }
    this.draw();
  }

  /** A decision was made here: its sign changes at once. */
  mark(number, state) {
    const slice = this.slices.get(Math.floor((number - 1) / SLICE));
    if (Array.isArray(slice)) slice[(number - 1) % SLICE].state = state;
    if (this.isOpen) this.draw();
  }

  #slice(index) {
    if (!this.slices.has(index)) {
      this.slices.set(index, null);
      getTasks(index * SLICE + 1, SLICE).then(
        ({ tasks }) => {
          this.slices.set(index, tasks);
          this.draw();
        },
        () => this.slices.delete(index),
      );
      if (this.slices.size > KEPT) this.slices.delete(this.slices.keys().next().value);
    }
    return this.slices.get(index);
  }

  draw() {
    if (!this.isOpen) return;
    const first = Math.max(0, Math.floor(this.#first));
    const last = Math.min(this.total, first + Math.ceil(this.scroller.clientHeight / HEIGHT) + 1);
    const drawn = [];
    for (let i = first; i < last; i += 1) drawn.push(this.#row(i + 1, this.#slice(Math.floor(i / SLICE))?.[i % SLICE]));
    const offset = this.total * HEIGHT <= TALLEST ? first * HEIGHT : this.scroller.scrollTop;
    this.rows.style.transform = `translateY(${offset}px)`;
    this.rows.replaceChildren(...drawn);
  }

  #row(number, task) {
    const isHere = number === this.current;
    return el(
      "li",
      { "aria-setsize": this.total, "aria-posinset": number },
      el(
        "button",
        { type: "button", "data-number": number, "aria-current": isHere ? "true" : null, class: task?.state ?? "unknown", title: task?.reason ?? null },
        el("span", { class: "at" }, count(number)),
        el("span", { class: "id", dir: "auto" }, task?.row_id ?? "…"),
        el("span", { class: "sign", role: "img", "aria-label": task?.state ?? "" }, SIGNS[task?.state] ?? ""),
      ),
    );
  }
}
