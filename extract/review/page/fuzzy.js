// Which labels a few typed letters mean: "card arr" finds card_arrival, "ph lost" finds lost_or_stolen_phone.

const fold = (text) =>
  text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase();
const isStart = (text, i) => i === 0 || !/[\p{L}\p{N}]/u.test(text[i - 1]);

/** Return a score above 0 where every letter of `wanted` stands in `text` in order, best for starts of words and runs. */
function scoreOfWord(wanted, text) {
  const whole = text.indexOf(wanted);
  if (whole >= 0) {
    let at = whole;
    while (at >= 0 && !isStart(text, at)) at = text.indexOf(wanted, at + 1);
    return at === 0 ? 100 : at > 0 ? 90 : 60;
  }
  let score = 0;
  let from = 0;
  let before = -2;
  for (const letter of wanted) {
    let at = text.indexOf(letter, from);
    if (at < 0) return 0;
    // A start of a word further on is what an abbreviation means, unless the run goes on here.
    if (at !== before + 1 && !isStart(text, at)) {
      let start = at;
      while (start >= 0 && !isStart(text, start)) start = text.indexOf(letter, start + 1);
      if (start >= 0) at = start;
    }
    score += at === before + 1 ? 4 : isStart(text, at) ? 5 : 1;
    before = at;
    from = at + letter.length;
  }
  return (40 * score) / (5 * wanted.length);
}

/** Return a function that scores texts against a query: 0 is no match. Words may come in any order. */
export function matcher(query) {
  const words = fold(query).split(/\s+/).filter(Boolean);
  const together = words.join("");
  return (text) => {
    const folded = fold(text);
    const scores = words.map((word) => scoreOfWord(word, folded));
    const apart = scores.includes(0) ? 0 : scores.reduce((sum, score) => sum + score, 0) / scores.length;
    const score = Math.max(apart, together ? scoreOfWord(together, folded) * 0.9 : 0);
    return words.length === 0 ? 1 : score > 0 ? score + 5 / (5 + folded.length) : 0;
  };
}

/** Return the indices of the texts that match, best first, the far worse left out; without a query all in their order. */
export function search(texts, query) {
  if (!query.trim()) return texts.map((_, i) => i);
  const score = matcher(query);
  const scored = texts.map((text, i) => [score(text), i]);
  // Beside a good match, letters strewn over a long name are none.
  const least = scored.reduce((best, [points]) => Math.max(best, points), 0) / 3;
  return scored
    .filter(([points]) => points > 0 && points >= least)
    .sort((a, b) => b[0] - a[0] || a[1] - b[1])
    .map(([, i]) => i);
}
