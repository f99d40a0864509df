"""The money of all runs with one cache: what the ledger says was spent, and what runs at work have set aside.

Three rules keep what all runs can come to spend within a total, whoever is killed at whatever moment:

- A run sends a request only within what it has set aside here, in place of what it had set aside before.
- A cost is entered into the ledger before the request counts as over, so that it is in one of the two sums, or in both.
- Nobody but the run itself takes back what it has set aside. Of one that was killed it stays, as nobody knows how much
  of it was spent.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeVar

from extract.errors import ConfigError
from extract.io.cache.database import CacheFile, unwritable
from extract.io.cache.ledger import NEW_ATTEMPTS, charge, is_possible_sum, is_sound_entry

__all__ = ["SET_ASIDE", "Funds", "set_aside"]

SET_ASIDE = "SELECT run, dollars FROM funds"

T = TypeVar("T")


def set_aside(rows: Iterable[tuple[Any, ...]]) -> Decimal:
    """Return the sum of the rows that SET_ASIDE selects; of damaged ones, none."""
    return sum((Decimal(row[1]) for row in rows if is_possible_sum(row)), Decimal(0))


class Funds:
    """One run's part of the money that all runs of a cache share, in US dollars. `commit` writes what is queued.

    `spent` and `others` are as of the last look: what the ledger says, and what other runs have set aside.
    OutputError where the file cannot be read or written, ConfigError for an entry of the ledger without a price.
    """

    def __init__(self, file: CacheFile, commit: Callable[[], None]) -> None:
        self.spent: Decimal = Decimal(0)
        self.others: Decimal = Decimal(0)
        self._file, self._commit = file, commit
        self._run = uuid.uuid4().hex
        self._seen_in: sqlite3.Connection | None = None
        self._last_seen = 0

    def left(self, total: Decimal) -> Decimal:
        """Return what is left of a total."""
        return self._in_transaction(lambda database: self._left(database, total))

    def set_aside(self, total: Decimal, held: Decimal, wanted: Decimal) -> Decimal:
        """Set aside what this run may spend from now on, and return it: `wanted`, or less where the total has less.

        `held` is what requests in flight may cost: that much stays set aside in any case.
        """

        def change(database: sqlite3.Connection) -> Decimal:
            dollars = max(held, min(wanted, self._left(database, total)))
            database.execute("INSERT OR REPLACE INTO funds (run, dollars) VALUES (?, ?)", (self._run, str(dollars)))
            return dollars

        return self._in_transaction(change)

    def close(self) -> None:
        """Give back what was set aside, once no request is in flight."""
        self._in_transaction(lambda database: database.execute("DELETE FROM funds WHERE run = ?", (self._run,)))

    def _left(self, database: sqlite3.Connection, total: Decimal) -> Decimal:
        self._read_ledger(database)
        self.others = set_aside(database.execute(f"{SET_ASIDE} WHERE run != ?", (self._run,)))
        return total - self.spent - self.others

    def _read_ledger(self, database: sqlite3.Connection) -> None:
        """Add what was entered since the last look. Entries are never deleted, so the newest have the highest rows."""
        if database is not self._seen_in:  # another file has taken the place of the first
            self._seen_in, self._last_seen, self.spent = database, 0, Decimal(0)
        for row, *entry in database.execute(NEW_ATTEMPTS, (self._last_seen,)):
            dollars = charge(tuple(entry)) if is_sound_entry(tuple(entry)) else None
            if dollars is None:
                raise ConfigError(
                    f"the ledger of the cache {self._file.path} has a cost that is not known, so what is left of the "
                    "total budget is not known either: name another cache, or use --budget"
                )
            self.spent += dollars
            self._last_seen = row

    def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._commit()  # what this run has spent until now is to be in the ledger
        try:
            with self._file.connection as database:
                database.execute("BEGIN IMMEDIATE")  # no other run may set aside the same money meanwhile
                return work(database)
        except sqlite3.Error as error:
            if self._file.renewed(error):
                return self._in_transaction(work)
            raise unwritable(self._file.path, error) from None
