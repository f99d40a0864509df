"""Currencies and units: which words and signs are one, and which letters may touch a number without being a part of it.

All words are in light form (`folding.LIGHT`).
"""

from __future__ import annotations

from typing import Final

from extract.documents.grounding.folding import LIGHT, fold

__all__ = ["SIGNS", "codes_of", "is_unit", "touches_after", "touches_before"]

# As written on invoices and receipts. A sign that several currencies share is listed for each of them.
SIGNS: Final = {
    "AED": "د.إ Dhs",
    "ARS": "AR$ $",
    "AUD": "A$ AU$ $",
    "BDT": "৳ Tk টাকা",
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
    "INR": "₹ Rs. Rs रुपये",
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
    "THB": "฿ บาท",
    "TRY": "₺ TL",
    "TWD": "NT$ $",
    "UAH": "₴ грн",
    "USD": "US$ U.S.$ $",
    "VND": "₫ đ",
    "ZAR": "R",
}
_OTHER_CODES: Final = """
afn all amd ang aoa awg azn bam bbd bhd bif bmd bnd bob bsd btn bwp byn bzd cdf crc cup cve djf dop dzd egp etb fjd
fkp ghs gip gmd gnf gtq gyd hnl htg iqd isk jmd jod kes kgs kmf kpw kwd kyd lak lbp lkr lrd lsl lyd mad mdl mga mkd mmk
mnt mop mru mur mvr mwk mzn nad nio npr omr pab pen pgk pkr pyg qar rsd rwf sbd scr sdg shp sle sos srd ssp stn svc syp
szl tjs tmt tnd top ttd tzs ugx uyu uzs ves vuv wst xaf xcd xof xpf yer zmw zwl
"""
_UNITS: Final = """
mg g kg t lb lbs oz km m cm mm mi ft in yd l ml cl dl hl gal ha sqm h hr hrs min mins s sec ms w kw mw v kv mah kwh wh
hz khz mhz ghz b kb mb gb tb kib mib gib px pt dpi bar psi rpm pc pcs pce pcs ea pkt pkg ctn box btl doz set stk stck
st szt шт кг г мг т л мл км м см мм ч мин с 個 本 枚 台 件 个 台 箱 瓶 袋 개 คน ชิ้น กก กรัม किलो ग्राम كجم كغ غرام كم متر
"""
# What else is written against a number: "No4711", "x2", "5th", "8pm", "14h30", "1.5bn", "2k".
_BEFORE: Final = "no nr tel fax x q"
_AFTER: Final = """
x st nd rd th er re eme am pm uhr h k bn mn mio mrd tsd го й я е η ος ο ה वां वीं वें ই লা রা ঠা শে ম য় ஆம் р г тыс млн млрд
"""
_MAX_LETTERS: Final = 8


def _light(word: str) -> str:
    return fold(word, LIGHT).text.strip(".")


def _codes() -> dict[str, frozenset[str]]:
    """Return the codes of the currencies that each sign or word may mean."""
    codes: dict[str, set[str]] = {code: {code.upper()} for code in _OTHER_CODES.split()}
    for code, signs in SIGNS.items():
        for sign in (code, *signs.split()):
            codes.setdefault(_light(sign), set()).add(code)
    return {sign: frozenset(meant) for sign, meant in codes.items()}


_CODES: Final = _codes()
_KNOWN_UNITS: Final = frozenset(map(_light, _UNITS.split()))
_WORDS: Final = frozenset(sign for sign in _CODES if sign.isalpha())
_TOUCHES_BEFORE: Final = _WORDS | set(_BEFORE.split())
_TOUCHES_AFTER: Final = _WORDS | _KNOWN_UNITS | set(map(_light, _AFTER.split()))


def codes_of(word: str) -> frozenset[str]:
    """Return the ISO 4217 codes that a light word or sign may mean; empty for what is no currency."""
    return _CODES.get(word.strip("."), frozenset())


def is_unit(word: str) -> bool:
    """Return whether a light word is a unit that people write behind a number."""
    return word.strip(".") in _KNOWN_UNITS


def touches_before(letters: str) -> bool:
    """Return whether letters right before a number are no part of it: a currency ("RM9.00"), or "No"."""
    return len(letters) <= _MAX_LETTERS and _light(letters) in _TOUCHES_BEFORE


def touches_after(letters: str) -> bool:
    """Return whether letters right behind a number are no part of it: a currency, a unit, "th", "pm"."""
    return len(letters) <= _MAX_LETTERS and _light(letters) in _TOUCHES_AFTER
