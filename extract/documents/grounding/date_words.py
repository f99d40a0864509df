"""Words that stand between the parts of a date in formal writing: "the 5th day of November in the year 2004"."""

from __future__ import annotations

import re
from typing import Final

from extract.documents.grounding.folding import LIGHT, fold

__all__ = ["DAY_LINKS", "ORDINAL_DAYS", "YEAR_LINKS", "ordinal_day"]

# A line per language: English, German, French, Spanish, Italian, Portuguese, Dutch, Danish with Norwegian and Swedish,
# Finnish, Polish, Czech, Russian, Ukrainian, Greek, Turkish, Romanian, Hungarian, Indonesian and Malay, Arabic, Hebrew,
# Hindi, Bengali, Tamil, Thai. From the day to the month:
_TO_MONTH: Final = """
day days of the month in
tag tage tages im des dem monat monats
jour jours du de mois d
día días dia dias del mes
giorno giorni di del mese
dia dias do mês
dag van der maand
dag dagen i på måned måneden månad
päivä päivänä päivää
dzień dnia dniu miesiąca
den dne měsíce
день дня числа число месяца
день дня числа місяця
ημέρα του μηνός μήνα
günü ayı ayının
zi zile zi-a a al lunii luna
hó hónap
bulan haribulan hari
من في شهر يوم
לחודש בחודש של
माह महीने
তারিখ
மாதம் ஆம்
เดือน
"""
# From the month to the year:
_TO_YEAR: Final = """
of the year in anno ad a.d
des im jahres jahr
de l'an année an en
del año de
dell'anno del di
do ano de
van het jaar
år året i
vuonna
roku
roku
года год г месяца
року рік місяця
του έτους
yılı yılının
anul din
év évi
tahun
عام سنة لسنة من
שנת לשנת
वर्ष सन् के
সালের সাল
ஆம் ஆண்டு
พ.ศ ปี ค.ศ
"""
_ORDINALS: Final = """
first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth twenty-fifth
twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first
"""
_FIRSTS: Final = "premier primero primeiro primo"


def _light(word: str) -> str:
    return fold(word, LIGHT).text


def _pattern(words: str) -> str:
    """Return a pattern of any of the words, longest first."""
    known = {_light(word) for word in words.split()}
    return "|".join(re.escape(word) for word in sorted(known, key=lambda word: (-len(word), word)))


_DAYS: Final = {word: day for day, word in enumerate(_ORDINALS.split(), start=1)} | dict.fromkeys(_FIRSTS.split(), 1)
DAY_LINKS: Final = _pattern(_TO_MONTH)
"""Pattern of the words from a day to its month."""
YEAR_LINKS: Final = _pattern(_TO_YEAR)
"""Pattern of the words from a month to its year."""
ORDINAL_DAYS: Final = "|".join(sorted(_DAYS, key=lambda word: (-len(word), word))).replace("-", "[ -]")
"""Pattern of the days of a month in words: all in English, the first in languages that write only that one so."""


def ordinal_day(words: str) -> int:
    """Return the day of the month that a match of ORDINAL_DAYS names."""
    return _DAYS[words.replace(" ", "-")]
