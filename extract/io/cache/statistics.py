"""What a cache file can tell about all runs that used it: when, how fast, and for which schemas."""

from __future__ import annotations

from decimal import Decimal

from extract.io.cache.database import CacheFile
from extract.io.cache.funds import SET_ASIDE, set_aside
from extract.io.cache.ledger import ATTEMPTS, damaged
from extract.io.cache.services import COUNTS, StoredAnswers, stored_answers

__all__ = ["CacheStatistics"]

# Until the year 9999: a damaged cell may hold anything.
_IS_TIME = "typeof(at) = 'real' AND at BETWEEN 0 AND 253402300799"


class CacheStatistics:
    """Figures of one cache file, for people. OutputError where it cannot be read."""

    def __init__(self, file: CacheFile) -> None:
        self._file = file

    def relaxed(self) -> list[tuple[bytes, int]]:
        """Return the schemas that had to be relaxed for the service to accept them, by their keys, and how far."""
        query = "SELECT schema, rung FROM rungs WHERE typeof(schema) = 'blob' AND typeof(rung) = 'integer' AND rung > 0"
        return self._file.select(f"{query} ORDER BY rung DESC, schema")

    def span(self) -> tuple[float, float] | None:
        """Return the Unix times of the first and the last answer, None where there is none."""
        first, last = self._file.select(f"SELECT min(at), max(at) FROM answers WHERE {_IS_TIME}")[0]  # noqa: S608 - ours
        return None if first is None else (first, last)

    def services(self) -> StoredAnswers:
        """Return how many answers there are of each service."""
        answers = int(self._file.select("SELECT count(*) FROM answers")[0][0])
        return stored_answers(self._file.select(COUNTS), answers)

    def set_aside(self) -> Decimal:
        """Return what runs at work, and those that were killed, have set aside of a total budget, in US dollars."""
        return set_aside(self._file.select(SET_ASIDE))

    def damaged_entries(self) -> int:
        """Return how many entries of the ledger are not as they were entered: no sum has them."""
        return damaged(self._file.select(ATTEMPTS, 0.0))

    def pace(self, stretches: int) -> tuple[float, list[tuple[float, int]]]:
        """Return the length in seconds of equal stretches of time, and each one's start and number of attempts.

        They reach from the first attempt to the last; a stretch without an attempt is left out.
        """
        first, last = self._file.select(f"SELECT min(at), max(at) FROM attempts WHERE {_IS_TIME}")[0]  # noqa: S608 - ours
        if first is None or first == last:
            return 0.0, []
        stretch = (last - first) / stretches
        query = "SELECT min(CAST((at - ?) / ? AS INTEGER), ?) AS place, count(*) FROM attempts "
        query += f"WHERE {_IS_TIME} GROUP BY place"
        counts = self._file.select(query, first, stretch, stretches - 1)
        return stretch, [(first + place * stretch, count) for place, count in counts]
