"""The names of the months, full and abbreviated, in about thirty languages."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from extract.documents.grounding.folding import LIGHT, fold

__all__ = ["month_of"]

# A paragraph per month: English, German, French, Spanish, Italian, Portuguese, Dutch; Danish, Norwegian, Swedish,
# Finnish; Polish, Czech; Russian, Ukrainian; Greek, Turkish, Romanian, Hungarian, Indonesian and Malay; Arabic, Hebrew,
# Hindi, Bengali, Tamil, Thai. Where a language inflects the name in a date, that form is listed.
_NAMES: Final = """
january jan januar jänner janvier janv enero ene gennaio gen janeiro januari tammikuuta
stycznia sty ledna января янв січня ιανουαρίου ιαν ocak oca ianuarie ian január janvāris يناير
كانون_الثاني ינואר जनवरी জানুয়ারি ஜனவரி มกราคม ม.ค

february feb februar februarie février févr fév febrero febbraio fevereiro fev februari
helmikuuta lutego lut února февраля фев лютого φεβρουαρίου φεβ şubat şub február pebruari
فبراير شباط פברואר फ़रवरी फरवरी ফেব্রুয়ারি பிப்ரவரி กุมภาพันธ์ ก.พ

march mar märz mrz mär mars marzo março maart mrt marts maaliskuuta marca března марта мар
березня μαρτίου μαρ mart martie március márc maret mac مارس آذار מרץ मार्च মার্চ மார்ச் มีนาคม
มี.ค

april apr avril avr abril abr aprile huhtikuuta kwietnia kwi dubna апреля апр квітня απριλίου
απρ nisan nis aprilie április ápr أبريل ابريل نيسان אפריל अप्रैल এপ্রিল ஏப்ரல் เมษายน เม.ย

may mai mayo maggio mag maio mei maj toukokuuta maja května мая травня μαΐου μαι mayıs mayis
május máj مايو أيار מאי मई মে மே พฤษภาคม พ.ค

june jun juni juin junio giugno giu junho kesäkuuta czerwca cze června июня июн червня ιουνίου
ιουν haziran haz iunie június jún يونيو حزيران יוני जून জুন ஜூன் มิถุนายน มิ.ย

july jul juli juillet juil julio luglio lug julho heinäkuuta lipca lip července июля июл липня
ιουλίου ιουλ temmuz tem iulie július júl julai يوليو تموز יולי जुलाई জুলাই ஜூலை กรกฎาคม ก.ค

august aug août agosto ago augustus elokuuta sierpnia sie srpna августа авг серпня αυγούστου
αυγ ağustos ağu augusztus agustus ogos augusti أغسطس آب אוגוסט अगस्त আগস্ট ஆகஸ்ட் สิงหาคม ส.ค

september sept sep septembre septiembre settembre set setembro syyskuuta września wrz září
сентября сен вересня σεπτεμβρίου σεπ eylül eyl septembrie szeptember szept سبتمبر أيلول ספטמבר
सितंबर सितम्बर সেপ্টেম্বর செப்டம்பர் กันยายน ก.ย

october oct oktober okt octobre octubre ottobre ott outubro out lokakuuta października paź
října октября окт жовтня οκτωβρίου οκτ ekim eki octombrie október أكتوبر تشرين_الأول אוקטובר
अक्टूबर अक्तूबर অক্টোবর அக்டோபர் ตุลาคม ต.ค

november nov novembre noviembre novembro marraskuuta listopada lis listopadu ноября ноя
листопада νοεμβρίου νοε kasım kas noiembrie نوفمبر تشرين_الثاني נובמבר नवंबर नवम्बर নভেম্বর
நவம்பர் พฤศจิกายน พ.ย

december dec dezember dez décembre déc diciembre dic dicembre dezembro joulukuuta grudnia gru
prosince декабря дек грудня δεκεμβρίου δεκ aralık ara decembrie desember des disember ديسمبر
كانون_الأول דצמבר दिसंबर दिसम्बर ডিসেম্বর டிசம்பர் ธันวาคม ธ.ค
"""
_HEBREW_IN: Final = "ב"  # "18 in March": the preposition is a prefix of the name
# Latin, Greek and Cyrillic names are also typed without accents; other scripts would lose letters.
_ACCENTS: Final = re.compile("[\u0300-\u036f]")


def _key(name: str) -> str:
    return _ACCENTS.sub("", unicodedata.normalize("NFD", name)).rstrip(".")


_MONTHS: Final = {
    _key(fold(name.replace("_", " "), LIGHT).text): number
    for number, row in enumerate(_NAMES.split("\n\n"), start=1)
    for name in row.split()
}


def month_of(name: str) -> int:
    """Return the number of the month with a name in light form, 0 for any other word."""
    key = _key(name)
    return _MONTHS.get(key) or _MONTHS.get(key.removeprefix(_HEBREW_IN), 0)
