"""Where values stand in a text: what is found, in which form, which of several places, and what is not found."""

from __future__ import annotations

import builtins
import json
import random
import re
import unicodedata
from collections import Counter
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from clocks import cpu_bound
from hypothesis import assume, given
from hypothesis import strategies as st
from inventions import CHANGES, INVENTED_SCRIPTS, inventions
from planted import DRESSES, SCRIPTS, plant, slips
from pydantic import BaseModel

from extract import ConfigError, compile_schema
from extract.documents.grounding import Labels, SourceText, ground
from extract.documents.grounding.boundaries import stands_alone
from extract.documents.grounding.folding import BARE, LIGHT, fold
from extract.documents.grounding.span import Span


def only(value: Any, text: str, **options: Any) -> Span:
    (span,) = ground(value, SourceText(text), **options)
    return span


def status_and_text(value: Any, text: str) -> tuple[str, str | None]:
    span = only(value, text)
    return span.status, span.text


def starts(value: Any, text: str) -> dict[str, int | None]:
    return {span.path: span.start for span in ground(value, SourceText(text))}


# Texts ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("Acme Ltd", "Sold by Acme Ltd, London", "Acme Ltd"),
        ("12", "2012 and 12", "12"),
        ("9.00", "19.00 9.00", "9.00"),
        ("RM", "RM9.00", "RM"),
        ("9.00", "RM9.00", "9.00"),
        ("EUR", "12 EUR/kg", "EUR"),
        ("55", "NO.53,55,57", "55"),
        ("東京", "住所は東京都です", "東京"),
        ("서울", "서울에서 만나요", "서울"),
        ("👩", "👩‍💻 👩", "👩"),
        ("🇩🇪", "🇫🇷🇩🇪", "🇩🇪"),
        ("***", "a *** b", "***"),
    ],
)
def test_a_text_is_found_as_it_stands(value: str, text: str, expected: str) -> None:
    assert status_and_text({"v": value}, text) == ("exact", expected)


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("Acme Ltd.", "ACME\n   LTD.", "ACME\n   LTD."),
        ("international", "an inter\u00adnational firm", "inter\u00adnational"),
        ("international", "an inter-\nnational firm", "inter-\nnational"),
        ("Jean-Pierre", "Jean-\nPierre", "Jean-\nPierre"),
        ("Café Zürich", "Cafe\u0301 Zu\u0308rich", "Cafe\u0301 Zu\u0308rich"),
        ("Cafe\u0301", "Café!", "Café"),
        ('it\'s "new"', "It’s “new”", "It’s “new”"),
        ("10-12", "10–12", "10–12"),
        ("STRASSE", "Große Straße 5", "Straße"),
        ("ΟΔΟΣ", "οδός οδος", "οδος"),
        ("istanbul", "İSTANBUL", "İSTANBUL"),
        ("ABC", "ＡＢＣ会社", "ＡＢＣ"),
        ("ガラス", "ｶﾞﾗｽ", "ｶﾞﾗｽ"),
        ("(株)山田", "㈱山田", "㈱山田"),
        ("كتاب", "هذا كِتَابٌ جميل", "كِتَابٌ"),
        ("كتاب", "كتـــاب", "كتـــاب"),
        ("ירושלים", "יְרוּשָׁלַיִם", "יְרוּשָׁלַיִם"),
        ("東京都千代田区", "東京都\n千代田区", "東京都\n千代田区"),
        ("한국", unicodedata.normalize("NFD", "한국"), unicodedata.normalize("NFD", "한국")),
        ("\u095b\u093f\u0932\u093e", "ज़िला", "ज़िला"),
        ("👍", "👍🏽", "👍🏽"),
        ("USA", "made in U.S.A.", "U.S.A"),
        ("+60 7-350 7405", "TEL:07-3507405 or +6073507405", "+6073507405"),
        ("BOOK TA .K (TAMAN DAYA)", "BOOK TA .K(TAMAN DAYA) SDN", "BOOK TA .K(TAMAN DAYA)"),
        ("file", "\ufb01le", "\ufb01le"),
    ],
)
def test_a_text_is_found_in_another_dress(value: str, text: str, expected: str) -> None:
    assert status_and_text({"v": value}, text) == ("normalised", expected)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12", "2012"),
        ("9.00", "19.00, 1,239.00, 9.001"),
        ("12.05", "on 12.05.2026"),
        ("345", "12,345"),
        ("art", "party"),
        ("inter", "inter\u00adnational"),
        ("Cafe", "Cafe\u0301"),
        ("가", unicodedata.normalize("NFD", "각")),
        ("न", "नी"),
        ("👩", "👩‍💻"),
        ("🇪🇫", "🇩🇪🇫🇷"),
        ("9.00", "900"),
        ("12", "1 2 3"),
        ("12", "½"),
        ("100", "1001 10O"),
        ("1001", "100¹"),
        ("5.20", "5 20"),
        ("John Smith", "Joan Smith"),
        ("invoice 4711-2026", "invoice 4712-2026"),
        ("nothing like this at all", "some other words stand here, and many more of them"),
    ],
)
def test_what_stands_nowhere_is_missing(value: str, text: str) -> None:
    span = only({"v": value}, text)
    assert span == Span(path="$.v", status="missing")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("AB4711", "Order 4711"),
        ("INV-4711", "Order 4711"),
        ("-4711", "Order 4711"),
        ("-4711", "Order INV-4711"),
        ("+4711", "Order 4711"),
        ("#4711", "Order 4711"),
        (".12", "Room 12"),
        (",5 mm", "5 mm"),
        ("4711-", "Order 4711"),
        ("$4711", "Order 4711"),
        ("B12", "Room 12"),
        ("12g", "12 boxes"),
        ("15%", "Room 15"),
        ("C#", "the C language"),
        ("@acme", "Acme"),
        ("380", "Total 380,00 EUR"),
        ("38", "Total 380,00 EUR"),
        ("007", "7 pieces"),
        ("4711", "Order AB4711"),
        ("4711", "Order 4711A"),
        ("4711", "Order -4711"),
        (",813.75", "3,813.75"),
        ("-5", "Order (5)"),
        ("-12.50", "Room (12.50)"),
        ("EUR 9.00", "USD 9.00"),
        ("EUR 380", "Room 380"),
        ("+5.00", "Total 5.00"),
        ("9.000", "9.0"),
        ("Order number A4711", "the order number 4711 of"),
        ("Invoice number 4712", "Invoice number 4711 of"),
        ("Temperature of -40 degrees", "a temperature of 40 degrees"),
        ("An international treaties", "an international treatie"),
        ("ب٤٧١١", "رقم ٤٧١١"),
        ("Ж4711", "номер 4711"),
    ],
)
def test_a_value_with_a_letter_sign_or_digit_more_or_less_is_missing(value: str, text: str) -> None:
    pytest.importorskip("rapidfuzz")
    assert status_and_text({"v": value}, text) == ("missing", None)


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ("380 EUR", "Total 380,00 EUR", "380,00"),
        ("€ 380", "380,00 €", "380,00"),
        ("USD 1,234", "US$ 1234", "1234"),
        ("-12.50", "Total (12.50) EUR", "(12.50)"),
        ("-12.50", "Total 12.50-", "12.50-"),
        ("12 kg", "Weight in kg: 12,0", "12,0"),
        ("4711", "No4711", "4711"),
        ("4711", "INV-4711", "4711"),
        ("12", "10-12", "12"),
        ("12", "pages 10 -12", "12"),
        ("5", "the 5th floor", "5"),
        ("1234567", "phone +1234567", "1234567"),
        ("C#", "C# and F#", "C#"),
        ("4711", "제4711호", "4711"),
        ("4711", "第4711号", "4711"),
    ],
)
def test_what_people_write_beside_a_value_is_no_part_of_it(value: str, text: str, expected: str) -> None:
    assert only({"v": value}, text).text == expected


