"""Sets of scored rows for benchmarks/acceptance.py: joint distributions of score and rightness, and real answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
import numpy as np
import polars as pl
from pydantic import BaseModel, Field, create_model

from extract import Example, Extractor, run
from extract.evaluation.row_scores import row_scores

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ROWS = 5_000
Array = Any


@dataclass(frozen=True, slots=True)
class ScoreSet:
    """A table: the score of each row, and whether its answer is right."""

    name: str
    scores: Array
    right: Array


Make = Callable[[Any, float], tuple[Array, Array]]


def calibrated(random: Any, _target: float) -> tuple[Array, Array]:
    scores = random.beta(4, 1, ROWS)
    return scores, random.random(ROWS) < scores


def over_confident(random: Any, _target: float) -> tuple[Array, Array]:
    scores = random.beta(8, 1, ROWS)
    return scores, random.random(ROWS) < scores**3


def adversarial_ties(random: Any, target: float) -> tuple[Array, Array]:
    """Three scores only; the promise is just broken at each of them."""
    scores = random.choice([0.5, 0.9, 1.0], ROWS, p=[0.3, 0.5, 0.2])
    right = np.zeros(ROWS, dtype=bool)
    for score in (1.0, 0.9, 0.5):
        places = np.flatnonzero(scores == score)
        right[places[: int(target * len(places)) - 1]] = True
    return scores, right


def all_right(random: Any, _target: float) -> tuple[Array, Array]:
    return random.random(ROWS), np.ones(ROWS, dtype=bool)


def all_wrong(random: Any, _target: float) -> tuple[Array, Array]:
    return random.random(ROWS), np.zeros(ROWS, dtype=bool)


def rare_label(part: float) -> Make:
    """Rows of a rare label are wrong more often, and score as high as the others."""

    def make(random: Any, _target: float) -> tuple[Array, Array]:
        rare = random.random(ROWS) < part
        scores = random.beta(5, 1, ROWS)
        return scores, random.random(ROWS) < np.where(rare, 0.5, 0.9 + 0.1 * scores)

    return make


def agreement(random: Any, _target: float) -> tuple[Array, Array]:
    scores = random.choice([1 / 3, 2 / 3, 1.0], ROWS, p=[0.1, 0.25, 0.65])
    return scores, random.random(ROWS) < np.where(scores == 1, 0.97, np.where(scores > 0.5, 0.85, 0.5))


def duplicates(random: Any, _target: float) -> tuple[Array, Array]:
    """Ten rows each with the same score, right or wrong together."""
    scores = random.beta(6, 1, ROWS // 10)
    right = random.random(ROWS // 10) < 0.5 + 0.5 * scores
    return np.repeat(scores, 10), np.repeat(right, 10)


DISTRIBUTIONS: dict[str, Make] = {
    "calibrated": calibrated,
    "over-confident": over_confident,
    "adversarial ties": adversarial_ties,
    "all right": all_right,
    "all wrong": all_wrong,
    "rare label, 2 %": rare_label(0.02),
    "rare label, 20 %": rare_label(0.2),
    "agreement of three samples": agreement,
    "duplicates": duplicates,
}


def simulated(name: str, target: float, seed: int = 0) -> ScoreSet:
    """Return a table of a joint distribution; `target` is what an adversary would just miss."""
    random = np.random.default_rng([seed, list(DISTRIBUTIONS).index(name)])
    scores, right = DISTRIBUTIONS[name](random, target)
    return ScoreSet(name, scores, right)


def real(rows: int | None = None) -> Iterator[ScoreSet]:
    """Yield answers of the offline rule reader to real data, with the scores that its outputs have."""
    if not DATA.is_dir():
        return
    yield _banking(rows)
    yield from _receipts(rows)


def _banking(rows: int | None) -> ScoreSet:
    """Return the intents of bank customers, three examples each, with the confidence that the reader declares."""
    folder = DATA / "banking77"
    labels = tuple(json.loads((folder / "categories.json").read_text(encoding="utf-8")))
    sure = (float, Field(ge=0, le=1, description="How sure you are of the intent."))
    schema: Any = create_model("Intent", intent=(Literal[labels], ...), confidence=sure)
    shown = pl.read_csv(folder / "train.csv").group_by("category", maintain_order=True).head(3)
    examples = [
        Example({"text": text}, {"intent": label, "confidence": 0.9})
        for text, label in shown.select("text", "category").iter_rows()
    ]
    table = pl.read_csv(folder / "test.csv").sample(fraction=1, shuffle=True, seed=0).head(rows or 10**6)
    frame = run(table, Extractor(schema, "{text}", examples=examples), offline=True).frame
    right = (frame["intent"].cast(pl.String) == frame["category"]).to_numpy()
    return ScoreSet("banking77, declared confidence", frame["confidence"].to_numpy(), right)


class Receipt(BaseModel):
    company: str = Field(description="The shop, as printed.")
    date: str = Field(description="The date as printed.")
    total: str = Field(description="What is to be paid in the end.")


def _receipts(rows: int | None) -> Iterator[ScoreSet]:
    """Yield fields of receipts, with their grounding in the text as score."""
    lines = (DATA / "sroie2019" / "receipts.jsonl").read_text(encoding="utf-8").splitlines()[: rows or None]
    table = pl.DataFrame([{"text": one["text"], "gold": one["gold"]} for one in map(json.loads, lines)])
    frame = run(table, Extractor(Receipt, "{text}", grounding=("text",)), offline=True).frame
    fields = {name: name for name in Receipt.model_fields}
    for name in fields:
        scores = row_scores(frame, fields, [name]).row.to_numpy()
        gold = table["gold"].struct.field(name).to_list()
        pairs = zip(frame[name].to_list(), gold, strict=True)
        right = [_plain(one) == _plain(other) for one, other in pairs]
        known = ~np.isnan(scores)
        yield ScoreSet(f"SROIE {name}, grounding", scores[known], np.array(right)[known])


def _plain(text: str | None) -> str:
    return "".join(one for one in (text or "").lower() if one.isalnum())
