// A picture, a sound or a film. The bytes come with the token in a header, so they are shown from a blob: URL.

import { blobUrl } from "./api.js";
import { el } from "./dom.js";
import { zoomTools } from "./zoom.js";

export class MediaSource {
  constructor(row) {
    const { kind, name } = row.source;
    this.stop = new AbortController();
    this.player = kind === "image" ? el("img", { alt: name ?? "the picture of this row" }) : el(kind, { controls: true, "aria-label": name ?? kind });
    if (kind === "image")
      this.player.addEventListener("load", () => this.player.style.setProperty("--natural", `${this.player.naturalWidth}px`));
    this.frame = el("div", { class: `media ${kind}` }, this.player);
    this.element = el("div", { class: "document" }, name && el("p", { class: "caption" }, name), this.frame, kind === "image" && zoomTools(this.frame));
    this.#load(`/api/rows/${row.number}/media`);
  }

  async #load(path) {
    try {
      this.url = this.player.src = await blobUrl(path, { signal: this.stop.signal });
    } catch (error) {
      if (error.name !== "AbortError") this.frame.append(el("p", { class: "absent" }, `It cannot be shown: ${error.message}`));
    }
  }

  /** Space on the page starts and stops a sound. */
  toggle() {
    if (!(this.player instanceof HTMLMediaElement)) return false;
    if (this.player.paused) this.player.play().catch(() => {});
    else this.player.pause();
    return true;
  }

  mark() {}

  find() {
    return false;
  }

  enter() {
    return false;
  }

  close() {
    this.stop.abort();
    if (this.url) URL.revokeObjectURL(this.url);
  }
}