@pytest.mark.parametrize("name", ["total", "unitPrice", "Gesamtbetrag", "net_amounts", "数量", "Einzelpreis"])
def test_digits_under_the_name_of_an_amount_are_an_amount(name: str) -> None:
    assert status_and_text({name: "380"}, "Total 380,00 EUR") == ("normalised", "380,00")
    assert status_and_text({name: "5.59"}, "Discount -5.59") == ("exact", "5.59")


@pytest.mark.parametrize("name", ["order", "tax_id", "vatNumber", "payee", "summary", "due_date", "network"])
def test_digits_under_another_name_are_a_code(name: str) -> None:
    assert only({name: "380"}, "Total 380,00 EUR").status == "missing"


def test_digits_in_a_field_whose_type_is_a_number_are_an_amount() -> None:
    class Priced(BaseModel):
        v: Decimal
        code: str

    labels = Labels(compile_schema(Priced).full)
    spans = ground({"v": "380", "code": "380"}, SourceText("Total 380,00 EUR"), labels=labels)
    assert [span.status for span in spans] == ["normalised", "missing"]


@pytest.mark.parametrize(
    ("value", "text", "status"),
    [
        ("1" * 3_000, "1 " * 6_000, "normalised"),
        ("12" * 1_500, "12 " * 3_000, "normalised"),
        ("1" * 3_000, "1" * 6_000, "missing"),
        ("a" * 3_000, "a" * 6_000, "missing"),
        ("1 2 3 4 " * 800, "1,2.3,4." * 1_600, "missing"),
        ("1" * 30_000, "1" * 29_999 + " " + "1" * 30_001, "missing"),
    ],
)
def test_long_rows_of_equal_letters_and_digits_take_no_time(value: str, text: str, status: str) -> None:
    pytest.importorskip("rapidfuzz")
    with cpu_bound(5):  # a tenth of a second; comparing them at each place takes minutes
        assert only({"v": value}, text).status == status


