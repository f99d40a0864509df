"""Rows that wait for company: which of them may stand together, and who is drawn for the next request."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from extract.documents.parts import Turn
from extract.interactions.interaction import Interaction
from extract.runner.request import SendMode
from extract.runner.trace import RecordTrace

__all__ = ["PackQueue", "WaitingRow"]


@dataclass(slots=True, eq=False)
class WaitingRow:
    """A row that waits for its answer. `tries` counts the requests that had none for it.

    `alone`: it has a request of its own. `divided`: a request with it was refused, and it stands in a part of that.
    """

    turns: tuple[Turn, ...]
    block: str
    mode: SendMode
    trace: RecordTrace
    answer: asyncio.Future[Interaction]
    tries: int = 0
    alone: bool = False
    divided: bool = False

    @property
    def group(self) -> str:
        """What all rows of its request have in common: nothing else, where it goes alone."""
        return f"\0{id(self)}" if self.alone else self.mode.group


@dataclass(slots=True)
class _Group:
    """Rows that may stand together, in the order in which they came, and how often each text is among them.

    Two samples of one row cannot stand in the same request, so it is the different texts that fill one.
    """

    rows: dict[int, WaitingRow] = field(default_factory=dict)
    texts: Counter[str] = field(default_factory=Counter)

    def add(self, row: WaitingRow) -> None:
        self.rows[id(row)] = row
        self.texts[row.block] += 1

    def remove(self, row: WaitingRow) -> None:
        del self.rows[id(row)]
        self.texts[row.block] -= 1
        if not self.texts[row.block]:
            del self.texts[row.block]

    def fills(self, size: int) -> bool:
        return len(self.texts) >= size or next(iter(self.rows.values())).alone

    def drawn(self, size: int, draw: random.Random) -> list[WaitingRow]:
        """Return who stands in the next request: the one that has waited longest, and others at random."""
        first, *others = self.rows.values()
        chosen = {first.block: first}
        while others and len(chosen) < size:
            place = draw.randrange(len(others))
            others[place], others[-1] = others[-1], others[place]
            row = others.pop()
            chosen.setdefault(row.block, row)
        rows = list(chosen.values())
        draw.shuffle(rows)
        return rows


@dataclass(slots=True)
class PackQueue:
    """The rows that wait, by what the rows of one request have in common; `texts` is how many different ones wait."""

    draw: random.Random
    texts: int = 0
    _groups: dict[str, _Group] = field(default_factory=dict, init=False)

    def holds(self, row: WaitingRow) -> bool:
        """True where a row waits here."""
        group = self._groups.get(row.group)
        return group is not None and id(row) in group.rows

    def add(self, row: WaitingRow, size: int) -> bool:
        """Let a row wait. True where its group now fills a request of `size` rows."""
        group = self._groups.setdefault(row.group, _Group())
        self.texts -= len(group.texts)
        group.add(row)
        self.texts += len(group.texts)
        return group.fills(size)

    def remove(self, row: WaitingRow) -> None:
        """Let a row wait no more, if it does."""
        if self.holds(row):
            self._leave(row.group, [row])

    def take(self, size: int, *, partly: bool) -> list[WaitingRow]:
        """Return the rows of the next request; none where no group fills one, unless fewer will do (`partly`).

        Of groups that can be sent, the one that began to wait first comes first.
        """
        for name, group in self._groups.items():
            if partly or group.fills(size):
                rows = group.drawn(size, self.draw)
                self._leave(name, rows)
                return rows
        return []

    def _leave(self, name: str, rows: list[WaitingRow]) -> None:
        group = self._groups[name]
        self.texts -= len(group.texts)
        for row in rows:
            group.remove(row)
        self.texts += len(group.texts)
        if not group.rows:
            del self._groups[name]
