// Larger and smaller, for pages and pictures: the frame scrolls, its content grows.

import { button, el } from "./dom.js";

const STEPS = [1, 1.25, 1.5, 2, 3, 4];

/** Return buttons that set the width of what is in `frame`; `zoomed` is called after each change. */
export function zoomTools(frame, zoomed = () => {}) {
  let at = 0;
  const shown = el("span", { class: "unseen", "aria-live": "polite" });
  const turn = (by) => {
    at = Math.max(0, Math.min(STEPS.length - 1, at + by));
    frame.style.setProperty("--zoom", STEPS[at]);
    shown.textContent = `${100 * STEPS[at]} %`;
    requestAnimationFrame(zoomed);
  };
  const tool = (sign, words, by) => button(sign, () => turn(by), { class: "quiet", "aria-label": words, title: words, "data-zoom": by });
  return el("div", { class: "zoom" }, tool("−", "Smaller (−)", -1), tool("+", "Larger (+)", 1), shown);
}