# Numbers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "1,234.50",
        "1.234,50",
        "1 234,50",
        "1\u00a0234,50",
        "1’234.50",
        "RM 1234.50",
        "１，２３４．５０",
        "١٬٢٣٤٫٥٠",
        "१,२३४.५०",
    ],
)
@pytest.mark.parametrize("value", [1234.5, Decimal("1234.50"), "1234.50"])
def test_amounts_are_found_in_their_written_forms(value: Any, written: str) -> None:
    span = only({"v": value}, f"Total {written} due")
    assert span.status == ("exact" if "1234.50" in written and not isinstance(value, float) else "normalised")
    assert span.text == written.removeprefix("RM ")


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        (12, "2012 x12 12.00 12", "x12 12.00"[1:3]),
        (1234567, "12,34,567.00", "12,34,567.00"),
        (-12.5, "12.50 (12.50)", "(12.50)"),
        (-12.5, "x 12.50-", "12.50-"),
        (-12.5, "12.50 -RM12.50", "-RM12.50"),
        (5.59, "@DISC -5.59", "5.59"),
        (0.19, "VAT 19 % of", "19 %"),
        (1_500_000, "worth 1.5 million.", "1.5 million"),
        (35_000_000, "総額3,500万円", "3,500万"),
        (3, "on 3.4.2026, 3 pieces", "3"),
        ("RM9.00", "at 9.00", "9.00"),
        ("9.00", "$9 for 9 pieces", "9"),
    ],
)
def test_numbers_with_signs_and_words_of_scale(value: Any, text: str, expected: str) -> None:
    assert only({"v": value}, text).text == expected


@pytest.mark.parametrize(("value", "text"), [(-12.5, "12.50"), (-7, "A-7"), ("9.00", "9 pieces"), (9, "19 9.5 2009")])
def test_other_numbers_are_no_places(value: Any, text: str) -> None:
    assert only({"v": value}, text).status == "missing"


def test_a_number_is_not_the_day_of_a_date_where_it_stands_elsewhere() -> None:
    assert starts({"a": 12, "b": "12"}, "2026-12-01, then 12 boxes") == {"$.a": 17, "$.b": 17}


# Dates and times ------------------------------------------------------------------------------------------------------

DAY = date(2026, 3, 18)


