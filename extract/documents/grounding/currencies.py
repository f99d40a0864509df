"""Finds the sign or short word of a currency in a source, from its ISO 4217 code: "EUR" -> "€", "MYR" -> "RM"."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from extract.documents.grounding.places import Place
from extract.documents.grounding.source import SourceText

__all__ = ["currency_places"]

# As written on invoices and receipts. A sign that several currencies share is listed for each of them.
_SIGNS: Final = {
    "AED": "د.إ Dhs",
    "ARS": "AR$ $",
    "AUD": "A$ AU$ $",
    "BDT": "৳ Tk",
    "BGN": "лв",
    "BRL": "R$",
    "CAD": "C$ CA$ $",
    "CHF": "Fr. SFr. Fr",
    "CLP": "CLP$ $",
    "CNY": "¥ ￥ 元 RMB CN¥",
    "COP": "COL$ $",
    "CZK": "Kč",
    "DKK": "kr. kr",
    "EUR": "€ euro euros",
    "GBP": "£",
    "GEL": "₾",
    "HKD": "HK$ $",
    "HUF": "Ft",
    "IDR": "Rp. Rp",
    "ILS": "₪",
    "INR": "₹ Rs. Rs",
    "IRR": "﷼",
    "JPY": "¥ ￥ 円 JP¥",
    "KHR": "៛",
    "KRW": "₩ 원",
    "KZT": "₸",
    "MXN": "MX$ Mex$ $",
    "MYR": "RM",
    "NGN": "₦",
    "NOK": "kr. kr",
    "NZD": "NZ$ $",
    "PHP": "₱",
    "PLN": "zł",
    "RON": "lei",
    "RUB": "₽ руб. руб",
    "SAR": "﷼ ر.س SR",
    "SEK": "kr. kr",
    "SGD": "S$ SG$ $",
    "THB": "฿",
    "TRY": "₺ TL",
    "TWD": "NT$ $",
    "UAH": "₴ грн",
    "USD": "US$ U.S.$ $",
    "VND": "₫ đ",
    "ZAR": "R",
}


def currency_places(source: SourceText, code: str) -> list[Place]:
    """Return the places of a currency's signs in a source; [] for an unknown code."""
    pattern = _pattern(code)
    return [] if pattern is None else [Place(*match.span()) for match in pattern.finditer(source.text)]


@lru_cache(maxsize=64)
def _pattern(code: str) -> re.Pattern[str] | None:
    signs = _SIGNS.get(code)
    if signs is None:
        return None
    return re.compile("|".join(map(_sign_pattern, sorted(signs.split(), key=len, reverse=True))))


def _sign_pattern(sign: str) -> str:
    """Return the pattern of a sign on its own; one that consists of letters must stand beside a number."""
    isolated = rf"(?<![^\W\d_]){re.escape(sign)}(?![^\W\d_])"
    return (
        rf"(?:(?<=\d){isolated}|(?<=\d\s){isolated}|{isolated}(?=\s?-?\d))" if sign.strip(".").isalpha() else isolated
    )
