"""Documents beside the form: pages of PDFs with words and boxes, texts, pictures, sound, and what cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from asking import Asking
from conftest import SHARED_DATA
from pdfs import pdf_of
from pydantic import BaseModel

from extract import Extractor, open_review, run

pytest.importorskip("pypdfium2")


class Paper(BaseModel):
    vendor: str | None
    total: str | None


PAPERS = Extractor(Paper, "", media=("path",), grounding=("path",))


def folder_of(tmp_path: Path, **files: bytes) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    return folder


def reviewed(folder: Path, **options: Any) -> Asking:
    output = folder.parent / "out.parquet"
    run(str(folder), PAPERS, offline=True, output=output, errors="null")
    return Asking(open_review(output, person="ann", sample=50, root=folder, **options))


def rows_of(page: Asking) -> dict[str, Any]:
    total = page.get("/api/task")["total"]
    rows = [page.get(f"/api/rows/{number}") for number in range(1, total + 1)]
    return {next(one["text"] for one in row["others"] if one["name"] == "name"): row for row in rows}


def test_a_pdf_is_shown_as_pages_with_words_whose_offsets_are_those_of_spans(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a_pdf=pdf_of("Vendor: ACME\nnothing", "Total: 12.50"))
    with reviewed(folder) as page:
        row = rows_of(page)["a.pdf"]
        source = row["source"]
        assert (source["kind"], source["pages"], source["sizes"]) == ("pdf", 2, [[595.0, 842.0]] * 2)
        at = f"/api/rows/{row['number']}/pages"
        picture = page.send("GET", f"{at}/2.png?width=300")
        assert (picture.status, picture.headers["content-type"], picture.body[:8]) == (
            200,
            "image/png",
            b"\x89PNG\r\n\x1a\n",
        )
        words = {word["text"]: word for number in (1, 2) for word in page.get(f"{at}/{number}/words")["words"]}
        placed = {span["path"]: span for span in row["spans"] if span["status"] != "missing"}
        assert placed
        for span in placed.values():
            inside = [word for word in words.values() if span["start"] <= word["start"] < span["end"]]
            assert [box[1:] for box in span["boxes"]] == [word["box"] for word in inside]
            assert span["column"] is None
        assert page.send("GET", f"{at}/3.png").status == 404
        assert page.send("GET", f"{at}/0/words").status == 404
        assert page.send("GET", f"{at}/1.png?width=x").status == 400
        assert page.send("GET", f"{at}/1.png?width=999999").status == 200


def test_an_output_of_before_spans_had_boxes_gets_them_from_its_pdf(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a_pdf=pdf_of("Vendor: ACME\nTotal: 12.50"))
    with reviewed(folder) as page:
        boxes = [span["boxes"] for span in page.get("/api/rows/1")["spans"]]
    output = tmp_path / "out.parquet"
    footer = pl.read_parquet_metadata(output)["extract"]
    old = [pl.element().struct.field(name) for name in ("path", "status", "start", "end", "score", "page", "text")]
    frame = pl.read_parquet(output).with_columns(pl.col("_spans").list.eval(pl.struct(old)))
    frame.write_parquet(output, metadata={"extract": footer})
    with Asking(open_review(tmp_path / "out.review.db", person="ann", root=folder)) as page:
        assert [span["boxes"] for span in page.get("/api/rows/1")["spans"]] == boxes
        assert any(boxes)


def test_texts_pictures_and_sound_stand_beside_the_form(tmp_path: Path) -> None:
    picture, sound = b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"ID3" + b"\0" * 60
    folder = folder_of(tmp_path, a_txt=b"Vendor: ACME\nTotal: 12.50", b_png=picture, c_mp3=sound)
    with reviewed(folder) as page:
        rows = rows_of(page)
        assert rows["a.txt"]["source"]["columns"][0] == {
            "name": "a.txt",
            "text": "Vendor: ACME\nTotal: 12.50",
            "cut": False,
        }
        assert {span["column"] for span in rows["a.txt"]["spans"]} == {"a.txt"}
        for name, kind, data in (("b.png", "image", picture), ("c.mp3", "audio", sound)):
            assert rows[name]["source"]["kind"] == kind
            media = page.send("GET", f"/api/rows/{rows[name]['number']}/media")
            assert (media.status, media.body) == (200, data)
            assert media.headers["content-type"].startswith(f"{kind}/")


def test_a_document_that_is_gone_or_damaged_says_so_and_the_row_can_be_decided(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a_pdf=pdf_of("Total: 1"), b_pdf=pdf_of("Total: 2"))
    with reviewed(folder) as page:
        (folder / "a.pdf").unlink()
        (folder / "b.pdf").write_bytes(b"%PDF-1.4 and no more")
        for row in rows_of(page).values():
            assert row["source"]["kind"] == "missing"
            assert "pdf" in row["source"]["message"]
            assert page.send("GET", f"/api/rows/{row['number']}/pages/1.png").status == 404
            assert page.decide(row["number"], action="right")["decision"]["action"] == "right"


@pytest.mark.skipif(not (SHARED_DATA / "invoice_pdfs").is_dir(), reason="needs the shared invoices")
def test_every_page_of_real_invoices_is_drawn_and_each_span_has_its_boxes(tmp_path: Path) -> None:
    folder = SHARED_DATA / "invoice_pdfs"
    run(str(folder / "*.pdf"), PAPERS, offline=True, output=tmp_path / "out.parquet")
    with Asking(open_review(tmp_path / "out.parquet", person="ann", sample=50, root=folder)) as page:
        for row in rows_of(page).values():
            for number in range(1, row["source"]["pages"] + 1):
                at = f"/api/rows/{row['number']}/pages/{number}"
                assert page.send("GET", f"{at}.png?width=400").body[:4] == b"\x89PNG"
                assert page.get(f"{at}/words")["page"] == number
            found = [span for span in row["spans"] if span["status"] != "missing"]
            assert all(span["boxes"] for span in found)