WRITTEN_DAYS = """
18.03.2026 | 18/3/26 | 03/18/2026 | 2026/03/18
20260318 | 18 March 2026 | March 18th, 2026 | 18th of March 2026
18-MAR-26 | 18. März 2026 | 18. MA\u0308RZ 2026 | 18 mars 2026
18 de marzo de 2026 | 18 marzo 2026 | 18 mar\u00adzo 2026 | 18 de março de 2026
18 maart 2026 | 18 marca 2026 | 18. března 2026 | 18 марта 2026
18 березня 2026 | 18 Mart 2026 | 18 Μαρτίου 2026 | 2026. március 18
2026年3月18日 | ２０２６年３月１８日 | 令和8年3月18日 | 民國115年3月18日
2026년 3월 18일 | ١٨ مارس ٢٠٢٦ | 18 במרץ 2026 | १८ मार्च २०२६
18 มีนาคม 2569 | ১৮ মার্চ ২০২৬ | 18 மார்ச் 2026 | 18. 3. 2026
18 _March_ 2026
"""


@pytest.mark.parametrize("written", [day.strip() for day in re.split(r"[|\n]", WRITTEN_DAYS) if day.strip()])
@pytest.mark.parametrize("value", [DAY, "2026-03-18"])
def test_dates_are_found_in_their_written_forms(value: Any, written: str) -> None:
    written = written.replace("_", "\n")
    assert status_and_text({"v": value}, f"Issued: {written}; paid.") == ("normalised", written)


@pytest.mark.parametrize("value", [DAY, "2026-03-18"])
def test_an_iso_date_is_exact(value: Any) -> None:
    assert status_and_text({"v": value}, "on 2026-03-18.") == ("exact", "2026-03-18")


FORMAL_DAYS = """
the 5th day of November, 2004
5th day of the month of November in the year 2004
the fifth day of November, 2004
November the 5th, 2004
the 5th of November, A.D. 2004
5th day of November, in the year of 2004
am 5. Tag des Monats November 2004
am 5. Tage im November 2004
5. November des Jahres 2004
den 5ten November 2004
le 5e jour de novembre 2004
ce 5ème jour du mois de novembre 2004
le 5 novembre de l'an 2004
a los 5 días del mes de noviembre de 2004
el día 5 de noviembre del año 2004
il giorno 5 del mese di novembre 2004
5 novembre dell'anno 2004
aos 5 dias do mês de novembro de 2004
5 de novembro do ano de 2004
de 5e dag van november 2004
de 5de dag van de maand november 2004
den 5. dag i november 2004
den 5:e dagen i november 2004
5. päivä marraskuuta 2004
5 dnia listopada 2004 roku
5. den měsíce listopadu 2004
«5» ноября 2004 г.
5-й день ноября 2004 года
5 числа ноября месяца 2004 года
«5» листопада 2004 року
5-го дня листопада місяця 2004 року
5η ημέρα του Νοεμβρίου 2004
5η Νοεμβρίου του έτους 2004
2004 yılı Kasım ayının 5. günü
a 5-a zi a lunii noiembrie 2004
5 noiembrie anul 2004
2004. év november hó 5. napján
2004. november 5-én
5 bulan November tahun 2004
5 haribulan November 2004
5 من شهر نوفمبر سنة 2004
٥ من نوفمبر عام ٢٠٠٤
5 לחודש נובמבר 2004
5 בנובמבר שנת 2004
5 माह नवंबर वर्ष 2004
5वीं नवंबर 2004
২০০৪ সালের ৫ই নভেম্বর
৫ই নভেম্বর, ২০০৪
2004 ஆம் ஆண்டு நவம்பர் 5 ஆம் தேதி
5 நவம்பர் 2004
วันที่ 5 เดือน พฤศจิกายน พ.ศ. 2547
5 พฤศจิกายน พ.ศ. 2547
5 November 2004
"""


@pytest.mark.parametrize("written", FORMAL_DAYS.strip().splitlines())
def test_dates_are_found_in_formal_writing(written: str) -> None:
    status, text = status_and_text({"v": date(2004, 11, 5)}, f"Made on {written}; signed.")
    assert status == "normalised"
    assert text is not None
    assert any(year in text for year in ("2004", "٢٠٠٤", "২০০৪", "2547"))


@pytest.mark.parametrize("text", ["5 days of work in November 2004", "5th day of Novembre", "fifth November of 204"])
def test_words_between_numbers_make_no_date(text: str) -> None:
    assert only({"v": date(2004, 11, 5)}, text).status == "missing"


