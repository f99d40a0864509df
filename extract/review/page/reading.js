// What a selected piece of a source means in a field of some kind. Where it could mean two things it stays as it is.

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const two = (number) => String(number).padStart(2, "0");

/** Return "1234.50" for "EUR 1.234,50", "$1,234.50" or "1 234,50"; the text itself where it is no plain amount. */
function amount(text) {
  const found = text.match(/[-–−+(]?\s*\d[\d.,'’  ]*/g);
  if (!found || found.length !== 1) return text;
  const isNegative = /[-–−(]\s*\D*\d/.test(text) || /\d\s*-\s*$/.test(text);
  const digits = found[0].replace(/[^\d.,]/g, "").replace(/[.,]+$/, "");
  const last = Math.max(digits.lastIndexOf("."), digits.lastIndexOf(","));
  const sign = isNegative ? "-" : "";
  if (last < 0) return sign + digits;
  const mark = digits[last];
  const isGrouping = digits.split(mark).length > 2 || (mark === "," && digits.length - last === 4 && !digits.includes("."));
  if (isGrouping) return sign + digits.replaceAll(/[.,]/g, "");
  return `${sign}${digits.slice(0, last).replaceAll(/[.,]/g, "") || "0"}.${digits.slice(last + 1)}`;
}

/** Return "2026-03-12" for a day that can be read in one way only. */
function day(text) {
  const iso = text.match(/\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\b/);
  if (iso) return `${iso[1]}-${two(iso[2])}-${two(iso[3])}`;
  const words = text.match(/\b(\d{1,2})(?:st|nd|rd|th)?[\s.-]+(\p{L}{3})\p{L}*[\s.,-]+(\d{4})\b/u);
  const american = text.match(/\b(\p{L}{3})\p{L}*\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})\b/u);
  const month = MONTHS.indexOf((words?.[2] ?? american?.[1] ?? "").toLowerCase()) + 1;
  if (month) return `${(words ?? american)[3]}-${two(month)}-${two(words ? words[1] : american[2])}`;
  const numbers = text.match(/\b(\d{1,2})([./-])(\d{1,2})\2(\d{4})\b/);
  if (!numbers) return text;
  const [first, second] = [Number(numbers[1]), Number(numbers[3])];
  if (numbers[2] === "." || first > 12) return second <= 12 ? `${numbers[4]}-${two(second)}-${two(first)}` : text;
  if (second > 12 || first === second) return `${numbers[4]}-${two(first)}-${two(second)}`;
  return text;
}

export function reading(text, kind) {
  const clean = text.trim();
  if (kind === "integer" || kind === "number" || kind === "decimal") return amount(clean);
  if (kind === "date") return day(clean);
  return clean;
}
