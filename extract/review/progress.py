"""How far a review is, and how right the answers are so far: each way of judging by itself, never mixed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from extract.evaluation.intervals import Interval, share_interval
from extract.json_types import JsonObject, json_text
from extract.review.agreement import Agreement, agreement_of
from extract.review.tasks import Decision, Kind, ReviewSetup

__all__ = ["Accuracy", "Judged", "Progress", "Share", "accuracies", "agreements", "settled", "value_keys"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A current decision together with how its row was chosen."""

    decision: Decision
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """`right` of `judged` rows, with Wilson's 95 % interval: what `extract eval` says of the same rows."""

    judged: int
    right: int

    @property
    def share(self) -> float | None:
        return self.right / self.judged if self.judged else None

    @property
    def interval(self) -> Interval | None:
        return share_interval(self.right, self.judged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How often answers are right, among the rows of one kind that were judged blind, or seeing the answer.

    `enough`: as many rows of the sample are judged as were fixed when it was drawn. Before, the figure is one "so far":
    who stops where it looks good proves nothing. A queue never proves anything about the whole table. `unsettled`
    counts rows on which people differ; they are in no figure.
    """

    kind: Kind
    blind: bool
    whole: Share
    fields: Mapping[str, Share]
    unsettled: int = 0
    enough: bool = False

    def as_json(self) -> JsonObject:
        """Return the figures as JSON."""
        return {
            "kind": self.kind,
            "blind": self.blind,
            **_as_json(self.whole),
            "fields": {name: _as_json(one) for name, one in self.fields.items()},
            "unsettled": self.unsettled,
            "enough": self.enough,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a person is, and what all people together have found.

    `decided` and `skipped` count this person's rows of `tasks`, `people` those who have decided anything. `agreement`
    holds, by field and as "" for all fields together, how far blind decisions of several people agree; `agreement_seen`
    the same of decisions made in sight of the answer. `at` is when it was told, in seconds since 1970.
    """

    tasks: int
    decided: int
    skipped: int
    people: tuple[str, ...] = ()
    accuracy: tuple[Accuracy, ...] = ()
    agreement: Mapping[str, Agreement] = field(default_factory=dict)
    agreement_seen: Mapping[str, Agreement] = field(default_factory=dict)
    enough_at: int | None = None
    at: float = 0.0

    @property
    def open(self) -> int:
        """The rows that this person has neither decided nor skipped."""
        return self.tasks - self.decided - self.skipped

    def as_json(self) -> JsonObject:
        """Return the figures as JSON."""
        return {
            "tasks": self.tasks,
            "decided": self.decided,
            "skipped": self.skipped,
            "open": self.open,
            "people": list(self.people),
            "enough_at": self.enough_at,
            "accuracy": [one.as_json() for one in self.accuracy],
            "agreement": {name: _agreement_json(one) for name, one in self.agreement.items()},
            "agreement_seen": {name: _agreement_json(one) for name, one in self.agreement_seen.items()},
        }


def _as_json(share: Share) -> JsonObject:
    ends = share.interval
    interval = None if ends is None else [ends.low, ends.high]
    return {"judged": share.judged, "right": share.right, "share": share.share, "interval": interval}


def _agreement_json(one: Agreement) -> JsonObject:
    return {"people": one.people, "rows": one.rows, "same": one.same, "kappa": one.kappa}


def accuracies(judged: Iterable[Judged], setup: ReviewSetup) -> tuple[Accuracy, ...]:
    """Return the figures of each kind of row and way of judging that occurs: sample before queue, blind first."""
    groups: dict[tuple[Kind, bool], dict[int, list[Decision]]] = defaultdict(lambda: defaultdict(list))
    for one in judged:
        groups[one.kind, one.decision.blind][one.decision.task].append(one.decision)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0] != "sample", not item[0][1]))
    return tuple(_accuracy(kind, blind, list(rows.values()), setup) for (kind, blind), rows in ordered)


def _accuracy(kind: Kind, blind: bool, rows: Sequence[Sequence[Decision]], setup: ReviewSetup) -> Accuracy:
    decided = [settled(decisions, setup) for decisions in rows]
    with_verdict = [one for one in decided if one is not None and one.verdicts]
    whole = Share(judged=len(with_verdict), right=sum(bool(one.right) for one in with_verdict))
    by_field = (
        {name: Counter(bool(one.verdicts.get(name)) for one in with_verdict) for name in setup.fields}
        if with_verdict
        else {}
    )
    return Accuracy(
        kind=kind,
        blind=blind,
        whole=whole,
        fields={name: Share(judged=whole.judged, right=counted[True]) for name, counted in by_field.items()},
        unsettled=sum(one is None for one in decided),
        enough=kind == "sample" and setup.enough_at is not None and whole.judged >= setup.enough_at,
    )


def settled(decisions: Sequence[Decision], setup: ReviewSetup) -> Decision | None:
    """Return the decision that more than half of the people who judged a row have made, None where there is none."""
    if len(decisions) == 1:
        return decisions[0]
    keys = [tuple(value_keys(one, setup).values()) for one in decisions]
    counted = Counter(keys)
    key = max(counted, key=counted.__getitem__)
    return decisions[keys.index(key)] if 2 * counted[key] > len(decisions) else None


def value_keys(decision: Decision, setup: ReviewSetup) -> dict[str, str]:
    """Return what a person says of each field under review, as texts that are equal where the values are."""
    value = decision.value if isinstance(decision.value, dict) else {}
    return {name: json_text(_sorted(value.get(key))) for name, key in setup.keys.items()}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def agreements(judged: Iterable[Judged], setup: ReviewSetup, *, blind: bool) -> dict[str, Agreement]:
    """Return how far people agree, by field, and as "" in all fields together; {} where no row has two people."""
    rows: dict[int, dict[str, dict[str, str]]] = defaultdict(dict)
    for one in judged:
        if one.decision.blind == blind:
            rows[one.decision.task][one.decision.person] = value_keys(one.decision, setup)
    shared = [row for row in rows.values() if len(row) > 1]
    return dict(_by_field(shared, setup.fields)) if shared else {}


def _by_field(
    rows: Sequence[Mapping[str, Mapping[str, str]]], fields: Sequence[str]
) -> Iterator[tuple[str, Agreement]]:
    yield "", agreement_of([{person: tuple(keys.values()) for person, keys in row.items()} for row in rows])
    for name in fields:
        yield name, agreement_of([{person: keys[name] for person, keys in row.items()} for row in rows])
