"""How much of real and of invented PDF invoices the offline reader finds, and how long reading a PDF takes.

    python benchmarks/documents.py [FOLDER]

FOLDER holds PDFs with `<name>.json` beside them (by default the third-party set in shared/data/invoice_pdfs). A field
is scored in the files whose gold has it. The reader is rules, not a model: this says what `--offline` is worth on PDFs,
and nothing about Gemini.

Time is that of `read_pdf` beside pdfium's own text (`get_text_bounded` of each page, under the same lock, with the same
check for bombs left out), turn by turn in one process; the least of several turns of each counts, in processor time.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
from pydantic import BaseModel, Field

import extract
from extract import Extractor
from extract.documents import pdf
from extract.documents.pdf_opening import open_pdf

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data" / "invoice_pdfs"
TOLERANCE = 0.005
TURNS = 25
PROSE = "The committee met in the morning and spoke about the weather of the year before, which had been good. "


class Line(BaseModel):
    name: str
    qty: float | None = Field(description="Quantity")
    price_unit: float | None = Field(description="Unit price")
    price_subtotal: float | None = Field(description="Amount of the line")


class RealInvoice(BaseModel):
    """The fields that the gold of several files has, under the names it gives them."""

    issuer: str | None = Field(description="The company that sells and issues the invoice.")
    invoice_number: str | None
    date: dt.date | None = Field(description="Invoice date")
    date_due: dt.date | None = Field(description="Due date")
    amount: float | None = Field(description="Total amount, tax included")
    amount_untaxed: float | None = Field(description="Total without tax")
    amount_tax: float | None = Field(description="Tax amount")
    currency: str | None = Field(description="ISO 4217 code", pattern="^[A-Z]{3}$")
    iban: str | None
    bic: str | None
    telephone: str | None
    partner_email: str | None = Field(description="E-mail of the issuer")
    payment_method: str | None
    lines: list[Line] = Field(description="The items sold")


def plain(value: Any) -> str:
    return re.sub(r"[\W_]+", "", str(value)).casefold()


def same(found: Any, gold: Any) -> bool:
    if found is None or gold is None:
        return found is gold
    if isinstance(gold, float | int):
        return isinstance(found, float | int) and abs(found - gold) <= TOLERANCE
    return plain(found) == plain(gold)


def scores(found: dict[str, Any], gold: dict[str, Any], items: str, name: str) -> Iterator[tuple[str, int, int]]:
    """Yield field, right, asked. Of items it counts the names that were found, and the amounts."""
    for field in found.keys() & gold.keys() - {items}:
        yield field, int(same(found[field], gold[field])), 1
    wanted = [item for item in gold.get(items) or [] if name in item]
    got = found.get(items) or []
    for key in (name, "qty", "quantity", "price_unit", "unit_price", "price_subtotal", "amount"):
        left = [item[key] for item in got if key in item]
        asked = [item[key] for item in wanted if key in item]
        right = 0
        for value in asked:
            if (hit := next((one for one in left if same(one, value)), None)) is not None:
                left.remove(hit)
                right += 1
        if asked:
            yield f"{items}.{key}", right, len(asked)


def show(title: str, rows: list[tuple[str, list[tuple[str, int, int]]]]) -> None:
    totals: dict[str, list[int]] = {}
    for _, found in rows:
        for field, right, asked in found:
            total = totals.setdefault(field, [0, 0])
            total[0], total[1] = total[0] + right, total[1] + asked
    print(f"\n{title}")
    for field in sorted(totals):
        right, asked = totals[field]
        print(f"  {field:28}{right:4} of {asked:<4}{right / asked:8.0%}")
    single = [total for field, total in totals.items() if "." not in field]
    right, asked = (sum(total[at] for total in single) for at in (0, 1))
    print(f"  {'all single fields':28}{right:4} of {asked:<4}{right / asked:8.0%}")
    for name, found in rows:
        missed = [field for field, right, asked in found if right < asked and "." not in field]
        print(f"  {name}: missed {', '.join(sorted(missed)) or 'nothing'}")


def run_over(paths: list[Path], extractor: Extractor) -> dict[str, dict[str, Any]]:
    import polars as pl

    frame = pl.DataFrame({"path": [str(path) for path in paths], "file": [path.name for path in paths]})
    result = extract.run(frame, extractor, offline=True, prefix="got_")
    for row in result.errors.to_dicts():
        print(f"  {paths[row['row_id']].name}: {row['code']}: {row['message']}")
    rows = result.frame.to_dicts()
    return {
        row["file"]: {name[4:]: as_json(one) for name, one in row.items() if name.startswith("got_")} for row in rows
    }


def as_json(value: Any) -> Any:
    if isinstance(value, list):
        return [{name: as_json(one) for name, one in item.items()} for item in value]
    if isinstance(value, dt.date):
        return value.isoformat()
    return value if isinstance(value, str | float | int) or value is None else float(value)


def real(folder: Path) -> None:
    paths = sorted(folder.glob("*.pdf"))
    found = run_over(paths, Extractor(RealInvoice, "Read this invoice.", media=("path",)))
    rows = []
    for path in paths:
        gold = json.loads(path.with_suffix(".json").read_text("utf-8"))
        rows.append((path.name, list(scores(found[path.name], gold[0], "lines", "name"))))
    show(f"{folder}: {len(paths)} PDFs", rows)


def invented() -> None:
    spec = importlib.util.spec_from_file_location("pipeline", ROOT / "pipelines" / "extract_fields.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    given = module.extractor
    extractor = Extractor(given.schema, "Read this document.", system=given.system, media=("path",))
    gold = [json.loads(line) for line in (ROOT / "sample_data/invoices_pdf.gold.jsonl").read_text("utf-8").splitlines()]
    found = run_over([ROOT / "sample_data" / "invoices_pdf" / row["name"] for row in gold], extractor)
    show(
        f"sample_data/invoices_pdf: {len(gold)} PDFs",
        [(row["name"], list(scores(found[row["name"]], row, "line_items", "description"))) for row in gold],
    )


def plain_text(data: bytes) -> str:
    with open_pdf(data) as document:
        texts = []
        for number in range(len(document)):
            with closing(document.get_page(number)) as page, closing(page.get_textpage()) as text:
                texts.append(text.get_text_bounded())
        return "".join(texts)


def seconds(call: Callable[[bytes], object], files: list[bytes]) -> float:
    start = time.thread_time()
    for data in files:
        call(data)
    return time.thread_time() - start


def dense(pages: int) -> bytes:
    """Return a PDF of full pages in a font that every reader has: the least work for pdfium per character."""
    fonts = "<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
    lines = " ".join(f"({PROSE[line % 9 :]}) Tj T*" for line in range(55))
    content = f"BT /F 10 Tf 14 TL 40 800 Td {lines} ET"
    kids = " ".join(f"{number} 0 R" for number in range(4, 4 + pages))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {pages}/Kids[{kids}]>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        *[f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 3 0 R/Resources{fonts}>>"] * pages,
    ]
    body = "".join(f"{number} 0 obj\n{one}\nendobj\n" for number, one in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer\n<</Root 1 0 R>>\n%%EOF\n".encode()


def speed(folder: Path) -> None:
    pdf.is_bomb = lambda _: False
    files = {
        folder.name: [path.read_bytes() for path in sorted(folder.glob("*.pdf"))],
        "sample_data": [path.read_bytes() for path in sorted((ROOT / "sample_data" / "invoices_pdf").glob("*.pdf"))],
        "dense prose": [dense(10)],
    }
    print(f"\nread_pdf beside pdfium's own text, {TURNS} turns")
    for name, data in files.items():
        if not data:
            continue
        turns = [(seconds(plain_text, data), seconds(pdf.read_pdf, data)) for _ in range(TURNS)]
        own, ours = (min(turn[place] for turn in turns) for place in (0, 1))
        letters = sum(len(plain_text(one)) for one in data)
        print(f"  {name:14}{letters:7,} characters: {own * 1e3:6.2f} ms, {ours * 1e3:6.2f} ms: {ours / own:.2f} x")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    if folder.is_dir():
        real(folder)
    invented()
    speed(folder)
