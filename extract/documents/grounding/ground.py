"""`ground`: each value of an answer, and where in the source it stands."""

from __future__ import annotations

from datetime import date, time
from typing import Any, Final

from extract.documents.grounding.choice import choose
from extract.documents.grounding.findings import Finding, find
from extract.documents.grounding.labels import Labels
from extract.documents.grounding.leaves import Leaf, groups_of
from extract.documents.grounding.places import Place
from extract.documents.grounding.readings import boxes_of
from extract.documents.grounding.source import SourceText
from extract.documents.grounding.span import Span

__all__ = ["ground"]

_NO_LABELS: Final = Labels()


def ground(value: Any, source: SourceText, *, labels: Labels = _NO_LABELS, fuzzy: bool = True) -> tuple[Span, ...]:
    """Return a span for each text, number, date and time of a value, in the value's order.

    `value` is plain JSON or Python values, with keys as on the wire if `labels` are given. Booleans, nulls, labels,
    durations, bytes and blank texts have no span. With `fuzzy`, a text that stands nowhere exactly is searched by
    similarity; raises ConfigError if rapidfuzz, which that needs, is not installed (`load_rapidfuzz` checks it early).
    """
    groups = groups_of(value, labels)
    leaves = sorted((leaf for group in groups for leaf in group.leaves), key=lambda leaf: leaf.order)
    findings = {leaf.order: find(source, leaf.value, fuzzy=fuzzy, amount=leaf.amount) for leaf in leaves}
    chosen = choose(source, groups, findings)
    return tuple(_span(source, leaf, findings[leaf.order], chosen.get(leaf.order)) for leaf in leaves)


def _span(source: SourceText, leaf: Leaf, finding: Finding, place: Place | None) -> Span:
    if place is None:
        return Span(path=leaf.path, status="missing")
    text = source.text[place.start : place.end]
    return Span(
        path=leaf.path,
        status="exact" if finding.status == "normalised" and text == _canonical(leaf) else finding.status,
        start=place.start,
        end=place.end,
        score=finding.score,
        page=source.page_of(place.start),
        text=text,
        boxes=boxes_of(source, place.start, place.end),
    )


def _canonical(leaf: Leaf) -> str:
    """Return a value in the form in which Python and JSON write it."""
    return leaf.value.isoformat() if isinstance(leaf.value, date | time) else str(leaf.value)
