"""The report of a folder of documents: their texts and pages, as far as they are what the run has read."""

from __future__ import annotations

import json
import os
import sys
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pdfs import pdf_of
from pydantic import BaseModel
from reports import HOSTILE, page_of

from extract import Client, ConfigError, Emulator, Extractor, Run, run
from extract.cli import main
from extract.report import write_report
from extract.report.page_pictures import PagePictures

TEXT = "Invoice 4711\nTotal: 12.50 EUR\n"
MAIL = b"From: ada@example.com\nSubject: Invoice 4711\nContent-Type: text/plain\n\nThe total is 12.50.\n"


class Bill(BaseModel):
    """A bill."""

    number: str
    total: float


BILLS = Extractor(Bill, "Read this bill.", media=("path",), grounding=("path",), repairs=0)


def answer_bill(body: dict[str, Any]) -> str:
    content = json.dumps(body["input"])
    return "illegible" if "illegible" in content else json.dumps({"number": "4711", "total": 12.5})


def read_bills(folder: Path | pl.DataFrame, output: Path, **options: Any) -> Run:
    client = Client("key", transport=Emulator(answers=answer_bill).transport)
    return run(folder, BILLS, client=client, output=output, **{"provenance": True, **options})


def documents_of(output: Any, report: Path, **options: Any) -> dict[str, dict[str, Any]]:
    """Return what a report shows of documents, by their names."""
    records = page_of(write_report(output, report, **options)).records
    return {record["document"]["name"]: record["document"] for record in records}


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of documents in the current folder."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.txt").write_text(TEXT)
    (folder / "b.pdf").write_bytes(pdf_of("first page", "Invoice 4711", "third", "fourth", "Total: 12.50 EUR"))
    (folder / "c.eml").write_bytes(MAIL)
    monkeypatch.chdir(tmp_path)
    return folder


def marked(record: dict[str, Any]) -> list[str]:
    """Return what stands in a document at the places of the record's values."""
    text = record["document"]["text"]
    return [text[start:end] for _, _, start, end, *_ in record["spans"] if start is not None]


def test_the_text_of_files_mail_and_pdfs_is_shown_with_the_places_of_values(docs: Path, tmp_path: Path) -> None:
    read_bills(Path("docs"), tmp_path / "bills.parquet")
    page = page_of(write_report(tmp_path / "bills.parquet", tmp_path / "report.html"))
    assert [record["document"]["name"] for record in page.records] == ["a.txt", "b.pdf", "c.eml"]
    for record in page.records:
        assert record["document"]["placed"]
        assert marked(record) == ["4711", "12.50"]
    assert page.records[0]["document"]["text"] == TEXT
    assert "Subject: Invoice 4711" in page.records[2]["document"]["text"]
    assert "Documents are shown in 3 of them, pictures of pages in 1." in page.text


def test_the_pages_of_a_pdf_stand_apart_and_those_with_values_are_drawn(docs: Path, tmp_path: Path) -> None:
    read_bills(Path("docs"), tmp_path / "bills.parquet")
    document = documents_of(tmp_path / "bills.parquet", tmp_path / "report.html")["b.pdf"]
    text, starts = document["text"], document["pages"]
    assert [text[start:].partition("\f")[0].strip() for start in starts] == [
        "first page", "Invoice 4711", "third", "fourth", "Total: 12.50 EUR"
    ]  # fmt: skip
    assert [picture[0] for picture in document["pictures"]] == [1, 2, 5]
    assert document["note"] == "Of its 5 pages only 1, 2, 5 are drawn."
    for _, address, width, height in document["pictures"]:
        kind, data = address.split(",")
        assert kind == "data:image/png;base64"
        assert b64decode(data).startswith(b"\x89PNG\r\n")
        assert (width, height) == (595, 842)


def test_a_scan_has_pictures_and_no_text(docs: Path, tmp_path: Path) -> None:
    (docs / "d.pdf").write_bytes(pdf_of("", ""))
    read_bills(Path("docs"), tmp_path / "bills.parquet")
    document = documents_of(tmp_path / "bills.parquet", tmp_path / "report.html")["d.pdf"]
    assert "text" not in document
    assert [picture[0] for picture in document["pictures"]] == [1, 2]


def test_rejected_documents_are_shown_too(docs: Path, tmp_path: Path) -> None:
    (docs / "d.txt").write_text("illegible")
    read_bills(Path("docs"), tmp_path / "bills.parquet")
    source = {"source": "docs"}
    assert documents_of(tmp_path / "bills.parquet", tmp_path / "report.html", **source)["d.txt"]["text"] == "illegible"


