"""`Tuning`: what came out of trying variants, as a table, as JSON, and as the points of the accuracy-cost front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from extract.evaluation.intervals import Interval, share_interval
from extract.evaluation.tables import aligned, share
from extract.extractor.extractor import Extractor
from extract.json_types import JsonObject
from extract.limits.pricing import money
from extract.tuning.halving import LEVEL, Left
from extract.tuning.variants import Variant

__all__ = ["Proof", "Tuning", "VariantScore", "front_of"]

_HEADER = ("variant", "rows", "right", "tokens a row", "$ per 1,000", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantScore:
    """A variant: of `rows` tuning rows it has `right` right. `cost` is US dollars and `tokens` tokens for a row.

    `on_front` is True where no other variant is both as accurate and as cheap; `left` says why it did not go on.
    """

    variant: Variant
    rows: int
    right: int
    cost: Decimal | None
    tokens: float | None
    on_front: bool
    left: Left | None

    @property
    def accuracy(self) -> float:
        """The share of its rows that are right in all fields."""
        return self.right / self.rows if self.rows else 0.0

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the accuracy. It was looked at to choose, so it proves nothing: see `Proof`."""
        return share_interval(self.right, self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The winner and the pipeline as it was on `rows` rows that played no part in the choice.

    `p_value` is that of McNemar's exact test between the two.
    """

    rows: int
    right: int
    right_before: int
    p_value: float

    @property
    def accuracy(self) -> float:
        """The winner's share of right rows."""
        return self.right / self.rows

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the winner's accuracy."""
        return share_interval(self.right, self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What came out: `scores` of all variants, the winner first; `extractor` is the winner's.

    `proof` is None where the budget did not reach for it. `requests` and `cost` are what this call sent and paid for.
    """

    scores: tuple[VariantScore, ...]
    proof: Proof | None
    extractor: Extractor = field(repr=False)
    requests: int
    cost: Decimal | None
    offline: bool = False

    @property
    def winner(self) -> Variant:
        """The variant that was chosen."""
        return self.scores[0].variant

    def to_dict(self) -> JsonObject:
        """Return everything as JSON."""
        return {
            "winner": self.winner.name,
            "changes": self.winner.changes,
            "variants": [_score_json(one) for one in self.scores],
            "proof": None if self.proof is None else {**asdict(self.proof), **_share_json(self.proof)},
            "requests": self.requests,
            "cost_usd": None if self.cost is None else float(self.cost),
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return the header and the rows of the table of variants."""
        return _HEADER, [_cells(one, place) for place, one in enumerate(self.scores)]

    def remarks(self) -> Iterator[str]:
        """Yield what is to be said besides the table."""
        if any(one.on_front for one in self.scores):
            yield "*: on the front: no other variant is both as accurate and as cheap"
        yield from self._proof_lines()
        spent = "an unknown amount" if self.cost is None else money(self.cost)
        yield f"{self.requests:,} requests, {spent} spent" + ("; offline: no language model" if self.offline else "")

    def _lines(self) -> Iterator[str]:
        yield from aligned(*self.table(), words=1)
        yield from self.remarks()

    def _proof_lines(self) -> Iterator[str]:
        yield f"winner: {self.winner.name}"
        if (proof := self.proof) is None:
            yield "not proven: the budget did not reach for the rows that prove it"
            return
        yield f"on {proof.rows:,} rows that played no part in the choice: {share(proof.accuracy, proof.interval)} right"
        if self.winner.changes:
            before = share(proof.right_before / proof.rows, share_interval(proof.right_before, proof.rows))
            verdict = (
                "better than"
                if proof.p_value <= LEVEL and proof.right > proof.right_before
                else "not proven better than"
            )
            yield f"the pipeline as it is: {before}; the winner is {verdict} it (p = {proof.p_value:.2g})"


def _cells(one: VariantScore, place: int) -> tuple[str, ...]:
    tokens = "-" if one.tokens is None else f"{one.tokens:,.0f}"
    cost = "-" if one.cost is None else f"{one.cost * 1000:.4f}"
    return one.variant.name, f"{one.rows:,}", share(one.accuracy, one.interval), tokens, cost, _note(one, place)


def _note(one: VariantScore, place: int) -> str:
    star = "* " if one.on_front else ""
    if place == 0:
        return f"{star}winner"
    if one.left is None:
        return f"{star}finalist"
    if one.left.reason == "worse":
        return f"{star}proven worse (p = {one.left.p_value:.1g})"
    return f"{star}{'left behind' if one.left.reason == 'behind' else 'left for the budget'}"


def _score_json(one: VariantScore) -> JsonObject:
    return {
        "name": one.variant.name,
        "changes": one.variant.changes,
        "rows": one.rows,
        "right": one.right,
        **_share_json(one),
        "cost_usd_per_row": None if one.cost is None else float(one.cost),
        "tokens_per_row": one.tokens,
        "on_front": one.on_front,
        "left": None if one.left is None else asdict(one.left),
    }


def _share_json(one: VariantScore | Proof) -> dict[str, Any]:
    interval = one.interval
    return {"accuracy": one.accuracy, "interval": None if interval is None else [interval.low, interval.high]}


def front_of(points: Sequence[tuple[float, Decimal | None]]) -> list[bool]:
    """Return for each (accuracy, cost) whether no other point is at least as good in both and better in one."""
    return [cost is not None and not any(_beats(other, (right, cost)) for other in points) for right, cost in points]


def _beats(one: tuple[float, Decimal | None], other: tuple[float, Decimal]) -> bool:
    right, cost = one
    return cost is not None and right >= other[0] and cost <= other[1] and (right, cost) != other
