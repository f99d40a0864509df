"""Written forms of values: dates, times, amounts, e-mails, links, phones, currencies.

No pattern backtracks over more than a few characters, so that each search takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from extract.emulator.reader.lexicon import MONTHS
from extract.emulator.reader.words import fold

__all__ = [
    "CENTS",
    "CODE",
    "CURRENCY",
    "DATE",
    "NUMBER",
    "bics",
    "currency",
    "dates",
    "emails",
    "ibans",
    "means",
    "numbers",
    "phones",
    "time_of_day",
    "urls",
]

#: "mar", "marz", "march" -> 3; a beginning that two months share belongs to the earlier one.
MONTH_OF: dict[str, int] = {}
for _month, _names in MONTHS.items():
    for _name in _names:
        for _size in range(3, len(_name) + 1):
            MONTH_OF.setdefault(_name[:_size], int(_month))

YEAR = r"(?:19|20)\d\d"
DATE = re.compile(
    # 2018-04-01
    rf"(?<!\d)(?P<year1>{YEAR})(?P<mark1>[-/.])(?P<month1>\d{{1,2}})(?P=mark1)(?P<day1>\d{{1,2}})(?!\d)"
    # 25/12/2018, 18-04-19, 25. 12. 2018
    r"|(?<![\d.,])(?P<day2>\d{1,2})\s?(?P<mark2>[-/.])\s?(?P<month2>\d{1,2})\s?(?P=mark2)\s?(?P<year2>\d{4}|\d\d)"
    r"(?![\d%]|[.,]\d)"
    # 10 MAR 2018, 1er août 2022, 5 de mayo de 2019, 30 DEC 17
    r"|(?<!\d)(?P<day3>\d{1,2})(?:st|nd|rd|th|er|[.ºª°])?[\s./-]{0,3}(?:(?:de|of)\s)?(?P<month3>[^\W\d_]{3,10})"
    rf"[\s.,/-]{{0,3}}(?:(?:de|del)\s)?(?P<year3>{YEAR}|'?\d\d)(?![\d:]|[.,]\d)"
    # Mar 10, 2018
    r"|(?<![^\W\d_])(?P<month4>[^\W\d_]{3,10})\.?\s{0,2}(?P<day4>\d{1,2})(?:st|nd|rd|th)?,?\s{1,2}"
    rf"(?P<year4>{YEAR})(?!\d)"
    # 20180401
    rf"|(?<![\d.,/-])(?P<year5>{YEAR})(?P<month5>0[1-9]|1[0-2])(?P<day5>[0-2]\d|3[01])(?!\d)"
    r"|(?P<year6>\d{4})\s?[年년]\s?(?P<month6>\d{1,2})\s?[月월]\s?(?P<day6>\d{1,2})\s?[日일]",
    re.IGNORECASE,
)
PARTS = ("day", "month", "year")
TIME = re.compile(
    r"(?<![\d.:])([01]?\d|2[0-3])[:h]([0-5]\d)(?::([0-5]\d))?(?!\d)\s?([ap]\.?m\b)?"
    r"|(?<!\d)(1[0-2]|[1-9])\s?([ap]\.?m)\b",
    re.IGNORECASE,
)
NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-−(]?)(?P<unit>[^\W\d_]{1,3}(?:\s|(?=[\d$]))|[$€£¥₹]\s?)?(?P<minus>[-−]?)"
    r"(?P<digits>\d{1,3}(?:[,.' ’]\d{3}){1,5}(?:[.,]\d{1,4})?|\d{1,15}(?:[.,]\d{1,9})?)"
    r"(?P<after>\s?%|-(?![\w-])|\))?(?![\d,.]*\d)"
)
CENTS = re.compile(r"[.,]\d\d(?!\d)")
AMOUNT = re.compile(r"\d{1,3}(?:[.,]?\d{3})*[.,]\d\d|\d{11,}")
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
URL = re.compile(r"(?:https?://|(?<![\w.@])www\.)[^\s<>\"')\]]{1,2000}", re.IGNORECASE)
PHONE = re.compile(r"(?<![\w.,/-])(?:\+\s?)?\(?\d(?:[\d()./-]| (?! )){5,17}\d(?!\w)")
IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:\s?[A-Z\d]{4}){2,7}(?:\s?[A-Z\d]{1,3})?(?!\w)")
MEANS = re.compile(
    r"(?<!\w)(?:(?i:(?:credit|debit) ?card|kreditkarte|carte bancaire|tarjeta|carta di credito|visa|mastercard|amex"
    r"|paypal|(?:bank|wire) transfer|[uü]berweisung|virement|transferencia|bonifico|overboeking|direct debit"
    r"|lastschrift|cash|bar|contanti|contant|cheque|bancontact|klarna|apple pay|google pay)|iDEAL|SEPA)(?!\w)"
)
BIC = re.compile(r"(?<!\w)(?i:BIC|SWIFT)[^\n\w]{0,5}(?:(?i:code)\W{1,3})?([A-Z]{6}[A-Z\d]{2}(?:[A-Z\d]{3})?)(?!\w)")
CODE = re.compile(r"(?<![\w-])(?=[\w/.-]{0,30}\d)[^\W_][\w/.-]{0,40}")
CODES = """
USD EUR GBP JPY CHF CAD AUD NZD CNY INR BRL MXN SEK NOK DKK PLN CZK HUF MYR SGD HKD THB IDR KRW TRY ZAR AED SAR ILS RON
"""
SIGNS = {
    "R$": "BRL",
    "US$": "USD",
    "C$": "CAD",
    "A$": "AUD",
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "円": "JPY",
}
SIGNS |= {"₹": "INR", "zł": "PLN", "Kč": "CZK", "RM": "MYR", "Fr.": "CHF", "₩": "KRW", "₺": "TRY"}
CURRENCY = re.compile(
    rf"(?<![^\W\d_])(?:{'|'.join(CODES.split())}|RM)(?![^\W\d_])|"
    + "|".join(("(?<![^\\W\\d_])" if sign[0].isalpha() else "") + re.escape(sign) for sign in SIGNS if sign != "RM")
)


def dates(text: str) -> Iterator[tuple[int, int, date]]:
    """Yield start, end and value of each written date; day first unless that cannot be."""
    for match in DATE.finditer(text):
        named = {name: value for name, value in match.groupdict().items() if value and not name.startswith("mark")}
        day, month, year = (next(value for name, value in named.items() if name.startswith(part)) for part in PARTS)
        if value := to_date(day, month, year):
            yield match.start(), match.end(), value


def to_date(day: str, month: str, year: str) -> date | None:
    """Return the date that three written parts mean, or None where there is no such day."""
    if not month.isdigit():
        return on(year, MONTH_OF.get(fold(month), 0), int(day))
    usual = on(year, int(month), int(day)) or on(year, int(day), int(month))
    return usual or (on(day, int(month), int(year)) if len(year) == 2 else None)


def on(year: str, month: int, day: int) -> date | None:
    """Return a date, or None where there is no such day; years of two digits lie in 1970 to 2069."""
    number = int(year.lstrip("'"))
    full = number if len(year) == 4 else number + (1900 if number >= 70 else 2000)
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
    """Yield start, end and value of each number that is no percentage, with its sign."""
    for match in NUMBER.finditer(text):
        sign, minus, digits, after = match.group("sign", "minus", "digits", "after")
        if after and after.endswith("%"):
            continue
        value = to_number(digits, decimal_comma=decimal_comma)
        trailing = after == "-" and CENTS.search(digits)
        negative = sign in ("-", "−") or minus or trailing or (sign == "(" and after == ")")
        yield match.start(), match.end(), -value if negative and value else value


def to_number(digits: str, *, decimal_comma: bool) -> float:
    """Return the value of written digits; `decimal_comma` settles forms such as 1.234 that can be read both ways."""
    mark = decimal_mark(digits, decimal_comma=decimal_comma)
    whole, cents = (digits, "") if mark < 0 else (digits[:mark], digits[mark + 1 :])
    return float(re.sub(r"\D", "", whole) + "." + cents)


def decimal_mark(digits: str, *, decimal_comma: bool) -> int:
    """Return the index of the decimal mark, or -1."""
    last = max(digits.rfind("."), digits.rfind(","))
    if last < 0 or ("." in digits and "," in digits):
        return last
    grouped = len(digits) - last == 4 and len(digits) <= 7 and digits[0] != "0"
    if digits.count(digits[last]) > 1 or (grouped and (digits[last] == ",") != decimal_comma):
        return -1
    return last


def emails(text: str) -> Iterator[str]:
    return (match.group() for match in EMAIL.finditer(text))


def urls(text: str) -> Iterator[str]:
    return (match.group().rstrip(".,;") for match in URL.finditer(text))


def ibans(text: str) -> Iterator[str]:
    """Yield the account numbers whose check digits are right, as one in 97 of other numbers are by chance."""
    for match in IBAN.finditer(text):
        written = re.sub(r"\s", "", match.group())
        if int("".join(str(int(sign, 36)) for sign in written[4:] + written[:4])) % 97 == 1:
            yield match.group()


def means(text: str) -> Iterator[str]:
    """Yield the means of payment named in `text`."""
    return (match.group() for match in MEANS.finditer(text))


def bics(text: str) -> Iterator[str]:
    """Yield the bank codes that follow "BIC" or "SWIFT"; without it, any word of eight capitals could be one."""
    return (match.group(1) for match in BIC.finditer(text))


def phones(text: str) -> Iterator[str]:
    """Yield possible telephone numbers, without dates, amounts and accounts."""
    for match in PHONE.finditer(IBAN.sub("   ", text)):
        written = match.group().strip(" ./-")
        count = sum(map(str.isdigit, written))
        if 7 <= count <= 15 and not DATE.match(written) and not all(map(AMOUNT.fullmatch, written.split())):
            yield written + (")" if written.count("(") > written.count(")") else "")


def currency(text: str) -> str | None:
    """Return the ISO code of the first currency in `text`, named by its code or its sign."""
    match = CURRENCY.search(text)
    return SIGNS.get(match.group(), match.group()) if match else None