# What is not shown ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provenance", [True, False])
def test_a_file_that_has_changed_or_is_gone_is_told_in_place_of_shown(
    docs: Path, tmp_path: Path, provenance: bool
) -> None:
    output = tmp_path / "bills.parquet"
    read_bills(Path("docs"), output, provenance=provenance)
    before = (docs / "a.txt").stat()
    (docs / "a.txt").write_text("A new head\n" + TEXT)
    os.utime(docs / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))  # as if nothing had happened
    (docs / "b.pdf").unlink()
    shown = documents_of(output, tmp_path / "report.html")
    assert shown["a.txt"]["note"].startswith("a.txt has changed since the run")
    assert shown["b.pdf"]["note"] == "b.pdf is not there any more: it is not shown."
    assert "text" not in shown["a.txt"]
    assert marked(page_of(tmp_path / "report.html").records[2]) == ["4711", "12.50"]
    assert "Why not in 2 stands there." in page_of(tmp_path / "report.html").text


def test_without_a_hash_a_file_that_was_modified_later_is_not_shown(docs: Path, tmp_path: Path) -> None:
    read_bills(Path("docs"), tmp_path / "bills.parquet", provenance=False)
    later = (docs / "a.txt").stat().st_mtime + 3600
    os.utime(docs / "a.txt", (later, later))
    note = documents_of(tmp_path / "bills.parquet", tmp_path / "report.html")["a.txt"]["note"]
    assert note.startswith("a.txt was modified after the run")
    read_bills(Path("docs"), tmp_path / "bills.parquet", overwrite=True)  # now its hash is kept
    assert documents_of(tmp_path / "bills.parquet", tmp_path / "report.html")["a.txt"]["text"] == TEXT


