"""A run that tells where its values stand: the column `_spans`, and rows rejected for what stands nowhere."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from pdfs import placed_pdf
from pydantic import BaseModel

from extract import Client, ConfigError, Emulator, Extractor, run
from extract.testing import running_server

TEXT = "Blumen Groß GmbH\nRechnung vom 18. März 2026\nGesamtbetrag: 1.234,50 €\n"


class Invoice(BaseModel):
    kind: Literal["invoice", "receipt"]
    vendor: str
    date: date
    total: Decimal


GOOD = {"kind": "invoice", "vendor": "Blumen Groß GmbH", "date": "2026-03-18", "total": "1234.50"}
ASKED = Extractor(Invoice, "{text}", grounding=("text",))


def served(*answers: Any) -> Client:
    """Return a client whose service gives these answers in turn, the last one again and again."""
    left = [json.dumps(answer) for answer in answers]
    return Client("k", transport=Emulator(answers=lambda _: left.pop(0) if len(left) > 1 else left[0]).transport)


def spans_of(frame: pl.DataFrame, row: int = 0) -> dict[str, dict[str, Any]]:
    return {span["path"]: span for span in frame["_spans"].to_list()[row]}


def test_each_value_shows_where_it_stands_and_labels_do_not() -> None:
    result = run([TEXT], ASKED, client=served(GOOD))
    spans = spans_of(result.frame)
    assert {path: (span["status"], span["text"]) for path, span in spans.items()} == {
        "$.vendor": ("exact", "Blumen Groß GmbH"),
        "$.date": ("normalised", "18. März 2026"),
        "$.total": ("normalised", "1.234,50"),
    }
    for span in spans.values():
        assert TEXT[span["start"] : span["end"]] == span["text"]


def test_a_value_that_stands_nowhere_is_marked() -> None:
    result = run([TEXT], ASKED, client=served(GOOD | {"vendor": "Acme Corporation"}))
    assert result.totals.valid == 1
    span = spans_of(result.frame)["$.vendor"]
    assert (span["status"], span["start"], span["text"]) == ("missing", None, None)


def test_a_value_that_stands_nowhere_is_asked_again_and_then_rejected_where_that_is_wanted() -> None:
    invented = GOOD | {"vendor": "Acme Corporation"}
    mended = run([TEXT], ASKED, client=served(invented, GOOD), require_grounding=True)
    assert (mended.totals.valid, mended.totals.repairs) == (1, 1)
    rejected = run([TEXT], ASKED, client=served(invented), require_grounding=True)
    (error,) = rejected.errors.rows(named=True)
    assert (error["code"], error["path"]) == ("invalid_answer", "$.vendor")
    assert "does not stand in the document" in error["message"]
    assert rejected.frame["_spans"].to_list() == [None]


@pytest.mark.parametrize("invented", ["AB4711", "INV-4711", "-4711", "#4711", "47110", "471", "380"])
def test_a_value_that_was_made_up_from_one_of_the_document_is_rejected(invented: str) -> None:
    class Order(BaseModel):
        number: str

    asked = Extractor(Order, "{text}", grounding=("text",), repairs=0)
    text = "Order 4711\nTotal: 380,00 EUR\n"
    rejected = run([text], asked, client=served({"number": invented}), require_grounding=True)
    assert rejected.errors["path"].to_list() == ["$.number"]
    assert run([text], asked, client=served({"number": "4711"}), require_grounding=True).totals.valid == 1


def test_a_cell_of_a_pdf_that_wraps_passes_where_values_must_stand_in_it(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="the extra `documents` is not installed")
    cells = ((60, 700, "Bench of beech,"), (300, 700, "for the"), (60, 688, "oiled"), (300, 688, "third floor"))
    (tmp_path / "a.pdf").write_bytes(placed_pdf(*cells))

    class Line(BaseModel):
        what: str
        where: str

    answer = {"what": "Bench of beech, oiled", "where": "for the third floor"}
    asked = Extractor(Line, "Read it.", media=("path",), grounding=("path",))
    result = run(tmp_path, asked, client=served(answer), require_grounding=True)
    assert [span["status"] for span in spans_of(result.frame).values()] == ["normalised"] * 2


def test_values_of_a_pdf_show_their_page() -> None:
    pytest.importorskip("pypdfium2", reason="the extra `documents` is not installed")
    folder = Path(__file__).parents[2] / "sample_data" / "invoices_pdf"
    extractor = Extractor(
        {"type": "object", "properties": {"total": {"type": "string"}, "vendor": {"type": "string"}}},
        "Read it.",
        media=("path",),
        grounding=("path",),
    )
    result = run(folder, extractor, offline=True)
    spans = [span for row in result.frame["_spans"].to_list() for span in row if span["status"] != "missing"]
    assert spans
    assert all(span["page"] in (1, 2) for span in spans)
    for span in spans:
        assert span["boxes"][0]["page"] == span["page"]
        assert all(0 <= box["left"] < box["right"] <= 612 and 0 <= box["top"] < box["bottom"] for box in span["boxes"])


def test_an_image_has_no_text_to_find_anything_in(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    extractor = Extractor(Invoice, "Read it.", media=("path",), grounding=("path",))
    assert run(tmp_path, extractor, client=served(GOOD)).frame["_spans"].to_list() == [None]


def test_a_record_without_a_text_is_rejected_unpaid_where_values_must_stand_in_one(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    extractor = Extractor(Invoice, "Read it.", media=("path",), grounding=("path",))
    rejected = run(tmp_path, extractor, client=served(GOOD), require_grounding=True)
    assert (rejected.errors["code"][0], rejected.totals.requests) == ("bad_record", 0)
    assert "no text" in rejected.errors["message"][0]


def test_a_missing_pdfium_is_told_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).parents[2] / "sample_data" / "invoices_pdf"
    monkeypatch.setattr("extract.documents.pdf_opening.find_spec", lambda _: None)
    emulator = Emulator(answers=lambda _: json.dumps(GOOD))
    extractor = Extractor(Invoice, "Read it.", media=("path",), grounding=("path",))
    with pytest.raises(ConfigError, match=r"extract-interactions\[documents\]"):
        run(folder, extractor, client=Client("k", transport=emulator.transport))
    assert emulator.stats()["requests"] == 0


def test_what_only_programs_write_is_no_quotation() -> None:
    class Contract(BaseModel):
        vendor: str
        notice: timedelta
        seal: bytes

    answer = {"vendor": "Blumen Groß GmbH", "notice": "P1DT2H", "seal": "aGVsbG8="}
    result = run(
        [TEXT], Extractor(Contract, "{text}", grounding=("text",)), client=served(answer), require_grounding=True
    )
    assert list(spans_of(result.frame)) == ["$.vendor"]


def test_of_several_columns_the_first_with_a_text_counts() -> None:
    extractor = Extractor(Invoice, "{letter}{text}", optional=("letter", "text"), grounding=("letter", "text"))
    rows = pl.DataFrame({"letter": ["", TEXT], "text": [TEXT, "nothing of it"]})
    result = run(rows, extractor, client=served(GOOD))
    assert [spans_of(result.frame, row)["$.total"]["text"] for row in (0, 1)] == ["1.234,50", "1.234,50"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grounding": "text"}, "tuple of column names"),
        ({"grounding": ("body",)}, "neither in the prompt nor in media"),
    ],
)
def test_grounding_in_what_is_not_read_is_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Extractor(Invoice, "{text}", **options)


def test_a_run_that_requires_grounding_must_know_in_what() -> None:
    with pytest.raises(ConfigError, match="grounding="):
        run([TEXT], Extractor(Invoice, "{text}"), client=served(GOOD), require_grounding=True)


def test_an_input_with_a_column_of_that_name_is_refused() -> None:
    rows = pl.DataFrame({"text": [TEXT], "_spans": [1]})
    with pytest.raises(ConfigError, match="_spans"):
        run(rows, ASKED, client=served(GOOD))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_files_and_lazy_frames_hold_the_spans_too(tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"out.{ending}"
    run([TEXT, TEXT], ASKED, client=served(GOOD), output=output, provenance=True)
    assert "1.234,50" in str(run([TEXT], ASKED, client=served(GOOD)).frame["_spans"].to_list())
    if ending == "parquet":
        assert pl.read_parquet(output)["_spans"].list.len().to_list() == [3, 3]
        assert [span["boxes"] for span in pl.read_parquet(output)["_spans"][0]] == [[]] * 3
    else:
        assert output.read_text().count("1.234,50 €") >= 2
    lazy = pl.LazyFrame({"text": [TEXT]}).extract.run(ASKED, client=served(GOOD)).collect()
    assert lazy["_spans"].list.len().to_list() == [3]


def test_the_command_line_rejects_what_stands_nowhere(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "p.py").write_text(
        "from pydantic import BaseModel\nfrom extract import Extractor\n"
        "class Found(BaseModel):\n    vendor: str\n"
        'extractor = Extractor(Found, "{text}", grounding=("text",), repairs=0)\n'
    )
    pl.DataFrame({"text": ["Acme Ltd", "somebody else"]}).write_csv(tmp_path / "in.csv")
    with running_server(Emulator(answers=lambda _: '{"vendor": "Acme Ltd"}')) as url:
        command = [sys.executable, "-m", "extract", "run", "p.py", "in.csv", "-o", "out.parquet", "--json"]
        command += ["--base-url", url, "--require-grounding"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["valid"], summary["rejected"], summary["errors"]) == (1, 1, {"invalid_answer": 1})
