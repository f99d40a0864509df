"""What a cache file can tell about all runs that used it: when, how fast, and for which schemas."""

from __future__ import annotations

from extract.io.cache.database import CacheFile

__all__ = ["CacheStatistics"]


class CacheStatistics:
    """Figures of one cache file, for people. OutputError where it cannot be read."""

    def __init__(self, file: CacheFile) -> None:
        self._file = file

    def relaxed(self) -> list[tuple[bytes, int]]:
        """Return the schemas that had to be relaxed for the service to accept them, by their keys, and how far."""
        return self._file.select("SELECT schema, rung FROM rungs WHERE rung > 0 ORDER BY rung DESC, schema")

    def span(self) -> tuple[float, float] | None:
        """Return the Unix times of the first and the last answer, None where there is none."""
        first, last = self._file.select("SELECT min(at), max(at) FROM answers")[0]
        return None if first is None else (first, last)

    def pace(self, stretches: int) -> tuple[float, list[tuple[float, int]]]:
        """Return the length in seconds of equal stretches of time, and each one's start and number of attempts.

        They reach from the first attempt to the last; a stretch without an attempt is left out.
        """
        first, last = self._file.select("SELECT min(at), max(at) FROM attempts")[0]
        if first is None or first == last:
            return 0.0, []
        stretch = (last - first) / stretches
        query = "SELECT min(CAST((at - ?) / ? AS INTEGER), ?) AS place, count(*) FROM attempts GROUP BY place"
        counts = self._file.select(query, first, stretch, stretches - 1)
        return stretch, [(first + place * stretch, count) for place, count in counts]
