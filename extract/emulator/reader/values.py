"""Written forms of values: dates, times, amounts, e-mails, links, phones, currencies. Every pattern is linear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from extract.emulator.reader.words import fold

__all__ = [
    "CENTS",
    "CODE",
    "EMAIL",
    "NUMBER",
    "URL",
    "currency",
    "dates",
    "numbers",
    "phones",
    "time_of_day",
    "to_number",
]

MONTH_NAMES = """
january januar janvier enero janeiro gennaio januari jan
february februar fevrier febrero fevereiro febbraio februari
march marz mars marzo marco maart mrt
april avril abril aprile
may mai mayo maio maggio mei
june juin junio junho giugno juni
july juillet julio julho luglio juli
august aout agosto augustus
september septembre septiembre setembro settembre
october oktober octobre octubre outubro ottobre
november novembre noviembre novembro
december dezember decembre diciembre dezembro dicembre
"""
MONTHS: dict[str, int] = {}
for _number, _names in enumerate(MONTH_NAMES.strip().splitlines(), 1):
    for _name in _names.split():
        for _size in range(3, len(_name) + 1):
            MONTHS.setdefault(_name[:_size], _number)

DATE = re.compile(
    r"(?<!\d)(?P<y>(?:19|20)\d\d)(?P<s>[-/.])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})(?!\d)"
    r"|(?<![\d.,])(?P<a>\d{1,2})\s?(?P<t>[-/.])\s?(?P<b>\d{1,2})\s?(?P=t)\s?(?P<c>\d{4}|\d\d)(?![\d%]|[.,]\d)"
    r"|(?<!\d)(?P<cd>\d{1,2})(?:st|nd|rd|th|er|[.ºª°])?[\s./-]{0,3}(?:(?:de|of)\s)?(?P<cm>[^\W\d_]{3,10})[\s.,/-]{0,3}(?:(?:de|del)\s)?"
    r"(?P<cy>(?:19|20)\d\d|'?\d\d)(?![\d:]|[.,]\d)"
    r"|(?<![^\W\d_])(?P<em>[^\W\d_]{3,10})\.?\s{0,2}(?P<ed>\d{1,2})(?:st|nd|rd|th)?,?\s{1,2}(?P<ey>(?:19|20)\d\d)(?!\d)"
    r"|(?<![\d.,/-])(?P<fy>(?:19|20)\d\d)(?P<fm>0[1-9]|1[0-2])(?P<fd>[0-2]\d|3[01])(?!\d)"
    r"|(?P<gy>\d{4})\s?[年년]\s?(?P<gm>\d{1,2})\s?[月월]\s?(?P<gd>\d{1,2})\s?[日일]",
    re.IGNORECASE,
)
TIME = re.compile(
    r"(?<![\d.:])([01]?\d|2[0-3])[:h]([0-5]\d)(?::([0-5]\d))?(?!\d)\s?([ap]\.?m\b)?|(?<!\d)(1[0-2]|[1-9])\s?([ap]\.?m)\b",
    re.IGNORECASE,
)
NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-−(]?)(?P<unit>[^\W\d_]{1,3}(?:\s|(?=[\d$]))|[$€£¥₹]\s?)?(?P<minus>[-−]?)"
    r"(?P<digits>\d{1,3}(?:[,.' ’]\d{3}){1,5}(?:[.,]\d{1,4})?|\d{1,15}(?:[.,]\d{1,9})?)(?P<after>\s?%|-(?![\w-])|\))?(?![\d,.]*\d)"
)
CENTS = re.compile(r"[.,]\d\d(?!\d)")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
URL = re.compile(r"(?:https?://|(?<![\w.@])www\.)[^\s<>\"')\]]{1,2000}", re.IGNORECASE)
PHONE = re.compile(r"(?<![\w.,/-])(?:\+\s?)?\(?\d[\d ()./-]{5,17}\d(?!\w)")
CODE = re.compile(r"(?<![\w-])(?=[\w/.-]{0,30}\d)[^\W_][\w/.-]{0,40}")
SYMBOLS = {
    "R$": "BRL",
    "US$": "USD",
    "C$": "CAD",
    "A$": "AUD",
    "€": "EUR",
    "$": "USD",
    "£": "GBP",
    "¥": "JPY",
    "₹": "INR",
    "円": "JPY",
    "zł": "PLN",
    "Kč": "CZK",
    "RM": "MYR",
    "Fr.": "CHF",
    "₩": "KRW",
    "₺": "TRY",
}
CODES = "USD EUR GBP JPY CHF CAD AUD NZD CNY INR BRL MXN SEK NOK DKK PLN CZK HUF MYR SGD HKD THB IDR KRW TRY ZAR AED SAR ILS RON"
ISO_CURRENCY = re.compile(rf"(?<![^\W\d_])(?:{'|'.join(CODES.split())})(?![^\W\d_])")
SYMBOL = re.compile(
    "|".join(
        (r"(?<!\w)" if sign.isalpha() else "") + re.escape(sign) + (r"(?!\w(?<!\d))" if sign == "RM" else "")
        for sign in SYMBOLS
    )
)


def dates(text: str) -> Iterator[tuple[int, int, date]]:
    """Yield start, end and value of each written date; day first unless that cannot be."""
    for match in DATE.finditer(text):
        if found := to_date({name: value for name, value in match.groupdict().items() if value}):
            yield match.start(), match.end(), found


def to_date(part: dict[str, str]) -> date | None:
    """Return the date that the named groups of DATE spell, or None where there is no such day."""
    if "a" in part:
        first, second, year = int(part["a"]), int(part["b"]), part["c"]
        return on(year, second, first) or on(year, first, second) or on(part["a"], second, int(year))
    if "y" in part:
        return on(part["y"], int(part["m"]), int(part["d"])) or on(part["y"], int(part["d"]), int(part["m"]))
    form = next(letter for letter in "cefg" if letter + "d" in part)
    named = part[form + "m"]
    month = int(named) if named.isdigit() else MONTHS.get(fold(named), 0)
    return on(part[form + "y"].lstrip("'"), month, int(part[form + "d"]))


def on(year: str, month: int, day: int) -> date | None:
    full = int(year) if len(year) == 4 else int(year) + (1900 if int(year) >= 70 else 2000)
    try:
        return date(full, month, day)
    except ValueError:
        return None


def time_of_day(text: str) -> str | None:
    """Return the first time in `text` as HH:MM:SS."""
    match = TIME.search(text)
    if match is None:
        return None
    hour, minute, second, half, bare_hour, bare_half = match.groups()
    hours, mark = int(hour or bare_hour), (half or bare_half or "").lower()
    if mark and hours <= 12:
        hours = hours % 12 + (12 if mark[0] == "p" else 0)
    return f"{hours:02}:{minute or '00'}:{second or '00'}"


def numbers(text: str, *, decimal_comma: bool = False) -> Iterator[tuple[int, int, float]]:
    """Yield start, end and value of each number but percentages; currency signs, thousands marks and minus signs are understood."""
    for match in NUMBER.finditer(text):
        sign, minus, digits, after = match.group("sign", "minus", "digits", "after")
        if after and after.endswith("%"):
            continue
        value = to_number(digits, decimal_comma=decimal_comma)
        negative = (
            sign in ("-", "−") or minus or (after == "-" and CENTS.search(digits)) or (sign == "(" and after == ")")
        )
        yield match.start(), match.end(), -value if negative and value else value


def to_number(digits: str, *, decimal_comma: bool) -> float:
    """Return the value of written digits; `decimal_comma` settles forms such as 1.234 that can be read both ways."""
    plain = digits.replace(" ", "").replace("'", "").replace("’", "")
    point, comma = plain.rfind("."), plain.rfind(",")
    if point >= 0 and comma >= 0:
        mark = max(point, comma)
    elif max(point, comma) < 0 or plain.count(".") > 1 or plain.count(",") > 1:
        mark = -1
    else:
        mark = max(point, comma)
        if len(plain) - mark == 4 and len(plain) <= 7 and plain[0] != "0" and (plain[mark] == ",") != decimal_comma:
            mark = -1
    whole = plain if mark < 0 else plain[:mark]
    text = re.sub(r"\D", "", whole) + ("." + plain[mark + 1 :] if mark >= 0 else "")
    return float(text)


def phones(text: str) -> Iterator[tuple[int, str]]:
    """Yield offset and text of what can be a telephone number; dates and amounts are passed over."""
    for match in PHONE.finditer(text):
        written = match.group().strip(" ./-")
        count = sum(map(str.isdigit, written))
        if (
            7 <= count <= 15
            and not DATE.match(written)
            and not re.fullmatch(r"\d{1,3}(?:[.,]?\d{3})*[.,]\d\d|\d{11,}", written)
        ):
            yield match.start(), written + (")" if written.count("(") > written.count(")") else "")


def currency(text: str) -> str | None:
    """Return the ISO code of the first currency named by code, else by sign."""
    if match := ISO_CURRENCY.search(text):
        return match.group()
    return SYMBOLS[match.group()] if (match := SYMBOL.search(text)) else None
