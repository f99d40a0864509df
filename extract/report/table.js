// The table of records: search, pages, and the record that is opened.

const PER_PAGE = matchMedia("(max-width: 44rem)").matches ? 15 : 50;
const EXCERPT = 160; // characters of a cell

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
  const isLong = Array.isArray(value) && value.length && value.every(isObject);
  const isWrong = Boolean(record.wrong) && Object.keys(record.wrong).some((path) => path.split(".")[0] === data.fields[i]);
  const text = isLong ? `${value.length} items` : plain(value).slice(0, EXCERPT);
  return cell(name, value === null ? el("span", { class: "null" }, "null") : text, isWrong ? { class: "wrong" } : {});
}

function recordRow(record) {
  const opener = el("button", { type: "button", class: "opener", "aria-expanded": "false" }, plain(record.id) || "–");
  const row = el("tr", { class: "record", role: "row" }, el("th", { scope: "row", role: "rowheader" }, opener));
  if (record.error) {
    const reason = el(
      "span",
      { class: "clip" },
      el("span", { class: "code" }, record.error.code ?? "error"),
      ` ${record.error.message ?? ""}`.slice(0, EXCERPT),
    );
    row.append(el("td", { role: "cell", "data-label": "no answer", colspan: Math.max(1, columns.length) }, reason));
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
    if (linked) activate(box, JSON.parse(linked.dataset.paths)[0], linked.matches("mark, rect") ? ".place" : "mark");
  });
  row.after(el("tr", { class: "detail", role: "row" }, el("td", { role: "cell", colspan: columns.length + 1 }, box)));
}

// Search and pages ----------------------------------------------------------------------------------------------------

const KINDS = {
  all: ["all records", () => true],
  valid: ["with an answer", (record) => !record.error],
  rejected: ["without an answer", (record) => Boolean(record.error)],
  wrong: ["wrong against gold", (record) => Boolean(record.wrong)],
  missing: ["with a value not found", (record) => (record.spans ?? []).some((span) => span[1] === "missing")],
};
const searched = new WeakMap();

function haystack(record) {
  if (!searched.has(record)) {
    const parts = [
      record.id,
      ...(record.source ?? []).map(textOf),
      textOf(record.document?.text),
      ...(record.values ?? []),
      ...Object.values(record.wrong ?? {}),
      ...Object.values(record.error ?? {}),
    ];
    searched.set(record, parts.map(plain).join("\n").toLowerCase());
  }
  return searched.get(record);
}

let page = 0;
let matches = data.records;

function show() {
  const pages = Math.max(1, Math.ceil(matches.length / PER_PAGE));
  page = Math.min(page, pages - 1);
  const shown = matches.slice(page * PER_PAGE, (page + 1) * PER_PAGE);
  table.tBodies[0].replaceChildren(...shown.map(recordRow));
  byId("found").textContent = matches.length === 1 ? "1 record" : `${matches.length.toLocaleString("en")} records`;
  byId("page").textContent = `page ${page + 1} of ${pages}`;
  byId("back").disabled = page === 0;
  byId("next").disabled = page === pages - 1;
  document.querySelector(".pages").hidden = pages === 1;
}

function search() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [, fits] = KINDS[byId("kind").value];
  matches = data.records.filter((record) => fits(record) && words.every((word) => haystack(record).includes(word)));
  page = 0;
  show();
}

function turn(by) {
  page += by;
  show();
  byId("records").scrollIntoView();
}

function start() {
  const head = el(
    "tr",
    { role: "row" },
    el("th", { scope: "col", role: "columnheader" }, "record"),
    previewed.map((name) => el("th", { scope: "col", role: "columnheader" }, name)),
    hasSource ? el("th", { scope: "col", role: "columnheader", class: "excerpt" }, data.source[0]) : null,
  );
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
