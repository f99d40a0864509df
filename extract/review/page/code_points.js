// Offsets of spans count code points, as in Python; offsets in the DOM count UTF-16 units.

const PAIRS = /[\ud800-\udbff][\udc00-\udfff]/;
const isPair = (text, unit) => {
  const code = text.charCodeAt(unit);
  return code >= 0xd800 && code <= 0xdbff && unit + 1 < text.length;
};

/** Return the UTF-16 offsets of ascending code point offsets, each at most the length of the text. */
export function unitsOf(text, offsets) {
  if (!PAIRS.test(text)) return offsets.map((offset) => Math.min(offset, text.length));
  const units = [];
  let unit = 0;
  let point = 0;
  for (const offset of offsets) {
    for (; point < offset && unit < text.length; point += 1) unit += isPair(text, unit) ? 2 : 1;
    units.push(unit);
  }
  return units;
}

/** Return how many code points stand before a UTF-16 offset. */
export function pointsBefore(text, unit) {
  const head = text.slice(0, unit);
  if (!PAIRS.test(head)) return head.length;
  let points = 0;
  for (const _ of head) points += 1;
  return points;
}