def test_the_order_of_day_and_month_is_that_of_the_other_dates() -> None:
    assert only({"v": date(2026, 4, 3)}, "04/03/2026 03/04/2026 03/25/2026").start == 0
    assert only({"v": date(2026, 4, 3)}, "04/03/2026 03/04/2026 25/03/2026").start == 11


@pytest.mark.parametrize("text", ["18/03/2025", "18.03.20261", "18 marchand 2026", "31/02/2026", "1 12 18"])
def test_other_dates_are_no_places(text: str) -> None:
    assert only({"v": DAY}, text).status == "missing"


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        (datetime(2018, 12, 25, 20, 13, 39), "25/12/2018 8:13:39 PM", "25/12/2018 8:13:39 PM"),
        ("2018-12-25T20:13:39", "25/12/2018 8:13:39 PM", "25/12/2018 8:13:39 PM"),
        (datetime(2018, 12, 25), "25/12/2018", "25/12/2018"),
        (datetime(2018, 12, 25, 9, 5), "09:05 on 25/12/2018", "09:05 on 25/12/2018"),
        (datetime(2018, 12, 25, 9, 5, tzinfo=UTC), "2018-12-25T09:05:00Z", "2018-12-25T09:05:00"),
        (time(20, 13), "at 8:13 p.m. today", "8:13 p.m."),
        (time(14, 30), "à 14h30", "14h30"),
        (time(14, 30), "14.30 Uhr", "14.30"),
        ("14:30:00", "at 14:30", "14:30"),
    ],
)
def test_times_are_found(value: Any, text: str, expected: str) -> None:
    assert only({"v": value}, text).text == expected


def test_a_moment_needs_its_time() -> None:
    assert only({"v": datetime(2018, 12, 25, 9, 5)}, "25/12/2018 10:00").status == "missing"


# Similar texts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text", "sign"),
    [
        ("EUR", "Total: € 12.50", "€"),
        ("EUR", "12,50 euro", "euro"),
        ("USD", "Amount due $12.50", "$"),
        ("USD", "Amount due US$ 12.50", "US$"),
        ("MYR", "TOTAL RM9.00", "RM"),
        ("CHF", "Fr. 12.50", "Fr."),
        ("PLN", "12,50 zł", "zł"),
        ("JPY", "合計 1,200円", "円"),
        ("RUB", "1 200 руб.", "руб."),
        ("SEK", "Att betala: 120 kr", "kr"),
        ("ZAR", "Total R 120", "R"),
    ],
)
def test_a_currency_is_found_by_its_sign(code: str, text: str, sign: str) -> None:
    assert status_and_text(code, text) == ("normalised", sign)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("USD", "HK$ 12.50"),
        ("EUR", "12.50"),
        ("MYR", "FORM 9"),
        ("CHF", "Mr. Fr. Miller"),
        ("ZAR", "R. Smith"),
        ("ABC", "$"),
    ],
)
def test_another_sign_is_no_currency(code: str, text: str) -> None:
    assert status_and_text(code, text)[0] == "missing"


def test_a_similar_text_is_found_with_its_similarity() -> None:
    pytest.importorskip("rapidfuzz")
    span = only({"v": "Jonathan Livingston Seagull"}, "By Jonathon Livingstone Seagull, 1970")
    assert (span.status, span.text) == ("fuzzy", "Jonathon Livingstone Seagull")
    assert span.score == pytest.approx(0.94, abs=0.01)


def test_a_text_that_lacks_a_word_is_not_similar() -> None:
    pytest.importorskip("rapidfuzz")
    assert (
        only({"v": "the buyer shall not pay the whole price"}, "the buyer shall pay the whole price").status
        == "missing"
    )


def test_a_similar_text_is_found_in_a_long_source() -> None:
    pytest.importorskip("rapidfuzz")
    words = random.Random(1).choices(SCRIPTS["Latin"] + SCRIPTS["Cyrillic"], k=4_000)
    text = " ".join(words) + " Jonathon Livingstone Seagull " + " ".join(words)
    assert only({"v": "Jonathan Livingston Seagull"}, text).text == "Jonathon Livingstone Seagull"


