"""`Accept`: the promise that the accepted rows of a run keep, and the gold that proves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from extract.errors import ConfigError
from extract.evaluation.proof import Promise
from extract.extractor.extractor import Extractor

__all__ = ["Accept", "checked_accept", "checked_steps"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Accept:
    """Accept the rows of a run of which a share of `right` is right, with the probability `confidence`.

    `gold` are rows of the input, drawn at random, with their right answers: a path, a frame or rows, joined by the
    column `on`, which must name every row of the input. `score` names a column of the answer, or is an expression over
    the columns of the answer and those that the prompt reads, row by row; by default it is the agreement of samples, a
    number that the schema declares (`confidence`), or grounding. `fields` are what must be right, by default all that
    gold has. With `used_gold` gold that was seen counts, too. `all` keeps all rows in the output, with the column
    `_route`; otherwise only the accepted ones stay.

        >>> gold = [{"id": 1, "value": "good"}]
        >>> Accept(right=0.9, gold=gold, on="id").promise.rows_needed
        29
    """

    gold: Any = field(repr=False)
    on: str
    right: float = 0.95
    confidence: float = 0.95
    score: str | pl.Expr | None = None
    fields: Sequence[str] | None = None
    used_gold: bool = False
    all: bool = False

    def __post_init__(self) -> None:
        _ = self.promise
        if self.gold is None:
            raise ConfigError("nothing is proved without gold: name rows with right answers with gold= (--gold)")
        if isinstance(self.fields, str):
            raise ConfigError(f"fields is a list of names, such as [{self.fields!r}]")

    @property
    def promise(self) -> Promise:
        """What is to be proved."""
        return Promise(self.right, self.confidence)


def checked_accept(accept: Any) -> Accept | None:
    """Return what `accept=` was given. ConfigError for anything but an Accept."""
    if accept is not None and not isinstance(accept, Accept):
        raise ConfigError(
            f'accept is an Accept, such as Accept(gold="gold.csv", on="id"), not a {type(accept).__name__}'
        )
    return accept


def checked_steps(escalate: Iterable[Any] | Extractor | None, accept: Accept | None) -> tuple[Extractor, ...]:
    """Return the extractors behind the first. ConfigError for anything else, and for steps that nothing decides on."""
    steps = (escalate,) if isinstance(escalate, Extractor) else tuple(escalate or ())
    if wrong := [type(one).__name__ for one in steps if not isinstance(one, Extractor)]:
        raise ConfigError(f"escalate is a list of Extractors, from cheap to strong, and holds a {wrong[0]}")
    if steps and accept is None:
        raise ConfigError("escalate needs accept: only a promise and gold say which rows go on (--right, --gold, --on)")
    return steps
