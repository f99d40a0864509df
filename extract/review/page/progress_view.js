// How far a person is, and how good the answers look so far.

import { count, el } from "./dom.js";

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function rightSoFar({ right, judged, share, low, high, enough, enough_at: at }) {
  if (!judged) return null;
  const interval = low === null || low === undefined ? "" : ` (${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)})`;
  const tail = enough ? "enough" : "so far";
  const words = `${count(right)} of ${count(judged)} judged answers are right; the interval is at 95 %. ${enough ? "The number fixed when the rows were drawn is reached." : at ? `It says something at ${count(at)} rows, not before.` : ""}`;
  return el("span", { class: enough ? "right enough" : "right", title: words }, `${percent(share)}${interval} `, el("em", {}, tail));
}

function byField(fields) {
  const judged = (fields ?? []).filter((field) => field.judged);
  if (judged.length < 2) return null;
  const rows = judged.map((field) => el("tr", {}, el("th", { scope: "row", dir: "auto" }, field.name), el("td", {}, percent(field.share)), el("td", {}, `${count(field.right)} of ${count(field.judged)}`)));
  return el("table", {}, el("caption", {}, "Right so far, by field"), el("tbody", {}, rows));
}

const isNumber = (value) => typeof value === "number";

function agreed(agreement) {
  if (!agreement?.rows) return null;
  const same = isNumber(agreement.same) ? `${count(agreement.same)} of ${count(agreement.rows)} rows the same` : `${count(agreement.rows)} rows`;
  const kappa = isNumber(agreement.kappa) ? `kappa ${agreement.kappa.toFixed(2)}, ` : "";
  return el("p", {}, `Agreement of people: ${kappa}${same}.`);
}

function named(people) {
  if (!(people?.length > 1)) return null;
  const names = people.map((one) => (isNumber(one.decided) ? `${one.person} ${count(one.decided)}` : one.person));
  return el("p", { dir: "auto" }, `People: ${names.join(", ")}`);
}

function more({ right, fields, agreement, people }, isBlind) {
  const parts = [isBlind && right ? el("p", {}, rightSoFar(right)) : null, byField(fields), agreed(agreement), named(people)];
  const shown = parts.filter(Boolean);
  if (!shown.length) return null;
  return el("details", { class: "more-progress" }, el("summary", {}, "More"), el("div", { class: "panel" }, shown));
}

/** Draw the progress anew; what was unfolded stays so. */
export function showProgress(box, progress, isBlind) {
  const { total, decided, skipped, right } = progress;
  const bar = el("progress", { max: Math.max(total, 1), value: decided, "aria-label": "Decided" });
  const words = `${count(decided)} of ${count(total)} decided${skipped ? `, ${count(skipped)} skipped` : ""}`;
  const isOpen = box.querySelector("details")?.open ?? false;
  const details = more(progress, isBlind);
  if (details) details.open = isOpen;
  // A figure that moves with each decision would tell a blind person whether the answer was the same.
  const figure = right && !isBlind ? rightSoFar(right) : null;
  box.replaceChildren(...[bar, el("span", { class: "counts" }, words), figure, details].filter(Boolean));
}

/** Say that nothing is open, what came out, and how to go on. */
export function showEnd(box, progress, buttons) {
  const { decided, skipped, right } = progress;
  const words = `${count(decided)} decided${skipped ? `, ${count(skipped)} skipped: the list of rows has them (l)` : ""}.`;
  box.replaceChildren(
    el("p", { class: "tick", "aria-hidden": "true" }, "✓"),
    el("h2", {}, "All rows are decided"),
    el("p", {}, words),
    ...(right ? [el("p", {}, "Right: ", rightSoFar(right) ?? "")] : []),
    el("p", {}, "Every decision is in its file already. ", el("code", {}, "extract gold write"), " makes gold of it, ", el("code", {}, "extract gold apply"), " a corrected table."),
    el("p", { class: "buttons" }, buttons),
  );
}