def test_without_rapidfuzz_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **options: Any) -> Any:
        if name == "rapidfuzz":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    text = "words that are not those which are looked for"
    with pytest.raises(ConfigError, match=r"extract-interactions\[documents\]"):
        only({"v": "something else entirely"}, text)
    assert only({"v": "something else entirely"}, text, fuzzy=False).status == "missing"
    assert only({"v": "not those"}, text).status == "exact"


def test_a_long_passage_with_slips_is_found_in_no_time() -> None:
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(2_000)]
    text = " ".join(rng.choices(words, k=30_000))
    start = text.index(" ", 90_000) + 1
    passage = list(text[start : text.index(" ", start + 9_000)])
    for place in range(50, len(passage), 40):
        passage[place] = "#"
    with cpu_bound(20):  # a second; aligning it everywhere takes minutes
        span = only("".join(passage), text)
    assert (span.status, span.start) == ("fuzzy", start)
    assert only(" ".join(rng.choices(words, k=1_500)), text).status == "missing"


# Which of several places ----------------------------------------------------------------------------------------------


def test_elements_in_another_order_than_the_text_keep_their_own_values() -> None:
    rows = [{"name": "b2", "price": "5"}, {"name": "a1", "price": "5"}]
    assert starts({"rows": rows}, "a1 5\nb2 5\nc3 5\ntotal 15") == {
        "$.rows[0].name": 5,
        "$.rows[0].price": 8,
        "$.rows[1].name": 0,
        "$.rows[1].price": 3,
    }


def test_a_value_stands_behind_its_fields_name() -> None:
    text = "9.00 foo\nSubtotal: 9.00\nTotal: 9.00"
    assert starts({"subtotal": 9.0, "total": 9.0}, text) == {"$.subtotal": 19, "$.total": 31}
    assert starts({"total": 9.0, "subtotal": 9.0}, text) == {"$.total": 31, "$.subtotal": 19}


def test_without_a_name_the_first_place_is_taken_and_each_only_once() -> None:
    assert starts({"a": "x", "b": "x", "c": "x"}, "x x .") == {"$.a": 0, "$.b": 2, "$.c": 0}


ROWS = {
    "in lines": "Item Qty Price\nApple 1 2.00\nBanana 1 2.00\nCherry pie 2 4.00\nTotal 8.00",
    "in cells": "Item\nQty\nPrice\nApple\n1\n2.00\nBanana\n1\n2.00\nCherry pie\n2\n4.00\nTotal\n8.00",
    "quantity first": "Qty Item Price\n1 Apple 2.00\n1 Banana 2.00\n2 Cherry pie 4.00\nTotal 8.00",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in ROWS.items()])
def test_values_of_one_element_stand_together(text: str) -> None:
    rows = [("Apple", 1, 2.0), ("Banana", 1, 2.0), ("Cherry pie", 2, 4.0)]
    items = [dict(zip(("item", "qty", "price"), row, strict=True)) for row in rows]
    spans = ground({"items": items}, SourceText(text))
    places = sorted((span.start or 0, span.path) for span in spans)
    elements = [path[: path.index("]")] for _, path in places]
    assert elements == sorted(elements)
    assert len({place for place, _ in places}) == 9


def test_equal_elements_are_found_one_after_the_other() -> None:
    assert starts({"tags": ["a", "b", "a"]}, "a b a") == {"$.tags[0]": 0, "$.tags[1]": 2, "$.tags[2]": 4}


# Which values ---------------------------------------------------------------------------------------------------------


class Kind(Enum):
    SPAM = "spam"


class Tree(BaseModel):
    kind: Literal["leaf", "node"]
    name: str
    rank: Literal[1, 2] = 1
    children: list[Tree] = []


def test_truth_values_nulls_labels_and_blanks_have_no_span() -> None:
    value = {"a": True, "b": None, "c": "", "d": " ", "e": float("nan"), "f": Kind.SPAM, "g": "word"}
    assert [span.path for span in ground(value, SourceText("spam word true"))] == ["$.g"]


