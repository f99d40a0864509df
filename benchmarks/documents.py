"""How much of real and of invented PDF invoices the offline reader finds: figures per field, misses and all.

    python benchmarks/documents.py [FOLDER]

FOLDER holds PDFs with `<name>.json` beside them (by default the third-party set in shared/data/invoice_pdfs). A field
is scored in the files whose gold has it. The reader is rules, not a model: this says what `--offline` is worth on PDFs,
and nothing about Gemini.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
from pydantic import BaseModel, Field

import extract
from extract import Extractor

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data" / "invoice_pdfs"
TOLERANCE = 0.005


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


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    if folder.is_dir():
        real(folder)
    invented()
