"use strict";

// One record: its answer, each value linked to where it stands, beside its source.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const LAID_OUT = 100; // longest line of a text whose columns should stand under each other

// Text reaches the page through text nodes and attributes of our own naming, never as HTML.
function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

const textOf = (cell) => (Array.isArray(cell) ? cell[0] : (cell ?? ""));
const plain = (value) => {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
};

// Where a value stands ------------------------------------------------------------------------------------------------

const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const member = (path, name) => (PLAIN_NAME.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`);

function spansByPath(record) {
  const places = new Map();
  const isOnePage = record.document?.pages?.length === 1;
  for (const [path, status, start, end, page, text, boxes = []] of record.spans ?? []) {
    places.set(path, { path, status, start, end, page: isOnePage ? null : page, text, boxes });
  }
  return places;
}

function activate(box, path, target) {
  for (const node of box.querySelectorAll(".active")) node.classList.remove("active");
  const linked = [...box.querySelectorAll("[data-paths]")].filter((node) =>
    JSON.parse(node.dataset.paths).includes(path),
  );
  for (const node of linked) node.classList.add("active");
  linked.find((node) => node.matches(target))?.scrollIntoView({ block: "nearest" });
}

const IN_WORDS = new Set(["normalised", "fuzzy", "missing"]); // an exact quotation needs no words

function placedValue(text, span, inSource) {
  const label = span.status;
  const quoted = span.text && span.text !== text ? `“${span.text}”` : null;
  const attributes = {
    class: `place ${span.status}`,
    "data-paths": JSON.stringify([span.path]),
    title: quoted ? `${label}: ${quoted}` : label,
  };
  const value = el(inSource ? "button" : "span", inSource ? { ...attributes, type: "button" } : attributes, text);
  const notes = [
    IN_WORDS.has(span.status) ? label : null,
    inSource ? null : quoted,
    span.page === null ? null : `page ${span.page}`,
  ];
  return el(
    "span",
    {},
    value,
    notes.filter(Boolean).map((note) => el("span", { class: `status ${span.status}` }, note)),
  );
}

function scalar(value, path, context) {
  if (value === null) return el("span", { class: "null" }, "null");
  const span = context.spans.get(path);
  if (!span) return el("span", {}, plain(value));
  context.shown.add(path);
  return placedValue(plain(value), span, context.inSource(span));
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function valueNode(value, path, context) {
  if (Array.isArray(value)) return listNode(value, path, context);
  if (!isObject(value)) return scalar(value, path, context);
  const members = Object.entries(value).map(([name, item]) => [
    el("dt", {}, name),
    el("dd", {}, valueNode(item, member(path, name), context)),
  ]);
  return members.length ? el("dl", { class: "members" }, members) : el("span", { class: "null" }, "{}");
}

function listNode(items, path, context) {
  if (!items.length) return el("span", { class: "null" }, "none");
  if (!items.every(isObject)) {
    return el(
      "ul",
      { class: "items" },
      items.map((item, i) => el("li", {}, valueNode(item, `${path}[${i}]`, context))),
    );
  }
  const names = [...new Set(items.flatMap((item) => Object.keys(item)))];
  const head = el(
    "tr",
    {},
    names.map((name) => el("th", { scope: "col" }, name)),
  );
  const rows = items.map((item, i) =>
    el(
      "tr",
      {},
      names.map((name) =>
        el("td", {}, name in item ? valueNode(item[name], member(`${path}[${i}]`, name), context) : ""),
      ),
    ),
  );
  return el("div", { class: "scroll" }, el("table", { class: "rows" }, el("thead", {}, head), el("tbody", {}, rows)));
}

// The source, with its spans: offsets count code points, as in Python -------------------------------------------------

// The text of one box: code points of a source from an offset, with the places of values marked.
function markedText(points, from, spans, label) {
  const to = from + points.length;
  const placed = spans.filter((span) => span.start !== null && span.start < to && span.end > from && span.end > span.start);
  const ends = placed.flatMap((span) => [Math.max(span.start, from), Math.min(span.end, to)]);
  const cuts = [...new Set([from, to, ...ends])].sort((a, b) => a - b);
  const lines = points.join("").split("\n");
  const isLaidOut = lines.length > 2 && lines.every((line) => line.length <= LAID_OUT);
  const box = el("div", {
    class: isLaidOut ? "source laid-out" : "source",
    dir: "auto",
    tabindex: 0,
    role: "region",
    "aria-label": label,
  });
  for (let i = 0; i + 1 < cuts.length; i += 1) {
    const piece = points.slice(cuts[i] - from, cuts[i + 1] - from).join("");
    const over = placed.filter((span) => span.start <= cuts[i] && span.end >= cuts[i + 1]);
    over.sort((a, b) => a.end - a.start - (b.end - b.start));
    box.append(
      over.length === 0
        ? piece
        : el(
            "mark",
            {
              class: over[0].status,
              title: over.map((span) => span.path).join("\n"),
              "data-paths": JSON.stringify(over.map((span) => span.path)),
            },
            piece,
          ),
    );
  }
  return box;
}

function howMuch(cell) {
  const [shown, all] = [Array.from(cell[0]).length, cell[1]];
  return el("span", { class: "null" }, `\n… ${shown.toLocaleString("en")} of ${all.toLocaleString("en")} characters`);
}

function markedSource(cell, spans) {
  const box = markedText(Array.from(textOf(cell)), 0, spans, "Source text");
  if (Array.isArray(cell)) box.append(howMuch(cell));
  return box;
}

function definitions(pairs) {
  return el(
    "dl",
    { class: "members" },
    pairs.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

function readable(answer) {
  try {
    return JSON.stringify(JSON.parse(answer), null, 2);
  } catch {
    return answer;
  }
}

function errorSide(record) {
  const { error } = record;
  const names = ["code", "path", "message", "attempts"].filter(
    (name) => error[name] !== null && error[name] !== undefined,
  );
  const side = el("div", {}, el("h4", {}, "No answer"), definitions(names.map((name) => [name, plain(error[name])])));
  side.append(...differences(record));
  if (!error.answer) return side;
  const answer = el(
    "div",
    { class: "source", dir: "auto", tabindex: 0, role: "region", "aria-label": "Rejected answer" },
    readable(error.answer),
  );
  side.append(el("h4", {}, "Rejected answer"), answer);
  return side;
}

function openedRecord(record) {
  const box = el("div", { class: record.document ? "opened beside-document" : "opened" });
  box.append(record.error ? errorSide(record) : answerSide(record));
  if (!record.error || record.source || record.document) box.append(sourceSide(record));
  return box;
}

// A wrong value as it was said: lists and structs, which come as JSON, as tables.
function readValue(text) {
  if (text === null || !/^[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function differences(record) {
  if (!record.wrong) return [];
  const context = { spans: new Map(), shown: new Set(), inSource: () => false };
  const said = (text) => valueNode(readValue(text), "$", context);
  const fields = Object.entries(record.wrong);
  if (record.error) return [el("h4", {}, "Gold"), definitions(fields.map(([name, [, gold]]) => [name, said(gold)]))];
  const wrong = fields.map(([name, [predicted, gold]]) =>
    el(
      "dl",
      { class: "difference" },
      el("dt", { class: "field" }, name),
      el("dt", {}, "predicted"),
      el("dd", { class: "predicted" }, said(predicted)),
      el("dt", {}, "gold"),
      el("dd", { class: "gold" }, said(gold)),
    ),
  );
  return [el("h4", {}, "Wrong against gold"), ...wrong];
}

function answerSide(record) {
  const spans = spansByPath(record);
  const length = Array.from(textOf(textWithPlaces(record))).length;
  const inSource = (span) => span.start !== null && span.start < length;
  const context = { spans, shown: new Set(), inSource };
  const value = (name, i) => valueNode(record.values[i], member("$", data.fields[i]), context);
  const side = el(
    "div",
    {},
    el("h4", {}, "Answer"),
    definitions(data.answer.map((name, i) => [name, value(name, i)])),
  );
  side.append(...differences(record));
  const others = [...spans.values()].filter((span) => !context.shown.has(span.path));
  if (others.length) {
    const places = others.map((span) => [span.path, placedValue(span.text || "–", span, inSource(span))]);
    side.append(el("h4", {}, "Other places"), definitions(places));
  }
  return side;
}

function sourceSide(record) {
  const none = () => el("span", { class: "null" }, "null");
  const hasOwnText = Number.isInteger(record.of);
  const main = hasOwnText || !record.document ? (record.of ?? 0) : -1;
  const side = el("div", {});
  if (record.document) side.append(...documentNodes(record));
  if (record.source && data.source.length && main >= 0) {
    const spans = hasOwnText ? [...spansByPath(record).values()] : [];
    const text = record.source[main];
    side.append(el("h4", {}, data.source[main]), text === null ? none() : markedSource(text, spans));
  }
  const others = data.source.map((name, i) => [name, record.source?.[i] ?? null]).filter((_, i) => i !== main);
  if (record.source && others.length) {
    const cells = others.map(([name, cell]) => [name, cell === null ? none() : textOf(cell)]);
    side.append(el("h4", {}, "Other columns"), definitions(cells));
    if (data.more) side.append(el("p", { class: "null" }, `… and ${data.more} more`));
  }
  if (record.origin) {
    const entries = Object.entries(record.origin).map(([name, value]) => [name, plain(value)]);
    side.append(el("h4", {}, "Origin"), definitions(entries));
  }
  return side;
}
