// A document as pictures of its pages: boxes around values, words that can be selected by pointer and by keys.

import { blobUrl, fetchAhead, getWords } from "./api.js";
import { el } from "./dom.js";
import { zoomTools } from "./zoom.js";

const address = (number, page, pixels) => `/api/rows/${number}/pages/${page}.png?width=${pixels}`;
let lastPixels = null;

/** Fetch the first page of a record that comes next, as large as the one that is shown. */
export function firstPageAhead(row) {
  if (row?.source?.kind === "pdf" && row.source.pages && lastPixels) fetchAhead(address(row.number, 1, lastPixels));
}

class Page {
  constructor(row, number, [width, height], told) {
    Object.assign(this, { row, number, width, height, told });
    this.words = null;
    this.boxes = el("div", { class: "boxes", "aria-hidden": "true" });
    this.chosen = el("div", { class: "boxes", "aria-hidden": "true" });
    this.picture = el("img", { alt: `Page ${number}`, draggable: "false" });
    this.sheet = el("div", { class: "sheet", tabindex: "0", role: "group", "aria-label": `Page ${number}. Press t to select words by keys.` });
    this.sheet.append(this.picture, this.boxes, this.chosen);
    this.sheet.style.aspectRatio = `${width} / ${height}`;
    this.element = el("figure", { class: "page" }, this.sheet, row.source.pages > 1 && el("figcaption", {}, `page ${number} of ${row.source.pages}`));
  }

  async load(signal) {
    const pixels = Math.min(4000, Math.ceil((this.sheet.clientWidth * devicePixelRatio) / 200) * 200 || 1200);
    if (this.pixels >= pixels) return;
    this.pixels = lastPixels = pixels;
    try {
      const url = await blobUrl(address(this.row.number, this.number, pixels), { signal });
      this.free();
      this.url = this.picture.src = url;
      this.words ??= (await getWords(this.row.number, this.number)).words;
    } catch (error) {
      this.pixels = 0;
      if (error.name !== "AbortError") this.sheet.dataset.problem = `Page ${this.number}: ${error.message}`;
    }
  }

  free() {
    if (this.url) URL.revokeObjectURL(this.url);
  }

  placed([x0, y0, x1, y1], className) {
    const made = el("div", { class: className });
    made.style.left = `${(100 * x0) / this.width}%`;
    made.style.top = `${(100 * y0) / this.height}%`;
    made.style.width = `${(100 * (x1 - x0)) / this.width}%`;
    made.style.height = `${(100 * (y1 - y0)) / this.height}%`;
    return made;
  }

  mark(spans, active) {
    const made = spans.flatMap((span) =>
      this.#boxesOf(span).map((box) => {
        const isActive = span.path === active;
        const drawn = this.placed(box, `mark ${span.status ?? "set"}${isActive ? " active" : ""}`);
        drawn.title = span.path;
        drawn.addEventListener("click", () => this.told.picked(span.path));
        return drawn;
      }),
    );
    this.boxes.replaceChildren(...made);
    return made.find((one) => one.classList.contains("active"));
  }

  #boxesOf(span) {
    const given = (span.boxes ?? []).filter(([page]) => page === this.number).map(([, ...box]) => box);
    if (given.length || span.page !== this.number || !this.words) return given;
    return lines(this.words.filter((word) => word.start < span.end && word.end > span.start));
  }

  // Words --------------------------------------------------------------------------------------------------------------

  /** Return the word under a pointer, or the nearest within a few points; -1 where there is none. */
  wordAt(event) {
    const area = this.sheet.getBoundingClientRect();
    const x = ((event.clientX - area.left) / area.width) * this.width;
    const y = ((event.clientY - area.top) / area.height) * this.height;
    let best = -1;
    let least = 12;
    (this.words ?? []).forEach(({ box: [x0, y0, x1, y1] }, i) => {
      const away = Math.hypot(Math.max(x0 - x, 0, x - x1), 2 * Math.max(y0 - y, 0, y - y1));
      if (away < least) [best, least] = [i, away];
    });
    return best;
  }

  choose(from, to) {
    [this.from, this.to] = [from, to];
    if (from === null) return this.chosen.replaceChildren();
    const words = this.words.slice(Math.min(from, to), Math.max(from, to) + 1);
    this.chosen.replaceChildren(...lines(words).map((box) => this.placed(box, "chosen")));
  }

  /** The chosen words as text with their span. */
  get selected() {
    const words = this.words.slice(Math.min(this.from, this.to), Math.max(this.from, this.to) + 1);
    const span = { start: words[0].start, end: words.at(-1).end, page: this.number, column: null };
    return { text: words.map((word) => word.text).join(" "), span: { ...span, boxes: lines(words).map((box) => [this.number, ...box]) } };
  }
}

/** Return one box around the words of each line. */
function lines(words) {
  const boxes = [];
  for (const { box } of words) {
    const last = boxes.at(-1);
    const middle = (box[1] + box[3]) / 2;
    if (last && middle > last[1] && middle < last[3] && box[0] >= last[0])
      boxes[boxes.length - 1] = [last[0], Math.min(last[1], box[1]), Math.max(last[2], box[2]), Math.max(last[3], box[3])];
    else boxes.push([...box]);
  }
  return boxes;
}

