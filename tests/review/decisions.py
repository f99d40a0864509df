"""Decision files for tests: small, of one field with three labels."""

from __future__ import annotations

from pathlib import Path

from extract import compile_schema
from extract.evaluation.split import row_hash, split_of
from extract.review.decision_file import DecisionFile
from extract.review.dtypes import dtype_texts
from extract.review.tasks import Action, Decision, DrawnRow, ReviewSetup, answer_hash

__all__ = ["LABELS", "decide", "new_file"]

LABELS = ["bug", "billing", "other"]


def new_file(
    path: Path, rows: int = 6, *, queued: int = 0, answer: str | None = "bug", source: str | None = None
) -> DecisionFile:
    """Make a file of `rows` sample rows, then `queued` rows of a queue. Every row has the same answer, if any."""
    schema = compile_schema(LABELS)
    setup = ReviewSetup(
        schema=schema.full,
        fields=("value",),
        inputs=("text",),
        source=source,
        population=100,
        seed=0,
        enough_at=rows,
        dtypes=dtype_texts(schema.dtypes),
    )
    judged = None if answer is None else {"value": answer}
    drawn = []
    for number in range(rows + queued):
        mark = row_hash({"text": f"row {number}"})
        kind = "sample" if number < rows else "queue"
        split = split_of(mark, proof=kind == "sample")
        drawn.append(
            DrawnRow(row_id=number, row_hash=mark, answer_hash=answer_hash(judged, ["value"]), kind=kind, split=split)
        )
    return DecisionFile.create(path, setup, drawn)


def decide(
    file: DecisionFile,
    task: int,
    person: str,
    label: str | None,
    *,
    answer: str | None = "bug",
    blind: bool = True,
    now: float = 1.0,
) -> Decision:
    """Decide for a label; None skips the row."""
    if label is None:
        return file.decide(task, person, "skipped", blind=blind, now=now)
    action: Action = "right" if label == answer else "corrected"
    verdicts = {"value": label == answer} if answer else {}
    return file.decide(task, person, action, {"value": label}, verdicts=verdicts, blind=blind, now=now)
