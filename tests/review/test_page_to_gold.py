"""From an output over the page's server to gold and a corrected table: what nobody touched stays to the last digit."""

from __future__ import annotations

import json
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
import pytest
from asking import Asking
from pydantic import AwareDatetime, BaseModel, Field, NaiveDatetime

from extract import Client, Emulator, Extractor, apply_decisions, compile_schema, evaluate, open_review, run, write_gold
from extract.testing import scripted


class Colour(Enum):
    red = "red"
    blue = "blue"


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: Decimal


class Item(BaseModel):
    name: str | None = Field(alias="itemName")
    price: Decimal | None
    due: date | None = None
    colours: list[Colour] = []


class Everything(BaseModel):
    amount: Decimal = Field(alias="grossAmount")
    cents: Annotated[Decimal, Field(decimal_places=2)] | None
    day: date | None
    moment: AwareDatetime
    local: NaiveDatetime | None
    clock: time
    length: timedelta | None
    colour: Colour | None
    shape: Circle | Square = Field(discriminator="kind")
    items: list[Item]
    counts: dict[str, int]
    pair: tuple[int, Decimal]
    either: int | str
    anything: Any
    words: list[str]
    yes: bool | None
    note: str | None
    score: float
    inner: Item | None


EVERYTHING = Extractor(Everything, "{text}")

ANSWERS: list[dict[str, Any]] = [
    {
        "grossAmount": "12.50", "cents": "1.10", "day": "2024-05-01", "moment": "2024-05-01T10:00:00Z",
        "local": "2024-05-01T09:30:00", "clock": "10:00:00", "length": "P1DT2H", "colour": "red",
        "shape": {"kind": "square", "side": "2.5"},
        "items": [{"itemName": "pen", "price": "1.5", "due": None, "colours": []}],
        "counts": {"a": 1}, "pair": [1, "2.5"], "either": "7", "anything": {"z": [1, None]}, "words": ["w"],
        "yes": True, "note": "", "score": 0.1, "inner": None,
    },
    {
        "grossAmount": "0.000000001", "cents": None, "day": None, "moment": "1999-12-31T23:59:59.000001Z",
        "local": None, "clock": "23:59:59.500000", "length": None, "colour": None,
        "shape": {"kind": "circle", "radius": 1e-7},
        "items": [
            {"itemName": 'a "b", c\nd', "price": None, "due": "2020-02-29", "colours": ["blue", "red"]},
            {"itemName": None, "price": "-3", "due": None, "colours": []},
        ],
        "counts": {}, "pair": [-1, "0"], "either": 7, "anything": None, "words": [], "yes": None, "note": None,
        "score": 1e300,
        "inner": {"itemName": "", "price": "12345678901234567890.123456789", "due": None, "colours": []},
    },
]  # fmt: skip

ROWS = 6


def output(folder: Path) -> Path:
    """Run the extractor over texts with both answers by turns."""
    texts = pl.DataFrame({"id": [f"r{n}" for n in range(ROWS)], "text": [f"text {n}." for n in range(ROWS)]})
    answers = {f"text {n}.": ANSWERS[n % 2] for n in range(ROWS)}
    client = Client("any", transport=Emulator(answers=scripted(answers)).transport)
    run(texts, EVERYTHING, client=client, output=folder / "out.parquet", cache=None, row_id="id")
    return folder / "out.parquet"


@pytest.mark.parametrize("extractor", [EVERYTHING, None], ids=["with its class", "by its footer alone"])
@pytest.mark.parametrize("blind", [True, False])
def test_what_is_sent_back_as_it_was_shown_changes_nothing(
    tmp_path: Path, extractor: Extractor | None, blind: bool
) -> None:
    path = output(tmp_path)
    with Asking(open_review(path, extractor, decisions=tmp_path / "seen.db", sample=ROWS, person="ann")) as page:
        shown = {number: page.get(f"/api/rows/{number}") for number in range(1, ROWS + 1)}
    with Asking(
        open_review(path, extractor, decisions=tmp_path / "review.db", sample=ROWS, person="ann", blind=blind)
    ) as page:
        for number, row in shown.items():
            done = page.decide(number, action="decided", values=row["values"])
            assert "errors" not in done, done
        told = page.get("/api/progress")["right"]
    assert (told["judged"], told["right"]) == (ROWS, ROWS)
    check_same(tmp_path, path, extractor, corrected=0)


@pytest.mark.parametrize("extractor", [EVERYTHING, None], ids=["with its class", "by its footer alone"])
def test_gold_of_what_was_typed_agrees_wholly_with_the_corrected_table(
    tmp_path: Path, extractor: Extractor | None
) -> None:
    """Each row gets the answer of another row, as a person would type it."""
    path = output(tmp_path)
    with Asking(open_review(path, extractor, decisions=tmp_path / "review.db", sample=ROWS, person="ann")) as page:
        shown = {row["row_id"]: row for row in (page.get(f"/api/rows/{number}") for number in range(1, ROWS + 1))}
        for row_id, row in shown.items():
            other = shown[f"r{(int(row_id[1:]) + 1) % ROWS}"]
            done = page.decide(row["number"], action="decided", values=other["values"])
            assert "errors" not in done, done
        told = page.get("/api/progress")["right"]
    gold = write_gold(tmp_path / "review.db", answers=extractor)
    before = evaluate(path, gold.frame, on="id")
    assert (told["judged"], told["right"]) == (before.rows, before.correct) == (ROWS, 0)
    check_same(tmp_path, path, extractor, corrected=ROWS)


def check_same(folder: Path, path: Path, extractor: Extractor | None, *, corrected: int) -> None:
    applied = apply_decisions(folder / "review.db", path, folder / "corrected.parquet", answers=extractor)
    assert applied.refused == ()
    assert (applied.corrected, applied.confirmed) == (corrected, ROWS - corrected)
    schema = compile_schema(Everything)
    turn = 1 if corrected else 0
    rows = [schema.row(schema.validate(json.dumps(ANSWERS[(number + turn) % 2]))) for number in range(ROWS)]
    assert pl.read_parquet(folder / "corrected.parquet").select(list(schema.dtypes)).equals(schema.frame(rows))
    for ending in ("csv", "jsonl", "parquet"):
        write_gold(folder / "review.db", folder / f"gold.{ending}", answers=extractor)
        scores = evaluate(folder / "corrected.parquet", folder / f"gold.{ending}", on="id", fields=list(schema.dtypes))
        assert {score.name: score.exact for score in scores.fields} == {score.name: 1.0 for score in scores.fields}
        assert (scores.missing, scores.correct) == (0, ROWS)