export class PagesSource {
  constructor(row, told) {
    this.told = told;
    this.stop = new AbortController();
    this.pages = Array.from({ length: row.source.pages ?? 0 }, (_, i) => new Page(row, i + 1, row.source.sizes?.[i] ?? [595, 842], told));
    this.scroller = el("div", { class: "pages" }, this.pages.map((page) => page.element));
    this.element = el("div", { class: "document" }, this.scroller, zoomTools(this.scroller, () => this.pages.forEach((page) => page.url && this.#load(page))));
    this.seen = new IntersectionObserver((entries) => entries.forEach((entry) => entry.isIntersecting && this.#load(entry.target.page)), { rootMargin: "400px" });
    for (const page of this.pages) {
      page.sheet.page = page;
      this.seen.observe(page.sheet);
      this.#listen(page);
    }
    this.spans = [];
  }

  async #load(page) {
    await page.load(this.stop.signal);
    if (!this.stop.signal.aborted) page.mark(this.spans, this.active);
  }

  close() {
    this.stop.abort();
    this.seen.disconnect();
    for (const page of this.pages) page.free();
  }

  mark(spans, active = null) {
    [this.spans, this.active] = [spans, active];
    return this.pages.map((page) => page.mark(spans, active)).find(Boolean);
  }

  find(path) {
    const found = this.mark(this.spans, path);
    const page = this.spans.find((span) => span.path === path)?.page;
    if (found) found.scrollIntoView({ block: "nearest", inline: "nearest" });
    else if (page) this.pages[page - 1]?.element.scrollIntoView({ block: "nearest" });
    return Boolean(found ?? page);
  }

  // Selecting by pointer: drag over words; on a touch screen tap the first and the last ----------------------------------

  #listen(page) {
    const { sheet } = page;
    sheet.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button !== 0) return;
      page.start = page.wordAt(event);
      page.isDragged = false;
      if (page.start < 0) return;
      event.preventDefault(); // the field at hand keeps its focus
      sheet.setPointerCapture(event.pointerId);
    });
    sheet.addEventListener("pointermove", (event) => {
      if (!(page.start >= 0) || !event.buttons) return;
      const word = page.wordAt(event);
      if (word >= 0 && (word !== page.start || page.isDragged)) {
        page.isDragged = true;
        page.choose(page.start, word);
      }
    });
    sheet.addEventListener("pointerup", (event) => {
      if (event.pointerType !== "mouse" || !(page.start >= 0)) return;
      if (page.isDragged) this.#take(page);
      else this.#pressed(page, event);
      page.start = -1;
    });
    sheet.addEventListener("click", (event) => event.pointerType !== "mouse" && event.isTrusted && this.#tapped(page, event));
    sheet.addEventListener("keydown", (event) => this.#key(page, event));
  }

  #pressed(page, event) {
    const mark = document.elementsFromPoint(event.clientX, event.clientY).find((one) => one.matches(".mark"));
    if (mark) return this.told.picked(mark.title);
    page.choose(page.start, page.start);
    return this.#take(page);
  }

  #tapped(page, event) {
    if (event.target.closest(".mark")) return;
    const word = page.wordAt(event);
    if (word < 0) return;
    const from = this.tapped?.page === page && this.tapped.word < word ? this.tapped.word : word;
    this.tapped = from === word ? { page, word } : null;
    page.choose(from, word);
    this.told.offer(page.selected.text, () => this.#take(page));
  }

  #take(page) {
    const { text, span } = page.selected;
    page.choose(null, null);
    this.tapped = null;
    this.told.selected(text, span);
  }

  // Selecting by keys: arrows from word to word, Shift for more, Enter takes them -----------------------------------------

  enter() {
    const at = this.spans.find((span) => span.path === this.active)?.page ?? 1;
    const page = this.pages[at - 1];
    if (!page?.words?.length) return false;
    page.sheet.focus();
    page.choose(0, 0);
    return true;
  }

  #key(page, event) {
    if (page.from === null || page.from === undefined) return;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.#below(page, 1), ArrowUp: this.#below(page, -1) }[event.key];
    if (by !== undefined) {
      const to = Math.max(0, Math.min(page.words.length - 1, page.to + by));
      page.choose(event.shiftKey ? page.from : to, to);
      page.chosen.lastElementChild?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") this.#take(page);
    else if (event.key === "Escape") {
      page.choose(null, null);
      this.told.returned();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** How many words further the one above or below stands. */
  #below(page, direction) {
    const [x0, y0, , y1] = page.words[page.to].box;
    let best = 0;
    let least = Infinity;
    page.words.forEach(({ box }, i) => {
      const down = direction * ((box[1] + box[3]) / 2 - (y0 + y1) / 2);
      if (down < (y1 - y0) / 2) return;
      const away = down * 4 + Math.abs(box[0] - x0);
      if (away < least) [best, least] = [i - page.to, away];
    });
    return best;
  }
}
