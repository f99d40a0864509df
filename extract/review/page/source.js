// The source beside the form: text, pages of a document, a picture or sound; and the other columns below it.

import { byId, el } from "./dom.js";
import { MediaSource } from "./media_source.js";
import { PagesSource } from "./pages_source.js";
import { TextSource } from "./text_source.js";

const KINDS = { text: TextSource, pdf: PagesSource, image: MediaSource, audio: MediaSource, video: MediaSource };

class MissingSource {
  constructor(row) {
    this.element = el("p", { class: "absent" }, row.source?.message ?? "This row has no source that can be shown.");
  }
  mark() {}
  find() {}
  enter() {
    return false;
  }
  close() {}
}

function others(columns) {
  if (!columns?.length) return null;
  const pairs = columns.map(({ name, text }) => [
    el("dt", { dir: "auto" }, name),
    el("dd", { dir: "auto" }, text === null ? el("span", { class: "null" }, "null") : text),
  ]);
  return el("details", { class: "others" }, el("summary", {}, `Other columns (${columns.length})`), el("dl", {}, pairs));
}

function rejected(error) {
  if (!error) return null;
  const words = `The model's answer was rejected: ${error.message ?? error.code ?? ""}`;
  const at = error.path && error.path !== "$" ? ` (at ${error.path})` : "";
  const answer = error.answer ? el("pre", { tabindex: "0", "aria-label": "Rejected answer" }, error.answer) : null;
  return el("details", { class: "rejected", open: true }, el("summary", {}, words + at), answer);
}

/** Show the source of a row; `told` has picked(path), selected(text, span) and returned(). */
export function showSource(row, told) {
  const Kind = KINDS[row.source?.kind] ?? MissingSource;
  const source = new Kind(row, told);
  const parts = [rejected(row.error), source.element, others(row.others)];
  byId("source").replaceChildren(...parts.filter(Boolean));
  source.opened?.();
  return source;
}