def test_labels_are_known_by_the_schema_at_any_depth() -> None:
    schema = compile_schema(Tree)
    leaf = {"kind": "leaf", "name": "leaf", "rank": 2, "children": []}
    value = {"kind": "node", "name": "top", "rank": 1, "children": [leaf, {**leaf, "children": [leaf]}]}
    spans = ground(value, SourceText("top leaf 1 2"), labels=Labels(schema.full))
    assert [span.path for span in spans] == [
        "$.name",
        "$.children[0].name",
        "$.children[1].name",
        "$.children[1].children[0].name",
    ]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"properties": {"v": {"enum": ["x"]}}}, {"v": "x"}),
        ({"properties": {"v": {"const": "x"}}}, {"v": "x"}),
        ({"properties": {"v": {"anyOf": [{"type": "null"}, {"enum": ["x"]}]}}}, {"v": "x"}),
        ({"additionalProperties": {"$ref": "#/$defs/a~1b"}, "$defs": {"a/b": {"enum": ["x"]}}}, {"any": "x"}),
        ({"prefixItems": [{"enum": ["x"]}], "items": {"enum": ["y"]}}, ["x", "y"]),
        ({"items": [{"enum": ["x"]}], "additionalItems": {"enum": ["y"]}}, ["x", "y"]),
        ({"properties": {"v": {"$id": "urn:a", "$ref": "#/$defs/a", "$defs": {"a": {"enum": ["x"]}}}}}, {"v": "x"}),
    ],
)
def test_labels_behind_references_and_unions(schema: Any, value: Any) -> None:
    assert ground(value, SourceText("x y"), labels=Labels(schema)) == ()


def test_a_text_beside_labels_is_no_label() -> None:
    schema = {"properties": {"v": {"anyOf": [{"type": "string"}, {"enum": ["unknown"]}]}}}
    assert only({"v": "Acme"}, "Acme", labels=Labels(schema)).status == "exact"


def test_python_values_and_models_are_grounded_like_json() -> None:
    value = {"models": (Tree(kind="leaf", name="oak"),), "set": {"pine"}}
    assert [span.status for span in ground(value, SourceText("oak leaf pine 1"))] == ["exact"] * 4


def test_paths_name_unusual_members() -> None:
    assert [span.path for span in ground({"unit price": [1]}, SourceText("1"))] == ['$["unit price"][0]']
    assert only("word", "a word").path == "$"


def test_pages_are_counted_from_one() -> None:
    source = SourceText("first page\n\nthird page", page_starts=(0, 11, 12))
    pages = [span.page for span in ground(["first", "third", "missing"], source)]
    assert pages == [1, 3, None]
    assert only("word", "a word").page is None


# Properties -----------------------------------------------------------------------------------------------------------

LETTERS = st.text(st.characters(codec="utf-8"), max_size=40)


@given(LETTERS, st.sampled_from([LIGHT, BARE]))
def test_a_fold_leads_back_to_the_original(text: str, table: dict[int, str]) -> None:
    folded = fold(text, table)
    pieces = [table[ord(char)] for char in text]
    assert list(folded.origins) == [place for place, piece in enumerate(pieces) for _ in piece]
    assert folded.text == unicodedata.normalize("NFD", "".join(pieces))
    assert fold(unicodedata.normalize("NFD", text), table).text == folded.text


@given(LETTERS, LETTERS)
def test_what_is_found_folds_to_the_value(value: str, text: str) -> None:
    source = SourceText(f"{text} {value} {text}")
    for span in ground(value, source, fuzzy=False):
        if span.start is not None and span.end is not None:
            assert span.text == source.text[span.start : span.end]
            assert stands_alone(source.text, span.start, span.end)
            assert span.status == "exact" or fold(span.text, BARE).text == fold(value, BARE).text or has_digit(value)


def has_digit(value: str) -> bool:
    return any(unicodedata.category(char)[0] == "N" for char in unicodedata.normalize("NFKD", value))


@given(
    st.text("abcdefghij", min_size=3, max_size=12),
    st.lists(st.text("klmnopqrst äöü", max_size=12), max_size=6),
    st.lists(st.text("klmnopqrst 世界", max_size=12), max_size=6),
    st.sampled_from(["{}", "({})", "\n{}\n", "„{}“"]),
)
def test_a_planted_word_is_found_where_it_was_planted(
    word: str, before: list[str], after: list[str], frame: str
) -> None:
    opening, closing = frame.split("{}")
    head = " ".join(before) + " " + opening
    span = only({"v": word}, head + word + closing + " " + " ".join(after))
    assert (span.status, span.start, span.text) == ("exact", len(head), word)


