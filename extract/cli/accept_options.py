"""The options of `extract run` and `extract eval` that state a promise: signatures and values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AcceptAll",
    "AcceptOptions",
    "AcceptedFile",
    "Clear",
    "Confidence",
    "Escalate",
    "GoldFile",
    "GoldKey",
    "JudgedFields",
    "Overwrite",
    "Recall",
    "RestFile",
    "Right",
    "ScoreBy",
    "UsedGold",
]

Right = Annotated[
    float | None,
    typer.Option(metavar="SHARE", help="Accept rows of which this share is right, proved by gold: 0.95."),
]
Confidence = Annotated[float, typer.Option(metavar="SHARE", help="How probably what --right says holds.")]
ScoreBy = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column or SQL expression that is higher for rows that are more surely right."),
]
JudgedFields = Annotated[
    list[str] | None,
    typer.Option("--fields", metavar="FIELD,...", help="What must be right in an accepted row. [default: all of gold]"),
]
AcceptedFile = Annotated[
    Path | None, typer.Option("--accepted", metavar="OUT", help="Write the accepted rows, with `_route`.")
]
RestFile = Annotated[
    Path | None, typer.Option("--rest", metavar="QUEUE", help="Write the others as a queue for `extract review`.")
]
GoldFile = Annotated[
    str | None, typer.Option("--gold", metavar="FILE", help="Rows of INPUT drawn at random, with their right answers.")
]
GoldKey = Annotated[
    str | None, typer.Option("--on", metavar="COLUMN", help="Column that names a row here and in gold.")
]
Escalate = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PIPELINE",
        help="Ask this one where the answer before it is not good enough. Repeatable, from cheap to strong.",
        show_default=False,
    ),
]
AcceptAll = Annotated[
    bool, typer.Option("--accept-all", help="Keep all rows in OUTPUT; `_route` says which are accepted.")
]
Clear = Annotated[
    str | None,
    typer.Option(metavar="FIELD=VALUE", help="Clear rows of a label instead: those that need no look. See --recall."),
]
Recall = Annotated[float, typer.Option(metavar="SHARE", help="Of the rows with the label, the share not cleared.")]
UsedGold = Annotated[
    bool, typer.Option("--used-gold", help="Count gold that was seen, or not drawn at random; then nothing is proved.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the files of --accepted and --rest.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptOptions:
    """What is to be accepted, and where it is written; `right` is None where nothing is."""

    right: float | None
    confidence: float
    score: str | None
    fields: Sequence[str]
    accepted: Path | None
    rest: Path | None
    clear: str | None
    recall: float
    used_gold: bool
    overwrite: bool