def test_a_document_outside_of_the_roots_is_not_read(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_bills(docs, tmp_path / "bills.parquet")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    shown = documents_of(tmp_path / "bills.parquet", tmp_path / "report.html")
    assert {document["note"] for document in shown.values()} == {
        f"{name} lies outside of the current folder and that of the input: --source INPUT or --root FOLDER shows it."
        for name in shown
    }
    for options in ({"source": docs}, {"root": docs}):
        assert documents_of(tmp_path / "bills.parquet", tmp_path / "report.html", **options)["a.txt"]["text"] == TEXT


def test_no_value_is_marked_where_it_does_not_stand(docs: Path, tmp_path: Path) -> None:
    """The file is the same, but the run has read its text in another way, as an earlier version might."""
    read_bills(Path("docs"), tmp_path / "bills.parquet")
    rows, footer = pl.read_parquet(tmp_path / "bills.parquet"), pl.read_parquet_metadata(tmp_path / "bills.parquet")
    moved = pl.element().struct.with_fields(pl.field("start") + 1, pl.field("end") + 1)
    metadata = {name: text for name, text in footer.items() if name != "ARROW:schema"}
    rows.with_columns(pl.col("_spans").list.eval(moved)).write_parquet(tmp_path / "other.parquet", metadata=metadata)
    shown = documents_of(tmp_path / "other.parquet", tmp_path / "report.html")["a.txt"]
    assert shown["text"] == TEXT
    assert not shown["placed"]
    assert shown["note"] == "This version reads its text in another way than the run: no values are marked."


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_no_link_leads_out_of_the_roots(docs: Path, tmp_path: Path) -> None:
    read_bills(Path("docs"), tmp_path / "bills.parquet")
    (docs.parent.parent / "secret.txt").write_text(TEXT)
    (docs / "a.txt").unlink()
    (docs / "a.txt").symlink_to(docs.parent.parent / "secret.txt")
    assert "outside" in documents_of(tmp_path / "bills.parquet", tmp_path / "report.html")["a.txt"]["note"]


def test_the_documents_of_a_run_are_shown_from_where_the_run_read_them(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pl.DataFrame({"path": [str(docs / "a.txt")]})
    result = read_bills(rows, tmp_path / "bills.parquet")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert documents_of(result, tmp_path / "report.html")["a.txt"]["text"] == TEXT
    assert "outside" in documents_of(tmp_path / "bills.parquet", tmp_path / "report.html")["a.txt"]["note"]


@pytest.mark.parametrize(
    "cell",
    ["/dev/zero", "https://example.com/a.txt?key=SECRET", "data:text/plain,hello", "file://host/a", "\0", "docs"],
)
def test_what_is_no_readable_file_is_told(cell: str, docs: Path, tmp_path: Path) -> None:
    read_bills(pl.DataFrame({"path": [str(docs / "a.txt")]}), tmp_path / "bills.parquet")
    rows, footer = pl.read_parquet(tmp_path / "bills.parquet"), pl.read_parquet_metadata(tmp_path / "bills.parquet")
    metadata = {name: text for name, text in footer.items() if name != "ARROW:schema"}
    rows.with_columns(path=pl.lit(cell)).write_parquet(tmp_path / "other.parquet", metadata=metadata)
    page = write_report(tmp_path / "other.parquet", tmp_path / "report.html", root="/")
    (record,) = page_of(page).records
    assert "text" not in record["document"]
    assert record["document"]["note"].count(".") < 4
    assert "SECRET" not in page.read_text()


def test_without_pdfium_texts_are_shown_and_what_is_missing_is_told(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_bills(Path("docs"), tmp_path / "bills.parquet")
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    shown = documents_of(tmp_path / "bills.parquet", tmp_path / "report.html")
    assert shown["a.txt"]["text"] == TEXT
    assert "pip install 'extract-interactions[documents]'" in shown["b.pdf"]["note"]
    assert shown["b.pdf"]["pictures"] == []


# Bounds --------------------------------------------------------------------------------------------------------------


def test_a_report_has_a_bounded_number_of_documents_and_those_in_need_of_a_look_come_first(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_bills(Path("docs"), tmp_path / "bills.parquet")
    gold = pl.DataFrame({"name": ["a.txt", "b.pdf", "c.eml"], "number": ["4711", "4711", "4712"]})
    monkeypatch.setattr("extract.report.documents._MAX_DOCUMENTS", 1)
    page = page_of(write_report(tmp_path / "bills.parquet", tmp_path / "report.html", gold=gold, on="name"))
    shown = [record["source"][0] for record in page.records if "text" in record["document"]]
    assert shown == [os.path.join("docs", "c.eml")]  # noqa: PTH118 - as a cell has it
    assert "The report holds enough of them: 2 records show no document" in page.text


def test_a_long_text_is_cut_and_says_how_long_it_is(docs: Path, tmp_path: Path) -> None:
    (docs / "a.txt").write_text(TEXT + "more " * 20_000)
    read_bills(Path("docs"), tmp_path / "bills.parquet")
    text, length = documents_of(tmp_path / "bills.parquet", tmp_path / "report.html")["a.txt"]["text"]
    assert (len(text), length) == (20_000, len(TEXT) + 100_000)


def test_a_large_file_is_not_read(docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_bills(Path("docs"), tmp_path / "bills.parquet")
    monkeypatch.setattr("extract.report.document_files._MAX_BYTES", 20)
    note = documents_of(tmp_path / "bills.parquet", tmp_path / "report.html")["a.txt"]["note"]
    assert note == "a.txt has 30 bytes, too many for a report: it is not shown."


def test_pictures_end_where_a_report_has_enough_of_them() -> None:
    pictures, pdf = PagePictures(documents=2), pdf_of("a", "b", "c", "d")
    assert [len(pictures.draw(pdf, pages)) for pages in ([1, 2, 3, 4], [9, 1], [1])] == [3, 1, 0]
    assert (pictures.drawn, pictures.skipped) == (2, 1)
    few = PagePictures(characters=10)
    assert few.draw(pdf, [1]) == []
    assert not few.has_room


@pytest.mark.parametrize(("pdf", "seconds"), [(b"no PDF", 40.0), (pdf_of("a"), 0.0)], ids=["damaged", "too slow"])
def test_a_pdf_that_cannot_be_drawn_has_no_picture(pdf: bytes, seconds: float) -> None:
    assert PagePictures(seconds=seconds).draw(pdf, [1]) == []


def test_the_program_that_draws_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: dict[str, Any] = {}

    def noted(command: Sequence[str], **options: Any) -> Any:
        passed.update(options)
        raise OSError("not run")

    monkeypatch.setenv("GEMINI_API_KEY", "SECRET")
    monkeypatch.setattr("extract.report.page_pictures.subprocess.run", noted)
    assert PagePictures().draw(pdf_of("a"), [1]) == []
    assert "SECRET" not in str(passed["env"])


def test_an_enormous_page_makes_a_small_picture() -> None:
    huge = pdf_of("a").replace(b"/MediaBox[0 0 595 842]", b"/MediaBox[0 0 5 14400]")
    assert huge != pdf_of("a")
    (picture,) = PagePictures().draw(huge, [1])
    assert b64decode(picture.address.split(",")[1])[16:24] == bytes.fromhex("00000001000008ca")


# Trust ---------------------------------------------------------------------------------------------------------------


def test_hostile_names_and_texts_of_documents_stay_text(docs: Path, tmp_path: Path) -> None:
    text = TEXT + "\n".join(one for one in HOSTILE if one.isprintable())
    (docs / "<img src=x onerror=alert(1)>.txt").write_text(text)
    (docs / "<b>.pdf").write_bytes(pdf_of("</script><svg onload=alert(1)>", "b", "c", "d"))
    read_bills(Path("docs"), tmp_path / "bills.parquet")
    page = page_of(write_report(tmp_path / "bills.parquet", tmp_path / "report.html"))
    assert page.tags.count("script") == 2
    assert not {"img", "iframe", "base", "image"} & set(page.tags)
    texts = {record["document"]["name"]: record["document"].get("text") for record in page.records}
    assert texts["<img src=x onerror=alert(1)>.txt"] == text


def test_the_command_shows_documents_of_a_root(docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_bills(docs, tmp_path / "bills.parquet")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    report = tmp_path / "report.html"
    monkeypatch.setattr(
        sys, "argv", ["extract", "report", str(tmp_path / "bills.parquet"), "-o", str(report), "--root", str(docs)]
    )
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code in (0, None)
    assert page_of(report).records[0]["document"]["text"] == TEXT
    with pytest.raises(ConfigError, match="there is no such folder"):
        write_report(tmp_path / "bills.parquet", report, root=tmp_path / "nowhere")