@given(
    st.decimals(-(10**9), 10**9, places=2, allow_nan=False),
    st.sampled_from(["{:,.2f}", "{:.2f}", "EUR {:,.2f}", "{:,}"]),
)
def test_a_planted_amount_is_found(amount: Decimal, form: str) -> None:
    assume(amount != 0)
    span = only({"v": amount}, f"Total: {form.format(amount)}.")
    assert span.start is not None
    assert span.text is not None
    assert Decimal(span.text.replace(",", "")) == amount or "EUR" in form


@given(
    st.dates(date(1970, 1, 1), date(2068, 12, 31)),
    st.sampled_from(["%d.%m.%Y", "%m/%d/%Y", "%d %B %Y", "%Y%m%d", "%d-%b-%y"]),
)
def test_a_planted_date_is_found(day: date, form: str) -> None:
    written = day.strftime(form)
    assume(form != "%Y%m%d" or 1900 <= day.year < 2100)
    assert only({"v": day}, f"Dated {written}, signed").text == written


# Planted in many scripts, and real receipts ---------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
def test_planted_values_are_found_in_every_script(script: str) -> None:
    pytest.importorskip("rapidfuzz")
    hits = wrong = lost = 0
    for case in (case for dress in DRESSES for case in plant(script, dress, count=15)):
        span = only({"v": case.value}, case.text)
        place = None if span.start is None else (span.start, span.end)
        hits += place is not None and place == case.span
        wrong += place is not None and place != case.span
        lost += case.span is not None and place != case.span
    assert 2 * hits / (2 * hits + wrong + lost) >= 0.98


@pytest.mark.parametrize("script", ["Latin", "Cyrillic", "Greek", "Arabic", "Devanagari", "Tamil", "Thai"])
def test_slips_of_one_letter_are_found(script: str) -> None:
    pytest.importorskip("rapidfuzz")
    cases = list(slips(script, count=20))
    hits = sum(only({"v": case.value}, case.text).start == (case.span or (None,))[0] for case in cases)
    assert hits >= 0.9 * len(cases)


@pytest.mark.parametrize("script", INVENTED_SCRIPTS)
def test_values_made_from_those_of_the_text_are_not_believed(script: str) -> None:
    pytest.importorskip("rapidfuzz")
    cases = [case for change in CHANGES for case in inventions(script, change, count=25)]
    assert [case for case in cases if only({"v": case.value}, case.text).status == "missing"] == []
    believed = [case for case in cases if only({"v": case.invented}, case.text).status != "missing"]
    assert len(believed) <= 0.01 * len(cases), believed


FIELDS = {"company": 613, "date": 623, "address": 590, "total": 625}  # the ceilings of shared/data/README.md


def receipts(shared_data: Path) -> list[dict[str, Any]]:
    pytest.importorskip("rapidfuzz")
    lines = (shared_data / "sroie2019" / "receipts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def test_the_gold_of_real_receipts_is_located(shared_data: Path) -> None:
    located: Counter[str] = Counter()
    for receipt in receipts(shared_data):
        gold = receipt["gold"]
        contained = {
            name: value for name, value in gold.items() if value and squeezed(value) in squeezed(receipt["text"])
        }
        spans = ground(contained, SourceText(receipt["text"]))
        located.update(span.path.removeprefix("$.") for span in spans if span.status in ("exact", "normalised"))
    assert all(located[field] >= 0.98 * ceiling for field, ceiling in FIELDS.items()), located


@pytest.mark.parametrize("field", ["company", "address"])
def test_the_gold_of_other_receipts_is_not_located(shared_data: Path, field: str) -> None:
    rng, rows, false, tried = random.Random(2026), receipts(shared_data), 0, 0
    while tried < 1_000:
        receipt, other = rng.choice(rows), rng.choice(rows)
        value = other["gold"][field]
        if value and squeezed(value) not in squeezed(receipt["text"]) and value != receipt["gold"][field]:
            tried += 1
            false += only({field: value}, receipt["text"]).status != "missing"
    assert false < 20
