"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const PER_PAGE = matchMedia("(max-width: 44rem)").matches ? 15 : 50;
  const EXCERPT = 160;
  const LAID_OUT = 100; // longest line of a text whose columns should stand under each other

  // Text reaches the page through text nodes and attributes of our own naming, never as HTML.
  function el(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : String(value));
    }
    made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return made;
  }

  const textOf = (cell) => (Array.isArray(cell) ? cell[0] : cell ?? "");
  const plain = (value) => {
    if (value === null || value === undefined) return "";
    return typeof value === "object" ? JSON.stringify(value) : String(value);
  };

  // Where a value stands ---------------------------------------------------------------------------------------------

  const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
  const member = (path, name) => (PLAIN_NAME.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`);

  function spansByPath(record) {
    const found = new Map();
    for (const [path, status, start, end, page, text] of record.spans ?? []) {
      found.set(path, { path, status, start, end, page, text });
    }
    return found;
  }

  function activate(box, path, target) {
    for (const node of box.querySelectorAll(".active")) node.classList.remove("active");
    const linked = [...box.querySelectorAll("[data-paths]")].filter((node) => JSON.parse(node.dataset.paths).includes(path));
    for (const node of linked) node.classList.add("active");
    linked.find((node) => node.matches(target))?.scrollIntoView({ block: "nearest" });
  }

  const LABELS = { exact: "as it is", normalised: "in another dress", fuzzy: "in similar words", missing: "not found" };
  const SAID = new Set(["fuzzy", "missing"]); // the others are told by their colour and tooltip

  function placedValue(text, span, inSource) {
    const label = LABELS[span.status] ?? span.status;
    const quoted = span.text && span.text !== text ? `“${span.text}”` : null;
    const attributes = {
      class: `place ${span.status}`, "data-paths": JSON.stringify([span.path]), title: quoted ? `${label}: ${quoted}` : label,
    };
    const value = el(inSource ? "button" : "span", inSource ? { ...attributes, type: "button" } : attributes, text);
    const notes = [SAID.has(span.status) ? label : null, inSource ? null : quoted, span.page === null ? null : `page ${span.page}`];
    return el("span", {}, value, notes.filter(Boolean).map((note) => el("span", { class: `status ${span.status}` }, note)));
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
      el("dt", {}, name), el("dd", {}, valueNode(item, member(path, name), context)),
    ]);
    return members.length ? el("dl", { class: "members" }, members) : el("span", { class: "null" }, "{}");
  }

  function listNode(items, path, context) {
    if (!items.length) return el("span", { class: "null" }, "none");
    if (!items.every(isObject)) {
      return el("ul", { class: "items" }, items.map((item, i) => el("li", {}, valueNode(item, `${path}[${i}]`, context))));
    }
    const names = [...new Set(items.flatMap((item) => Object.keys(item)))];
    const head = el("tr", {}, names.map((name) => el("th", { scope: "col" }, name)));
    const rows = items.map((item, i) => el("tr", {}, names.map((name) =>
      el("td", {}, name in item ? valueNode(item[name], member(`${path}[${i}]`, name), context) : ""))));
    return el("div", { class: "scroll" }, el("table", { class: "rows" }, el("thead", {}, head), el("tbody", {}, rows)));
  }

  // The source, with its spans: offsets count code points, as in Python ----------------------------------------------

  function markedSource(cell, spans) {
    const points = Array.from(textOf(cell));
    const placed = spans.filter((span) => span.start !== null && span.start < points.length && span.end > span.start);
    const ends = placed.flatMap((span) => [span.start, Math.min(span.end, points.length)]);
    const cuts = [...new Set([0, points.length, ...ends])].sort((a, b) => a - b);
    const lines = textOf(cell).split("\n");
    const isLaidOut = lines.length > 2 && lines.every((line) => line.length <= LAID_OUT);
    const box = el("div", { class: isLaidOut ? "source laid-out" : "source", dir: "auto", tabindex: 0, role: "region", "aria-label": "Source text" });
    for (let i = 0; i + 1 < cuts.length; i += 1) {
      const piece = points.slice(cuts[i], cuts[i + 1]).join("");
      const over = placed.filter((span) => span.start <= cuts[i] && span.end >= cuts[i + 1]);
      over.sort((a, b) => (a.end - a.start) - (b.end - b.start));
      box.append(over.length === 0 ? piece : el("mark", {
        class: over[0].status, title: over.map((span) => span.path).join("\n"),
        "data-paths": JSON.stringify(over.map((span) => span.path)),
      }, piece));
    }
    if (Array.isArray(cell)) box.append(el("span", { class: "null" }, `\n… ${cell[0].length.toLocaleString("en")} of ${cell[1].toLocaleString("en")} characters`));
    return box;
  }

  function definitions(pairs) {
    return el("dl", { class: "members" }, pairs.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  }

  function readable(answer) {
    try {
      return JSON.stringify(JSON.parse(answer), null, 2);
    } catch {
      return answer;
    }
  }

  function openedError(error) {
    const told = ["code", "path", "message", "attempts"].filter((name) => error[name] !== null && error[name] !== undefined);
    const left = el("div", {}, el("h4", {}, "No answer"), definitions(told.map((name) => [name, plain(error[name])])));
    if (!error.answer) return el("div", { class: "opened" }, left);
    const answer = el("div", { class: "source", dir: "auto", tabindex: 0, role: "region", "aria-label": "Rejected answer" }, readable(error.answer));
    return el("div", { class: "opened" }, left, el("div", {}, el("h4", {}, "Rejected answer"), answer));
  }

  function openedRecord(record) {
    if (record.error) return openedError(record.error);
    const spans = spansByPath(record);
    const main = record.of ?? 0;
    const length = Array.from(textOf(record.source[main])).length;
    const inSource = (span) => record.of !== null && record.of !== undefined && span.start !== null && span.start < length;
    const context = { spans, shown: new Set(), inSource };
    const values = data.answer.map((name, i) => [name, valueNode(record.values[i], member("$", data.fields[i]), context)]);
    const left = el("div", {}, el("h4", {}, "Answer"), definitions(values));
    const others = [...spans.values()].filter((span) => !context.shown.has(span.path));
    if (others.length) {
      left.append(el("h4", {}, "Other places"), definitions(others.map((span) => [span.path, placedValue(span.text || "–", span, inSource(span))])));
    }
    const right = el("div", {});
    if (data.source.length) {
      right.append(el("h4", {}, data.source[main]), record.source[main] === null ? el("span", { class: "null" }, "null") : markedSource(record.source[main], inSourceSpans(record, spans)));
      const more = data.source.map((name, i) => [name, i]).filter(([, i]) => i !== main);
      if (more.length) right.append(el("h4", {}, "Other columns"), definitions(more.map(([name, i]) => [name, record.source[i] === null ? el("span", { class: "null" }, "null") : textOf(record.source[i])])));
    }
    if (record.origin) right.append(el("h4", {}, "Origin"), definitions(Object.entries(record.origin).map(([name, value]) => [name, plain(value)])));
    return el("div", { class: "opened" }, left, right);
  }

  const inSourceSpans = (record, spans) => (record.of === null || record.of === undefined ? [] : [...spans.values()]);

  // The table --------------------------------------------------------------------------------------------------------

  const table = byId("table");
  const previewed = data.answer.slice(0, data.preview);
  const hasSource = data.source.length > 0;
  const columns = [...previewed, ...(hasSource ? [data.source[0]] : [])];

  function cell(label, text, attributes = {}) {
    return el("td", { role: "cell", "data-label": label, ...attributes }, el("span", { class: "clip" }, text));
  }

  function previewCell(record, i) {
    const value = record.values[i];
    const name = previewed[i];
    if (value === null) return el("td", { role: "cell", "data-label": name }, el("span", { class: "null" }, "null"));
    const isLong = Array.isArray(value) && value.length && value.every(isObject);
    return cell(name, isLong ? `${value.length} items` : plain(value).slice(0, EXCERPT));
  }

  function recordRow(record) {
    const opener = el("button", { type: "button", class: "opener", "aria-expanded": "false" }, plain(record.id) || "–");
    const row = el("tr", { class: "record", role: "row" }, el("th", { scope: "row", role: "rowheader" }, opener));
    if (record.error) {
      const told = el("span", { class: "clip" }, el("span", { class: "code" }, record.error.code ?? "error"), ` ${record.error.message ?? ""}`.slice(0, EXCERPT));
      row.append(el("td", { role: "cell", "data-label": "no answer", colspan: Math.max(1, columns.length) }, told));
    } else {
      row.append(...previewed.map((_, i) => previewCell(record, i)));
      if (hasSource) row.append(cell(data.source[0], textOf(record.source[0]).replace(/\s+/g, " ").slice(0, EXCERPT)));
    }
    row.addEventListener("click", (event) => {
      if (event.target.closest("button") !== null || String(getSelection()) === "") toggle(row, record, opener);
    });
    return row;
  }

  function toggle(row, record, opener) {
    const isOpen = row.classList.toggle("open");
    opener.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) {
      row.nextElementSibling.remove();
      return;
    }
    const box = openedRecord(record);
    box.addEventListener("click", (event) => {
      const linked = event.target.closest("[data-paths]");
      if (linked) activate(box, JSON.parse(linked.dataset.paths)[0], linked.matches("mark") ? ".place" : "mark");
    });
    row.after(el("tr", { class: "detail", role: "row" }, el("td", { role: "cell", colspan: columns.length + 1 }, box)));
  }

  // Search and pages -------------------------------------------------------------------------------------------------

  const KINDS = {
    all: ["all records", () => true],
    valid: ["with an answer", (record) => !record.error],
    rejected: ["without an answer", (record) => Boolean(record.error)],
    missing: ["with a value not found", (record) => (record.spans ?? []).some((span) => span[1] === "missing")],
  };
  const searched = new WeakMap();

  function haystack(record) {
    if (!searched.has(record)) {
      const parts = [record.id, ...(record.source ?? []).map(textOf), ...(record.values ?? []), ...Object.values(record.error ?? {})];
      searched.set(record, parts.map(plain).join("\n").toLowerCase());
    }
    return searched.get(record);
  }

  let page = 0;
  let found = data.records;

  function show() {
    const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    page = Math.min(page, pages - 1);
    const shown = found.slice(page * PER_PAGE, (page + 1) * PER_PAGE);
    table.tBodies[0].replaceChildren(...shown.map(recordRow));
    byId("found").textContent = found.length === 1 ? "1 record" : `${found.length.toLocaleString("en")} records`;
    byId("page").textContent = `page ${page + 1} of ${pages}`;
    byId("back").disabled = page === 0;
    byId("next").disabled = page === pages - 1;
    document.querySelector(".pages").hidden = pages === 1;
  }

  function search() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [, fits] = KINDS[byId("kind").value];
    found = data.records.filter((record) => fits(record) && words.every((word) => haystack(record).includes(word)));
    page = 0;
    show();
  }

  function turn(by) {
    page += by;
    show();
    byId("records").scrollIntoView();
  }

  function start() {
    const head = el("tr", { role: "row" }, el("th", { scope: "col", role: "columnheader" }, "record"),
      previewed.map((name) => el("th", { scope: "col", role: "columnheader" }, name)),
      hasSource ? el("th", { scope: "col", role: "columnheader", class: "excerpt" }, data.source[0]) : null);
    table.append(el("thead", { role: "rowgroup" }, head), el("tbody", { role: "rowgroup" }));
    for (const [name, [label, fits]] of Object.entries(KINDS)) {
      if (name === "all" || data.records.some(fits)) byId("kind").append(el("option", { value: name }, label));
    }
    table.hidden = false;
    const form = document.querySelector(".controls");
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    byId("search").addEventListener("input", search);
    byId("kind").addEventListener("change", search);
    byId("back").addEventListener("click", () => turn(-1));
    byId("next").addEventListener("click", () => turn(1));
    show();
  }

  // The page around it -----------------------------------------------------------------------------------------------

  function followSections() {
    const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    }, { rootMargin: "-15% 0px -75% 0px" });
    for (const section of document.querySelectorAll("main > section")) watch.observe(section);
  }

  function offerScheme() {
    const button = byId("scheme");
    const prefersDark = matchMedia("(prefers-color-scheme: dark)");
    const isDark = () => (document.documentElement.dataset.scheme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
    const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
    button.addEventListener("click", () => {
      document.documentElement.dataset.scheme = isDark() ? "light" : "dark";
      label();
    });
    prefersDark.addEventListener("change", label);
    button.hidden = false;
    label();
  }

  offerScheme();
  followSections();
  start();
})();
