// The document of a record: its text by page with the places of values marked, and pictures of pages.

function drawn(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

// The text in which the places of a record's values count: of a column, or of its document.
function textWithPlaces(record) {
  if (Number.isInteger(record.of)) return record.source[record.of];
  return record.document?.placed ? record.document.text : null;
}

function pageTexts({ text, pages }) {
  if (text === undefined) return new Map();
  const points = Array.from(textOf(text));
  const starts = pages.length ? pages : [0];
  // A form feed stands between two pages.
  const ends = [...starts.slice(1).map((start) => start - 1), points.length];
  return new Map(starts.map((start, i) => [i + 1, { start, points: points.slice(start, ends[i]) }]));
}

// A picture of a page with boxes around the values that stand there; their sides are in points from its top left.
function pagePicture([page, address, width, height], spans, name) {
  const image = drawn("image", { href: address, width, height });
  const boxes = spans.flatMap((span) =>
    span.boxes
      .filter((box) => box[0] === page && box[3] > box[1] && box[4] > box[2])
      .map(([, left, top, right, bottom]) =>
        drawn(
          "rect",
          {
            class: `box ${span.status}`,
            "data-paths": JSON.stringify([span.path]),
            x: left - 1,
            y: top - 1,
            width: right - left + 2,
            height: bottom - top + 2,
          },
          drawn("title", {}, span.path),
        ),
      ),
  );
  const attributes = { class: "page-picture", viewBox: `0 0 ${width} ${height}`, role: "img" };
  return drawn("svg", { ...attributes, "aria-label": `Page ${page} of ${name}` }, image, ...boxes);
}

function documentNodes(record) {
  const { name, note, text, placed, pictures = [] } = record.document;
  const nodes = [el("h4", {}, name ?? "Document")];
  if (note) nodes.push(el("p", { class: "null" }, note));
  const spans = placed && !Number.isInteger(record.of) ? [...spansByPath(record).values()] : [];
  const texts = pageTexts(record.document);
  const drawings = new Map(pictures.map((picture) => [picture[0], picture]));
  const numbers = [...new Set([...texts.keys(), ...drawings.keys()])].sort((a, b) => a - b);
  for (const number of numbers) {
    if (numbers.length > 1) nodes.push(el("h5", {}, `page ${number}`));
    const one = texts.get(number);
    if (one?.points.length) nodes.push(markedText(one.points, one.start, spans, `Text of ${name}`));
    if (drawings.has(number)) nodes.push(pagePicture(drawings.get(number), spans, name));
  }
  if (Array.isArray(text)) nodes.push(el("p", {}, howMuch(text)));
  return nodes;
}

