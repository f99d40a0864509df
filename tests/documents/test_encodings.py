"""Text files say what they are written in, or are read as what they are, or are refused: never as something else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import chardet
import pytest
from text_encodings import files, verdict

from extract import BadRecord, Extractor, run
from extract.documents.decoding import decode_text

LETTERS = Extractor(["invoice", "letter"], "Read this.", media=("path",))


def test_of_files_in_75_old_encodings_at_most_one_in_a_hundred_is_read_wrong() -> None:
    counts = Counter(verdict(text, data) for _, _, _, text, data in files(1))
    assert counts["wrong"] <= 0.01 * counts.total()
    assert counts["right"] >= 0.8 * counts.total()


def test_utf8_never_goes_to_the_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the detector was asked")

    monkeypatch.setattr(chardet, "detect_all", refuse)
    read = [(text, decode_text(data, "f").text) for name, _, _, text, data in files(1) if name.startswith("utf_8")]
    assert read
    assert all(text == found for text, found in read)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Café Müller\nRechnung 4\nGesamtbetrag: 9,90 €\n", "cp1252"),
        ("We’ve sent it. It’s fine.", "cp1252"),
        ("Price:\xa020 EUR", "cp1252"),
        ("The oven was at 200°C for an hour.", "iso8859-1"),
        ("id,name\n1,Jürgen\n2,José\n", "cp1250"),
        ("id,text\n" + "17,the parcel came late and broken\n" * 9_000 + "18,it’s fine\n", "cp1252"),
    ],
)
def test_the_few_letters_that_all_latin_pages_share_need_no_statistics(text: str, encoding: str) -> None:
    assert decode_text(text.encode(encoding), "f").text == text


@pytest.mark.parametrize("text", ["Москва\n", "Łódź\n", "東京\n"])
@pytest.mark.parametrize("encoding", ["cp1251", "cp1250", "shift_jis"])
def test_a_few_letters_that_may_be_anything_are_refused_in_one_line(text: str, encoding: str) -> None:
    try:
        data = text.encode(encoding)
    except UnicodeEncodeError:
        pytest.skip("this encoding does not hold this text")
    with pytest.raises(BadRecord, match=r"^f: its encoding is not UTF-8, .*; save it as UTF-8$"):
        decode_text(data, "f")


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "a ~{b c}~ d", "~{}~", "C+ABC-", "f(x) ~{x}"])
def test_plain_text_with_what_looks_like_an_escape_stays_as_it_is(text: str) -> None:
    assert decode_text(text.encode(), "f") == (text, "utf-8")


def test_the_encoding_of_each_file_is_named_in_the_output(tmp_path: Path) -> None:
    letter = "Уважаемая госпожа Смирнова, направляем вам счёт за заказанные стулья. " * 3
    (tmp_path / "1.txt").write_bytes(letter.encode("cp1251"))
    (tmp_path / "2.txt").write_bytes(letter.encode())
    (tmp_path / "3.txt").write_bytes("Москва".encode("koi8-r"))
    result = run(tmp_path, LETTERS, offline=True, provenance=True)
    assert result.frame["_extract"].struct.field("encoding").to_list() == ["cp1251", "utf-8", None]
    assert result.errors["code"].to_list() == ["bad_record"]
