"""`RunningProgress`: the figures of a decision file kept up with each decision, however many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from extract.review.agreement import Agreement
from extract.review.decision_file import DecisionFile
from extract.review.progress import Accuracy, Judged, Progress, Share, accuracies, agreements
from extract.review.tasks import Decision, Kind

__all__ = ["RunningProgress"]

_BLOCK: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Vote:
    """What is kept of a decision: a few bytes, as there may be many."""

    number: int
    skipped: bool
    blind: bool
    verdicts: tuple[bool, ...]


@dataclass(slots=True)
class _Counts:
    """Rows of one kind, judged in one way, that one person alone has judged: all of them, and those with a verdict."""

    rows: int = 0
    judged: int = 0
    right: int = 0
    by_field: list[int] = field(default_factory=list)

    def add(self, vote: _Vote, sign: int) -> None:
        self.rows += sign
        if vote.verdicts:
            self.judged += sign
            self.right += sign * all(vote.verdicts)
            pairs = zip_longest(self.by_field, vote.verdicts, fillvalue=0)
            self.by_field = [count + sign * is_right for count, is_right in pairs]


class RunningProgress:
    """The progress of a file. It equals `DecisionFile.progress`, and reads only what was decided since the last call.

    Decisions are only ever added, by this program or another one. A row that one person has judged is counted by adding
    and taking away; rows that several people have judged are few, and are counted anew whenever one of them changes.
    """

    def __init__(self, file: DecisionFile) -> None:
        self._file = file
        self._last = 0
        self._votes: dict[int, dict[str, list[_Vote]]] = defaultdict(dict)
        self._counts: dict[tuple[Kind, bool], _Counts] = defaultdict(_Counts)
        self._done: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self._shared: set[int] = set()
        self._of_shared: tuple[tuple[Accuracy, ...], dict[str, Agreement], dict[str, Agreement]] | None = None
        self._kinds: dict[int, list[Kind]] = {}

    def of(self, person: str, now: float = 0.0) -> Progress:
        """Return how far a person is, and what all people have found."""
        for decision in self._file.decisions(self._last):
            self._take(decision)
            self._last = decision.number
        decided, skipped = self._done.get(person, (0, 0))
        shared, agreement, agreement_seen = self._figures_of_shared()
        return Progress(
            tasks=len(self._file),
            decided=decided,
            skipped=skipped,
            people=tuple(sorted(name for name, done in self._done.items() if any(done))),
            accuracy=tuple(self._joined(shared)),
            agreement=agreement,
            agreement_seen=agreement_seen,
            enough_at=self._file.setup.enough_at,
            at=now,
        )

    def _take(self, decision: Decision) -> None:
        """Count one more decision, or no longer the one that it takes back."""
        task, person = decision.task, decision.person
        self._count(task, -1)
        votes = self._votes[task].setdefault(person, [])
        if votes:
            self._done[person][votes[-1].skipped] -= 1
        if decision.action == "undone":
            votes[:] = [vote for vote in votes if vote.number != decision.undoes]
        else:
            votes.append(self._vote(decision))
        if votes:
            self._done[person][votes[-1].skipped] += 1
        self._count(task, 1)

    def _vote(self, decision: Decision) -> _Vote:
        names = self._file.setup.fields if decision.verdicts else ()
        verdicts = tuple(bool(decision.verdicts.get(name)) for name in names)
        return _Vote(decision.number, decision.action == "skipped", decision.blind, verdicts)

    def _count(self, task: int, sign: int) -> None:
        current = [votes[-1] for votes in self._votes[task].values() if votes and not votes[-1].skipped]
        if len(current) > 1 or task in self._shared:
            self._of_shared = None
        if len(current) > 1:
            (self._shared.add if sign > 0 else self._shared.discard)(task)
        for vote in current if len(current) == 1 else ():
            self._counts[self._kind(task), vote.blind].add(vote, sign)

    def _kind(self, task: int) -> Kind:
        block = (task - 1) // _BLOCK
        if block not in self._kinds:
            self._kinds[block] = [one.kind for one in self._file.tasks(block * _BLOCK + 1, _BLOCK)]
        return self._kinds[block][(task - 1) % _BLOCK]

    def _figures_of_shared(self) -> tuple[tuple[Accuracy, ...], dict[str, Agreement], dict[str, Agreement]]:
        if self._of_shared is None:
            judged, setup = list(self._judged_by_several()), self._file.setup
            self._of_shared = (
                accuracies(judged, setup),
                agreements(judged, setup, blind=True),
                agreements(judged, setup, blind=False),
            )
        return self._of_shared

    def _judged_by_several(self) -> Iterator[Judged]:
        for task in sorted(self._shared):
            for person in sorted(self._votes[task]):
                decision = self._file.current(task, person)
                if decision is not None and decision.action != "skipped":
                    yield Judged(decision=decision, kind=self._kind(task))

    def _joined(self, shared: Iterable[Accuracy]) -> Iterator[Accuracy]:
        by_way = {(one.kind, one.blind): one for one in shared}
        ways = by_way.keys() | {way for way, counts in self._counts.items() if counts.rows}
        for way in sorted(ways, key=lambda way: (way[0] != "sample", not way[1])):
            yield self._sum(way, self._counts.get(way, _Counts()), by_way.get(way))

    def _sum(self, way: tuple[Kind, bool], alone: _Counts, shared: Accuracy | None) -> Accuracy:
        setup = self._file.setup
        judged = alone.judged + (shared.whole.judged if shared else 0)
        right = alone.right + (shared.whole.right if shared else 0)
        fields = {}
        for name, count in zip_longest(setup.fields, alone.by_field, fillvalue=0) if judged else ():
            others = shared.fields.get(str(name)) if shared else None
            fields[str(name)] = Share(judged=judged, right=int(count) + (others.right if others else 0))
        return Accuracy(
            kind=way[0],
            blind=way[1],
            whole=Share(judged=judged, right=right),
            fields=fields,
            unsettled=shared.unsettled if shared else 0,
            enough=way[0] == "sample" and setup.enough_at is not None and judged >= setup.enough_at,
        )
